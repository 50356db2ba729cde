"""Classifier two-sample test: can a classifier tell the faces of two sets apart, on subjects that it has not seen?

Lopez-Paz and Oquab 2017, arXiv 1610.06545. An accuracy of 0.5 is guessing. A low accuracy may also mean a weak
classifier, so it stands beside the same classifier's accuracy on sets that are known to differ.
"""

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from depthjax.evaluate.classification import Labelled, union
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, percentile_interval, thinned, weighted_means

FOLDS = 5
HALVINGS = 5  # of one set's subjects, to compare it with itself
MAX_FACES = 600  # of each set: more are drawn at random
RIDGE = 1.0


def c2st(x: Labelled, y: Labelled, *, bandwidth: float, draws: int, seed: int) -> Estimate:
    """Return the accuracy at which faces of y are told from faces of x; the interval resamples subjects of both."""
    if min(len(np.unique(x.subject)), len(np.unique(y.subject))) < FOLDS:
        return Estimate(reason=f"fewer than {FOLDS} subjects in one of the sets")
    rng = np.random.default_rng(seed)
    x, y = (of.take(thinned(len(of), MAX_FACES, rng)) for of in (x, y))
    faces, is_y = union(x, y), np.arange(len(x) + len(y)) >= len(x)
    right = told_apart(faces, is_y, bandwidth, rng)
    return _accuracy(right, faces, is_y, draws, rng)


def c2st_of_halves(x: Labelled, *, bandwidth: float, draws: int, seed: int) -> Estimate:
    """Return the accuracy at which halves of one set's subjects are told apart, mean over random halvings."""
    rng, names = np.random.default_rng(seed), np.unique(x.subject)
    if len(names) < 2 * FOLDS:
        return Estimate(reason=f"fewer than {2 * FOLDS} subjects to halve")
    x = x.take(thinned(len(x), 2 * MAX_FACES, rng))
    halves = [np.isin(x.subject, rng.permutation(names)[: len(names) // 2]) for _ in range(HALVINGS)]
    right = np.mean([told_apart(x, half, bandwidth, rng) for half in halves], axis=0)
    return _accuracy(right, x, np.zeros(len(x), bool), draws, rng)


def told_apart(faces: Labelled, is_y: np.ndarray, bandwidth: float, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) 1 where a face's set, (n,) bool, is predicted rightly from faces of other subjects, else 0.

    The classifier is kernel ridge regression on -1 and 1 with a Gaussian kernel, which sees more than a difference of
    means; folds hold subjects of both sets.
    """
    fold, target = _folds(faces.subject, is_y, rng), np.where(is_y, 1.0, -1.0)
    right = np.zeros(len(faces))
    for number in np.unique(fold):
        fitted, asked = fold != number, fold == number
        model = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=1 / (2 * bandwidth**2))
        weights = balance(faces.emotion[fitted], is_y[fitted])
        model.fit(faces.features[fitted], target[fitted], sample_weight=weights * fitted.sum())
        right[asked] = (model.predict(faces.features[asked]) > 0) == is_y[asked]
    return right


def balance(emotion: np.ndarray, is_y: np.ndarray) -> np.ndarray:
    """Return (n,) weights that sum to 1: each emotion of each set weighs the same."""
    _, group, count = np.unique(2 * emotion + is_y, return_inverse=True, return_counts=True)
    return 1 / (len(count) * count[group])


def _folds(subject: np.ndarray, is_y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (n,) fold of each face: a fifth of the subjects of each set, and of both, in each."""
    fold, of_x, of_y = np.zeros(len(subject), int), np.isin(subject, subject[~is_y]), np.isin(subject, subject[is_y])
    for side in (of_y & ~of_x, of_x & ~of_y, of_x & of_y):
        names, member = np.unique(subject[side], return_inverse=True)
        fold[side] = (rng.permutation(len(names)) % FOLDS)[member]
    return fold


def _accuracy(right: np.ndarray, faces: Labelled, is_y: np.ndarray, draws: int, rng: np.random.Generator) -> Estimate:
    """Return the mean of `right` with every emotion of every set weighing the same, and its interval."""
    weights, drawn = balance(faces.emotion, is_y), np.zeros(draws)
    sides = [side for side in (is_y, ~is_y) if side.any()]
    for side in sides:
        counts = bootstrap_counts(faces.subject[side], draws, rng)
        drawn += weighted_means(right[side], counts * weights[side]) / len(sides)
    return Estimate(float(weights @ right), *percentile_interval(drawn), n=len(right))
