"""The adapted head: scikit-learn's logistic regression from no answer, the network's own where no change is allowed."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from depthjax.config import EMOTIONS
from depthjax.data.faces import made_faces
from depthjax.evaluate.adapted_head import PENALTIES, AdaptedHead, adapt, fit_change
from depthjax.evaluate.recogniser import DEPTH_RANGE, features_and_logits, own_head, read_emotions


@pytest.fixture
def faces():
    """Features (60, 5) and emotions (60,) of three."""
    rng = np.random.default_rng(0)
    emotion = np.arange(60) % 3
    return rng.normal(size=(60, 5)) + np.eye(3, 5)[emotion], emotion


def test_without_an_answer_it_is_scikit_learns_logistic_regression(faces):
    features, emotion = faces
    weight = np.random.default_rng(1).uniform(0.5, 2, 60)
    weights, bias = fit_change(features, np.zeros((60, 3)), emotion, weight)
    # A constant column of this height is a bias with a penalty of its own.
    height = (PENALTIES[0] / PENALTIES[1]) ** 0.5
    columns = np.hstack([features, np.full((60, 1), height)])
    model = LogisticRegression(C=1 / (weight.sum() * PENALTIES[0]), fit_intercept=False, tol=1e-8, max_iter=1000)
    expected = model.fit(columns, emotion, weight).coef_.T
    np.testing.assert_allclose(weights, expected[:5], atol=1e-4)
    np.testing.assert_allclose(bias, height * expected[5], atol=1e-4)


def test_only_the_change_is_penalised(faces):
    features, emotion = faces
    known = np.random.default_rng(2).normal(size=(5, 3)), np.array([1.0, 0.0, -1.0])
    logits = features @ known[0] + known[1]
    for change in fit_change(features, logits, emotion, penalties=(1e6, 1e6)):
        np.testing.assert_allclose(change, 0, atol=1e-5)
    # Without a penalty it ends at the same classifier wherever it starts, as far as probabilities tell.
    ends = []
    for start in (logits, np.zeros((60, 3))):
        weights, bias = fit_change(features, start, emotion, penalties=(0.0, 0.0))
        ends.append(start + features @ weights + bias)
    centred = [end - end.mean(1, keepdims=True) for end in ends]
    np.testing.assert_allclose(*centred, atol=0.05)


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 3, 60)])
def test_the_classifier_of_columns_answers_as_the_adapted_head_and_learns(monkeypatch, faces, weight):
    features, emotion = faces
    monkeypatch.setattr("depthjax.evaluate.adapted_head.feature_size", lambda: 5)
    start = np.random.default_rng(3).normal(size=(5, 3)), np.array([2.0, 0.0, -2.0])
    columns = np.hstack([features, features @ start[0] + start[1]])
    weights, bias = adapt(start, features, emotion, weight)
    answer = AdaptedHead().fit(columns, emotion, weight).predict(columns)
    assert np.array_equal(answer, (features @ weights + bias).argmax(1))
    before = (features @ start[0] + start[1]).argmax(1)
    assert (answer == emotion).mean() > (before == emotion).mean()
    assert not np.array_equal(answer, before)


def test_the_columns_hold_the_networks_own_answer_and_nothing_for_unknown_emotions():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64)).astype(np.float32)
    made = made_faces(images, np.zeros(4, np.int32), ("neutral", "boredom", "fear"), DEPTH_RANGE)
    columns = features_and_logits(made, "face")
    read = read_emotions(images, depth_range=DEPTH_RANGE, crop="face")
    features, logits = columns[:, :-3], columns[:, -3:]
    np.testing.assert_allclose(features, read.features)
    names = [EMOTIONS.index("neutral"), EMOTIONS.index("fear")]
    expected = np.subtract(*read.log_probabilities[:, names].T)
    np.testing.assert_allclose(logits[:, 0] - logits[:, 2], expected, atol=1e-4)
    assert not logits[:, 1].any() and not own_head(("boredom",))[0].any()
    fitted = AdaptedHead().fit(columns, np.array([0, 1, 2, 1]))
    assert fitted.predict(columns).shape == (4,) and fitted.weights.shape == (features.shape[1], 3)
