"""What the k nearest neighbours say: precision and recall, density and coverage, and whether faces are copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist

NEIGHBOURS = 5


def radii(distances: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(n,) distance from each point to its k-th nearest other point.

    Args:
        distances: (n, n) of a set to itself; k is cut to n - 1.
    """
    return np.partition(distances, min(k, len(distances) - 1), axis=1)[:, min(k, len(distances) - 1)]


def precision(real: np.ndarray, other: np.ndarray, between: np.ndarray, k: int = NEIGHBOURS) -> float:
    """The share of the other points that lie within some real point's radius (Kynkäänniemi 2019, arXiv 1904.06991).

    Args:
        real: (n, n) distances within the real set.
        other: (m, m) distances within the other set.
        between: (n, m) distances from real to other.
    """
    del other
    return float((between <= radii(real, k)[:, None]).any(axis=0).mean())


def recall(real: np.ndarray, other: np.ndarray, between: np.ndarray, k: int = NEIGHBOURS) -> float:
    """The share of real points that lie within some other point's radius; arguments as for `precision`."""
    del real
    return float((between <= radii(other, k)[None, :]).any(axis=1).mean())


def density(real: np.ndarray, other: np.ndarray, between: np.ndarray, k: int = NEIGHBOURS) -> float:
    """How many real radii an other point lies within, over k (Naeem 2020, arXiv 2002.09797); it may pass 1."""
    del other
    return float((between <= radii(real, k)[:, None]).sum(axis=0).mean() / k)


def coverage(real: np.ndarray, other: np.ndarray, between: np.ndarray, k: int = NEIGHBOURS) -> float:
    """The share of real points that have an other point within their radius (Naeem 2020, arXiv 2002.09797)."""
    del other
    return float((between.min(axis=1) <= radii(real, k)).mean())


def of_draws(
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    x: np.ndarray,
    y: np.ndarray,
    x_draws: np.ndarray,
    y_draws: np.ndarray,
) -> np.ndarray:
    """One of the four measures above between subsets of two sets, a number a draw.

    Args:
        measure: takes distances within x, within y, and from x to y.
        x: (n, d) real features.
        y: (m, d) features.
        x_draws: (draws, k) indices into x, without repetition in a row.
        y_draws: (draws, l) indices into y.
    """
    xx, yy, xy = cdist(x, x), cdist(y, y), cdist(x, y)
    pairs = zip(x_draws, y_draws, strict=True)
    return np.array([measure(xx[np.ix_(i, i)], yy[np.ix_(j, j)], xy[np.ix_(i, j)]) for i, j in pairs])


def nearest_of_same_emotion(
    features: np.ndarray, emotion: np.ndarray, known: np.ndarray, known_emotion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) row of the nearest `known` face of the same emotion, and (n,) its distance."""
    index, distance = np.zeros(len(features), np.int64), np.zeros(len(features))
    for label in np.unique(emotion):
        ours, theirs = np.flatnonzero(emotion == label), np.flatnonzero(known_emotion == label)
        apart = cdist(features[ours], known[theirs])
        nearest = apart.argmin(axis=1)
        index[ours], distance[ours] = theirs[nearest], apart[np.arange(len(ours)), nearest]
    return index, distance


def authentic(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(n,) whether a face is authentic: not nearer to a training face than the next training face is (AuthPct).

    Alaa et al. 2022, arXiv 2102.08921: a face is called a copy when its nearest training face lies nearer to it than
    to any other training face. The mean over a set is AuthPct.

    Args:
        features: (n, d).
        train: (m, d), m at least 2.
    """
    apart = cdist(features, train)
    nearest = apart.argmin(axis=1)
    return apart[np.arange(len(features)), nearest] > radii(cdist(train, train), 1)[nearest]
