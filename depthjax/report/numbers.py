"""Numbers as a reader meets them: value, interval and the place in evaluation.json that they came from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from depthjax.errors import UserError


@dataclass(frozen=True)
class Style:
    """How a number of one kind is written.

    Attributes:
        decimals: after the point; None: as many as give three significant digits to the largest of value and interval.
        factor: what the stored number is multiplied by.
        unit: after the digits.
        signed: whether a plus is written, as for a difference.
    """

    decimals: int | None
    factor: float = 1.0
    unit: str = ""
    signed: bool = False

    def write(self, value: float, largest: float | None = None) -> str:
        """The digits, without unit.

        Args:
            largest: the size that sets the decimals where they are not fixed.
        """
        decimals = self.decimals
        if decimals is None:
            size = abs(value if largest is None else largest)
            decimals = min(9, max(0, 2 - math.floor(math.log10(size)))) if size > 0 else 0
        sign = "+" if self.signed else "-"  # of a format: "-" writes the minus alone
        digits = f"{self.factor * value:{sign},.{decimals}f}"
        return digits.replace("-", "\u2212") if digits.strip("+-0.,") else digits.lstrip("+-")  # no minus before zero


PERCENT = Style(1, 100.0, "\u202f%")
DISTANCE = Style(None)
POINTS = Style(1, 100.0, "\u202fpoints", signed=True)
RATIO = Style(2)
SIMILARITY = Style(3)
DECIBEL = Style(2, unit="\u202fdB")
SHARE = Style(3)
SCORE = Style(2)
PROBABILITY = Style(4)
COUNT = Style(0)


@dataclass(frozen=True)
class Number:
    """One number of evaluation.json.

    Attributes:
        value: as stored (fractions stay fractions); None if it was not computed.
        interval: the ends as stored, or None.
        pointer: where it is stored, as a JSON pointer (RFC 6901).
        style: how it is written.
    """

    value: float | None
    interval: tuple[float, float] | None
    pointer: str
    style: Style

    @property
    def digits(self) -> str:
        """The value without its unit."""
        return "not computed" if self.value is None else self.style.write(self.value, self._largest)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return self.digits + ("" if self.value is None else self.style.unit)

    @property
    def interval_text(self) -> str:
        """The ends of the interval, without unit; empty if there is none."""
        if self.interval is None:
            return ""
        low, high = (self.style.write(end, self._largest) for end in self.interval)
        return f"{low} to {high}" if {"\u2212", "+"} & set(low + high) else f"{low}\u2013{high}"

    @property
    def beyond_zero(self) -> bool:
        """Whether the interval is there and leaves out zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def _largest(self) -> float:
        return max(abs(x) for x in (self.value or 0.0, *(self.interval or ())))


def number(evaluation: dict[str, Any], keys: tuple[str, ...], style: Style, *, value_key: str = "value") -> Number:
    """The number stored under `keys` as an object with a value and, perhaps, an interval.

    Raises:
        UserError: the keys are not there, or what is there is not a finite number.
    """
    node = lookup(evaluation, keys)
    if not isinstance(node, dict) or value_key not in node:
        raise _damaged((*keys, value_key), "is missing")
    interval = node.get("interval")
    if interval is not None and not (isinstance(interval, list) and len(interval) == 2):
        raise _damaged((*keys, "interval"), "is not a pair of numbers")
    ends = None if interval is None else tuple(_finite(end, (*keys, "interval")) for end in interval)
    value = node[value_key]
    return Number(
        None if value is None else _finite(value, (*keys, value_key)),
        (ends[0], ends[1]) if ends else None,
        pointer((*keys, value_key)),
        style,
    )


def number_if_any(
    evaluation: dict[str, Any], keys: tuple[str, ...], style: Style, *, value_key: str = "value"
) -> Number | None:
    """The number stored under `keys`, bare or in an object; None where it was not computed.

    Not computed is what has no such key, null, or a `reason` in the place of a value.

    Raises:
        UserError: what is there is not a finite number.
    """
    node = find(evaluation, keys)
    if node is None or (isinstance(node, dict) and "reason" in node and value_key not in node):
        return None
    if isinstance(node, int | float):
        return Number(_finite(node, keys), None, pointer(keys), style)
    found = number(evaluation, keys, style, value_key=value_key)
    return None if found.value is None else found


def find(evaluation: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """What is stored under `keys`, or None if any of them is not there."""
    node: Any = evaluation
    for key in keys:
        if not _has(node, key):
            return None
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def reason(evaluation: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """Why there is nothing under `keys`: the `reason` stored there, or in the last object that was on the way."""
    node: Any = evaluation
    for key in keys:
        if not _has(node, key):
            break
        node = node[int(key)] if isinstance(node, list) else node[key]
    words = node.get("reason") if isinstance(node, dict) else None
    return words if isinstance(words, str) else None


def _has(node: Any, key: str) -> bool:
    if isinstance(node, list):
        return key.isdecimal() and int(key) < len(node)
    return isinstance(node, dict) and key in node


def count(evaluation: dict[str, Any], keys: tuple[str, ...]) -> Number:
    """The whole number stored under `keys`.

    Raises:
        UserError: it is not there, or is not a number.
    """
    return Number(_finite(lookup(evaluation, keys), keys), None, pointer(keys), COUNT)


def lookup(evaluation: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """What is stored under `keys`, or a UserError that names the first one missing."""
    node: Any = evaluation
    for depth, key in enumerate(keys):
        if not _has(node, key):
            raise _damaged(keys[: depth + 1], "is missing")
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def pointer(keys: tuple[str, ...]) -> str:
    """The JSON pointer (RFC 6901) of nested keys."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _finite(value: Any, keys: tuple[str, ...]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _damaged(keys, "is not a finite number")
    return float(value)


def _damaged(keys: tuple[str, ...], what: str) -> UserError:
    return UserError(f"evaluation.json: {pointer(keys)!r} {what}: delete the file and run --stages=evaluate,report")
