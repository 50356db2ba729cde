"""Bounds of settings. Each is a function of a setting's entries (a single value is one) to what is wrong, or None."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

MAX_INT = 2**31 - 1  # of 32-bit arrays
Bound = Callable[[Sequence[Any]], str | None]


def _each(holds: Callable[[Any], bool], problem: str) -> Bound:
    return lambda values: None if all(map(holds, values)) else problem


def at_least(least: float) -> Bound:
    """Return the bound `least` or more."""
    return _each(lambda value: value >= least, f"must be at least {least:g}")


def above(limit: float) -> Bound:
    """Return the bound more than `limit`."""
    return _each(lambda value: value > limit, f"must be above {limit:g}")


def between(low: float, high: float) -> Bound:
    """Return the bound from `low` to `high`, both included."""
    return _each(lambda value: low <= value <= high, f"must lie between {low:g} and {high:g}")


def within(low: float, high: float) -> Bound:
    """Return the bound between `low` and `high`, neither included."""
    return _each(lambda value: low < value < high, f"must lie between {low:g} and {high:g}, neither included")


def from_to_below(low: float, high: float) -> Bound:
    """Return the bound from `low`, below `high`."""
    return _each(lambda value: low <= value < high, f"must lie in [{low:g}, {high:g})")


def multiple_of(step: int) -> Bound:
    """Return the bound of positive multiples of `step`."""
    return _each(lambda value: value >= step and value % step == 0, f"must be a multiple of {step}")


def one_of(names: Sequence[str]) -> Bound:
    """Return the bound of names out of a list; the problem lists those that are not known."""

    def problem(values: Sequence[Any]) -> str | None:
        unknown = [value for value in values if value not in names]
        verb = "is" if len(unknown) == 1 else "are"
        return f"{', '.join(unknown)}: {verb} not among {', '.join(names)}" if unknown else None

    return problem


def focal_length(values: Sequence[str]) -> str | None:
    """Return what is wrong unless numbers among the texts are above 0; a name or a file is looked up at its use."""
    for value in filter(None, values):
        try:
            right = 0 < float(value) < math.inf
        except ValueError:
            right = not re.fullmatch(r"[-+.,0-9]+", value)  # a number that is none
        if not right:
            return "must be above 0, and finite; or name a camera or a file"
    return None


def folder_names(values: Sequence[str]) -> str | None:
    """Return what is wrong unless all are names that a folder can have, all different."""
    if not all(value.strip(" .") and value.isprintable() and not set(value) & set("/\\") for value in values):
        return "must name a folder: no slash, no backslash, nothing unprintable, not only dots"
    twice = next((value for value in values if list(values).count(value) > 1), None)
    return f"'{twice}' is named twice" if twice else None


def required(values: Sequence[Any]) -> str | None:
    """Return what is wrong with an empty list."""
    return None if values else "must name at least one value"


def finite_32_bits(value: Any) -> str | None:
    """Return what is wrong with any number, whatever it means: not finite, negative (integers), or beyond 32 bits."""
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not 0 <= value <= MAX_INT:
        return f"must be from 0 to {MAX_INT}"
    return None
