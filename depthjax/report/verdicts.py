"""What the scores say in plain words: five sentences, each computed from rows of scores.

A difference is called significant only if its interval excludes zero and its paired test, with Holm's correction for
the number of comparisons, gives p ≤ 0.05. Without a paired test, two intervals must not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from depthjax.config import OWN_METHODS
from depthjax.report.formats import ACCURACY, POINTS, Format, Number
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.table import Line
from depthjax.report.tables import MEASURES, classifier_name, shares_of
from depthjax.scores import Score, Scores

LEVEL = 0.05
# A ratio of nearest distances whose interval lies below it suggests copies.
NEAR = 0.9
Part = str | Number
Numbers = dict[str, Number]  # by method


@dataclass(frozen=True)
class Verdict:
    """A topic and its sentences: words and the numbers between them."""

    topic: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Difference:
    """A paired difference of accuracies, with its p adjusted for the family of comparisons."""

    number: Number
    p: float

    @property
    def sign(self) -> int:
        """1 or -1 for a significant difference, else 0."""
        value = self.number.value or 0.0
        if self.p > LEVEL or not self.number.excludes_zero or value == 0:
            return 0
        return 1 if value > 0 else -1


RANDOM_AND_EVOLVED = OWN_METHODS
# The fused space ranks nothing: texture and noise dominate it.
RANKING = tuple(MEASURES[m, s] for m in ("kid", "coverage") for s in ("relief", "depthnet"))
COPIES = (*(MEASURES["auth_pct", s] for s in ("relief", "depthnet")),
          *(MEASURES["nearest_ratio", s] for s in ("relief", "depthnet")),
          MEASURES["ssim", "pixels"], MEASURES["psnr", "pixels"])  # fmt: skip


def verdicts(evaluation: StoredEvaluation) -> list[Verdict]:
    """Return the summary of an evaluation, most important first; empty if no method was evaluated."""
    if not evaluation.methods:
        return []
    made = {
        "With training faces": _beside(evaluation),
        "Alone": _alone(evaluation),
        "Distance": _distance(evaluation),
        "Copies and variety": [*_copies(evaluation), *_variety(evaluation)],
        "Best method": _best(evaluation) if len(evaluation.methods) > 1 else [],
    }
    return [Verdict(topic, tuple(parts)) for topic, parts in made.items() if parts]


def headline_classifier(evaluation: StoredEvaluation) -> str:
    """Return the classifier of the summary: XGBoost where it ran, chosen beforehand and not by its scores."""
    found = evaluation.classifiers or ["xgboost"]
    return "xgboost" if "xgboost" in found else found[0]


def holm(p: Sequence[float]) -> list[float]:
    """Return the p values of a family, adjusted by Holm's step-down procedure (Holm 1979), in the given order."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, reached = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = reached
    return adjusted


def differences(rows: Iterable[Score]) -> dict[tuple[str, str], Difference]:
    """Return the paired tests of a family, by (method, against), corrected together; those without a p are left out."""
    kept = [row for row in rows if row.value is not None and row.p is not None]
    adjusted = holm([row.p or 0.0 for row in kept])
    return {
        (row.method, row.against): Difference(Number(row, POINTS), p) for row, p in zip(kept, adjusted, strict=True)
    }


def too_few_subjects(tests: Mapping[tuple[str, str], Difference]) -> int | None:
    """Return the number of subjects if it is so small that no difference, whatever its size, could be significant."""
    subjects = max((test.number.score.n or 0 for test in tests.values()), default=0)
    return subjects if subjects and len(tests) * 2 / 2**subjects > LEVEL else None


def _corrected(tests: Mapping[tuple[str, str], Difference], where: str = "") -> str:
    """How the tests were made."""
    if len(tests) == 1:
        return " Paired by subject."
    words = f" Paired by subject, Holm's correction over {len(tests)} comparisons{where}."
    subjects = too_few_subjects(tests)
    few = (
        f" With {subjects} subjects no difference can be significant: that none is proves nothing." if subjects else ""
    )
    return words + few


