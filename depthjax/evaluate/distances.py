"""Distances between sets of features, in float64: Fréchet, and measures over the k nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import betabinom

NEIGHBOURS = 5


class Gaussian(NamedTuple):
    """The mean (d,) and covariance (d, d) of a set of features."""

    mean: np.ndarray
    covariance: np.ndarray


def gaussian_of(features: np.ndarray) -> Gaussian:
    """Return the mean and unbiased covariance, of rank n - 1 at most, of (n, d) features, n at least 2."""
    features = features.astype(np.float64)
    return Gaussian(features.mean(0), np.atleast_2d(np.cov(features, rowvar=False)))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return |m1 - m2|² + tr(S1) + tr(S2) - 2 tr((S1 S2)^½) (Dowson and Landau 1982; Heusel 2017, arXiv 1706.08500).

    The trace of the root is the sum of the roots of the eigenvalues of S1 S2, which are real and not negative but for
    rounding. This is a FID only on Inception features.
    """
    roots = np.sqrt(np.linalg.eigvals(a.covariance @ b.covariance).astype(np.complex128)).real.sum()
    gap = a.mean - b.mean
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * roots)


def trace_of_root(x: np.ndarray, y: np.ndarray) -> float:
    """Return tr((S1 S2)^½) for the covariances of (n, d) x and (m, d) y, without forming any (d, d) matrix.

    With centred X and Y, S1 = X'X / (n - 1) and S2 = Y'Y / (m - 1), so that the roots of the eigenvalues of S1 S2 are
    the singular values of X Y' / sqrt((n - 1)(m - 1)): quick where there are fewer faces than dimensions.
    """
    a, b = (v.astype(np.float64) - v.astype(np.float64).mean(0) for v in (x, y))
    singular = np.linalg.svd(a @ b.T, compute_uv=False)
    return float(singular.sum() / np.sqrt((len(a) - 1) * (len(b) - 1)))


def frechet_of_features(x: np.ndarray, y: np.ndarray) -> float:
    """Return `frechet_distance` between the Gaussians of (n, d) x and (m, d) y, by the quicker way to the trace."""
    if x.shape[1] <= max(len(x), len(y)):
        return frechet_distance(gaussian_of(x), gaussian_of(y))
    x, y = x.astype(np.float64), y.astype(np.float64)
    gap, spread = x.mean(0) - y.mean(0), x.var(0, ddof=1).sum() + y.var(0, ddof=1).sum()
    return float(gap @ gap + spread - 2 * trace_of_root(x, y))


def frechet_of_draws(x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray) -> np.ndarray:
    """Return the (draws,) Fréchet distance between subsets of (n, d) and (m, d) features: rows of (draws, k) indices.

    It is biased upwards by little data: compare it only with a distance of as many faces of as many subjects.
    """
    pairs = zip(x_draws, y_draws, strict=True)
    return np.array([frechet_of_features(x[i], y[j]) for i, j in pairs])


