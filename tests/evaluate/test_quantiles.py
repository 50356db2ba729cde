"""Features rounded to quantiles, against numpy's quantiles, and what a tree sees of them."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from depthjax.evaluate.protocols import Labelled, published_exams, unseen_people_exam
from depthjax.evaluate.quantiles import quantile_edges, to_quantiles


@pytest.mark.parametrize("n", [1, 2, 7, 640])
def test_edges_are_numpys_quantiles(n):
    features = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    features[:, 4] = np.maximum(features[:, 4], 0)  # half of the values the same, as in a histogram
    expected = np.quantile(features, np.arange(1, 8) / 8, axis=0).T
    np.testing.assert_allclose(quantile_edges(features, 8), expected, rtol=1e-5, atol=1e-6)


def test_every_bin_is_filled_alike_and_values_beyond_fall_in_the_last():
    features = np.random.default_rng(1).normal(size=(640, 3)).astype(np.float32)
    edges = quantile_edges(features, 64)
    numbers = to_quantiles(features, edges)
    assert numbers.dtype == np.float32
    for column in numbers.T:
        assert np.bincount(column.astype(int), minlength=64).tolist() == [10] * 64
    far = to_quantiles(np.float32([[-9, 9, 0]]), edges)[0]
    assert far[:2].tolist() == [0, 63] and 20 < far[2] < 44
    expected = [np.digitize(column, inner) for column, inner in zip(features.T, edges, strict=True)]
    np.testing.assert_array_equal(numbers, np.transpose(expected))


def test_values_that_repeat_share_a_bin_and_common_ones_are_kept_apart():
    column = np.repeat([0.0, 1.0, 5.0], [60, 30, 10]).astype(np.float32)[:, None]
    numbers = to_quantiles(column, quantile_edges(column, 16))[:, 0]
    assert [len(np.unique(numbers[column[:, 0] == value])) for value in (0, 1, 5)] == [1, 1, 1]
    assert np.all(np.diff(numbers) >= 0) and len(np.unique(numbers)) == 3
    rare = np.repeat([0.0, 1.0], [99, 1]).astype(np.float32)[:, None]
    assert len(np.unique(to_quantiles(rare, quantile_edges(rare, 64)))) == 1  # as the module says


def test_a_tree_on_as_many_bins_as_values_answers_as_on_the_values():
    rng = np.random.default_rng(2)
    features, label = (
        rng.permuted(np.tile(np.arange(40.0), (6, 1)), axis=1).T.astype(np.float32),
        rng.integers(0, 3, 40),
    )
    numbers = to_quantiles(features, quantile_edges(features, 40))
    plain, rounded = (DecisionTreeClassifier(random_state=0).fit(x, label) for x in (features, numbers))
    np.testing.assert_array_equal(plain.predict(features), rounded.predict(numbers))
    assert plain.tree_.node_count == rounded.tree_.node_count


def test_unseen_people_have_no_say_in_the_quantiles():
    rng = np.random.default_rng(3)
    train, test = (
        Labelled(rng.normal(at, 1, (30, 4)).astype(np.float32), np.arange(30) % 3, np.full(30, subject))
        for at, subject in ((0, 0), (50, 1))
    )
    exam = unseen_people_exam(train, test, bins=5)
    learnt, asked = exam.faces.features[exam.train], exam.faces.features[exam.test]
    assert all(np.bincount(column.astype(int)).tolist() == [6] * 5 for column in learnt.T)
    assert (asked == 4).all()


def test_the_published_protocol_takes_quantiles_of_all_as_it_does_its_scaler():
    rng = np.random.default_rng(4)
    faces = Labelled(rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3, np.zeros(60))
    exam = published_exams(faces, [0], bins=5)[0]
    assert all(np.bincount(column.astype(int)).tolist() == [12] * 5 for column in exam.faces.features.T)
    assert len(np.unique(published_exams(faces, [0])[0].faces.features)) > 200
