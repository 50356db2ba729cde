"""Feature likelihood divergence: how likely faces are under a mixture centred on the generated ones.

Jiralerspong et al. 2023, arXiv 2302.04440. A centre that copies a training face gets a narrow Gaussian there, which
makes that face likely and no other: so copies raise the likelihood of training faces above that of held-out ones.

Frames of one subject are not independent. So every subject counts the same, in the fit and in the means, and intervals
resample subjects. What is left is an excess of training faces that needs no copying, for the widths are fitted to few
subjects: held-out faces in place of generated ones show how large it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

from depthjax.evaluate.coordinates import Sides
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, percentile_interval, weighted_means

STEPS = 30  # of expectation maximisation
MIN_VARIANCE = 1e-4  # in units of the training faces' variance: a centre that equals a face would need none
PERCENT = 100.0  # the authors' unit: a hundredth of a nat for each dimension


@dataclass(frozen=True)
class Mixture:
    """Isotropic Gaussians of equal weight: centres (k, d) and variances (k,)."""

    centres: np.ndarray
    variances: np.ndarray

    def log_density(self, features: np.ndarray) -> np.ndarray:
        """Return the (n,) log density, in nats, of (n, d) features."""
        terms = _log_kernels(cdist(features, self.centres, "sqeuclidean"), self.variances, features.shape[1])
        found: np.ndarray = logsumexp(terms, axis=1) - np.log(len(self.centres))
        return found


def _log_kernels(squares: np.ndarray, variances: np.ndarray, dimensions: int) -> np.ndarray:
    kernels: np.ndarray = -squares / (2 * variances) - dimensions / 2 * np.log(2 * np.pi * variances)
    return kernels


def fit_mixture(centres: np.ndarray, features: np.ndarray, weights: np.ndarray) -> Mixture:
    """Return the mixture on (k, d) centres whose variances fit (n, d) features, counted `weights` (n,) times, best.

    Expectation maximisation, from the distance of each centre to its nearest feature; the authors use Adam.
    """
    squares, dimensions = cdist(features, centres, "sqeuclidean"), features.shape[1]
    variances = np.maximum(squares.min(axis=0) / dimensions, MIN_VARIANCE)
    for _ in range(STEPS):
        share = weights[:, None] * softmax(_log_kernels(squares, variances, dimensions), axis=1)
        total = share.sum(axis=0)
        # A centre that no feature is near keeps its width.
        fitted = np.divide((share * squares).sum(axis=0), dimensions * total, out=variances.copy(), where=total > 1e-12)
        variances = np.maximum(fitted, MIN_VARIANCE)
    return Mixture(centres, variances)


def subject_weights(subjects: np.ndarray) -> np.ndarray:
    """Return (n,) weights, of mean 1, by which every subject counts the same."""
    names, member, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    return len(subjects) / len(names) / counts[member]


def divergence(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Return the divergence of each training face, (n,), and of each held-out face, (m,), from the generated ones.

    It is -100 / d times the log density, on axes on which the training faces have a variance of 1.
    """
    known = sides.train.features
    mean, scale = known.mean(axis=0), known.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    generated, train, held_out = ((of.features - mean) / scale for of in sides)
    mixture = fit_mixture(generated, train, subject_weights(sides.train.subject))
    of_train, of_held_out = (-PERCENT / known.shape[1] * mixture.log_density(of) for of in (train, held_out))
    return of_train, of_held_out


def likelihoods(sides: Sides, *, draws: int, seed: int) -> dict[str, Estimate]:
    """Return `fld`, the mean of held-out faces, and `fld_gap`, the mean of training faces minus it.

    The authors take a constant off `fld`; here held-out faces in place of generated ones show what is good. It is a
    distance: alone, it does not see near-copies.
    """
    rng = np.random.default_rng(seed)
    means, drawn = [], []
    for values, of in zip(divergence(sides), (sides.train, sides.held_out), strict=True):
        weighted = subject_weights(of.subject)
        means.append(float(np.average(values, weights=weighted)))
        drawn.append(weighted_means(values, bootstrap_counts(of.subject, draws, rng) * weighted))
    (train, held_out), n = means, len(sides.held_out.subject)
    fld = Estimate(held_out, *percentile_interval(drawn[1]), n=n)
    return {"fld": fld, "fld_gap": Estimate(train - held_out, *percentile_interval(drawn[0] - drawn[1]), n=n)}
