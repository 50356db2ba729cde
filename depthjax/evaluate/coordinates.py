"""Faces as points of a feature space, and their nearest neighbours of the same emotion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist


class Coordinates(NamedTuple):
    """A set of faces: features (n, d), emotion (n,) and subject (n,)."""

    features: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray

    def take(self, rows: np.ndarray) -> Coordinates:
        """Return the faces of these rows, or of a mask."""
        return Coordinates(*(values[rows] for values in self))

    def split(self, rng: np.random.Generator) -> tuple[Coordinates, Coordinates]:
        """Return the faces of a random half of the subjects, and the others."""
        names = np.unique(self.subject)
        first = np.isin(self.subject, rng.permutation(names)[: len(names) // 2])
        return self.take(first), self.take(~first)

    def gaussians(self, count: int, rng: np.random.Generator) -> Coordinates:
        """Return `count` draws of each emotion from the Gaussian with the mean and covariance of its faces."""
        labels, drawn = np.unique(self.emotion), []
        for label in labels:
            own = self.features[self.emotion == label]
            mean = own.mean(axis=0)
            # Normal combinations of the centred faces have their covariance, whatever its rank.
            drawn.append(mean + rng.standard_normal((count, len(own))) @ (own - mean) / np.sqrt(len(own) - 1))
        return Coordinates(np.concatenate(drawn), np.repeat(labels, count), np.arange(count * len(labels)))


class Sides(NamedTuple):
    """What signs of memorisation compare: generated faces with training and with held-out faces."""

    generated: Coordinates
    train: Coordinates
    held_out: Coordinates


def nearest(asked: Coordinates, known: Coordinates, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) row in `known` of the k-th nearest face of the same emotion, and its (n,) distance.

    It is the farthest where there are fewer than k; -1 and infinite where there is none.
    """
    index, distance = np.full(len(asked.emotion), -1), np.full(len(asked.emotion), np.inf)
    for label in np.unique(asked.emotion):
        ours, theirs = np.flatnonzero(asked.emotion == label), np.flatnonzero(known.emotion == label)
        if not len(theirs):
            continue
        apart, place = cdist(asked.features[ours], known.features[theirs]), min(k, len(theirs)) - 1
        found = np.argpartition(apart, place, axis=1)[:, place] if place else apart.argmin(axis=1)
        index[ours], distance[ours] = theirs[found], apart[np.arange(len(ours)), found]
    return index, distance
