"""Distances between sets of features, against their definitions and other libraries."""

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from depthjax.evaluate import distances
from depthjax.evaluate.distances import (
    Gaussian,
    balls_of,
    clipped_coverage,
    clipped_density,
    frechet_distance,
    frechet_of_draws,
    gaussian_of,
    neighbours_of_draws,
)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 7)), rng.normal(0.5, 1.5, size=(50, 7))


def test_frechet_of_a_set_with_itself_is_zero(sets):
    a = gaussian_of(sets[0])
    assert abs(frechet_distance(a, a)) < 1e-3
    few = gaussian_of(np.random.default_rng(0).normal(size=(20, 64)))  # rank deficient
    assert abs(frechet_distance(few, few)) < 1e-3


def test_frechet_of_commuting_gaussians_has_a_closed_form():
    rng = np.random.default_rng(2)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    s, t = rng.uniform(0.1, 3, (2, 6))
    m, n = rng.normal(size=(2, 6))
    distance = frechet_distance(Gaussian(m, axes * s**2 @ axes.T), Gaussian(n, axes * t**2 @ axes.T))
    assert distance == pytest.approx(((m - n) ** 2).sum() + ((s - t) ** 2).sum(), abs=1e-6)


def test_frechet_agrees_with_scipys_matrix_root(sets):
    a, b = map(gaussian_of, sets)
    np.testing.assert_allclose(a.covariance, np.cov(sets[0].T))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected.real, abs=1e-8)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), abs=1e-8)


def test_frechet_of_draws_is_the_distance_of_each_subset(sets):
    x, y = sets
    i, j = np.arange(40).reshape(2, 20), np.arange(30).reshape(2, 15)
    expected = [frechet_distance(gaussian_of(x[a]), gaussian_of(y[b])) for a, b in zip(i, j, strict=True)]
    np.testing.assert_allclose(frechet_of_draws(x, y, i, j), expected, rtol=1e-9)


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.normal(0.4, 0.8, size=(30, 3))


def _balls(x, y):
    return balls_of(cdist(x, y), cdist(x, x), cdist(y, y))


def test_radii_are_scikit_learns(clouds):
    theirs = NearestNeighbors(n_neighbors=6).fit(clouds[0]).kneighbors(clouds[0])[0][:, 5]
    np.testing.assert_allclose(distances.radii(cdist(clouds[0], clouds[0])), theirs)


def test_the_four_measures_are_their_definitions(clouds):
    x, y = clouds
    own = [sorted(np.linalg.norm(p - q) for q in x)[5] for p in x]
    theirs = [sorted(np.linalg.norm(p - q) for q in y)[5] for p in y]
    inside = np.array([[np.linalg.norm(p - q) <= r for q in y] for p, r in zip(x, own, strict=True)])
    in_other = np.array([[np.linalg.norm(p - q) <= r for q, r in zip(y, theirs, strict=True)] for p in x])
    given = _balls(x, y)
    assert distances.precision(given) == inside.any(0).mean()
    assert distances.recall(given) == in_other.any(1).mean()
    np.testing.assert_allclose(distances.density(given), inside.sum() / (5 * len(y)))
    assert distances.coverage(given) == inside.any(1).mean()


def test_a_set_covers_itself_and_one_far_away_nothing(clouds):
    x = clouds[0]
    same, far = _balls(x, x), _balls(x, x + 100)
    assert distances.precision(same) == distances.recall(same) == distances.coverage(same) == 1
    assert distances.precision(far) == distances.recall(far) == distances.coverage(far) == 0


def test_collapse_costs_coverage_and_recall_but_not_precision(clouds):
    x = clouds[0]
    collapsed = _balls(x, np.repeat(x[:1], 30, axis=0))
    assert distances.precision(collapsed) == 1
    assert distances.coverage(collapsed) < 0.5 and distances.recall(collapsed) < 0.1


def test_distances_between_are_scipys(clouds):
    np.testing.assert_allclose(distances.distances_between(*clouds), cdist(*clouds), rtol=1e-9)


