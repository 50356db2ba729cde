"""When a difference may be called one: paired tests corrected for their number, and intervals that do not meet."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from depthjax.report.numbers import (
    COUNT,
    DISTANCE,
    PERCENT,
    POINTS,
    PROBABILITY,
    SHARE,
    Number,
    Style,
    find,
    number_if_any,
)

LEVEL = 0.05
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Paired:
    """One of a family of paired tests.

    Attributes:
        difference: b minus a, with its interval.
        p: as stored, of this test alone.
        adjusted: after Holm's correction over the family.
        people: whose signs were flipped, None if not stored.
    """

    difference: Number
    p: float
    adjusted: float
    people: int | None

    @property
    def told(self) -> bool:
        """Whether it may be called a difference: the corrected p is small, and the interval leaves out zero."""
        return self.adjusted <= LEVEL and self.difference.beyond_zero

    @property
    def rises(self) -> bool:
        """Whether b is told to be higher."""
        return self.told and (self.difference.value or 0) > 0

    @property
    def falls(self) -> bool:
        """Whether b is told to be lower."""
        return self.told and (self.difference.value or 0) < 0


def paired_place(evaluation: dict[str, Any], classifier: str, a: str, b: str) -> tuple[str, ...]:
    """Where the paired test of b minus a is stored; a place that is empty if there is none."""
    tests = find(evaluation, ("paired", classifier))
    for row, test in enumerate(tests if isinstance(tests, list) else ()):
        if isinstance(test, dict) and (test.get("a"), test.get("b")) == (a, b):
            return ("paired", classifier, str(row))
    return ("paired", classifier, "absent")


def method_tests(
    evaluation: dict[str, Any], classifier: str, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Paired]:
    """The tests between methods on the same unseen people, (a, b) as stored, corrected together."""
    both = [order for a, b in pairs for order in ((a, b), (b, a))]
    return paired_tests(evaluation, {(a, b): paired_place(evaluation, classifier, a, b) for a, b in both})


def beats(tests: Mapping[tuple[str, str], Paired], a: str, b: str) -> bool:
    """Whether a is told to be better than b, whichever way round the pair is stored."""
    forward, backward = tests.get((b, a)), tests.get((a, b))
    return bool((forward and forward.rises) or (backward and backward.falls))


def paired_tests(evaluation: dict[str, Any], places: Mapping[Name, tuple[str, ...]]) -> dict[Name, Paired]:
    """The tests stored at `places`, corrected together; those that were not run are left out."""
    found: dict[Name, tuple[Number, float, int | None]] = {}
    for name, keys in places.items():
        difference = number_if_any(evaluation, keys, POINTS, value_key="difference")
        p = number_if_any(evaluation, (*keys, "p"), PROBABILITY)
        people = number_if_any(evaluation, (*keys, "people"), COUNT)
        if difference is not None and p is not None and p.value is not None:
            found[name] = (difference, p.value, None if people is None else int(people.value or 0))
    adjusted = holm([p for _, p, _ in found.values()])
    return {
        name: Paired(difference, p, corrected, people)
        for (name, (difference, p, people)), corrected in zip(found.items(), adjusted, strict=True)
    }


def holm(p: Sequence[float]) -> list[float]:
    """The p values of a family, adjusted by Holm's step-down procedure (Holm 1979), in the order given."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, reached = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = reached
    return adjusted


def too_few(tests: Mapping[Any, Paired]) -> int | None:
    """How many people there are, if so few that no difference, however large, could pass the correction."""
    counts = [test.people for test in tests.values() if test.people]
    if not counts:
        return None
    people = max(counts)
    return people if len(tests) * 2 / 2**people > LEVEL else None


@dataclass(frozen=True)
class Measure:
    """A measure that may rank methods: where it is stored, how it is written, and which way is better."""

    name: str
    keys: tuple[str, ...]
    style: Style
    higher: bool

    def of(self, evaluation: dict[str, Any], method: str) -> Number | None:
        """The method's number, if it was computed."""
        return number_if_any(evaluation, ("methods", method, *self.keys), self.style)

    def floor(self, evaluation: dict[str, Any]) -> Number | None:
        """The same between real people and other real people, if it was computed."""
        return number_if_any(evaluation, ("floor", *self.keys), self.style)

    def ahead(self, a: Number, b: Number) -> bool:
        """Whether a is better than b by intervals that do not meet."""
        if a.interval is None or b.interval is None:
            return False
        return a.interval[0] > b.interval[1] if self.higher else a.interval[1] < b.interval[0]


def values_of(evaluation: dict[str, Any], methods: Iterable[str], measure: Measure) -> dict[str, Number]:
    """The methods' numbers, of those that have one."""
    found = {method: measure.of(evaluation, method) for method in methods}
    return {method: value for method, value in found.items() if value is not None}


# The fused space is not among them: in it, noise and texture decide.
RANKING = (
    Measure("KID on relief", ("kid", "relief"), DISTANCE, higher=False),
    Measure("KID on depthnet", ("kid", "depthnet"), DISTANCE, higher=False),
    Measure("coverage on relief", ("coverage", "relief"), SHARE, higher=True),
    Measure("coverage on depthnet", ("coverage", "depthnet"), SHARE, higher=True),
)
MORE = (
    Measure("emotions read as intended (depthnet)", ("emotion_agreement",), PERCENT, higher=True),
    Measure("AuthPct on relief", ("auth_pct", "relief"), PERCENT, higher=True),
)
