"""Bounds of settings: each says in words what a value may be; `problem` is None for a value that may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_INT = 2**31 - 1  # of 32-bit arrays


class Bound:
    """A condition on a number or a name; of a tuple, it holds for every entry."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with one entry, in words that follow the setting's name; None if nothing is."""
        raise TypeError(f"{type(self).__name__} has no rule for {value!r}")

    def problem_of_all(self, values: Sequence[Any]) -> str | None:
        """What is wrong with the entries of a setting, a single value being one entry."""
        return next((problem for value in values if (problem := self.problem(value))), None)


@dataclass(frozen=True)
class AtLeast(Bound):
    """No less than `least`."""

    least: float

    def problem(self, value: float) -> str | None:
        """Words for a smaller number."""
        return None if value >= self.least else f"must be at least {self.least:g}"


@dataclass(frozen=True)
class Above(Bound):
    """More than `limit`."""

    limit: float

    def problem(self, value: float) -> str | None:
        """Words for a number that is not larger."""
        return None if value > self.limit else f"must be above {self.limit:g}"


@dataclass(frozen=True)
class Between(Bound):
    """From `low` to `high`, both included."""

    low: float
    high: float

    def problem(self, value: float) -> str | None:
        """Words for a number outside."""
        return None if self.low <= value <= self.high else f"must lie between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Within(Between):
    """Between `low` and `high`, neither included."""

    def problem(self, value: float) -> str | None:
        """Words for a number outside, or at an end."""
        inside = self.low < value < self.high
        return None if inside else f"must lie between {self.low:g} and {self.high:g}, neither included"


@dataclass(frozen=True)
class FromToBelow(Between):
    """From `low`, below `high`."""

    def problem(self, value: float) -> str | None:
        """Words for a number outside."""
        return None if self.low <= value < self.high else f"must lie in [{self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class AboveUpTo(Between):
    """Above `low`, up to `high`."""

    def problem(self, value: float) -> str | None:
        """Words for a number outside."""
        return None if self.low < value <= self.high else f"must lie above {self.low:g} and up to {self.high:g}"


@dataclass(frozen=True)
class MultipleOf(Bound):
    """A positive multiple of `step`."""

    step: int

    def problem(self, value: int) -> str | None:
        """Words for any other number."""
        return None if value >= self.step and value % self.step == 0 else f"must be a multiple of {self.step}"


@dataclass(frozen=True)
class OneOf(Bound):
    """Names out of a list."""

    names: tuple[str, ...]

    def problem_of_all(self, values: Sequence[str]) -> str | None:
        """Words that list the names which are not known."""
        unknown = [value for value in values if value not in self.names]
        verb = "is" if len(unknown) == 1 else "are"
        return f"{', '.join(unknown)}: {verb} not among {', '.join(self.names)}" if unknown else None


class Names(Bound):
    """Names of folders, all different."""

    def problem(self, value: str) -> str | None:
        """Words for a name that no folder can have."""
        fits = bool(value.strip(" .")) and value.isprintable() and not set(value) & set("/\\")
        return None if fits else "must name a folder: no slash, no backslash, nothing unprintable, not only dots"

    def problem_of_all(self, values: Sequence[str]) -> str | None:
        """Words for a bad name, or for one that stands twice."""
        twice = next((value for value in values if list(values).count(value) > 1), None)
        return super().problem_of_all(values) or (f"'{twice}' is named twice" if twice else None)


class Required(Bound):
    """At least one entry."""

    def problem_of_all(self, values: Sequence[Any]) -> str | None:
        """Words for an empty list."""
        return None if values else "must name at least one value"


def value_problem(value: Any) -> str | None:
    """What is wrong with any number, whatever it means: not finite, negative (integers), or beyond 32 bits."""
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not 0 <= value <= MAX_INT:
        return f"must be from 0 to {MAX_INT}"
    return None
