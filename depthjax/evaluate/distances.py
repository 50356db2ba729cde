"""Distances between sets of features, in float64: Fréchet, measures over the k nearest neighbours, and KID.

KID is an unbiased U-statistic over whole sets without pairs of one subject, with a bootstrap over subjects. Frames of
one subject are alike. Their pairs make a set look more similar within than it is, and so the distance too large: 0.36
in `relief` between two halves of one distribution (16 subjects, 10 frames each), where there is none. The released
scripts' formulas, with their flaws, are for comparison with the paper's tables only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import betabinom
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.classification import Labelled
from depthjax.evaluate.diversity import score
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, with_interval

NEIGHBOURS = 5
NO_PAIRS = "some emotion has faces of one subject only: use more subjects"
SCORE_OFFSET, SCORE_SPLITS = 0.7, 2


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
    """Return the (draws,) Fréchet distance between subsets of (n, d) and (m, d) features: (draws, k) indices."""
    pairs = zip(x_draws, y_draws, strict=True)
    return np.array([frechet_of_features(x[i], y[j]) for i, j in pairs])


def distances_between(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the (n, m) Euclidean distances, by one matrix product: quick for few points in many dimensions."""
    squared = (x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * x @ y.T
    return np.sqrt(np.maximum(squared, 0))


def radii(distances: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Return (n,) distances to the k-th nearest other point, or the last of fewer, from (n, n)."""
    place = min(k, len(distances) - 1)
    return np.partition(distances, place, axis=1)[:, place]


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
    """Return the (m + 1,) expected share of k that 0 to m points reach in a ball: their number is beta-binomial."""
    few = np.arange(k)[:, None]
    # Whatever the distribution, the mass of a ball to the k-th of n neighbours is Beta(k, n - k + 1).
    shares = betabinom.pmf(few, np.arange(m + 1)[None], k, neighbours - k + 1)
    return 1 - ((k - few) / k * shares).sum(axis=0)


# The measures over nearest neighbours: one function and one row each.
_MEASURES: tuple[Any, ...] = (precision, recall, density, coverage, clipped_density, clipped_coverage)
NEIGHBOUR_MEASURES: dict[str, Callable[[Balls], float]] = {measure.__name__: measure for measure in _MEASURES}


def neighbours_of_draws(
    x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each of NEIGHBOUR_MEASURES between subsets of two sets, (draws,); arguments as for `frechet_of_draws`."""

    def measured(a: np.ndarray, b: np.ndarray) -> list[float]:
        balls = balls_of(distances_between(a, b), distances_between(a, a), distances_between(b, b))
        return [measure(balls) for measure in NEIGHBOUR_MEASURES.values()]

    table = np.array([measured(x[i], y[j]) for i, j in zip(x_draws, y_draws, strict=True)])
    return dict(zip(NEIGHBOUR_MEASURES, table.T.copy(), strict=True))


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the (n, m) matrix of (x·y / d + 1)³, KID's kernel (Bińkowski et al. 2018, arXiv 1801.01401, section 4)."""
    base = x.astype(np.float64) @ y.astype(np.float64).T
    base /= x.shape[1]  # in place: of thousands of faces a copy is a hundred megabytes
    base += 1
    cubed: np.ndarray = base * base
    cubed *= base
    return cubed


@dataclass(frozen=True)
class Cells:
    """The faces of each subject in each emotion: a weight of a subject is one of all its cells."""

    subject: np.ndarray  # (cells,)
    emotion: np.ndarray  # (cells,)
    faces: np.ndarray  # (cells,) how many


@dataclass(frozen=True)
class KernelSums:
    """A kernel between two sets, summed over the pairs of faces of two cells."""

    sums: np.ndarray  # (a, b); 0 for two cells of one subject
    alike: Any  # (a, b) sparse, 1 for two cells of one subject
    left: Cells  # of the first set
    right: Cells

    def means(self, left: np.ndarray, right: np.ndarray, classes: int) -> np.ndarray:
        """Return (draws, classes, classes) means over pairs of different subjects, by the emotions of the two faces.

        `left` (draws, a) and `right` (draws, b) are the cells' weights; within a set, both are one array. NaN where
        there is no such pair.
        """
        found = np.full((len(left), classes, classes), np.nan)
        rows, columns = left * self.left.faces, right * self.right.faces
        within = left is right
        for label in range(classes):
            own = np.flatnonzero(self.left.emotion == label)
            for other in range(label if within else 0, classes):
                theirs = np.flatnonzero(self.right.emotion == other)
                pairs = rows[:, own].sum(1) * columns[:, theirs].sum(1)
                pairs -= ((rows[:, own] @ self.alike[own][:, theirs]) * columns[:, theirs]).sum(1)
                total = ((left[:, own] @ self.sums[np.ix_(own, theirs)]) * right[:, theirs]).sum(1)
                np.divide(total, pairs, out=found[:, label, other], where=pairs > 0)
                if within:
                    found[:, other, label] = found[:, label, other]
        return found


def kernel_sums(x: Labelled, y: Labelled) -> KernelSums:
    """Return the kernel between two sets by cells; a subject of both sets has one number, a generated face its own."""
    (rows, starts, left), (columns, y_starts, right) = _cells(x), _cells(y)
    kernel = polynomial_kernel(x.features[rows], y.features[columns])
    sums = np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), y_starts, axis=1)
    alike = left.subject[:, None] == right.subject[None]
    return KernelSums(np.where(alike, 0.0, sums), csr_array(alike.astype(np.float64)), left, right)


