import numpy as np
import pytest

from depthjax.config import EMOTIONS
from depthjax.evaluate.depthnet import restricted
from depthjax.evaluate.distances import (
    frechet_distance,
    frechet_of_features,
    gaussian_of,
    published_frechet,
    published_pairs,
    published_psnr,
    published_score,
    trace_of_root,
)
from depthjax.evaluate.diversity import score


def test_sure_and_even_answers_score_the_number_of_classes_and_doubt_scores_one():
    assert score(np.eye(4)) == pytest.approx(4)
    assert score(np.full((5, 4), 0.25)) == pytest.approx(1)
    assert score(np.eye(4)[[0, 0, 0]]) == pytest.approx(1)


def test_weights_count_faces_as_often_as_they_repeat_them():
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    assert score(shares, np.array([2, 0, 1, 1, 3, 0])) == pytest.approx(score(shares[[0, 0, 2, 3, 4, 4, 4]]))


def test_restricted_keeps_ratios_and_refuses_unknown_emotions():
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    own = restricted(np.log(shares), ("fear", "neutral"))
    columns = shares[:, [EMOTIONS.index("fear"), EMOTIONS.index("neutral")]]
    np.testing.assert_allclose(own, columns / columns.sum(1, keepdims=True))
    assert restricted(np.log(shares), ("fear", "boredom")) is None


def test_the_quick_way_to_the_trace_is_the_long_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 30)), rng.normal(0.3, 2, size=(15, 30))
    assert frechet_of_features(x, y) == pytest.approx(frechet_distance(gaussian_of(x), gaussian_of(y)), rel=1e-6)
    assert frechet_of_features(x, x) == pytest.approx(0, abs=1e-8)


def test_as_released_the_root_counts_twice_too_often():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.normal(0.3, 2, size=(50, 5))
    right = frechet_distance(gaussian_of(x), gaussian_of(y))
    assert published_frechet(x, y) == pytest.approx(right - 2 * trace_of_root(x, y))
    assert published_frechet(x, x) < 0


def test_released_score_adds_seven_tenths_over_two_halves():
    assert published_score(np.eye(2)[[0, 1, 0, 1]]) == pytest.approx(2.7)
    assert published_score(np.eye(2)[[0, 0, 1, 1]]) == pytest.approx(1.7)


def test_released_psnr_is_one_and_a_half_times_the_right_one():
    a, b = np.full((4, 4), 100, np.uint8), np.full((4, 4), 110, np.uint8)
    assert published_psnr(a, b) == pytest.approx(1.5 * 20 * np.log10(255 / 10))
    assert np.isfinite(published_psnr(a, a))


def test_released_pairs_go_by_order_within_the_emotion(faces):
    real, other = faces(3, 2), faces(3, 2)
    shuffled = other.take(np.argsort(other.emotion, kind="stable"))
    same = published_pairs(real, shuffled)
    assert same["ssim"] == pytest.approx(1) and same["psnr"] == pytest.approx(30 * np.log10(255))
    # Fewer generated faces than real ones: no face is paired with one of another emotion.
    assert published_pairs(real, other.take(other.subject < 2))["ssim"] == pytest.approx(1)
    assert published_pairs(real, faces(3, 2, first=50))["ssim"] < 0.99
