"""The classifier two-sample test: half where sets are alike, one where they are far apart, and nothing leaks."""

import numpy as np
import pytest
from scipy.stats import norm

from depthjax.evaluate.c2st import FOLDS, _folds, balance, c2st, c2st_of_halves
from depthjax.evaluate.classification import Labelled, union

OPTIONS = {"bandwidth": 3.0, "draws": 200}


def people(count, *, frames=4, first=0, seed=0, scale=1.0, shift=0.0):
    rng = np.random.default_rng([seed, first])
    subject = np.repeat(np.arange(count), frames * 2)
    centre = scale * rng.normal(size=(count, 6))[subject] + shift
    emotion = np.tile(np.repeat([0, 1], frames), count)
    return Labelled(centre + 0.01 * rng.normal(size=centre.shape), emotion, first + subject)


def values(of, trials=8):
    return np.array([of(s).value for s in range(trials)])


def test_sets_of_one_distribution_are_guessed_at_although_frames_of_a_subject_are_alike():
    found = values(lambda s: c2st(people(15, seed=s), people(15, first=50, seed=s), seed=s, **OPTIONS))
    assert found.mean() == pytest.approx(0.5, abs=3 * found.std() / np.sqrt(8)) and found.std() < 0.12
    halved = values(lambda s: c2st_of_halves(people(20, seed=s), seed=s, **OPTIONS))
    assert halved.mean() == pytest.approx(0.5, abs=0.05)


def test_more_faces_of_one_set_or_of_one_emotion_do_not_count_more():
    many = values(lambda s: c2st(people(15, seed=s), people(15, frames=20, first=50, seed=s), seed=s, **OPTIONS), 4)
    assert many.mean() == pytest.approx(0.5, abs=0.1)
    weights = balance(np.array([0, 0, 0, 1, 0, 1]), np.array([0, 0, 0, 0, 1, 1]) == 1)
    np.testing.assert_allclose(weights, [1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 4, 1 / 4])


def test_sets_that_differ_are_told_apart_by_means_or_by_spread_alone():
    x, far = people(30), people(30, first=50, shift=3.0)
    apart = c2st(x, far, seed=0, **OPTIONS)
    assert apart.value > 0.98 and apart.n == len(x) + len(far)
    wide = c2st(x, people(30, first=50, scale=3.0), seed=0, **OPTIONS)
    assert wide.value > 0.75 and wide.low < wide.value < wide.high


def test_two_gaussians_are_told_apart_as_often_as_any_classifier_could():
    """Two normal distributions, shifted by d, are told apart with probability Phi(d / 2): the Bayes rate."""
    rng = np.random.default_rng(0)
    for shift in (0.5, 1.0, 2.0):
        points = rng.normal(size=(2, 600, 3))
        points[1, :, 0] += shift
        sets = [Labelled(of, np.zeros(600, int), np.arange(600) + 600 * i) for i, of in enumerate(points)]
        assert c2st(*sets, seed=0, **OPTIONS).value == pytest.approx(norm.cdf(shift / 2), abs=0.03)


def test_copies_are_told_from_their_sources_by_mistake():
    """A subject left out has its copies in the other set, so its faces are taken for copies: below one half."""
    x = people(20)
    copies = Labelled(x.features + 0.01, x.emotion, -1 - np.arange(len(x)))
    assert c2st(x, copies, seed=0, **OPTIONS).value < 0.4


def test_no_subject_is_in_two_folds_and_each_fold_has_both_sets():
    x = people(12)
    fold = _folds(x.subject, x.subject < 6, np.random.default_rng(0))
    for subject in np.unique(x.subject):
        assert len(np.unique(fold[x.subject == subject])) == 1
    for number in range(FOLDS):
        assert set((x.subject < 6)[fold == number]) == {True, False}


def test_a_subject_of_both_sets_is_in_one_fold():
    """Else a classifier has seen the faces that it is asked about, or the same subject's, in the other set."""
    x = people(8)
    y = Labelled(x.features + 0.01, x.emotion, x.subject)
    both, is_y = union(x, y), np.arange(2 * len(x)) >= len(x)
    fold = _folds(both.subject, is_y, np.random.default_rng(0))
    assert all(len(np.unique(fold[both.subject == one])) == 1 for one in np.unique(x.subject))
    found = values(lambda s: c2st(people(20, seed=s), people(20, seed=s), seed=s, **OPTIONS), 5)
    assert found.mean() == pytest.approx(0.5, abs=0.1)


def test_too_few_subjects_give_a_reason():
    assert "fewer than 5 subjects" in c2st(people(4), people(9, first=50), seed=0, **OPTIONS).reason
    assert "halve" in c2st_of_halves(people(9), seed=0, **OPTIONS).reason