def _cells(faces: Labelled) -> tuple[np.ndarray, np.ndarray, Cells]:
    """Return the rows sorted by cell, the place where each cell begins, and the cells."""
    rows = np.lexsort((faces.emotion, faces.subject))
    subject, emotion = faces.subject[rows], faces.emotion[rows]
    new = (subject[1:] != subject[:-1]) | (emotion[1:] != emotion[:-1])
    starts = np.flatnonzero(np.concatenate([[True], new]))
    return rows, starts, Cells(subject[starts], emotion[starts], np.diff(np.append(starts, len(rows))))


def kid(x: Labelled, y: Labelled, *, draws: int, seed: int) -> list[Estimate]:
    """Return the KID of two sets: of all emotions, each of equal weight, then of each by itself.

    The interval draws the subjects of both sets with replacement. It is too wide, not too narrow, where the sets do
    not differ (Gretton et al. 2012, section 5: the statistic is degenerate there).
    """
    rng, classes = np.random.default_rng(seed), 1 + int(max(x.emotion.max(), y.emotion.max()))
    within_x, within_y, between = kernel_sums(x, x), kernel_sums(y, y), kernel_sums(x, y)
    drawn = [bootstrap_counts(of.subject, draws, rng) for of in (between.left, between.right)]
    # First each subject once.
    left, right = (np.concatenate([np.ones((1, counts.shape[1])), counts]) for counts in drawn)
    values = within_x.means(left, left, classes) + within_y.means(right, right, classes)
    values -= 2 * between.means(left, right, classes)
    return [_estimate(column[0], column[1:], len(x)) for column in _by_emotion(values)]


def kid_of_halves(x: Labelled, *, draws: int, seed: int) -> list[Estimate]:
    """Return the KID between random halves of the subjects of one set, as `kid` does.

    The mean over all halvings is 0; the interval, the middle 95 % of them, says how far two groups of half as many
    subjects lie from each other by chance.
    """
    rng, classes, within = np.random.default_rng(seed), 1 + int(x.emotion.max()), kernel_sums(x, x)
    names, member = np.unique(within.left.subject, return_inverse=True)
    order = np.argsort(rng.random((draws, len(names))), axis=1)
    half = (order < len(names) // 2)[:, member].astype(np.float64)
    values = within.means(half, half, classes) + within.means(1 - half, 1 - half, classes)
    values -= 2 * within.means(half, 1 - half, classes)
    # An emotion that few subjects show has no pairs in some halves.
    known = (drawn[np.isfinite(drawn)] for drawn in _by_emotion(values))
    return [_estimate(drawn.mean() if len(drawn) else np.nan, drawn, len(x)) for drawn in known]


def _by_emotion(blocks: np.ndarray) -> list[np.ndarray]:
    """Return the (draws,) mean over all blocks, then each block of one emotion."""
    return [blocks.mean(axis=(1, 2)), *blocks.diagonal(axis1=1, axis2=2).T]


def _estimate(value: float, drawn: np.ndarray, n: int) -> Estimate:
    """Return the value with the middle 95 % of the draws; draws without a pair of different subjects do not count."""
    return with_interval(float(value), drawn, n) if np.isfinite(value) else Estimate(reason=NO_PAIRS)


def published_frechet(real: np.ndarray, other: np.ndarray) -> float:
    """Return |m1 - m2|² + tr(S1 + S2 - 4 (S1 S2)^½) of (n, d) features: a 4 where a 2 should stand. May be negative."""
    a, b = gaussian_of(real), gaussian_of(other)
    gap = a.mean - b.mean
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 4 * trace_of_root(real, other))


def published_score(probabilities: np.ndarray) -> float:
    """Return the mean of the score over two halves, in the order given, plus 0.7 as released."""
    return float(np.mean([score(part) for part in np.array_split(probabilities, SCORE_SPLITS)])) + SCORE_OFFSET


def published_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return 30 log10(255 / rmse) of two 8-bit images, as released; identical ones count as one level apart."""
    error = np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float(30 * np.log10(255 / max(error, 1.0)))


def published_pairs(real: DepthFaces, other: DepthFaces) -> dict[str, float]:
    """Return mean `ssim` (scikit-image's defaults) and `psnr` (30 log10) of n-th real and n-th generated faces."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for label in range(len(real.emotions)):
        ours, theirs = (quantise(faces.images[faces.emotion == label]) for faces in (real, other))
        pairs += zip(ours, theirs, strict=False)
    return {
        "ssim": float(np.mean([structural_similarity(a, b, data_range=255) for a, b in pairs])),
        "psnr": float(np.mean([published_psnr(a, b) for a, b in pairs])),
    }
