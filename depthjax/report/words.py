"""Sentences with numbers in them: words and Numbers in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from depthjax.report.numbers import Number
from depthjax.report.stored import method_name

Part = str | Number


def listed(values: Mapping[str, Number]) -> list[Part]:
    """`a (first), b (second) and c (third)`."""
    return joined([[value, f" ({method_name(method)})"] for method, value in values.items()])


def joined(items: Sequence[Sequence[Part]]) -> list[Part]:
    """The items with commas and an `and` between them."""
    parts: list[Part] = []
    for position, item in enumerate(items):
        joint = "" if position == 0 else " and " if position == len(items) - 1 else ", "
        parts += [joint, *item] if joint else item
    return parts


def names(methods: Iterable[str], among: Sequence[str] = ()) -> str:
    """The methods' names, or `all of them` if they are all that are spoken of and more than two."""
    methods = list(methods)
    if len(methods) > 2 and set(methods) == set(among):
        return "all of them"
    return and_list(map(method_name, methods))


def and_list(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def grouped(found: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """The keys of one and the same value together, in order of first appearance."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, value in found.items():
        groups.setdefault(tuple(value), []).append(name)
    return groups
