"""Measures of a set in a space: beside an anchor, a generator as good as it gets is at the anchor's distance."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from depthjax.config import Config
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate import measures
from depthjax.evaluate.measures import Task, frechet, kernel_distance, memorisation, neighbours, similarity_within
from depthjax.evaluate.resampling import equal_draws
from depthjax.evaluate.spaces import Coordinates

EMOTIONS, DIMENSIONS = ("neutral", "happiness", "fear"), 6


def shown(subject, emotion):
    """Faces without pixels: only their labels matter here."""
    images, frame = np.zeros((len(subject), 1, 1), np.float32), np.zeros(len(subject), int)
    return DepthFaces(images, emotion, subject, frame, EMOTIONS, DepthRange(-10, 80))


def points(faces, rng):
    """Points of faces: a subject's own, and a shift by the emotion."""
    person = rng.normal(size=(faces.subject.max() + 1, DIMENSIONS))
    noise = 0.3 * rng.normal(size=(len(faces), DIMENSIONS))
    return person[faces.subject] + np.eye(3, DIMENSIONS)[faces.emotion] + noise


def distances(seed):
    """How far held-out faces, and faces of new people, one face each, are from held-out ones."""
    rng, real = np.random.default_rng(seed), shown(np.repeat(np.arange(24), 3), np.tile(np.arange(3), 24))
    sets = {"test": real, "perfect": shown(np.arange(300), np.repeat(np.arange(3), 100))}
    draws = {"test": equal_draws(sets, draws=4, seed=seed, reference="test")}
    spaces = {"relief": {name: points(faces, rng) for name, faces in sets.items()}}
    bank = SimpleNamespace(sets=sets, spaces=spaces, classes=3, train=real)
    tasks = [Task(Config(), bank, draws, name, "relief", "test") for name in sets]
    return [[dict(of(task)[:6])[name].value for of, name in MEASURED] for task in tasks]


MEASURED = ((frechet, "frechet"), (neighbours, "clipped_coverage"))


def test_a_perfect_generator_is_at_the_distance_of_held_out_faces():
    """Its faces are all of different people, held-out subjects show every emotion: over all emotions together, their
    Fréchet distance was two fifths larger, so that a generator could lie at the floor and be told from real faces."""
    held_out, perfect = np.mean([distances(seed) for seed in range(60)], axis=0)
    np.testing.assert_allclose(perfect, held_out, rtol=0.05)


def test_the_interval_of_pairs_is_over_people(monkeypatch):
    """300 pairs of 8 people are no 300 draws: resampled as such, their interval was several times too narrow."""
    people, frames = 8, 30
    faces = shown(np.repeat(np.arange(people), 3 * frames), np.tile(np.repeat(np.arange(3), frames), people))
    own = np.random.default_rng(0).uniform(-1, 1, people)[faces.subject]
    faces = replace(faces, images=np.broadcast_to(own[:, None, None], (len(faces), 11, 11)).astype(np.float32))
    monkeypatch.setattr(measures, "ms_ssim", lambda a, b: (a + b.astype(float)).mean((1, 2)) / 2)
    task = Task(Config(), SimpleNamespace(sets={"train": faces}), {}, "train", "pixels")
    ((_, found),) = similarity_within(task)
    error = quantise(faces.images)[:: 3 * frames, 0, 0].std() / people**0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.25) and found.n == 300


def test_some_measures_have_a_row_for_each_emotion_whose_mean_they_are():
    real = shown(np.repeat(np.arange(8), 3), np.tile(np.arange(3), 8))
    draws = {"test": equal_draws({"test": real}, draws=3, seed=0, reference="test")}
    features = points(real, np.random.default_rng(0))
    bank = SimpleNamespace(sets={"test": real}, spaces={"relief": {"test": features}}, classes=3, train=real)
    found = frechet(Task(Config(), bank, draws, "test", "relief", "test"))
    assert [(name, of.emotion, of.n) for name, of in found] == [("frechet", e, 4) for e in ("", *EMOTIONS)]
    values = [of.value for _, of in found]
    assert values[0] == pytest.approx(np.mean(values[1:]))


def test_the_gaussian_that_remembers_nobody_is_of_the_space_in_which_a_sign_looks():
    """One of the pixels lies off all faces elsewhere, and tells nothing: every set that fits would seem to remember."""
    rng = np.random.default_rng(0)
    train, test = (shown(first + np.repeat(np.arange(20), 6), np.tile(np.arange(3), 40)) for first in (0, 50))
    sets = {"train": train, "test": test, "gaussian": shown(np.arange(60), np.repeat(np.arange(3), 20))}
    features = {name: points(faces, rng) for name, faces in sets.items()}
    features["gaussian"] += 100

    def coordinates(space, name):
        return Coordinates(features[name], sets[name].emotion, sets[name].subject)

    bank = SimpleNamespace(coordinates=coordinates, methods={"gan": sets["gaussian"]}, classes=3)
    found = dict(memorisation(Task(Config(), bank, {}, "gaussian", "depthnet")))
    assert found["near_share"].n == 60 and found["auth_pct"].value < 0.99
    assert found["auc_density_ratio"].value > 0.6


def test_gaussians_of_a_space_have_the_mean_and_covariance_of_each_emotion():
    rng = np.random.default_rng(1)
    known = Coordinates(rng.normal(size=(60, 2)) * (1 + np.arange(60)[:, None] % 2), np.arange(60) % 2, np.arange(60))
    drawn = known.gaussians(20_000, rng)
    for label in range(2):
        own, new = (of.features[of.emotion == label] for of in (known, drawn))
        np.testing.assert_allclose(new.mean(0), own.mean(0), atol=0.05)
        np.testing.assert_allclose(np.cov(new.T), np.cov(own.T), atol=0.15)


def test_kid_of_a_very_large_set_takes_a_draw_of_it(monkeypatch):
    monkeypatch.setattr(measures, "LABELLED_FACES", 30)
    real = shown(np.repeat(np.arange(8), 3), np.tile(np.arange(3), 8))
    sets = {"test": real, "gan": shown(np.arange(90), np.arange(90) % 3)}
    features = {name: points(faces, np.random.default_rng(0)) for name, faces in sets.items()}
    bank = SimpleNamespace(sets=sets, spaces={"relief": features}, train=real)
    found = kernel_distance(Task(Config(), bank, {}, "gan", "relief", "test"))
    assert [of.n for _, of in found] == [30] * 4 and found[0][1].low < found[0][1].high
