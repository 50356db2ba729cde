"""Feature spaces in which sets of faces are compared, fitted on the training faces alone, and faces as their points.

`relief` holds the shape of a face without its texture; `residual_ratio` measures what lies outside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from depthjax.data.depth_range import quantise
from depthjax.evaluate.resampling import Estimate, ratio_of_means

SIDE = 32  # boxes a side, of the relief space
RELIEF_DIMENSIONS = 32
CLIP = 4.0  # standard deviations: a bin that training faces hardly fill must not decide a distance alone


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


@dataclass(frozen=True)
class PrincipalSpace:
    """The leading principal components of the training faces, in one unit: their variance is 1 an axis on average."""

    mean: np.ndarray  # (d,) of the training values
    components: np.ndarray  # (k, d) orthonormal rows
    unit: float

    def project(self, values: np.ndarray) -> np.ndarray:
        """Return (n, k) float64 coordinates of (n, d) values."""
        return (values - self.mean) @ self.components.T / self.unit

    def residual(self, values: np.ndarray) -> np.ndarray:
        """Return the (n,) root mean square of what lies outside the components, in the unit of `values`."""
        centred = values - self.mean
        outside = centred - centred @ self.components.T @ self.components
        return np.sqrt(np.mean(outside**2, axis=1))


def fit_principal_space(values: np.ndarray, dimensions: int) -> PrincipalSpace:
    """Return the space of (n, d) training values; fewer dimensions when n - 1 or d is smaller."""
    values = values.astype(np.float64)
    count = min(dimensions, len(values) - 1, values.shape[1])
    with threadpool_limits(1, "blas"):  # measured: teams of BLAS threads take longer on matrices of this size
        pca = PCA(count, svd_solver="full").fit(values)
    unit = float(np.sqrt(pca.explained_variance_.mean()))
    return PrincipalSpace(pca.mean_, pca.components_, unit if unit > 0 else 1.0)


@dataclass(frozen=True)
class FusedSpace:
    """Fused features, standardised on the training faces, clipped at ±4, then their principal components."""

    scaler: StandardScaler
    principal: PrincipalSpace

    def project(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float64 coordinates of (n, d) fused features."""
        return self.principal.project(_clipped(self.scaler, features))


def fit_fused_space(features: np.ndarray, dimensions: int = 64) -> FusedSpace:
    """Return the space of the (n, d) fused features of the training faces."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    return FusedSpace(scaler, fit_principal_space(_clipped(scaler, features), dimensions))


def _clipped(scaler: StandardScaler, features: np.ndarray) -> np.ndarray:
    return np.clip(scaler.transform(features.astype(np.float64)), -CLIP, CLIP)


def box_means(images: np.ndarray) -> np.ndarray:
    """Return (n, 1024) float64 means of (n, height, width) in [-1, 1] over 32x32 equal boxes, after 8 bits."""
    n, height, width = images.shape
    levels = quantise(images) / 127.5 - 1
    return (_box_weights(height) @ levels @ _box_weights(width).T).reshape(n, SIDE * SIDE)


def _box_weights(pixels: int) -> np.ndarray:
    """Return (32, pixels): the share of each pixel in each box along one axis; rows sum to 1."""
    edges = np.linspace(0, pixels, SIDE + 1)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], right[None]) - np.maximum(edges[:-1, None], left[None])
    return np.maximum(overlap, 0) * SIDE / pixels


def residual_ratio(
    space: PrincipalSpace, generated: np.ndarray, held_out: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int
) -> Estimate:
    """Return how much of the generated faces lies outside the relief space, relative to held-out faces.

    A set's residual is the root mean square of what the 32 components cannot express of its box means, (n, 1024) or
    (m, 1024). Well above 1: noise; well below 1: too smooth. The interval resamples the generated faces and the
    held-out `subjects`, (m,). No value but a reason where theirs are 0.
    """
    ours, reference = space.residual(generated) ** 2, space.residual(held_out) ** 2
    zero = "the held-out faces lie wholly inside the relief space"
    return ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero, transform=np.sqrt)
