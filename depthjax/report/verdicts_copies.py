"""Is anything copied from the training faces?"""

from __future__ import annotations

from typing import Any

from depthjax.report.numbers import COUNT, DECIBEL, PERCENT, RATIO, SIMILARITY, Number, Style, number_if_any
from depthjax.report.words import Part, and_list, grouped, listed, names

NEAR = 0.9  # a ratio of nearest distances that lies below it, interval and all, is a sign of copying
SIGNS: dict[str, tuple[tuple[str, ...], Style]] = {
    "AuthPct on relief": (("auth_pct", "relief"), PERCENT),
    "AuthPct on depthnet": (("auth_pct", "depthnet"), PERCENT),
    "nearest ratio on relief": (("nearest_ratio", "relief"), RATIO),
    "nearest ratio on depthnet": (("nearest_ratio", "depthnet"), RATIO),
    "SSIM": (("ssim",), SIMILARITY),
    "PSNR": (("psnr",), DECIBEL),
}


def copies(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    """Which methods stand nearer to the training faces than people who were not seen, by each sign."""
    signs = {name: _suspects(evaluation, methods, *sign) for name, sign in SIGNS.items()}
    tested = {name: found for name, found in signs.items() if found is not None}
    if not tested:
        return ["Whether anything is copied was not measured: run --stages=evaluate,report."]
    groups = {found: by for found, by in grouped(tested).items() if found}
    if groups:
        said = "; ".join(f"{names(found, methods)} by {and_list(by)}" for found, by in groups.items())
        parts: list[Part] = [f"Look for copies: nearer to the training faces than people not seen are {said}."]
    else:
        said = and_list(tested)
        parts = [f"No sign of copies: none is nearer to the training faces than people not seen, by {said}."]
    return [
        *parts,
        *_identical(evaluation, methods),
        *_ratios(evaluation, methods),
        " Told by intervals that do not meet, of a ratio by one below 0.9.",
    ]


def _suspects(evaluation: dict[str, Any], methods: list[str], keys: tuple[str, ...], style: Style) -> list[str] | None:
    """Methods that this sign speaks against; None if it was measured of none."""
    values = _measured(evaluation, methods, keys, style)
    if not values:
        return None
    real = {m: number_if_any(evaluation, ("methods", m, *keys, "real"), style) for m in values}
    return [m for m, value in values.items() if _nearer(keys[0], value, real[m])]


def _measured(evaluation: dict[str, Any], methods: list[str], keys: tuple[str, ...], style: Style) -> dict[str, Number]:
    found = {m: number_if_any(evaluation, ("methods", m, *keys), style) for m in methods}
    return {m: value for m, value in found.items() if value is not None}


def _nearer(kind: str, value: Number, real: Number | None) -> bool:
    low, high = _ends(value)
    if kind == "nearest_ratio":
        return high < NEAR
    if real is None:
        return False
    least, most = _ends(real)
    return high < least if kind == "auth_pct" else low > most


def _ends(value: Number) -> tuple[float, float]:
    point = value.value or 0.0
    return value.interval or (point, point)


def _identical(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    found = _measured(evaluation, methods, ("psnr", "identical"), COUNT)
    some = {m: value for m, value in found.items() if value.value}
    if some:
        return [" Identical to a training face: ", *listed(some), "."]
    if not found:
        return []
    whose = "generated face" if len(found) == len(methods) else f"face of {names(list(found))}"
    return [f" No {whose} is identical to a training face."]


def _ratios(evaluation: dict[str, Any], methods: list[str]) -> list[Part]:
    ratios = _measured(evaluation, methods, ("nearest_ratio", "relief"), RATIO)
    begin = " Distance to the nearest training face over that of people not seen (relief): "
    return [begin, *listed(ratios), "."] if ratios else []
