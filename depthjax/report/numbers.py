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
    """

    decimals: int | None
    factor: float = 1.0
    unit: str = ""

    def write(self, value: float, largest: float | None = None) -> str:
        """The digits, without unit.

        Args:
            largest: the size that sets the decimals where they are not fixed.
        """
        decimals = self.decimals
        if decimals is None:
            size = abs(value if largest is None else largest)
            decimals = min(9, max(0, 2 - math.floor(math.log10(size)))) if size > 0 else 0
        return f"{self.factor * value:,.{decimals}f}".replace("-", "\u2212")


PERCENT = Style(1, 100.0, "\u202f%")
DISTANCE = Style(None)
RATIO = Style(2)
SIMILARITY = Style(3)
DECIBEL = Style(2, unit="\u202fdB")
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
        return f"{low} to {high}" if "\u2212" in low + high else f"{low}\u2013{high}"

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
        if not isinstance(node, dict) or key not in node:
            raise _damaged(keys[: depth + 1], "is missing")
        node = node[key]
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