def _beside(evaluation: StoredEvaluation) -> list[Part]:
    """Training and generated faces against training faces alone, by the share of training subjects."""
    classifier = headline_classifier(evaluation)
    rows = evaluation.scores.where(protocol="paired_scarcity", classifier=classifier, against="real")
    by_share = {share: differences(rows.where(share=share)) for share in shares_of(evaluation)}
    by_share = {share: tests for share, tests in by_share.items() if tests}
    name = classifier_name(classifier)
    if not by_share:
        return [_unknown(evaluation, "Whether generated faces help in addition to training faces", "scarcity")]
    gains = {s: [m for (m, _), t in tests.items() if t.sign > 0] for s, tests in by_share.items()}
    losses = {s: [m for (m, _), t in tests.items() if t.sign < 0] for s, tests in by_share.items()}
    parts: list[Part] = [f"Adding generated faces to training faces {_effect(name, gains, losses)}."]
    for share, tests in by_share.items():
        if gains[share] or losses[share]:
            parts += [f" With {100 * share:g}\u202f% of the training subjects: "]
            parts += _joined([[t.number, f" with {method_name(m)}"] for (m, _), t in tests.items() if t.sign])
            rest = [m for (m, _), t in tests.items() if not t.sign]
            parts += [f"; no significant difference with {_names(rest)}." if rest else "."]
    parts += [" Every generator was trained on all training subjects."]
    return [*parts, _corrected(max(by_share.values(), key=len), " at each share")]


def _effect(name: str, gains: dict[float, list[str]], losses: dict[float, list[str]]) -> str:
    helped, harmed = ([s for s, found in group.items() if found] for group in (gains, losses))
    if not helped and not harmed:
        return f"does not change {name}'s accuracy on held-out subjects significantly"
    accuracy = f"{name}'s accuracy on held-out subjects"
    words = [f"raises {accuracy} significantly with {_percent(helped)}"] if helped else []
    words += [f"lowers {'it' if helped else accuracy} significantly with {_percent(harmed)}"] if harmed else []
    return f"{' and '.join(words)} of the training subjects"


def _percent(shares: Iterable[float]) -> str:
    return f"{_and(f'{100 * share:g}' for share in shares)}\u202f%"


def _alone(evaluation: StoredEvaluation) -> list[Part]:
    """Trained on generated faces only, beside training faces and guessing."""
    classifier = headline_classifier(evaluation)
    values = _numbers(evaluation, Score("", "tstr", classifier, "accuracy"), ACCURACY)
    if not values:
        return [_unknown(evaluation, "What generated faces are worth alone", "tstr")]
    real = evaluation.scores.at(Score("real", "trtr", classifier, "accuracy"))
    chance = 1 / len(evaluation.emotions)
    parts: list[Part] = [f"Trained on generated faces only, {classifier_name(classifier)} reaches an accuracy of "]
    parts += [*_listed(values), " on held-out subjects"]
    if real is not None and real.value is not None:
        parts += ["; trained on training faces ", Number(real, ACCURACY)]
    parts += [f"; guessing {ACCURACY.write(chance)}\u202f%."]
    guesses = [m for m, x in values.items() if x.interval and x.interval[0] <= chance]
    parts += [f" Not significantly better than guessing: {_names(guesses)}."] if guesses else []
    rows = evaluation.scores.where(protocol="paired_tstr", classifier=classifier, against="real")
    tests = differences(rows)
    for sign, words in ((-1, "Worse than"), (1, "Better than"), (0, "Not significantly different from")):
        found = [m for (m, _), test in tests.items() if test.sign == sign]
        parts += [f" {words} training faces: {_names(found, values)}."] if found else []
    return [*parts, _corrected(tests)] if tests else parts


def _distance(evaluation: StoredEvaluation) -> list[Part]:
    """KID on relief beside its reference, and what the other measures say of the same."""
    first = RANKING[0]
    values, real = _numbers(evaluation, first.key, first.format), _reference(evaluation, first)
    if not values or real is None:
        return [_unknown(evaluation, "How far generated faces are from held-out faces", "distance")]
    parts: list[Part] = [f"By {_title(first)}, generated faces are ", *_listed(values), " from held-out faces; "]
    parts += ["the reference between held-out subjects is ", real, "."]
    worse = {
        _title(measure): found
        for measure in RANKING
        if (found := _worse_than_reference(evaluation, measure)) is not None
    }
    for behind, by in _grouped(worse).items():
        if behind:
            parts += [f" Significantly worse than the reference by {_and(by)}: {_names(behind, values)}."]
        else:
            parts += [f" No significant difference from the reference by {_and(by)}."]
    return parts


