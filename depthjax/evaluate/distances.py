"""Distances between sets of features: features → statistics → number, in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from depthjax.evaluate.parallel import in_threads


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) matrix of (x·y / d + 1)³, the kernel of KID (Bińkowski et al. 2018, arXiv 1801.01401, section 4)."""
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3


def squared_mmd(within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy (Gretton et al. 2012, equation 3).

    A negative value is legitimate: the estimate scatters about zero for sets of one distribution.

    Args:
        within_x: (n, n) kernel matrix, n at least 2.
        within_y: (m, m) kernel matrix, m at least 2.
        between: (n, m) kernel matrix.
    """
    return _mean_off_diagonal(within_x) + _mean_off_diagonal(within_y) - 2 * float(between.mean())


def _mean_off_diagonal(kernel: np.ndarray) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def kid_of_draws(x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray) -> np.ndarray:
    """KID between subsets of two sets, a number a draw.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        x_draws: (draws, k) indices into x, without repetition in a row.
        y_draws: (draws, l) indices into y.
    Returns:
        (draws,) float64.
    """
    xx, yy, xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    pairs = zip(x_draws, y_draws, strict=True)
    return np.array([squared_mmd(xx[np.ix_(i, i)], yy[np.ix_(j, j)], xy[np.ix_(i, j)]) for i, j in pairs])


class Gaussian(NamedTuple):
    """The mean (d,) and covariance (d, d) of a set of features."""

    mean: np.ndarray
    covariance: np.ndarray


def gaussian_of(features: np.ndarray) -> Gaussian:
    """Mean and unbiased covariance of (n, d) features, n at least 2; the covariance has a rank of n - 1 at most."""
    features = features.astype(np.float64)
    return Gaussian(features.mean(0), np.atleast_2d(np.cov(features, rowvar=False)))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|m1 - m2|² + tr(S1) + tr(S2) - 2 tr((S1 S2)^½) (Dowson and Landau 1982; Heusel et al. 2017, arXiv 1706.08500).

    The trace of the root is the sum of the roots of the eigenvalues of S1 S2, which are real and not negative but for
    rounding. This is a FID only on Inception features.
    """
    roots = np.sqrt(np.linalg.eigvals(a.covariance @ b.covariance).astype(np.complex128)).real.sum()
    gap = a.mean - b.mean
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * roots)


def trace_of_root(x: np.ndarray, y: np.ndarray) -> float:
    """tr((S1 S2)^½) for the covariances of (n, d) x and (m, d) y, without forming any (d, d) matrix.

    With centred X and Y, S1 = X'X / (n - 1) and S2 = Y'Y / (m - 1), so that the roots of the eigenvalues of S1 S2 are
    the singular values of X Y' / sqrt((n - 1)(m - 1)): quick where there are fewer faces than dimensions.
    """
    a, b = (v.astype(np.float64) - v.astype(np.float64).mean(0) for v in (x, y))
    singular = np.linalg.svd(a @ b.T, compute_uv=False)
    return float(singular.sum() / np.sqrt((len(a) - 1) * (len(b) - 1)))


def frechet_of_features(x: np.ndarray, y: np.ndarray) -> float:
    """`frechet_distance` between the Gaussians of (n, d) x and (m, d) y, by the quicker way to the trace."""
    if x.shape[1] <= max(len(x), len(y)):
        return frechet_distance(gaussian_of(x), gaussian_of(y))
    x, y = x.astype(np.float64), y.astype(np.float64)
    gap, spread = x.mean(0) - y.mean(0), x.var(0, ddof=1).sum() + y.var(0, ddof=1).sum()
    return float(gap @ gap + spread - 2 * trace_of_root(x, y))


def frechet_of_draws(x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray) -> np.ndarray:
    """Fréchet distance between subsets of two sets, a number a draw; arguments as for `kid_of_draws`.

    It is biased upwards by little data: compare it only with a distance taken at the same n.
    """

    def distance(pair: tuple[np.ndarray, np.ndarray]) -> float:
        return frechet_of_features(x[pair[0]], y[pair[1]])

    return np.array(in_threads(distance, zip(x_draws, y_draws, strict=True)))
