"""Which method wins, by how much more than noise, and where the package's own methods lose."""

from __future__ import annotations

import itertools
from typing import Any

from depthjax.report.comparisons import (
    MORE,
    RANKING,
    Measure,
    beats,
    method_tests,
    paired_place,
    paired_tests,
    values_of,
)
from depthjax.report.numbers import Number
from depthjax.report.stored import method_name
from depthjax.report.verdicts_use import accuracies, classifier_name, corrected, headline_classifier
from depthjax.report.words import Part, and_list, grouped, names

OURS = ("cdcgan_kd", "cdcgan_kd_ga")
Leaders = dict[str, str | None]  # by measure, the method that is ahead of all others beyond noise, if one is


def winner(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """Who is first in recognition, in KID and in coverage, and ahead of whom."""
    leaders: Leaders = {}
    parts = _recognition(evaluation, methods, leaders)
    for measure in RANKING:
        parts += _first(measure, values_of(evaluation, methods, measure), leaders)
    if not leaders:
        return ["Which method wins cannot be said: nothing that ranks them was measured."]
    return [_answer(leaders), *parts, " The fused features, which noise and texture decide, rank nothing here."]


def _answer(leaders: Leaders) -> str:
    won = grouped({by: [method] for by, method in leaders.items() if method})
    if not won:
        return "No method wins: by no measure is the first ahead of all others by more than noise."
    if len(won) == 1 and None not in leaders.values():
        ((name,),) = won
        return f"{method_name(name)} wins: it is ahead of all others by every measure."
    said = "; ".join(f"{method_name(name)} by {and_list(by)}" for (name,), by in won.items())
    return f"No method wins by every measure. Ahead of all others beyond noise: {said}."


def _recognition(evaluation: dict[str, Any], methods: list[str], leaders: Leaders) -> list[Part]:
    tests = method_tests(evaluation, headline_classifier(evaluation), itertools.combinations(methods, 2))
    values = accuracies(evaluation, methods, "tstr")
    if not tests or not values:
        return []
    leader = max(values, key=lambda m: values[m].value or 0)
    beaten = [m for m in values if beats(tests, leader, m)]
    by = f"recognition ({classifier_name(evaluation)}, trained on generated faces only)"
    return [*_said(by, leader, values, beaten, leaders), corrected(tests)]


def _first(measure: Measure, values: dict[str, Number], leaders: Leaders) -> list[Part]:
    if len(values) < 2:
        return []
    sign = 1 if measure.higher else -1
    leader = max(values, key=lambda m: sign * (values[m].value or 0))
    beaten = [m for m in values if measure.ahead(values[leader], values[m])]
    return _said(measure.name, leader, values, beaten, leaders)


def _said(by: str, leader: str, values: dict[str, Number], beaten: list[str], leaders: Leaders) -> list[Part]:
    """Who is first and how far that reaches; noted among the leaders."""
    rest = [m for m in values if m != leader and m not in beaten]
    leaders[by] = None if rest else leader
    if not rest:
        reach = "ahead of all others beyond noise"
    elif beaten:
        reach = f"ahead of {names(beaten)} beyond noise; {names(rest)} cannot be told apart from it"
    else:
        reach = "but cannot be told apart from any other"
    return [f" By {by}, {method_name(leader)} is first (", values[leader], f"), {reach}."]


def losses(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """Where the package's own methods are worse than another, by name."""
    others = [m for m in methods if m not in OURS]
    words = []
    for own in (m for m in OURS if m in methods):
        lost = {m: by for m in others if (by := _lost(evaluation, own, m, others))}
        said = "; ".join(f"to {method_name(m)} in {and_list(by)}" for m, by in lost.items())
        words += [f"{method_name(own)} loses {said or 'to no other method by more than noise'}."]
    how = f"Recognition in pairs, with Holm's correction over the {len(others)} others; the rest by intervals."
    return [" ".join([*words, how])] if words else []


def _lost(evaluation: dict[str, Any], own: str, other: str, others: list[str]) -> list[str]:
    """The measures by which `other` is better than `own` beyond noise."""
    tests = method_tests(evaluation, headline_classifier(evaluation), [(own, m) for m in others])
    found = [f"recognition ({classifier_name(evaluation)})"] if beats(tests, other, own) else []
    for measure in (*RANKING, *MORE):
        ours, theirs = measure.of(evaluation, own), measure.of(evaluation, other)
        if ours and theirs and measure.ahead(theirs, ours):
            found += [measure.name]
    return found


def evolution(evaluation: dict[str, Any]) -> list[Part]:
    """Evolved latents against random ones through the same generator."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "not to be told apart": []}
    for measure in (*RANKING, *MORE):
        before, after = (measure.of(evaluation, m) for m in OURS)
        if before and after:
            change = "better" if measure.ahead(after, before) else "worse" if measure.ahead(before, after) else None
            found[change or "not to be told apart"] += [measure.name]
    parts = _recognition_change(evaluation)
    said = "; ".join(f"{change} by {and_list(by)}" for change, by in found.items() if by)
    if not parts and not said:
        return []
    return ["With evolved instead of random latents ", *parts, "; " if parts and said else "", said, "."]


def _recognition_change(evaluation: dict[str, Any]) -> list[Part]:
    place = paired_place(evaluation, headline_classifier(evaluation), *OURS)
    test = paired_tests(evaluation, {"evolution": place}).get("evolution")
    if test is None:
        return []
    change = "rises" if test.rises else "falls" if test.falls else "cannot be told to change"
    return [f"recognition ({classifier_name(evaluation)}, paired by person) {change} (", test.difference, ")"]
