"""Principled choices against brute force: distances, sums and weights computed anew for each step."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from experiments.selections import facility_location, gaussian_kernel, herding, k_centre

BANDWIDTH = 0.8


def points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3))


def test_the_kernel_is_one_at_itself_and_falls_with_the_squared_distance() -> None:
    found = gaussian_kernel(np.array([[0.0], [3.0]]), np.array([[0.0], [2.0]]), 2.0)
    np.testing.assert_allclose(found, np.exp(-np.array([[0, 4], [9, 1]]) / 8))


def test_k_centre_takes_the_farthest_at_each_step() -> None:
    features, chosen = points(30), [4]
    for _ in range(11):
        chosen.append(int(cdist(features, features[chosen]).min(1).argmax()))
    assert k_centre(features, 4, 12).tolist() == chosen
    assert sorted(k_centre(np.zeros((5, 2)), 3, 5)) == list(range(5))


@pytest.mark.parametrize("seed", range(3))
def test_facility_location_takes_the_largest_gain_at_each_step(seed: int) -> None:
    features = points(40, seed)
    kernel, chosen = gaussian_kernel(features, features, BANDWIDTH), []
    for _ in range(10):
        left = [i for i in range(40) if i not in chosen]
        chosen.append(max(left, key=lambda i: kernel[[*chosen, i]].max(0).sum()))
    assert facility_location(features, BANDWIDTH, 10).tolist() == chosen


def test_facility_location_goes_to_the_middle_of_each_group() -> None:
    groups = np.array([[0.0], [1.0], [2.0], [100.0], [101.0], [102.0], [103.0], [104.0]])
    assert facility_location(groups, 2.0, 2).tolist() == [5, 1]
    assert sorted(facility_location(groups, 2.0, 8)) == list(range(8))


def test_herding_follows_its_weights() -> None:
    # Kernels with target 0 and 2 of bandwidth 1: a = exp(-1/2), b = exp(-2).
    line, target = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [2.0]])
    a, b = np.exp(-0.5), np.exp(-2)
    towards = np.array([(1 + b) / 2, a, (1 + b) / 2])
    assert towards.argmax() == 1  # 0.607 against 0.568
    second = towards - np.array([a, 1, a]) / 2  # 0.265, 0.107, 0.265
    assert second.argmax() == 0
    assert herding(line, target, 1.0, 3).tolist() == [1, 0, 2]


@pytest.mark.parametrize("seed", range(3))
def test_herding_minimises_what_its_equation_says(seed: int) -> None:
    features, target, bandwidth = points(30, seed), points(9, seed + 10), 1.5
    own, to_target = gaussian_kernel(features, features, bandwidth), gaussian_kernel(features, target, bandwidth)
    # The weights as a vector over (target, features), updated as w <- w + mean - phi(x).
    mean, chosen = to_target.mean(1), []
    weights = mean.copy()
    for _ in range(8):
        left = [i for i in range(30) if i not in chosen]
        chosen.append(max(left, key=lambda i: weights[i]))
        weights = weights + mean - own[chosen[-1]]
    assert herding(features, target, bandwidth, 8).tolist() == chosen


def test_herding_is_nearer_to_its_target_than_the_first_points_are() -> None:
    features, target = points(300), points(50, 1) * 0.7 + 0.5
    chosen = features[herding(features, target, 1.5, 30)]

    def discrepancy(x: np.ndarray) -> float:
        parts = [(x, x), (target, target), (x, target)]
        xx, yy, xy = (gaussian_kernel(*pair, 1.5).mean() for pair in parts)
        return float(xx + yy - 2 * xy)

    assert discrepancy(chosen) < 0.1 * discrepancy(features[:30])
