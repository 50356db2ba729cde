"""Feature likelihood divergence: known answers, and an independent evaluation."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from depthjax.evaluate.memorisation import Mixture, divergence, fit_mixture, likelihoods, subject_weights
from depthjax.evaluate.spaces import Coordinates, Sides


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 3)), rng.normal(size=(40, 3))


def test_the_density_is_that_of_scipy(points):
    centres, asked = points
    variances = np.array([0.1, 0.5, 1, 2, 3])
    logs = [multivariate_normal(c, v * np.eye(3)).logpdf(asked) for c, v in zip(centres, variances, strict=True)]
    np.testing.assert_allclose(Mixture(centres, variances).log_density(asked), logsumexp(logs, axis=0) - np.log(5))


def test_one_centre_has_the_weighted_mean_square_as_its_variance(points):
    asked, weights = points[1], np.random.default_rng(1).uniform(0.5, 2, 40)
    expected = np.average((asked**2).sum(1), weights=weights) / 3
    assert fit_mixture(np.zeros((1, 3)), asked, weights).variances == pytest.approx([expected])


def test_the_fit_is_a_maximum_of_the_likelihood(points):
    """No variance can be changed for the better: by an independent evaluation."""
    centres, asked = points
    weights = np.ones(40)
    best = fit_mixture(centres, np.concatenate([asked] * 2), np.ones(80))
    total = best.log_density(asked).sum()
    for i in range(5):
        for factor in (0.9, 1.1):
            changed = best.variances.copy()
            changed[i] *= factor
            assert (weights * Mixture(centres, changed).log_density(asked)).sum() < total + 1e-3


def test_every_subject_counts_the_same():
    weights = subject_weights(np.array([3, 3, 3, 8]))
    assert weights.sum() == pytest.approx(4) and weights[:3].sum() == pytest.approx(weights[3])


def faces(features, subject):
    return Coordinates(features, np.zeros(len(features), int), subject)


def test_a_known_mixture_has_its_entropy_as_divergence():
    """One Gaussian of the training faces' own mean and scale: d/2 log 2 pi e nats, a hundredth of a nat a dimension."""
    rng = np.random.default_rng(2)
    train = rng.normal(5, 3, size=(4000, 2))
    sides = Sides(faces(train.mean(0)[None], np.zeros(1)), faces(train, np.arange(4000)), faces(train, np.arange(4000)))
    of_train, of_held_out = divergence(sides)
    assert of_train.mean() == pytest.approx(100 * 0.5 * np.log(2 * np.pi * np.e), abs=0.1)
    np.testing.assert_array_equal(of_train, of_held_out)


def test_copies_open_a_gap_and_their_intervals_resample_subjects():
    rng = np.random.default_rng(3)
    train, held_out = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    subject = np.repeat(np.arange(20), 3)
    sides = Sides(faces(rng.normal(size=(60, 4)), np.arange(60)), faces(train, subject), faces(held_out, subject + 50))
    options = {"draws": 200, "seed": 0}
    honest = likelihoods(sides, **options)
    copied = likelihoods(sides._replace(generated=faces(train + 1e-6, subject)), **options)
    assert honest["fld_gap"].high > -40 and copied["fld_gap"].high < honest["fld_gap"].low
    assert copied["fld"].value > honest["fld"].value
    fld = honest["fld"]
    assert fld.low < fld.value < fld.high and fld.n == 60
    assert honest["fld_gap"].value == pytest.approx(np.mean(divergence(sides)[0]) - fld.value)
