"""What the k nearest neighbours say: precision and recall, density and coverage, and whether faces are copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

NEIGHBOURS = 5


def radii(distances: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(n,) distance from each point to its k-th nearest other point.

    Args:
        distances: (n, n) of a set to itself; infinite ones do not count. k is cut to the points that there are.
    """
    nearest = np.sort(np.partition(distances, min(k, len(distances) - 1), axis=1)[:, : k + 1], axis=1)
    last = np.isfinite(nearest).sum(1) - 1
    found: np.ndarray = nearest[np.arange(len(nearest)), last]
    return found


def of_other_people(distances: np.ndarray, people: np.ndarray | None) -> np.ndarray:
    """(n, n) distances of a set to itself, infinite between two faces of one person; (n,) people, or None if unknown.

    A person's frames are as good as alike: counted as neighbours, they would make each ball as small as its person, and
    the measures ask for that person instead of for a face like it.
    """
    if people is None:
        return distances
    alike = (people[:, None] == people[None]) & ~np.eye(len(people), dtype=bool)
    return np.where(alike, np.inf, distances)


class Balls(NamedTuple):
    """Two sets of points, each with a ball about it that reaches to its k-th nearest neighbour in its own set."""

    between: np.ndarray  # (n, m) distances from real to other
    real: np.ndarray  # (n,) radii
    other: np.ndarray  # (m,) radii


def precision(balls: Balls) -> float:
    """The share of the other points that lie within some real point's radius (Kynkäänniemi 2019, arXiv 1904.06991)."""
    return float((balls.between <= balls.real[:, None]).any(axis=0).mean())


def recall(balls: Balls) -> float:
    """The share of real points that lie within some other point's radius (Kynkäänniemi 2019, arXiv 1904.06991)."""
    return float((balls.between <= balls.other[None, :]).any(axis=1).mean())


def density(balls: Balls, k: int = NEIGHBOURS) -> float:
    """How many real radii an other point lies within, over k (Naeem 2020, arXiv 2002.09797); it may pass 1."""
    return float((balls.between <= balls.real[:, None]).sum(axis=0).mean() / k)


def coverage(balls: Balls) -> float:
    """The share of real points that have an other point within their radius (Naeem 2020, arXiv 2002.09797)."""
    return float((balls.between.min(axis=1) <= balls.real).mean())


MEASURES: dict[str, Callable[[Balls], float]] = {
    "precision": precision,
    "recall": recall,
    "density": density,
    "coverage": coverage,
}


def of_draws(
    x: np.ndarray,
    y: np.ndarray,
    x_draws: np.ndarray,
    y_draws: np.ndarray,
    x_people: np.ndarray | None = None,
    y_people: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Each of the four measures between subsets of two sets, a number a draw; neighbours are faces of other people.

    Args:
        x: (n, d) real features.
        y: (m, d) features.
        x_draws: (draws, k) indices into x, without repetition in a row.
        y_draws: (draws, l) indices into y.
        x_people: (n,) whose faces they are; None: each somebody else's, as generated ones are.
        y_people: (m,) likewise.
    """
    xx, yy = of_other_people(cdist(x, x), x_people), of_other_people(cdist(y, y), y_people)
    xy = cdist(x, y)
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for i, j in zip(x_draws, y_draws, strict=True):
        balls = Balls(xy[np.ix_(i, j)], radii(xx[np.ix_(i, i)]), radii(yy[np.ix_(j, j)]))
        for name, measure in MEASURES.items():
            found[name].append(measure(balls))
    return {name: np.array(values) for name, values in found.items()}


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


def spacing(train: np.ndarray) -> np.ndarray:
    """(m,) distance from each of (m, d) training faces to the nearest other one."""
    return radii(cdist(train, train), 1)


def authentic(features: np.ndarray, train: np.ndarray, spaced: np.ndarray) -> np.ndarray:
    """(n,) whether a face is authentic: not nearer to a training face than the next training face is (AuthPct).

    Alaa et al. 2022, arXiv 2102.08921: a face is called a copy when its nearest training face lies nearer to it than
    to any other training face. The mean over a set is AuthPct.

    Args:
        features: (n, d).
        train: (m, d), m at least 2.
        spaced: (m,) the `spacing` of train.
    """
    apart = cdist(features, train)
    nearest = apart.argmin(axis=1)
    return apart[np.arange(len(features)), nearest] > spaced[nearest]
