import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from depthjax.evaluate import neighbours
from depthjax.evaluate.copies import median_ratio
from depthjax.evaluate.neighbours import Balls, authentic, nearest_of_same_emotion, of_draws, spacing


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.normal(0.4, 0.8, size=(30, 3))


def _balls(x, y):
    return Balls(cdist(x, y), neighbours.radii(cdist(x, x)), neighbours.radii(cdist(y, y)))


def test_radii_are_scikit_learns(sets):
    theirs = NearestNeighbors(n_neighbors=6).fit(sets[0]).kneighbors(sets[0])[0][:, 5]
    np.testing.assert_allclose(neighbours.radii(cdist(sets[0], sets[0])), theirs)


def test_the_four_measures_are_their_definitions(sets):
    x, y = sets
    own = [sorted(np.linalg.norm(p - q) for q in x)[5] for p in x]
    theirs = [sorted(np.linalg.norm(p - q) for q in y)[5] for p in y]
    inside = np.array([[np.linalg.norm(p - q) <= r for q in y] for p, r in zip(x, own, strict=True)])
    in_other = np.array([[np.linalg.norm(p - q) <= r for q, r in zip(y, theirs, strict=True)] for p in x])
    given = _balls(x, y)
    assert neighbours.precision(given) == inside.any(0).mean()
    assert neighbours.recall(given) == in_other.any(1).mean()
    np.testing.assert_allclose(neighbours.density(given), inside.sum() / (5 * len(y)))
    assert neighbours.coverage(given) == inside.any(1).mean()


def test_a_set_covers_itself_and_one_far_away_nothing(sets):
    x = sets[0]
    same, far = _balls(x, x), _balls(x, x + 100)
    assert neighbours.precision(same) == neighbours.recall(same) == neighbours.coverage(same) == 1
    assert neighbours.precision(far) == neighbours.recall(far) == neighbours.coverage(far) == 0


def test_collapse_costs_coverage_and_recall_but_not_precision(sets):
    x = sets[0]
    collapsed = _balls(x, np.repeat(x[:1], 30, axis=0))
    assert neighbours.precision(collapsed) == 1
    assert neighbours.coverage(collapsed) < 0.5 and neighbours.recall(collapsed) < 0.1


def test_draws_take_subsets(sets):
    x, y = sets
    i, j = np.arange(3, 20), np.arange(2, 15)
    drawn = of_draws(x, y, i[None], j[None])
    for name, measure in neighbours.MEASURES.items():
        np.testing.assert_allclose(drawn[name], [measure(_balls(x[i], y[j]))])


def test_neighbours_are_other_people(sets):
    x, y = sets
    frames = np.concatenate([x, x + 1e-3, x + 2e-3])  # three of each person
    people, draw = np.tile(np.arange(len(x)), 3), np.arange(len(frames))[None]
    own = [sorted(np.linalg.norm(p - q) for q, who in zip(frames, people, strict=True) if who != me)[4]
           for p, me in zip(frames, people, strict=True)]  # fmt: skip
    apart = neighbours.of_other_people(cdist(frames, frames), people)
    np.testing.assert_allclose(neighbours.radii(apart), own)
    drawn = of_draws(frames, y, draw, np.arange(len(y))[None], people)
    assert drawn["coverage"][0] == (cdist(frames, y).min(1) <= own).mean()
    assert drawn["coverage"][0] > of_draws(frames, y, draw, np.arange(len(y))[None])["coverage"][0]


def test_with_few_other_people_the_farthest_counts():
    apart = neighbours.of_other_people(np.abs(np.subtract.outer([0.0, 1, 3], [0.0, 1, 3])), np.array([7, 7, 8]))
    np.testing.assert_array_equal(neighbours.radii(apart), [3, 2, 3])
    np.testing.assert_array_equal(neighbours.radii(np.zeros((1, 1))), [0])


def test_copies_are_not_authentic_and_strangers_are(sets):
    train = sets[0]
    assert not authentic(train + 1e-6, train, spacing(train)).any()
    assert authentic(train + 50, train, spacing(train)).all()


def test_nearest_keeps_to_the_emotion(sets):
    x, y = sets
    emotion, known = np.arange(30) % 3, np.arange(40) % 3
    index, distance = nearest_of_same_emotion(y, emotion, x, known)
    assert (known[index] == emotion).all()
    expected = [min(np.linalg.norm(q - p) for p in x[known == e]) for q, e in zip(y, emotion, strict=True)]
    np.testing.assert_allclose(distance, expected)


def test_median_ratio_is_one_for_strangers_and_small_for_copies():
    rng = np.random.default_rng(1)
    held_out, people = rng.uniform(1, 2, 200), np.repeat(np.arange(10), 20)
    options = {"draws": 200, "seed": 0}
    alike = median_ratio(rng.uniform(1, 2, 300), held_out, people, **options)
    assert alike["interval"][0] < 1 < alike["interval"][1]
    assert median_ratio(held_out / 10, held_out, people, **options)["interval"][1] < 0.15
    assert "reason" in median_ratio(held_out, np.zeros(200), people, **options)
