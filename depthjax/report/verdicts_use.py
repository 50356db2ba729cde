"""Do generated faces help to recognise people that no one has seen, beside real faces and alone?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from depthjax.report.comparisons import Paired, paired_place, paired_tests, too_few
from depthjax.report.numbers import PERCENT, Number, find, number_if_any, reason
from depthjax.report.stored import method_name
from depthjax.report.table import CLASSIFIER_NAMES, Cells, classifiers_of
from depthjax.report.table_4 import shares
from depthjax.report.words import Part, and_list, joined, listed, names

Tests = dict[str, Paired]  # by method


def headline_classifier(evaluation: dict[str, Any]) -> str:
    """The classifier that the summary speaks of: XGBoost where it ran, fixed beforehand and not the luckiest."""
    found = classifiers_of(evaluation, "tstr") or Cells(evaluation).classifiers or ["xgboost"]
    return "xgboost" if "xgboost" in found else found[0]


def classifier_name(evaluation: dict[str, Any]) -> str:
    """Its name for readers."""
    classifier = headline_classifier(evaluation)
    return CLASSIFIER_NAMES.get(classifier, classifier)


def accuracies(evaluation: dict[str, Any], methods: list[str], protocol: str) -> dict[str, Number]:
    """The headline classifier's accuracy by method, of those that have one."""
    keys = (protocol, headline_classifier(evaluation), "accuracy")
    found = {m: number_if_any(evaluation, ("methods", m, *keys), PERCENT) for m in methods}
    return {m: value for m, value in found.items() if value is not None}


def help_beside_real(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """Real and generated faces against real faces alone, by the share of the real people."""
    classifier = headline_classifier(evaluation)
    places = {s: {m: ("methods", m, "scarcity", classifier, s, "paired") for m in methods} for s in shares(evaluation)}
    by_share = {share: tests for share, where in places.items() if (tests := paired_tests(evaluation, where))}
    if not by_share:
        why = (
            reason(evaluation, ("scarcity", "real")) or "no paired test of it is stored (run --stages=evaluate,report)"
        )
        return [f"Whether generated faces help beside real ones cannot be said: {why}."]
    parts: list[Part] = [_answer(evaluation, by_share)]
    for share, tests in by_share.items():
        if any(test.told for test in tests.values()):
            parts += _told_at(evaluation, classifier, share, tests)
    parts += [_untold(by_share)]
    parts += [" Every generator had learnt from all of the training people, also where the classifier saw few of them."]
    return [*parts, corrected(max(by_share.values(), key=len), " at each share")]


def _answer(evaluation: dict[str, Any], by_share: dict[str, Tests]) -> str:
    helped = [share for share, tests in by_share.items() if any(t.rises for t in tests.values())]
    harmed = [share for share, tests in by_share.items() if any(t.falls for t in tests.values())]
    about = f"{classifier_name(evaluation)} to recognise emotions of unseen people"
    if not helped and not harmed:
        return f"Added to real faces, generated ones cannot be told to help {about}, nor to harm."
    words = [f"help {about} with {_percent(helped)} of the real people"] if helped else [f"do not help {about}"]
    words += [f"harm with {_percent(harmed)}"] if harmed else []
    return f"Added to real faces, generated ones {', and '.join(words)}."


def _percent(found: list[str]) -> str:
    return f"{and_list([f'{100 * float(share):g}' for share in found])}\u202f%"


def _told_at(evaluation: dict[str, Any], classifier: str, share: str, tests: Tests) -> list[Part]:
    people = find(evaluation, ("scarcity", "people", share))
    parts: list[Part] = [f" With {_percent([share])} ({people} people)"]
    real = number_if_any(evaluation, ("scarcity", "real", classifier, share, "accuracy"), PERCENT)
    parts += [" real faces alone get ", real, "; "] if real else [": "]
    parts += _gains({m: t for m, t in tests.items() if t.rises}, "better with ")
    parts += _gains({m: t for m, t in tests.items() if t.falls}, "worse with ")
    rest = [m for m, t in tests.items() if not t.told]
    return [*parts, f"with {names(rest)} it cannot be told apart."] if rest else [*parts[:-1], "."]


def _gains(tests: Tests, words: str) -> list[Part]:
    """`better with A (+3.0 points) and B (+2.0 points); `, nothing where there are no tests."""
    found: list[list[Part]] = [[f"{method_name(m)} (", test.difference, ")"] for m, test in tests.items()]
    return [words, *joined(found), "; "] if found else []


def _untold(by_share: dict[str, Tests]) -> str:
    none = [share for share, tests in by_share.items() if not any(t.told for t in tests.values())]
    return f" With {_percent(none)} no method's faces make a difference that can be told." if none else ""


def corrected(tests: Mapping[Any, Paired], where: str = "") -> str:
    """How differences were tested, and whether there were people enough to find any."""
    if len(tests) == 1:
        return " Paired by person."
    words = f" Paired by person, with Holm's correction over the {len(tests)} comparisons{where}."
    people = too_few(tests)
    if people:
        words += f" With {people} people no difference could pass it, whatever its size: that none does is no evidence."
    return words


def use_alone(evaluation: dict[str, Any], methods: list[str], classes: int) -> list[Part]:
    """Trained on generated faces only, beside training on real ones and guessing."""
    values = accuracies(evaluation, methods, "tstr")
    if not values:
        why = reason(evaluation, ("methods", methods[0], "tstr")) or "it was not measured"
        return [f"What generated faces alone teach about unseen people cannot be said: {why}."]
    name, real = classifier_name(evaluation), accuracies(evaluation, methods, "trtr")
    parts: list[Part] = [f"Trained on generated faces only, {name} recognises the emotion of unseen people in "]
    parts += [*listed(values), " of the pictures."]
    parts += (
        [" Trained on real faces it gets ", next(iter(real.values())), "; guessing gives"]
        if real
        else [" Guessing gives"]
    )
    parts += [f" {PERCENT.write(1 / classes)}{PERCENT.unit}{_sizes(evaluation, methods)}."]
    guesses = [m for m, value in values.items() if value.interval and value.interval[0] <= 1 / classes]
    parts += [f" {names(guesses)} cannot be told from guessing."] if guesses else []
    return [*parts, *_against_real(evaluation, list(values))]


def _sizes(evaluation: dict[str, Any], methods: list[str]) -> str:
    scores = find(evaluation, ("methods", methods[0], "tstr", headline_classifier(evaluation))) or {}
    return f" ({scores['n_test']} pictures, {scores.get('subjects_test', '?')} people)" if "n_test" in scores else ""


def _against_real(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    classifier = headline_classifier(evaluation)
    tests = paired_tests(evaluation, {m: paired_place(evaluation, classifier, "real", m) for m in methods})
    if not tests:
        return []
    behind, level = [m for m, t in tests.items() if t.falls], [m for m, t in tests.items() if not t.told]
    above = [m for m, t in tests.items() if t.rises]
    parts: list[Part] = [f" Worse than real faces: {names(behind, methods)}."] if behind else []
    parts += [f" Better than real faces: {names(above, methods)}."] if above else []
    parts += [f" Not to be told from real faces: {names(level, methods)}."] if level else []
    return [*parts, corrected(tests)]