def _worse_than_reference(evaluation: StoredEvaluation, measure: Line) -> list[str] | None:
    """Methods significantly worse than the reference; None if nothing can be compared."""
    values, real = _numbers(evaluation, measure.key, measure.format), _reference(evaluation, measure)
    if real is None or real.interval is None or not values:
        return None
    return [m for m, value in values.items() if _ahead(measure, real, value)]


def _copies(evaluation: StoredEvaluation) -> list[Part]:
    """Which methods are closer to the training faces than held-out subjects are, by each sign."""
    tested = {_title(measure): found for measure in COPIES if (found := _suspects(evaluation, measure)) is not None}
    if not tested:
        return [_unknown(evaluation, "Whether training faces were copied", "memorisation")]
    groups = {found: by for found, by in _grouped(tested).items() if found}
    if groups:
        listed = "; ".join(f"{_names(found, evaluation.methods)} by {_and(by)}" for found, by in groups.items())
        parts: list[Part] = [f"Possible copies: closer to the training faces than held-out subjects are: {listed}."]
    else:
        parts = [
            f"No sign of copies: no method is closer to the training faces than held-out subjects, by {_and(tested)}."
        ]
    measure = MEASURES["identical", "pixels"]
    identical = {m: x for m, x in _numbers(evaluation, measure.key, measure.format).items() if x.value}
    parts += [" Identical to a training face: ", *_listed(identical), "."] if identical else []
    return parts


def _suspects(evaluation: StoredEvaluation, measure: Line) -> list[str] | None:
    """Methods that this sign speaks against; None if none has an interval."""
    values = {m: x for m, x in _numbers(evaluation, measure.key, measure.format).items() if x.interval}
    real = _reference(evaluation, measure)
    if measure.key.measure == "nearest_ratio":
        return [m for m, x in values.items() if x.interval and x.interval[1] < NEAR] if values else None
    if not values or real is None or real.interval is None:
        return None
    # AuthPct falls with copies, similarity to the nearest training face rises.
    falls = measure.key.measure == "auth_pct"
    return [m for m, x in values.items() if (_below(x, real) if falls else _below(real, x))]


def _variety(evaluation: StoredEvaluation) -> list[Part]:
    """The Vendi score beside that of the held-out faces."""
    measure = MEASURES["vendi", "relief"]
    values = {m: x for m, x in _numbers(evaluation, measure.key, measure.format).items() if x.interval}
    real = _reference(evaluation, measure)
    if not values or real is None or real.interval is None:
        return []
    less = [m for m, x in values.items() if _below(x, real)]
    parts: list[Part] = [
        " The effective number of different faces within an emotion (Vendi, relief) is ",
        *_listed(values),
    ]
    parts += ["; of held-out faces ", real, "."]
    return [*parts, f" Significantly less varied: {_names(less, values)}." if less else ""]


def _best(evaluation: StoredEvaluation) -> list[Part]:
    """Which method is first by accuracy, KID and coverage, and which are not significantly worse."""
    leaders: dict[str, str | None] = {}
    parts = _best_accuracy(evaluation, leaders)
    for measure in RANKING:
        values = _numbers(evaluation, measure.key, measure.format)
        if len(values) > 1:
            best = (max if measure.format.better == "↑" else min)(values, key=lambda m: values[m].value or 0.0)
            beaten = [m for m, x in values.items() if _ahead(measure, values[best], x)]
            parts += _rank(_title(measure), best, values, beaten, leaders)
    if not leaders:
        return [_unknown(evaluation, "Which method is best", "distance")]
    won = _grouped({by: [method] for by, method in leaders.items() if method})
    if len(won) == 1 and None not in leaders.values():
        answer = f"{_names(*won)} is significantly better than all others by every measure."
    elif won:
        by_method = "; ".join(f"{_names(found)} by {_and(by)}" for found, by in won.items())
        answer = f"No method is best by every measure. Significantly better than all others: {by_method}."
    else:
        answer = "No method is significantly better than all others by any measure."
    return [answer, *parts]