def test_draws_take_subsets(clouds):
    x, y = clouds
    i, j = np.arange(3, 20), np.arange(2, 15)
    drawn = neighbours_of_draws(x, y, i[None], j[None])
    for name, measure in distances.NEIGHBOUR_MEASURES.items():
        np.testing.assert_allclose(drawn[name], [measure(_balls(x[i], y[j]))])


def test_with_few_other_points_the_farthest_counts():
    np.testing.assert_array_equal(distances.radii(np.abs(np.subtract.outer([0.0, 1, 3], [0.0, 1, 3]))), [3, 2, 3])
    np.testing.assert_array_equal(distances.radii(np.zeros((1, 1))), [0])


def on_a_line(real, other, *, k=1):
    """The balls of points on a line."""
    x, y = (np.array(points, float)[:, None] for points in (real, other))
    return balls_of(cdist(x, y), cdist(x, x), cdist(y, y), k)


def test_clipped_density_by_hand():
    # Radii 1, 1, 2, 4 are clipped at their median, 1.5; two of the four real points lie within another's ball.
    real = [0, 1, 3, 7]
    assert clipped_density(on_a_line(real, [0.5, 100, 100, 100])) == 0.5  # in two balls, and counted once
    assert clipped_density(on_a_line(real, [0.5, 3.2, 6, 100])) == 1  # 0.75 / 0.5, clipped
    assert clipped_density(on_a_line(real, [5, 10, -3, 100])) == 0  # in unclipped balls only
    # k = 2: radii 3, 2, 3, 6, median 3; counts of real points 2, 2, 2, 0, of others 3, 1.
    assert clipped_density(on_a_line(real, [1.5, 9], k=2)) == pytest.approx((1 + 0.5) / 2 / 0.75)


def test_clipped_coverage_by_hand():
    # A ball to the nearest of three neighbours holds none of m real points with probability 3 / (3 + m).
    real = [0, 1, 3, 7]
    assert clipped_coverage(on_a_line(real, [10, 50, 50])) == pytest.approx(1 / 3)  # 1/4, as one of three reaches
    assert clipped_coverage(on_a_line(real, [0.5, 50, 50])) == pytest.approx(1)  # 2/4, as all three reach
    assert clipped_coverage(on_a_line(real, [0.5, 3, 7])) == 1
    assert clipped_coverage(on_a_line(real, [50, 60, 70])) == 0
    between = clipped_coverage(on_a_line(real, [10] + 5 * [50]))  # 1/4 lies at one of six
    assert between == pytest.approx(1 / 6)


def test_a_point_alone_has_no_clipped_measures():
    alone = on_a_line([0], [0.5])
    assert np.isnan(clipped_density(alone)) and np.isnan(clipped_coverage(alone))


def test_expected_coverage_is_that_of_uniform_points():
    rng, k, neighbours, m = np.random.default_rng(0), 3, 9, 7
    radius = np.sort(rng.uniform(size=(20000, neighbours)), axis=1)[:, k - 1]
    inside = rng.uniform(size=(20000, m)) <= radius[:, None]
    expected = [np.minimum(inside[:, :count].sum(1), k).mean() / k for count in range(m + 1)]
    np.testing.assert_allclose(distances._expected_coverage(k, neighbours, m), expected, atol=0.01)


def test_clipped_measures_fall_with_the_share_of_bad_points_whatever_the_outliers():
    rng = np.random.default_rng(1)
    real, good, bad = rng.normal(size=(300, 4)), rng.normal(size=(300, 4)), 50 + rng.normal(size=(300, 4))
    real[:6] = 30 * rng.normal(size=(6, 4))
    for share in (0.25, 0.5, 1.0):
        mixed = np.where(np.arange(300)[:, None] < 300 * share, good, bad)
        given = _balls(real, mixed)
        assert clipped_density(given) == pytest.approx(share, abs=0.1)
        assert clipped_coverage(given) == pytest.approx(share, abs=0.1)
