"""Densities over pixels, against scikit-learn and SciPy, and the choice by people held out."""

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from depthjax.baselines.densities import (
    GMM,
    Pixels,
    Space,
    choose,
    fit_space,
    kernel_density,
    mixture,
    pixels_of,
    subject_folds,
)
from depthjax.errors import UserError
from depthjax.files import read_arrays


@pytest.fixture(scope="module")
def rows():
    """300 faces of 12 pixels, three strong directions."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(300, 3)) * [3, 2, 1] @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(size=(300, 12))).astype(
        np.float32
    )


def test_a_standard_normal_over_the_space_is_the_ppca_density_of_pixels(rows):
    space = fit_space(rows, 11, seed=0).leading(3)
    asked = rows[:20] * np.float32(1.3)
    ours = multivariate_normal(np.zeros(3)).logpdf(space.whiten(asked)) + space.outside(asked)
    spread = space.components.T * space.scale**2 @ space.components
    noise = np.eye(12) - space.components.T @ space.components
    theirs = multivariate_normal(space.mean, spread + space.residual[-1] * noise).logpdf(asked)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_the_space_is_the_eigenvectors_of_the_covariance(rows):
    space = fit_space(rows, 5, seed=0)
    values = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True))[::-1]
    np.testing.assert_allclose(space.scale**2, values[:5], rtol=1e-3)
    np.testing.assert_allclose(space.residual, [values[i:].mean() for i in range(6)], rtol=1e-3)
    np.testing.assert_allclose(space.whiten(rows).std(0), 1, rtol=1e-3)
    within = np.clip(rows / 20, -1, 1)
    whole = fit_space(within, 99, seed=0)
    np.testing.assert_allclose(whole.images(whole.whiten(within), (3, 4)).reshape(300, 12), within, atol=0.02)


def test_kernel_density_is_a_mean_of_gaussians():
    rng = np.random.default_rng(1)
    known, asked = rng.normal(size=(7, 2)), rng.normal(size=(5, 2))
    each = [[multivariate_normal(k, 0.25 * np.eye(2)).pdf(a) for k in known] for a in asked]
    np.testing.assert_allclose(kernel_density(known, asked, 0.5), np.log(np.mean(each, axis=1)), rtol=1e-6)


def test_a_mixture_has_the_variance_that_regularisation_adds():
    known = np.random.default_rng(1).normal(size=(4000, 2))
    np.testing.assert_allclose(mixture(known, (1, 0.5), 0).covariances_[0], 1.5 * np.eye(2), atol=0.1)
    assert len(mixture(known[:3], (8, 0.5), 0).weights_) == 3


def test_draws_of_the_mixture_have_its_moments(config, fitted):
    stored = read_arrays(fitted("gmm") / "fit.npz")
    images = GMM.sample(jax.random.key(0), config, fitted("gmm"), np.ones(4000, np.int32))
    drawn = Space(*(stored[name] for name in Space._fields)).whiten(images.reshape(4000, -1))
    weights, means, covariances = (stored[name][1] for name in ("weights", "means", "covariances"))
    centre = weights @ means
    second = np.einsum("m,mij->ij", weights, covariances + np.einsum("mi,mj->mij", means - centre, means - centre))
    np.testing.assert_allclose(drawn.mean(0), centre, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), second, atol=0.08)


def test_no_person_is_on_both_sides_and_all_are_asked_once(faces):
    pixels = pixels_of(faces, mirror=True)
    asked = []
    for learn, ask in subject_folds(pixels, 3):
        assert not set(learn.subject) & set(ask.subject)
        asked.append(ask.subject)
    np.testing.assert_array_equal(np.sort(np.concatenate(asked)), np.sort(pixels.subject))
    assert len(list(subject_folds(pixels, 99))) == 8


def test_the_mirror_images_follow_with_their_labels(faces):
    pixels, n = pixels_of(faces, mirror=True), len(faces)
    np.testing.assert_array_equal(pixels.rows[n + 5].reshape(16, 16), faces.images[5, :, ::-1])
    assert len(pixels_of(faces, mirror=False).rows) == n
    np.testing.assert_array_equal(pixels.subject[n:], faces.subject)


def test_the_bandwidth_of_unseen_people_is_not_that_of_seen_frames():
    """Frames of a person are near-copies: a split by frame would choose a bandwidth that only copies."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(20, 6))
    subject = np.repeat(np.arange(20), 10).astype(np.int32)
    rows = (people[subject] + 0.01 * rng.normal(size=(200, 6))).astype(np.float32)
    by_person = Pixels(rows, np.zeros(200, np.int32), subject)
    by_frame = by_person._replace(subject=np.arange(200, dtype=np.int32))
    asked = {"sizes": (4,), "choices": (0.02, 0.5), "folds": 5, "seed": 0}
    assert choose(by_person, kernel_density, **asked)[1] == 0.5
    assert choose(by_frame, kernel_density, **asked)[1] == 0.02


def test_the_size_is_that_of_the_truth(rows):
    pixels = Pixels(rows, np.zeros(300, np.int32), np.arange(300, dtype=np.int32) % 30)
    size, _, nats = choose(
        pixels,
        lambda k, a, c: mixture(k, c, 0).score_samples(a),
        sizes=(1, 3, 9),
        choices=[(1, 1e-6)],
        folds=3,
        seed=0,
    )
    assert size == 3 and np.isfinite(nats)


def test_one_person_is_refused(faces):
    alone = pixels_of(faces.take(faces.subject == 0), mirror=False)
    with pytest.raises(UserError, match="at least 2 subjects"):
        list(subject_folds(alone, 4))