def _best_accuracy(evaluation: StoredEvaluation, leaders: dict[str, str | None]) -> list[Part]:
    classifier = headline_classifier(evaluation)
    values = _numbers(evaluation, Score("", "tstr", classifier, "accuracy"), ACCURACY)
    rows = evaluation.scores.where(protocol="paired_tstr", classifier=classifier)
    tests = differences(row for row in rows if row.against in values and row.method in values)
    if not tests:
        return []
    best = max(values, key=lambda m: values[m].value or 0.0)
    signs = {pair: test.sign for pair, test in tests.items()}
    beaten = [m for m in values if signs.get((best, m), 0) > 0 or signs.get((m, best), 0) < 0]
    by = f"accuracy ({classifier_name(classifier)}, trained on generated faces only)"
    return [*_rank(by, best, values, beaten, leaders), _corrected(tests), *_evolved(rows)]


def _evolved(rows: Scores) -> list[Part]:
    """The accuracy with evolved latents against random latents of the same generator."""
    tests = differences(row for row in rows if {row.method, row.against} == set(RANDOM_AND_EVOLVED))
    for (method, _), test in tests.items():
        better = test.sign if method == RANDOM_AND_EVOLVED[1] else -test.sign
        effect = {1: "raise it", -1: "lower it", 0: "do not change it significantly"}[better]
        order = f"{method_name(method)} minus {method_name(test.number.score.against)}"
        return [f" Evolved instead of random latents {effect} ({order}: ", test.number, ")."]
    return []


def _rank(by: str, best: str, values: Numbers, beaten: Sequence[str], leaders: dict[str, str | None]) -> list[Part]:
    """Which method is first, and from which others it does not differ significantly; noted among the leaders."""
    rest = [m for m in values if m != best and m not in beaten]
    leaders[by] = None if rest else best
    reach = f"not significantly better than {_names(rest)}" if rest else "significantly better than all others"
    return [f" By {by}, {method_name(best)} is first with ", values[best], f", {reach}."]


def _unknown(evaluation: StoredEvaluation, what: str, protocol: str) -> str:
    """That something is unknown, and why."""
    why = next((row.reason for row in evaluation.scores.where(protocol=protocol) if row.reason), "it was not measured")
    return f"{what} is unknown: {why}."


def _numbers(evaluation: StoredEvaluation, key: Score, format: Format) -> Numbers:
    """The values of the methods that have one."""
    found = {method: _number(evaluation, key, method, format) for method in evaluation.methods}
    return {method: number for method, number in found.items() if number is not None}


def _number(evaluation: StoredEvaluation, key: Score, method: str, format: Format) -> Number | None:
    row = evaluation.scores.at(replace(key, method=method))
    return None if row is None or row.value is None else Number(row, format)


def _reference(evaluation: StoredEvaluation, measure: Line) -> Number | None:
    return _number(evaluation, measure.key, "real", measure.format)


def _title(measure: Line) -> str:
    return f"{measure.format.name} ({measure.key.space})"


def _below(a: Number, b: Number) -> bool:
    """Whether a's interval lies below b's."""
    return a.interval is not None and b.interval is not None and a.interval[1] < b.interval[0]


def _ahead(measure: Line, a: Number, b: Number) -> bool:
    """Whether a is better than b by intervals that do not overlap."""
    return _below(b, a) if measure.format.better == "↑" else _below(a, b)


def _listed(values: Numbers) -> list[Part]:
    """`a (first), b (second) and c (third)`."""
    return _joined([[value, f" ({method_name(method)})"] for method, value in values.items()])


def _joined(items: Sequence[Sequence[Part]]) -> list[Part]:
    """The items with commas and an `and` between them."""
    parts: list[Part] = []
    for position, item in enumerate(items):
        joint = "" if position == 0 else " and " if position == len(items) - 1 else ", "
        parts += [joint, *item] if joint else item
    return parts


def _names(methods: Iterable[str], among: Iterable[str] = ()) -> str:
    """The methods' names, or `all methods` if they are all and more than two."""
    methods = list(methods)
    if len(methods) > 2 and set(methods) == set(among):
        return "all methods"
    return _and(map(method_name, methods))


def _and(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _grouped(found: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """The keys of one and the same value together, in order of first appearance."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, value in found.items():
        groups.setdefault(tuple(value), []).append(name)
    return groups
