"""Splits, fits, scores and quantiles of the classifiers, against scikit-learn's and numpy's."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from depthjax.config import INPUTS
from depthjax.errors import UserError
from depthjax.evaluate.classification import (
    CLASSIFIERS,
    MEASURES,
    TREES,
    FitTask,
    Labelled,
    check_classifiers,
    fit_predict,
    macro_scores,
    published_splits,
    quantile_edges,
    scores_over_splits,
    scores_over_subjects,
    seeds_for,
    to_quantiles,
    union,
    unseen_subjects_split,
    xgboost_device,
)


@pytest.fixture(scope="module")
def labelled():
    def make(subjects, first=0, shift=1.0):
        rng = np.random.default_rng(first)
        emotion = np.tile(np.repeat([0, 1, 2], 4), subjects)
        features = rng.normal(size=(len(emotion), 12)) + shift * emotion[:, None] * (np.arange(12) < 3) + 5
        return Labelled(features.astype(np.float32), emotion, np.repeat(np.arange(first, first + subjects), 12))

    return make


def test_macro_scores_are_scikit_learns_also_for_a_class_never_called():
    rng = np.random.default_rng(0)
    for actual, predicted in (rng.integers(0, 3, (2, 40)), (np.arange(30) % 3, np.arange(30) % 2)):
        ours = macro_scores(actual, predicted, np.ones((1, len(actual))), 3)[0]
        expected = precision_recall_fscore_support(
            actual, predicted, average="macro", labels=[0, 1, 2], zero_division=0
        )[:3]
        np.testing.assert_allclose(ours, [accuracy_score(actual, predicted), *expected])


def test_counts_stand_for_repeated_images():
    actual, predicted = np.random.default_rng(1).integers(0, 3, (2, 20))
    counts = np.random.default_rng(2).integers(0, 4, (5, 20)).astype(float)
    for row, scores in zip(counts, macro_scores(actual, predicted, counts, 3), strict=True):
        index = np.repeat(np.arange(20), row.astype(int))
        plain = macro_scores(actual[index], predicted[index], np.ones((1, len(index))), 3)[0]
        np.testing.assert_allclose(scores, plain)


def test_unseen_subjects_split_fits_the_scaler_on_train_only(labelled):
    train, test = labelled(3), labelled(2, first=10, shift=9.0)
    split = unseen_subjects_split(train, test)
    scaler = StandardScaler().fit(train.features)
    np.testing.assert_allclose(split.faces.features[split.train], scaler.transform(train.features), atol=1e-5)
    np.testing.assert_allclose(split.faces.features[split.test], scaler.transform(test.features), atol=1e-5)
    assert not np.intersect1d(split.faces.subject[split.train], split.faces.subject[split.test]).size


def test_published_splits_fit_the_scaler_before_an_80_20_split_of_images(labelled):
    faces = labelled(5)
    splits = published_splits(faces, [0, 1])
    expected = StandardScaler().fit_transform(faces.features)
    for split in splits:
        np.testing.assert_allclose(split.faces.features, expected, atol=1e-5)
        assert len(split.test) == 12 and np.bincount(faces.emotion[split.test]).tolist() == [4, 4, 4]
        assert sorted([*split.train, *split.test]) == list(range(60))
    assert not np.array_equal(splits[0].test, splits[1].test)


def test_union_keeps_all_rows(labelled):
    both = union(labelled(1), labelled(2, first=5))
    assert len(both) == 36 and set(both.subject) == {0, 5, 6}


@pytest.mark.parametrize("classifier", [name for name in CLASSIFIERS if name not in ("network", "recogniser")])
def test_classifiers_learn_and_repeat_themselves(classifier, labelled):
    split = unseen_subjects_split(labelled(6, shift=4.0), labelled(3, first=20, shift=4.0))
    tasks = {seed: FitTask(split, classifier, seed % 2) for seed in range(4)}
    answers = fit_predict(tasks)
    assert sorted(answers) == [0, 1, 2, 3]
    np.testing.assert_array_equal(answers[0], answers[2])
    assert (answers[0] == split.faces.emotion[split.test]).mean() > 0.7
    model = CLASSIFIERS[classifier](0).fit(split.faces.features[split.train], split.faces.emotion[split.train])
    np.testing.assert_array_equal(answers[0], model.predict(split.faces.features[split.test]))


def test_seedless_classifiers_do_not_change_with_the_seed(labelled):
    split = unseen_subjects_split(labelled(4, shift=0.3), labelled(3, first=20, shift=0.3))
    answers = fit_predict({seed: FitTask(split, "xgboost", seed) for seed in (0, 7)})
    np.testing.assert_array_equal(answers[0], answers[7])
    assert seeds_for("xgboost", [3, 4]) == [3]
    assert seeds_for("random_forest", [3, 4]) == [3, 4]
    assert seeds_for("decision_tree", range(9)) == seeds_for("network", range(9)) == [0, 1, 2]


def test_every_classifier_names_its_inputs_and_only_the_trees_read_handcrafted_ones():
    assert set(INPUTS) == set(CLASSIFIERS)
    assert tuple(name for name, inputs in INPUTS.items() if inputs == "handcrafted") == TREES


def test_an_image_is_not_standardised_pixel_by_pixel(labelled):
    train, test = labelled(2), labelled(1, first=9)
    split = unseen_subjects_split(train, test, standardise=False)
    assert np.array_equal(split.faces.features, np.concatenate([train.features, test.features]))


def test_scores_over_subjects_have_value_interval_and_runs(labelled):
    test = labelled(5, first=20)
    right, rng = test.emotion, np.random.default_rng(0)
    wrong = np.where(rng.random(len(right)) < 0.3, 0, right)
    perfect = scores_over_subjects(right, test.subject, [right], 3, draws=50, seed=0).estimates["accuracy"]
    assert (perfect.value, perfect.low, perfect.high, perfect.n) == (1, 1, 1, 60)
    mixed = scores_over_subjects(right, test.subject, [right, wrong], 3, draws=300, seed=0)
    assert mixed.estimates["accuracy"].value == pytest.approx((1 + (wrong == right).mean()) / 2)
    assert mixed.runs["accuracy"].tolist() == [1, (wrong == right).mean()]
    for name in MEASURES:
        found = mixed.estimates[name]
        assert 0 < found.low < found.value < found.high < 1


def test_one_test_subject_has_a_reason_and_no_interval(labelled):
    test = labelled(1, first=20)
    found = scores_over_subjects(test.emotion, test.subject, [test.emotion], 3, draws=50, seed=0).estimates["f1"]
    assert found.value == 1 and found.low is None and "one test subject" in found.reason


def test_scores_over_splits_show_the_spread_of_the_seeds(labelled):
    splits = published_splits(labelled(5), range(3))
    right = [split.actual for split in splits]
    halves = [right[0], np.where(np.arange(12) < 3, (right[1] + 1) % 3, right[1])]
    two = scores_over_splits(right[:2], halves, 3)
    accuracy = two.estimates["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (pytest.approx(0.875), 0.75, 1)
    assert two.runs["accuracy"].tolist() == [1, 0.75] and accuracy.n == 12
    assert "one seed" in scores_over_splits(right[:1], right[:1], 3).estimates["recall"].reason
    three = scores_over_splits(right, right, 3).estimates["recall"]
    assert (three.low, three.high) == (1, 1)


def test_unknown_classifier_is_one_line():
    with pytest.raises(UserError, match="'svm' is not one of random_forest") as caught:
        check_classifiers(["svm"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "built", "device"), [("gpu", True, "cuda"), ("gpu", False, "cpu"), ("cpu", True, "cpu")]
)
def test_xgboost_uses_a_gpu_only_where_both_libraries_can(monkeypatch, platform, built, device):
    import jax
    import xgboost

    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform=platform)])
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": built})
    xgboost_device.cache_clear()
    try:
        assert CLASSIFIERS["xgboost"](0).get_params()["device"] == device
    finally:
        xgboost_device.cache_clear()


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


def test_quantiles_are_taken_of_train_alone():
    rng = np.random.default_rng(3)
    train, test = (
        Labelled(rng.normal(at, 1, (30, 4)).astype(np.float32), np.arange(30) % 3, np.full(30, subject))
        for at, subject in ((0, 0), (50, 1))
    )
    split = unseen_subjects_split(train, test, bins=5)
    learnt, asked = split.faces.features[split.train], split.faces.features[split.test]
    assert all(np.bincount(column.astype(int)).tolist() == [6] * 5 for column in learnt.T)
    assert (asked == 4).all()


def test_the_published_protocol_takes_quantiles_of_all_as_it_does_its_scaler():
    rng = np.random.default_rng(4)
    faces = Labelled(rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3, np.zeros(60))
    split = published_splits(faces, [0], bins=5)[0]
    assert all(np.bincount(column.astype(int)).tolist() == [12] * 5 for column in split.faces.features.T)
    assert len(np.unique(published_splits(faces, [0])[0].faces.features)) > 200
