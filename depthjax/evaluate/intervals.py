"""Percentile intervals, and the bootstrap over images or over people."""

from __future__ import annotations

import numpy as np

LEVEL = 0.95


def percentile_interval(values: np.ndarray) -> list[float]:
    """[low, high] that hold the middle 95 % of (n,) values."""
    tail = (1 - LEVEL) / 2 * 100
    return [float(edge) for edge in np.percentile(values, [tail, 100 - tail])]


def bootstrap_counts(groups: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each image appears when whole groups are drawn with replacement.

    Frames of one person are much alike: drawing people and not frames keeps the interval from being too narrow.

    Args:
        groups: (n,) the person of each image (or `arange(n)`: every image for itself).
        draws: bootstrap samples.
        rng: source of the draws.
    Returns:
        (draws, n) float64 counts.
    """
    names, member = np.unique(groups, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, member].astype(np.float64)


def bootstrap_mean(values: np.ndarray, groups: np.ndarray, *, draws: int, seed: int) -> dict:
    """The mean of (n,) values as {`value`, `interval`}, resampling groups; one group alone gives a `reason` instead."""
    value = {"value": float(values.mean())}
    if len(np.unique(groups)) < 2:
        return value | {"reason": "no interval: there is only one to resample"}
    counts = bootstrap_counts(groups, draws, np.random.default_rng(seed))
    return value | {"interval": percentile_interval(counts @ values / counts.sum(1))}
