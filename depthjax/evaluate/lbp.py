"""Uniform local binary patterns of 8-bit images (Ojala et al. 2002, doi:10.1109/TPAMI.2002.1017623), as scikit-image's.

A pattern compares a pixel with 24 points on a circle around it, each interpolated from four pixels. On a background of
one level every comparison is a tie that rounding alone decides, so the float64 operations are scikit-image's, one by
one; only their order over the image differs: a strip of rows that fits the cache, point after point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

POINTS, RADIUS = 24, 3
BINS = POINTS + 2  # 0 to 24 points at least as far as the pixel, and whatever is not uniform
STRIP = 12_000  # pixels: a handful of float64 arrays of a strip fits the second-level cache of a core


@dataclass(frozen=True)
class Between:
    """A position between two neighbours: the first is `offset` pixels away, and their weights.

    A weight is one number where rounding makes it the same in the whole strip, else an array (pixels of the strip,);
    None where the position is a pixel's own.
    """

    offset: int
    weights: tuple[float | np.ndarray, float | np.ndarray] | None


@dataclass(frozen=True)
class Strip:
    """Rows `start` to `stop` of the image: what lies above and below for each column of points on the circle."""

    start: int
    stop: int
    across: tuple[Between, ...]  # a column of points
    down: tuple[tuple[tuple[int, Between], ...], ...]  # a column of points: the number of each, and its rows


def uniform_patterns(levels: np.ndarray) -> np.ndarray:
    """How many pixels have each uniform pattern, P = 24 points at radius R = 3; 0 outside the image.

    Equal to the counts of `skimage.feature.local_binary_pattern(image, 24, 3, "uniform")`, ties included.

    Args:
        levels: (n, height, width) uint8.
    Returns:
        (n, 26) int64.
    """
    height, width = levels.shape[1:]
    plan, margin = _plan(height, width), RADIUS + 1
    row = width + 2 * RADIUS
    flat = np.zeros((height + 2 * RADIUS) * row + 2 * margin)  # a margin, for slices that begin left of the first pixel
    padded = flat[margin:-margin].reshape(-1, row)
    work = np.zeros((3, (plan[0].stop + 2 * RADIUS) * row))
    signs = np.empty((POINTS, plan[0].stop * row), np.uint8)
    counts = np.zeros((len(levels), BINS), np.int64)
    for image, count in zip(levels, counts, strict=True):
        padded[RADIUS:-RADIUS, RADIUS:-RADIUS] = image
        for strip in plan:
            patterns = _patterns(flat, strip, row, work, signs).reshape(-1, row)
            count += np.bincount(patterns[:, RADIUS:-RADIUS].ravel(), minlength=BINS)
    return counts


def _patterns(flat: np.ndarray, strip: Strip, row: int, work: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """(pixels of the strip with its margins,) uint8."""
    size, tall = (strip.stop - strip.start) * row, (strip.stop - strip.start + 2 * RADIUS) * row
    begin = RADIUS + 1 + strip.start * row
    centre = flat[begin + RADIUS * row :][:size]
    signs = signs[:, :size]
    column, first, second = work[0, :tall], work[1], work[2]
    for across, points in zip(strip.across, strip.down, strict=True):
        left, right = (flat[begin + across.offset + step :][:tall] for step in (0, 1))
        here = _blend(left, right, across, column, second[:tall])
        for point, down in points:
            above, below = (here[(RADIUS + down.offset + step) * row :][:size] for step in (0, 1))
            texture = _blend(above, below, down, first[:size], second[:size])
            np.greater_equal(texture, centre, out=signs[point].view(bool))
    changes = np.add.reduce((signs[1:] != signs[:-1]).view(np.uint8), axis=0, dtype=np.uint8)
    ones = np.add.reduce(signs, axis=0, dtype=np.uint8)
    np.putmask(ones, changes > 2, BINS - 1)
    return ones


def _blend(a: np.ndarray, b: np.ndarray, between: Between, out: np.ndarray, spare: np.ndarray) -> np.ndarray:
    if between.weights is None:
        return a
    np.multiply(a, between.weights[0], out=out)
    np.multiply(b, between.weights[1], out=spare)
    return np.add(out, spare, out=out)


@lru_cache(4)
def _plan(height: int, width: int) -> tuple[Strip, ...]:
    angles = 2 * np.pi * np.arange(POINTS) / POINTS
    rows, columns = np.round(-RADIUS * np.sin(angles), 5), np.round(RADIUS * np.cos(angles), 5)
    row = width + 2 * RADIUS
    step = min(height, max(1, STRIP // row))
    distinct = np.unique(columns)
    starts = range(0, height, step)
    across = {tall: _across(distinct, tall, width) for tall in {min(step, height - start) for start in starts}}
    strips = []
    for start in starts:
        own = np.arange(start, min(height, start + step))[:, None]
        downs = [_between(own, shift, (len(own), row)) for shift in rows]
        down = tuple(tuple((p, downs[p]) for p in range(POINTS) if columns[p] == column) for column in distinct)
        strips.append(Strip(start, start + len(own), across[len(own)], down))
    return tuple(strips)


def _across(columns: np.ndarray, height: int, width: int) -> tuple[Between, ...]:
    shape = (height + 2 * RADIUS, width + 2 * RADIUS)
    return tuple(_between(np.arange(width), column, shape) for column in columns)


def _between(own: np.ndarray, shift: float, shape: tuple[int, int]) -> Between:
    """The neighbours of `own + shift`, with the rounding that the sum has there."""
    position = own + shift
    below = np.floor(position)
    fraction = position - below
    offset = int((below - own).flat[0])
    return Between(offset, (_spread(1 - fraction, shape), _spread(fraction, shape)) if fraction.any() else None)


def _spread(weights: np.ndarray, shape: tuple[int, int]) -> float | np.ndarray:
    if np.ptp(weights) == 0:
        return float(weights.flat[0])
    if weights.ndim == 1:
        weights = np.pad(weights, RADIUS)
    return np.broadcast_to(weights, shape).ravel()