def distances_between(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the (n, m) Euclidean distances, by one matrix product: quick for few points in many dimensions."""
    squared = (x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * x @ y.T
    apart: np.ndarray = np.sqrt(np.maximum(squared, 0))
    return apart


def radii(distances: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Return (n,) distances to the k-th nearest other point, or the last of fewer, from (n, n)."""
    place = min(k, len(distances) - 1)
    found: np.ndarray = np.partition(distances, place, axis=1)[:, place]
    return found


@dataclass(frozen=True)
class Balls:
    """Two sets of points, each with a ball about it that reaches to its k-th nearest neighbour in its own set."""

    between: np.ndarray  # (n, m) distances from real to other points
    within: np.ndarray  # (n, n) distances between real points
    real: np.ndarray  # (n,) radii
    other: np.ndarray  # (m,) radii
    k: int


def balls_of(between: np.ndarray, within: np.ndarray, within_other: np.ndarray, k: int = NEIGHBOURS) -> Balls:
    """Return the balls of two sets from their distances to each other and to themselves."""
    return Balls(between, within, radii(within, k), radii(within_other, k), k)


def precision(balls: Balls) -> float:
    """The share of the other points that lie within some real point's radius (Kynkäänniemi 2019, arXiv 1904.06991)."""
    return float((balls.between <= balls.real[:, None]).any(axis=0).mean())


def recall(balls: Balls) -> float:
    """The share of real points that lie within some other point's radius (Kynkäänniemi 2019, arXiv 1904.06991)."""
    return float((balls.between <= balls.other[None, :]).any(axis=1).mean())


def density(balls: Balls) -> float:
    """How many real radii an other point lies within, over k (Naeem 2020, arXiv 2002.09797); it may pass 1."""
    return float((balls.between <= balls.real[:, None]).sum(axis=0).mean() / balls.k)


def coverage(balls: Balls) -> float:
    """The share of real points that have an other point within their radius (Naeem 2020, arXiv 2002.09797)."""
    return float((balls.between.min(axis=1) <= balls.real).mean())


def clipped_density(balls: Balls) -> float:
    """Density without outliers, relative to that of real points (Salvy et al. 2025, arXiv 2507.01761); at most 1.

    Radii are clipped at their median, so that real outliers have no large balls; how many balls a point lies within is
    clipped at k, so that none counts for more than one. NaN where no real point has a neighbour.
    """
    reach = np.minimum(balls.real, np.median(balls.real))[:, None]

    def fidelity(inside: np.ndarray) -> float:
        return float(np.minimum(inside.sum(axis=0) / balls.k, 1).mean())

    of_real = fidelity((balls.within <= reach) & ~np.eye(len(reach), dtype=bool))
    return min(fidelity(balls.between <= reach) / of_real, 1.0) if of_real > 0 else float("nan")


def clipped_coverage(balls: Balls) -> float:
    """How many other points, as a share, would cover as much if all were real (Salvy et al. 2025, arXiv 2507.01761).

    How many other points lie in a real point's ball is clipped at k, averaged, and calibrated: the share s is returned
    whose s·m points of the real distribution are expected to reach that average. The share is interpolated, where the
    authors' code rounds up to a whole number of points. NaN of one real point, which has no neighbour.
    """
    neighbours, m = len(balls.within) - 1, balls.between.shape[1]
    if not (k := min(balls.k, neighbours)):
        return float("nan")
    inside = (balls.between <= balls.real[:, None]).sum(axis=1)
    covered = (np.minimum(inside, k) / k).mean()
    return float(np.interp(covered, _expected_coverage(k, neighbours, m), np.arange(m + 1) / m))


@lru_cache(256)
def _expected_coverage(k: int, neighbours: int, m: int) -> np.ndarray:
    """Return the (m + 1,) expected share of k that 0 to m points of the real distribution reach in a ball.

    Whatever the distribution, the mass of a ball to the k-th of n neighbours is Beta(k, n - k + 1), so that the number
    of points in it is beta-binomial.
    """
    few = np.arange(k)[:, None]
    shares = betabinom.pmf(few, np.arange(m + 1)[None], k, neighbours - k + 1)
    expected: np.ndarray = 1 - ((k - few) / k * shares).sum(axis=0)
    return expected


# The measures over nearest neighbours: one function and one row each.
_MEASURES: tuple[Any, ...] = (precision, recall, density, coverage, clipped_density, clipped_coverage)
NEIGHBOUR_MEASURES: dict[str, Callable[[Balls], float]] = {measure.__name__: measure for measure in _MEASURES}


def neighbours_of_draws(
    x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each of NEIGHBOUR_MEASURES between subsets of two sets, (draws,); arguments as for `frechet_of_draws`.

    Frames of one subject are nearly alike: in a subset, no two faces may be of one subject, or balls are too small.
    """

    def measured(a: np.ndarray, b: np.ndarray) -> list[float]:
        balls = balls_of(distances_between(a, b), distances_between(a, a), distances_between(b, b))
        return [measure(balls) for measure in NEIGHBOUR_MEASURES.values()]

    table = np.array([measured(x[i], y[j]) for i, j in zip(x_draws, y_draws, strict=True)])
    return dict(zip(NEIGHBOUR_MEASURES, table.T.copy(), strict=True))
