"""Intervals over subjects, paired tests, and draws of equally many subjects."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test

from depthjax.evaluate import recognition
from depthjax.evaluate.resampling import (
    bootstrap_counts,
    bootstrap_mean,
    equal_draws,
    holm,
    percentile_interval,
    sign_flip_test,
)
from depthjax.scores import Score

OPTIONS = {"draws": 200, "seed": 0}


def test_subjects_are_drawn_whole():
    subjects = np.array([7, 7, 3, 3, 3, 9])
    counts = bootstrap_counts(subjects, 500, np.random.default_rng(0))
    assert counts.shape == (500, 6)
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2] == counts[:, 4]).all()
    assert (counts[:, [0, 2, 5]].sum(1) == 3).all()
    assert counts[:, 0].mean() == pytest.approx(1, abs=0.15)


def test_interval_of_a_mean_matches_its_standard_error():
    values = np.random.default_rng(0).normal(5, 2, 400)
    result = bootstrap_mean(values, np.arange(400), draws=4000, seed=0)
    assert result.value == pytest.approx(values.mean()) and result.n == 400
    assert result.high - result.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_alike_frames_of_few_subjects_widen_the_interval():
    values = np.repeat(np.random.default_rng(1).normal(size=10), 40)
    by_image = bootstrap_mean(values, np.arange(400), draws=1000, seed=0)
    by_subject = bootstrap_mean(values, np.repeat(np.arange(10), 40), draws=1000, seed=0)
    assert by_subject.high - by_subject.low > 4 * (by_image.high - by_image.low)


def test_one_subject_alone_gives_a_reason():
    result = bootstrap_mean(np.arange(4.0), np.zeros(4), draws=10, seed=0)
    assert result.value == 1.5 and "one subject" in result.reason and result.low is None


def test_percentiles():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx([25, 975])


def test_p_is_scipys_exact_permutation_test_on_sums_by_subject():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(7), [3, 5, 4, 6, 2, 5, 5])
    a, b = rng.uniform(size=(2, 30))
    sums = np.bincount(subjects, b - a)
    theirs = permutation_test(
        (sums, np.zeros(7)), lambda x, y: (x - y).sum(), permutation_type="samples", n_resamples=np.inf
    )
    ours = sign_flip_test(a, b, subjects, **OPTIONS)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.value == pytest.approx((b - a).mean())
    assert ours.low < ours.value < ours.high


def test_the_least_p_is_two_over_all_flips_and_the_greatest_one():
    subjects = np.repeat(np.arange(8), 3)
    zero, one = np.zeros(24), np.ones(24)
    assert sign_flip_test(zero, one, subjects, **OPTIONS).p == pytest.approx(2 / 2**8)
    assert sign_flip_test(one, one, subjects, **OPTIONS).p == 1


def test_many_subjects_are_flipped_at_random_and_keep_the_level():
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(20), 2)
    ps = [sign_flip_test(*rng.normal(size=(2, 40)), subjects, draws=10, seed=s).p for s in range(60)]
    assert np.mean(np.array(ps) < 0.05) < 0.2 and 0.3 < np.mean(ps) < 0.7
    assert sign_flip_test(np.zeros(40), np.ones(40), subjects, **OPTIONS).p < 0.001


def test_one_subject_is_no_test():
    assert "only one subject" in sign_flip_test(np.zeros(3), np.ones(3), np.zeros(3, int), **OPTIONS).reason


def drawn(real, *, draws=20, seed=0, reference="", **sets):
    return equal_draws({"train": real, **sets}, draws=draws, seed=seed, reference=reference)


def test_every_set_gives_one_face_of_each_emotion_of_as_many_subjects(faces):
    real, more, ours = faces(7, 4), faces(12, 2, first=50), faces(9, 1)
    draws = drawn(real, more=more, ours=ours)
    assert draws.n == 21 and draws.reference.size == 0
    for name, of in {"train": real, "more": more, "ours": ours}.items():
        for rows in draws.rows[name]:
            subjects = of.subject[rows].reshape(3, 7)
            assert of.emotion[rows].tolist() == [0] * 7 + [1] * 7 + [2] * 7
            assert all(len(np.unique(row)) == 7 for row in subjects)
            assert (subjects == subjects[0]).all()  # the same subjects in every emotion
    assert len(np.unique(np.sort(draws.rows["more"], axis=1), axis=0)) == 20


def test_halves_share_no_subject(faces):
    real = faces(7, 4)
    draws = drawn(real, ours=faces(12, 1), reference="train")
    assert draws.n == 9 and {tuple(rows.shape) for rows in draws.rows.values()} == {(20, 9)}
    for one, other in zip(draws.reference, draws.rows["train"], strict=True):
        assert not np.intersect1d(real.subject[one], real.subject[other]).size


def test_one_n_for_all_is_what_the_smallest_set_allows(faces):
    assert drawn(faces(6, 2), few=faces(4, 9)).n == 12
    assert drawn(faces(6, 2), few=faces(2, 9), reference="train").n == 6
    assert drawn(faces(6, 2), few=faces(5, 9), reference="train").n == 9


def test_same_seed_same_draws(faces):
    real = faces(6, 2)
    first, again, other = (drawn(real, draws=4, seed=s, reference="train") for s in (1, 1, 2))
    np.testing.assert_array_equal(first.reference, again.reference)
    np.testing.assert_array_equal(first.rows["train"], again.rows["train"])
    assert not np.array_equal(first.reference, other.reference)


def test_a_half_without_an_emotion_gives_no_faces(faces):
    real = faces(4, 2)
    lone = real.take((real.emotion != 2) | (real.subject == 0))
    assert drawn(lone, draws=4, reference="train").n == 0
    assert drawn(lone, draws=4).n == 3


def test_holm_by_hand_and_with_ties():
    # Four tests: 0.01 * 4, 0.02 * 3, 0.03 * 2 and 0.04 * 1; no later one may be smaller than one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.7]) == [1, 1] and holm([]) == [] and holm([0.2]) == [0.2]
    assert holm([0.01, 0.01, 0.01]) == pytest.approx([0.03] * 3)
    # R: p.adjust(p, "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_the_closed_test_of_bonferroni():
    """p adjusted is the largest Bonferroni p of all sets of hypotheses that hold the one (Marcus et al. 1976)."""
    raw = np.random.default_rng(0).random(6) ** 3
    sets = [list(chosen) for size in range(1, 7) for chosen in itertools.combinations(range(6), size)]
    closed = [max(min(1, len(own) * raw[own].min()) for own in sets if test in own) for test in range(6)]
    assert holm(list(raw)) == pytest.approx(closed)


def test_p_is_adjusted_within_a_protocol_a_classifier_and_a_rival():
    rows = [
        Score(method, "paired_added", classifier, p=p, against=against)
        for classifier, against, method, p in (
            ("xgboost", "augmented", "a", 0.01), ("xgboost", "augmented", "b", 0.04), ("xgboost", "real", "a", 0.03),
            ("network", "augmented", "a", 0.05), ("xgboost", "augmented", "c", 0.03), ("xgboost", "real", "b", None),
        )
    ]  # fmt: skip
    # Of faces alone, all pairs of methods are one family, and the comparisons with training faces another.
    pairs = (("a", "b", 0.01), ("a", "c", 0.02), ("b", "c", 0.03), ("real", "a", 0.02), ("real", "b", 0.04))
    alone = [Score(method, "paired_tstr", "xgboost", p=p, against=against) for against, method, p in pairs]
    assert [row.p for row in recognition.adjusted(alone)] == pytest.approx([0.03, 0.04, 0.04, 0.04, 0.04])
    # Twice the copies are no method: their test adds to no other's.
    rows.append(Score("augmented_again", "paired_added", "xgboost", p=0.04, against="augmented"))
    found = recognition.adjusted(rows)
    assert [row.p for row in found] == pytest.approx([0.03, 0.06, 0.03, 0.05, 0.06, None, 0.04])
    assert [replace(row, p=None) for row in found] == [replace(row, p=None) for row in rows]
