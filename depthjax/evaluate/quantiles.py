"""Features rounded to quantiles of those learnt from, so that trees grow in two thirds of the time.

A tree only asks which of two values is larger, so of a feature its order matters alone; XGBoost rounds in a like way by
itself. What is lost: values that fewer than one face in `bins` has may share a bin with the next ones, so a column that
is constant but for a few faces may become constant. How many quantiles is `evaluate.bins`.
"""

from __future__ import annotations

import numpy as np


def quantile_edges(features: np.ndarray, bins: int) -> np.ndarray:
    """The inner edges of that many equally filled bins of each column, by linear interpolation.

    Args:
        features: (n, d), n at least 1.
        bins: at least 2.
    Returns:
        (d, bins - 1), ascending; equal where values repeat.
    """
    columns = np.sort(features.T, axis=1)
    place = np.linspace(0, len(features) - 1, bins + 1)[1:-1]
    low = place.astype(int)
    high = np.minimum(low + 1, len(features) - 1)
    below, above = columns[:, low], columns[:, high]
    return below + (above - below) * (place - low).astype(features.dtype)


def to_quantiles(features: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The number of the bin in which each value lies, an edge in the upper one: (n, d) float32 from 0 to bins - 1."""
    numbers = np.empty(features.shape, np.float32)
    for column, inner in enumerate(edges):
        numbers[:, column] = np.searchsorted(inner, features[:, column], side="right")
    return numbers
