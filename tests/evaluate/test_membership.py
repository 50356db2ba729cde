"""Membership attacks: their numbers by other libraries and by hand, and what an inversion finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from depthjax.evaluate.inversion import gaussian_inversion
from depthjax.evaluate.memorisation import (
    FEW,
    area,
    attacks,
    common_frames,
    density_ratio_wins,
    distance_wins,
    estimates,
    subject_scores,
    true_positives,
    wins,
)
from depthjax.evaluate.spaces import Coordinates, Sides, nearest
from depthjax.models.dcgan import Generator, decode
from depthjax.models.inversion import Decoder, invert, root_mean_square

OPTIONS = {"draws": 200, "seed": 0}


def once(found, measure):
    m, n = found.shape
    return measure(found, np.ones((1, m)), np.ones((1, n)))[0]


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    members, others = np.round(rng.normal(0.4, 1, 30), 1), np.round(rng.normal(0, 1, 80), 1)  # with ties
    truth = np.repeat([1, 0], [30, 80])
    assert once(wins(members, others), area) == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))
    counts = rng.integers(0, 3, 30), rng.integers(0, 3, 80)
    drawn = np.concatenate([np.repeat(members, counts[0]), np.repeat(others, counts[1])])
    expected = roc_auc_score(np.repeat([1, 0], [c.sum() for c in counts]), drawn)
    weighted = area(wins(members, others), *(c[None].astype(float) for c in counts))
    assert weighted[0] == pytest.approx(expected)


def test_area_and_true_positives_by_hand():
    found = wins(np.array([3.0, 1.0, 0.0]), np.array([2.0, 1.0]))
    np.testing.assert_array_equal(found, [[1, 1], [0, 0.5], [0, 0]])
    assert once(found, area) == pytest.approx(2.5 / 6)
    assert once(found, true_positives) == pytest.approx(1 / 3)  # 3 alone is above both
    # Of 100 non-members one may reach the threshold, of 99 none.
    others = np.arange(100.0)
    assert once(wins(np.array([98.5, 97.5, 98.0]), others), true_positives) == pytest.approx(1 / 3)
    assert once(wins(np.array([98.5, 97.5]), others[1:]), true_positives) == 0


def test_intervals_hold_the_value_and_count_subjects():
    rng = np.random.default_rng(1)
    (auc_name, auc), (tpr_name, tpr) = estimates("x", wins(rng.normal(1, 1, 30), rng.normal(0, 1, 90)), **OPTIONS)
    assert (auc_name, tpr_name) == ("auc_x", "tpr_x") and auc.n == 120
    assert auc.low < auc.value < auc.high < 1 and tpr.low <= tpr.value <= tpr.high
    assert all(found.value is None and found.reason == FEW for _, found in estimates("x", None, **OPTIONS))


def test_a_subject_counts_by_the_mean_of_as_many_frames_as_any_other():
    subject = np.array([7, 7, 7, 2, 2])
    assert common_frames(subject, np.array([1, 1])) == 2
    scores = subject_scores(np.array([1.0, 2, 4, 10, 20]), subject, 2, np.random.default_rng(0))
    assert scores[0] == 15 and scores[1] in (1.5, 2.5, 3)


def coordinates(features, subject):
    rows = np.asarray(features, float).reshape(len(subject), -1)
    return Coordinates(rows, np.zeros(len(subject), int), np.asarray(subject))


def test_the_nearest_is_of_the_same_emotion():
    rng = np.random.default_rng(2)
    asked, known = (Coordinates(rng.normal(size=(n, 3)), np.arange(n) % 3, np.arange(n)) for n in (30, 40))
    for k in (1, 4):
        index, distance = nearest(asked, known, k)
        assert (known.emotion[index] == asked.emotion).all()
        for q, e, found in zip(asked.features, asked.emotion, distance, strict=True):
            apart = sorted(np.linalg.norm(q - p) for p in known.features[known.emotion == e])
            assert found == pytest.approx(apart[k - 1])
    index, distance = nearest(asked, known.take(known.emotion == 0))
    assert (index[asked.emotion > 0] == -1).all() and np.isinf(distance[asked.emotion > 0]).all()


def test_attacks_by_hand():
    # Members at 0 and 10, generated faces beside them; held-out subjects at 3, 4, 6 and 7.
    sides = Sides(
        coordinates([0.1, 10.1], [0, 1]), coordinates([0, 10], [0, 1]), coordinates([3, 4, 6, 7], [2, 3, 4, 5])
    )
    assert distance_wins(sides, seed=0).all()
    assert density_ratio_wins(sides, seed=0).all()
    # Generated faces like held-out ones: no member is nearer.
    other = sides._replace(generated=coordinates([3.1, 4.1, 6.1, 7.1], [0, 1, 2, 3]))
    assert not distance_wins(other, seed=0).any() and not density_ratio_wins(other, seed=0).any()


def test_each_half_of_the_held_out_subjects_is_the_reference_of_the_other():
    rng = np.random.default_rng(3)
    train, held_out = (
        coordinates(rng.normal(size=(6, 2)), np.arange(6)),
        coordinates(rng.normal(size=(8, 2)), np.arange(8)),
    )
    sides = Sides(coordinates(rng.normal(size=(20, 2)), np.arange(20)), train, held_out)
    found = density_ratio_wins(sides, seed=5)
    first, second = held_out.split(np.random.default_rng(5))
    scale = train.features.std(axis=0)

    def ratio(x, reference):
        apart = [
            np.sort(np.linalg.norm((x - k) / scale, axis=1)) for k in (reference.features, sides.generated.features)
        ]
        return np.log(apart[0][min(4, len(reference.subject) - 1)]) - np.log(apart[1][0])

    for reference, others in ((first, second), (second, first)):
        for i, member in enumerate(train.features):
            for j in others.subject:
                expected = ratio(member, reference) > ratio(held_out.features[j], reference)
                assert found[i, j] == expected


def test_what_cannot_be_attacked_has_a_reason():
    sides = Sides(coordinates([0, 1], [0, 1]), coordinates([0, 1], [0, 1]), coordinates([0, 1], [1, 2]))
    assert all("in both" in found.reason for _, found in attacks(sides, **OPTIONS))
    alone = sides._replace(held_out=coordinates([0], [5]))
    assert all(found.reason == FEW for _, found in attacks(alone, **OPTIONS))


def test_the_error_counts_valid_pixels_alone():
    face = np.ones((1, 4, 4), np.float32)
    face[0, 0] = 0
    made = np.full((1, 4, 4), 0.5, np.float32)
    assert np.asarray(root_mean_square(made, face)) == pytest.approx([0.5])


def test_inversion_finds_what_a_generator_makes_and_misses_what_it_does_not():
    generator, size = Generator(16, 16, 2, validity_mask=True), 3
    variables = jax.jit(lambda key: generator.init(key, jnp.zeros((2, size)), jnp.zeros(2, jnp.int32), False))(
        jax.random.key(0)
    )
    latents = np.asarray(jax.random.normal(jax.random.key(1), (6, size)))
    emotion = np.arange(6, dtype=np.int32) % 2
    own = decode(generator.clone(validity_mask=False), variables, latents, emotion)
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, own.shape).astype(np.float32)
    errors = invert(
        jax.random.key(2), Decoder(generator, variables), np.concatenate([own, noise]), np.tile(emotion, 2), steps=40
    )
    assert errors.shape == (12,) and errors[:6].max() < 0.1 * errors[6:].min()


def test_the_gaussian_control_misses_what_lies_outside_its_components(faces):
    train, test = faces(30, 2, noise=0), faces(3, 2, first=100, noise=0)
    own, other = gaussian_inversion(train)(train), gaussian_inversion(train)(test)
    assert own.shape == (180,) and own.mean() < other.mean()
    noisy = test.images + 0.1 * np.random.default_rng(0).standard_normal(test.images.shape)
    worse = gaussian_inversion(train)(test.__class__(**{**test.__dict__, "images": noisy.astype(np.float32)}))
    assert (worse > other).all()
