"""How far generated faces stand from real ones, in shape and in noise."""

from __future__ import annotations

from typing import Any

from depthjax.report.comparisons import RANKING, Measure, values_of
from depthjax.report.numbers import RATIO, number_if_any
from depthjax.report.words import Part, and_list, grouped, listed, names


def shape(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """KID on relief beside its floor, and what the other measures say of the same."""
    first, *others = RANKING
    values, floor = values_of(evaluation, methods, first), first.floor(evaluation)
    if not values or floor is None:
        return []
    parts: list[Part] = [f"In shape ({first.name}) they stand ", *listed(values), " from real faces; "]
    parts += ["real people stand ", floor, " from other real people: "]
    parts += [f"{_told(_below_floor(evaluation, methods, first) or [], list(values))} from that."]
    more = {m.name: found for m in others if (found := _below_floor(evaluation, methods, m)) is not None}
    parts += [f" By {and_list(by)} {_told(found, methods)} from other people." for found, by in grouped(more).items()]
    return parts


def _below_floor(evaluation: dict[str, Any], methods: list[str], measure: Measure) -> list[str] | None:
    """Methods that the floor is ahead of; None if there is nothing to compare."""
    values, floor = values_of(evaluation, methods, measure), measure.floor(evaluation)
    if floor is None or not values:
        return None
    return [m for m, value in values.items() if measure.ahead(floor, value)]


def _told(found: tuple[str, ...] | list[str], methods: list[str]) -> str:
    if not found:
        return "none of them can be told"
    if len(found) == len(methods):
        return "all of them can be told" if len(methods) > 1 else "they can be told"
    return f"only {names(found)} can be told"


def noise(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """The relief residual."""
    keys = "relief_residual"
    found = {m: number_if_any(evaluation, ("methods", m, keys), RATIO, value_key="ratio") for m in methods}
    ratios = {m: value for m, value in found.items() if value is not None}
    begin = "Noise and detail finer than the shape features are "
    return [begin, *listed(ratios), " times those of real faces."] if ratios else []
