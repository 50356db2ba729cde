from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.preprocessing import StandardScaler

from depthjax.errors import UserError
from depthjax.evaluate.classifiers import CLASSIFIERS, build, check_classifiers, xgboost_device
from depthjax.evaluate.protocols import (
    Labelled,
    Sitting,
    published_exams,
    seeds_for,
    sit,
    union,
    unseen_people_exam,
)
from depthjax.evaluate.scores import SCORES, macro_scores, published_scores, unseen_people_scores


@pytest.fixture(scope="module")
def labelled():
    def make(people, first=0, shift=1.0):
        rng = np.random.default_rng(first)
        emotion = np.tile(np.repeat([0, 1, 2], 4), people)
        features = rng.normal(size=(len(emotion), 12)) + shift * emotion[:, None] * (np.arange(12) < 3) + 5
        return Labelled(features.astype(np.float32), emotion, np.repeat(np.arange(first, first + people), 12))

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


def test_unseen_people_exam_fits_the_scaler_on_train_only(labelled):
    train, test = labelled(3), labelled(2, first=10, shift=9.0)
    exam = unseen_people_exam(train, test)
    scaler = StandardScaler().fit(train.features)
    np.testing.assert_allclose(exam.faces.features[exam.train], scaler.transform(train.features), atol=1e-5)
    np.testing.assert_allclose(exam.faces.features[exam.test], scaler.transform(test.features), atol=1e-5)
    assert not np.intersect1d(exam.faces.subject[exam.train], exam.faces.subject[exam.test]).size


def test_published_exams_fit_the_scaler_before_an_80_20_split_of_images(labelled):
    faces = labelled(5)
    exams = published_exams(faces, [0, 1])
    expected = StandardScaler().fit_transform(faces.features)
    for exam in exams.values():
        np.testing.assert_allclose(exam.faces.features, expected, atol=1e-5)
        assert len(exam.test) == 12 and np.bincount(faces.emotion[exam.test]).tolist() == [4, 4, 4]
        assert sorted([*exam.train, *exam.test]) == list(range(60))
    assert not np.array_equal(exams[0].test, exams[1].test)


def test_union_keeps_all_rows(labelled):
    both = union(labelled(1), labelled(2, first=5))
    assert len(both) == 36 and set(both.subject) == {0, 5, 6}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_classifiers_learn_and_repeat_themselves(classifier, labelled):
    exam = unseen_people_exam(labelled(6, shift=4.0), labelled(3, first=20, shift=4.0))
    sittings = {seed: Sitting(exam, classifier, seed % 2) for seed in range(4)}
    answers = sit(sittings)
    assert sorted(answers) == [0, 1, 2, 3]
    np.testing.assert_array_equal(answers[0], answers[2])
    assert (answers[0] == exam.faces.emotion[exam.test]).mean() > 0.7
    model = build(classifier, 0).fit(exam.faces.features[exam.train], exam.faces.emotion[exam.train])
    np.testing.assert_array_equal(answers[0], model.predict(exam.faces.features[exam.test]))


def test_seedless_classifiers_do_not_change_with_the_seed(labelled):
    exam = unseen_people_exam(labelled(4, shift=0.3), labelled(3, first=20, shift=0.3))
    answers = sit({seed: Sitting(exam, "xgboost", seed) for seed in (0, 7)})
    np.testing.assert_array_equal(answers[0], answers[7])
    assert seeds_for("xgboost", [3, 4]) == [3]
    assert seeds_for("random_forest", [3, 4]) == [3, 4]
    assert seeds_for("decision_tree", range(9)) == [0, 1, 2]


def test_unseen_people_scores_hold_value_interval_and_sizes(labelled):
    exam = unseen_people_exam(labelled(4), labelled(5, first=20))
    right, rng = exam.faces.emotion[exam.test], np.random.default_rng(0)
    wrong = np.where(rng.random(len(right)) < 0.3, 0, right)
    perfect = unseen_people_scores(exam, [right], 3, draws=50, seed=0)
    assert perfect["accuracy"] == {"value": 1.0, "interval": [1.0, 1.0]}
    mixed = unseen_people_scores(exam, [right, wrong], 3, draws=300, seed=0)
    assert mixed["accuracy"]["value"] == pytest.approx((1 + (wrong == right).mean()) / 2)
    for name in SCORES:
        low, high = mixed[name]["interval"]
        assert 0 < low < mixed[name]["value"] < high < 1
    assert {k: mixed[k] for k in ("n_train", "n_test", "subjects_test", "seeds")} == {
        "n_train": 48, "n_test": 60, "subjects_test": 5, "seeds": 2}  # fmt: skip


def test_one_test_person_has_a_reason_and_no_interval(labelled):
    exam = unseen_people_exam(labelled(4), labelled(1, first=20))
    scores = unseen_people_scores(exam, [exam.faces.emotion[exam.test]], 3, draws=50, seed=0)
    assert "interval" not in scores["f1"] and "one test person" in scores["f1"]["reason"]


def test_published_scores_show_the_spread_of_the_seeds(labelled):
    exams = list(published_exams(labelled(5), range(3)).values())
    right = [exam.faces.emotion[exam.test] for exam in exams]
    halves = [right[0], np.where(np.arange(12) < 3, (right[1] + 1) % 3, right[1])]
    two = published_scores(exams[:2], halves, 3)
    assert two["accuracy"] == {"value": pytest.approx(0.875), "interval": [0.75, 1.0]}
    assert two["interval_kind"] == "seeds" and two["seeds"] == 2 and "subjects_test" not in two
    assert "reason" in published_scores(exams[:1], right[:1], 3)["recall"]
    assert published_scores(exams, right, 3)["recall"]["interval"] == [1.0, 1.0]


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
        assert build("xgboost", 0).get_params()["device"] == device
    finally:
        xgboost_device.cache_clear()
