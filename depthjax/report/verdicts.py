"""What the scores say in plain words: five sentences, each computed from rows of scores.

A difference is significant if its interval excludes zero and its paired test, corrected after Holm, gives p ≤ 0.05;
without a paired test, two intervals must not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from depthjax.config import OWN_METHODS
from depthjax.report.formats import ACCURACY, POINTS, Number
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.table import Line, reference
from depthjax.report.tables import MEASURES, classifier_name
from depthjax.scores import Score

LEVEL = 0.05
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
        significant = self.p <= LEVEL and self.number.excludes_zero
        return int(np.sign(self.number.value or 0.0)) if significant else 0


Tests = dict[tuple[str, str], Difference]  # by (method, against)
# The fused space ranks nothing: texture and noise dominate it.
RANKING = tuple(MEASURES[m, s] for m in ("kid", "coverage") for s in ("relief", "depthnet"))
COPIES = (MEASURES["ssim", "pixels"], MEASURES["psnr", "pixels"])


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


def differences(rows: Iterable[Score]) -> Tests:
    """Return the paired tests that have a p; as stored, it is adjusted for its family (Holm)."""
    kept = [Difference(Number(row, POINTS), row.p) for row in rows if row.value is not None and row.p is not None]
    return {(test.number.score.method, test.number.score.against): test for test in kept}


def too_few_subjects(tests: Tests) -> int | None:
    """Return the number of subjects if it is so small that no difference, whatever its size, could be significant."""
    subjects = max((test.number.score.n or 0 for test in tests.values()), default=0)
    return subjects if subjects and len(tests) * 2 / 2**subjects > LEVEL else None


def _corrected(tests: Tests) -> str:
    if len(tests) == 1:
        return " Paired by subject."
    words = " Paired by subject, p adjusted for the number of comparisons (Holm)."
    if subjects := too_few_subjects(tests):
        words += f" With {subjects} subjects no difference can be significant: that none is proves nothing."
    return words


def _beside(evaluation: StoredEvaluation) -> list[Part]:
    """Compare with augmented copies first: against training faces alone, any added face may look good."""
    classifier = headline_classifier(evaluation)
    rows = evaluation.scores.where(protocol="paired_added", classifier=classifier)
    by_rival = {
        rival: differences(row for row in rows.where(against=rival) if row.method in evaluation.methods)
        for rival in ("augmented", "real")
    }
    if not (tests := by_rival["augmented"]):
        return [_unknown(evaluation, "Whether generated faces help in addition to training faces", "added")]
    verbs = [verb for sign, verb in ((1, "raise"), (-1, "lower")) if sign in {test.sign for test in tests.values()}]
    accuracy = f"{classifier_name(classifier)}'s accuracy on held-out subjects significantly"
    effect = f"{' or '.join(verbs) or 'do not change'} {accuracy}"
    parts: list[Part] = [f"Beside training faces, generated faces instead of as many augmented copies {effect}."]
    for rival, tests in by_rival.items():
        words = "augmented copies" if rival == "augmented" else "training faces alone"
        parts += [f" Against {words}: ", *_listed({m: test.number for (m, _), test in tests.items()}), "."]
        if none := [m for (m, _), test in tests.items() if not test.sign]:
            parts += [f" Not significant: {_names(none, [m for m, _ in tests])}."]
    return [*parts, _corrected(by_rival["augmented"])]


def _alone(evaluation: StoredEvaluation) -> list[Part]:
    classifier = headline_classifier(evaluation)
    values, real = _measured(evaluation, _accuracy(classifier))
    if not values:
        return [_unknown(evaluation, "What generated faces are worth alone", "tstr")]
    chance = 1 / len(evaluation.emotions)
    parts: list[Part] = [f"Trained on generated faces only, {classifier_name(classifier)} reaches an accuracy of "]
    parts += [*_listed(values), " on held-out subjects"]
    parts += ["; trained on training faces ", real] if real else []
    parts += [f"; guessing {ACCURACY.write(chance)}\u202f%."]
    guesses = [m for m, x in values.items() if x.interval and x.interval[0] <= chance]
    parts += [f" Not significantly better than guessing: {_names(guesses)}."] if guesses else []
    tests = differences(evaluation.scores.where(protocol="paired_tstr", classifier=classifier, against="real"))
    for sign, words in ((-1, "Worse than"), (1, "Better than"), (0, "Not significantly different from")):
        found = [m for (m, _), test in tests.items() if test.sign == sign]
        parts += [f" {words} training faces: {_names(found, values)}."] if found else []
    return [*parts, _corrected(tests)] if tests else parts


def _distance(evaluation: StoredEvaluation) -> list[Part]:
    values, real = _measured(evaluation, RANKING[0])
    if not values or real is None:
        return [_unknown(evaluation, "How far generated faces are from training faces", "distance")]
    parts: list[Part] = [f"By {_title(RANKING[0])}, generated faces are ", *_listed(values), " from training faces; "]
    parts += ["the reference between two halves of the training subjects is ", real, "."]
    for behind, by in _behind_reference(evaluation, RANKING).items():
        words = "Significantly worse than" if behind else "No significant difference from"
        parts += [f" {words} the reference by {_and(by)}", f": {_names(behind, values)}." if behind else "."]
    return parts


def _copies(evaluation: StoredEvaluation) -> list[Part]:
    groups = _behind_reference(evaluation, COPIES)
    if not groups:
        return [_unknown(evaluation, "Whether training faces were copied", "memorisation")]
    listed = "; ".join(f"{_names(found, evaluation.methods)} by {_and(by)}" for found, by in groups.items() if found)
    parts: list[Part] = [f"Possible copies: closer to the training faces than held-out subjects are: {listed}."]
    if not listed:
        parts = ["No sign of copies: no method is closer to the training faces than held-out subjects, "]
        parts += [f"by {_and(groups[()])}."]
    return parts


def _variety(evaluation: StoredEvaluation) -> list[Part]:
    values, real = _measured(evaluation, MEASURES["vendi", "relief"])
    values = {m: x for m, x in values.items() if x.interval}
    if not values or real is None or real.interval is None:
        return []
    less = [m for m, x in values.items() if _below(x, real)]
    parts: list[Part] = [" The effective number of different faces within an emotion (Vendi, relief) is "]
    parts += [*_listed(values), "; of training faces ", real, "."]
    return [*parts, f" Significantly less varied: {_names(less, values)}." if less else ""]


def _best(evaluation: StoredEvaluation) -> list[Part]:
    won: dict[str, list[str]] = {}
    measures = 0
    parts: list[Part] = []
    for measure in (_accuracy(headline_classifier(evaluation)), *RANKING):
        values, _ = _measured(evaluation, measure)
        paired = measure.key.protocol == "tstr"
        tests = _pairs(evaluation, measure.key.classifier, values) if paired else {}
        if not (tests if paired else len(values) > 1):
            continue
        best = (max if measure.format.better == "↑" else min)(values, key=lambda m: values[m].value or 0.0)
        beaten = {b if test.sign > 0 else a for (a, b), test in tests.items() if test.sign and best in (a, b)}
        if not paired:
            beaten = {m for m, x in values.items() if _ahead(measure, values[best], x)}
        rest = [m for m in values if m != best and m not in beaten]
        reach = f"not significantly better than {_names(rest)}" if rest else "significantly better than all others"
        parts += [f" By {_title(measure)}, {method_name(best)} is first with ", values[best], f", {reach}."]
        parts += [_corrected(tests), *_evolved(evaluation, measure.key.classifier)] if paired else []
        measures += 1
        if not rest:
            won.setdefault(best, []).append(_title(measure))
    if not measures:
        return [_unknown(evaluation, "Which method is best", "distance")]
    return [_answer(won, measures), *parts]


def _answer(won: dict[str, list[str]], measures: int) -> str:
    if not won:
        return "No method is significantly better than all others by any measure."
    if len(won) == 1 and len(*won.values()) == measures:
        return f"{_names(won)} is significantly better than all others by every measure."
    by_method = "; ".join(f"{method_name(method)} by {_and(by)}" for method, by in won.items())
    return f"No method is best by every measure. Significantly better than all others: {by_method}."


def _pairs(evaluation: StoredEvaluation, classifier: str, methods: Iterable[str]) -> Tests:
    rows = evaluation.scores.where(protocol="paired_tstr", classifier=classifier)
    return differences(row for row in rows if {row.method, row.against} <= set(methods))


def _evolved(evaluation: StoredEvaluation, classifier: str) -> list[Part]:
    for (method, against), test in _pairs(evaluation, classifier, OWN_METHODS).items():
        better = test.sign if method == OWN_METHODS[1] else -test.sign
        effect = {1: "raise it", -1: "lower it", 0: "do not change it significantly"}[better]
        order = f"{method_name(method)} minus {method_name(against)}"
        return [f" Evolved instead of random latents {effect} ({order}: ", test.number, ")."]
    return []


def _unknown(evaluation: StoredEvaluation, what: str, protocol: str) -> str:
    why = next((row.reason for row in evaluation.scores.where(protocol=protocol) if row.reason), "it was not measured")
    return f"{what} is unknown: {why}."


def _accuracy(classifier: str) -> Line:
    return Line((), Score("", "tstr", classifier, "accuracy"), ACCURACY, "trtr")


def _measured(evaluation: StoredEvaluation, measure: Line) -> tuple[Numbers, Number | None]:
    """The values of the methods that have one, and that of the reference."""
    keys = {m: replace(measure.key, method=m) for m in evaluation.methods} | {"real": reference(measure)}
    rows = {method: evaluation.scores.at(key) for method, key in keys.items()}
    found = {m: Number(row, measure.format) for m, row in rows.items() if row is not None and row.value is not None}
    real = found.pop("real", None)
    return found, real


def _behind_reference(evaluation: StoredEvaluation, measures: Iterable[Line]) -> dict[tuple[str, ...], list[str]]:
    """The measures that have intervals, grouped by the methods significantly worse than their reference."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for measure in measures:
        values, real = _measured(evaluation, measure)
        if real and real.interval and any(x.interval for x in values.values()):
            behind = tuple(m for m, x in values.items() if _ahead(measure, real, x))
            groups.setdefault(behind, []).append(_title(measure))
    return groups


def _title(measure: Line) -> str:
    if measure.key.classifier:
        return f"accuracy ({classifier_name(measure.key.classifier)}, trained on generated faces only)"
    return f"{measure.format.name} ({measure.key.space})"


def _below(a: Number, b: Number) -> bool:
    return a.interval is not None and b.interval is not None and a.interval[1] < b.interval[0]


def _ahead(measure: Line, a: Number, b: Number) -> bool:
    """Whether a is better than b by intervals that do not overlap."""
    # Similarity to the nearest training face rises with copies, the other signs of copies fall.
    rises = measure.format.better == "↑"
    return _below(b, a) if rises else _below(a, b)


def _listed(values: Numbers, words: str = " ({})") -> list[Part]:
    """`a (first), b (second) and c (third)`."""
    parts: list[Part] = []
    for left, (method, value) in zip(range(len(values) - 1, -1, -1), values.items(), strict=True):
        parts += [value, words.format(method_name(method)) + (", " if left > 1 else " and " if left else "")]
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
