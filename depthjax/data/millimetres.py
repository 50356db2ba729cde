"""Stored values of any unit to the one form that depthjax keeps: whole camera millimetres, 0 is no return."""

from __future__ import annotations

import math

import numpy as np

from depthjax import config as configs
from depthjax.data.depth_files import Unfit

GREY_START_MM = 500.0  # where grey level 0 is put: relief has no absolute distance, and 0 mm means no return
MOST_MM = 2**16 - 1


def unit_of(dtype: np.dtype, unit: str) -> str:
    """`mm`, `m` or `grey`: as configured, or for `auto` by the type: 8 bits are grey, other integers mm, floats m."""
    if unit != "auto":
        return unit
    if dtype.kind == "f":
        return "m"
    return "grey" if dtype.itemsize == 1 else "mm"


def to_millimetres(raw: np.ndarray, settings: configs.Data) -> np.ndarray:
    """(height, width) stored values to uint16 camera millimetres of the same shape; 0 is no return.

    Grey levels become `GREY_START_MM + level * grey_mm`, counted from the top of the range where darker is farther.
    `settings.invalid_value` marks no return; not-a-number there stands for infinities too. In mm and m, 0 always does.

    Raises:
        Unfit: values that are no depth in this unit.
    """
    unit = unit_of(raw.dtype, settings.unit)
    if (
        raw.dtype == np.uint16
        and unit == "mm"
        and settings.invalid_value is None
        and settings.polarity == "darker_closer"
    ):
        return raw  # already what is kept: half of an import's time, were it scaled like the others
    hole = _holes(raw, settings.invalid_value, unit)
    values = raw[~hole]
    if raw.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        todo = "--config.data.invalid_value=nan, if that marks no return"
        raise Unfit("not finite", f"NaN or infinity in {count} pixels", todo)
    result = np.zeros(raw.shape, np.uint16)
    result[~hole] = _scaled(values.astype(np.float64), raw.dtype, unit, settings)
    return result


def _holes(raw: np.ndarray, hole: float | None, unit: str) -> np.ndarray:
    zero = raw == 0 if unit != "grey" else np.zeros(raw.shape, bool)
    if hole is None:
        return zero
    if math.isnan(hole):
        return zero | ~np.isfinite(raw)
    return zero | (raw == (np.asarray(hole).astype(raw.dtype) if raw.dtype.kind == "f" else hole))


def _scaled(values: np.ndarray, dtype: np.dtype, unit: str, settings: configs.Data) -> np.ndarray:
    farther = settings.polarity == "darker_farther"
    if farther and (unit != "grey" or dtype.kind != "u"):
        kind = "grey levels without a top" if unit == "grey" else "distances"
        todo = "--config.data.polarity=darker_closer, or --config.data.unit=grey if they are grey levels"
        raise Unfit("polarity", f"{dtype} {unit}: {kind} cannot be reversed", todo)
    if values.size and values.min() < 0:
        raise Unfit(
            "negative", f"values down to {values.min():g}", "--config.data.invalid_value, if they mark no return"
        )
    if unit == "grey":
        levels = np.iinfo(dtype).max - values if farther else values
        values = GREY_START_MM + levels * settings.grey_mm
    millimetres = np.round(values * 1000 if unit == "m" else values)
    if millimetres.size and millimetres.max() > MOST_MM:
        todo = "set --config.data.unit (mm, m or grey), or --config.data.invalid_value if that marks no return"
        raise Unfit("too far", f"depth up to {millimetres.max():.0f} mm read as {unit}", todo)
    return millimetres
