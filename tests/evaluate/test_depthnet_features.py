"""The shipped depthnet: its file and card, what it must ignore, and what it must see."""

import hashlib
import re

import numpy as np
import pytest

from depthjax.config import EMOTIONS, Data
from depthjax.data.crop import to_square
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.generate import generate
from depthjax.data.inputs import network_inputs
from depthjax.errors import UserError
from depthjax.evaluate.depthnet import CHUNK, DEPTH_RANGE, WEIGHTS, depthnet_features, depthnet_inputs, load_depthnet

QUICK = DepthRange(-10.0, 80.0)
PEOPLE, SHOWN = 6, ("neutral", "happiness", "fear")
FRAMES = 4  # of a sequence, as the tests of the renderer: compiled once for all


@pytest.fixture(scope="module")
def people():
    """Depth (n, 200, 128) mm, emotion (n,) by EMOTIONS and subject (n,) of people whom the network never saw."""
    films = list(generate(subjects=range(PEOPLE), emotions=SHOWN, frames=FRAMES, seed=0, full_sequence=False))
    emotion = np.repeat([EMOTIONS.index(film.emotion) for film in films], FRAMES)
    return np.concatenate([film.crops for film in films]), emotion, np.repeat([film.subject for film in films], FRAMES)


@pytest.fixture(scope="module", params=["face", "full"])
def seen(request, people):
    """The images of one crop, and what the network makes of them."""
    settings = Data(resolution=64, crop=request.param, near_mm=QUICK.near_mm, far_mm=QUICK.far_mm)
    images = network_inputs(people[0], settings)
    return images, depthnet_features(images, depth_range=QUICK, crop=request.param), request.param


def relief(rng, n=3, size=96):
    """Smooth surfaces, mm behind the nose tip, within both windows."""
    coarse = rng.uniform(-5, 70, (n, 6, 6)).astype(np.float32)
    return to_square(coarse, size, crop="full")


def test_the_file_is_small_and_the_one_that_its_card_describes():
    card = WEIGHTS.with_suffix(".md").read_text()
    loaded = load_depthnet()
    assert WEIGHTS.stat().st_size < 2_000_000
    assert loaded.sha256 == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert re.findall(r"[0-9a-f]{64}", card) == [loaded.sha256]
    assert f"Version {loaded.version} of" in card and "977000001" in card and "Apache-2.0" in card
    assert "identity" not in loaded.variables["params"]


def test_every_image_comes_to_one_resolution_range_and_quantisation():
    mm = relief(np.random.default_rng(0))
    wide = depthnet_inputs(DEPTH_RANGE.from_relief(mm), DEPTH_RANGE)
    assert wide.shape == (3, 64, 64) and wide.dtype == np.float32
    np.testing.assert_array_equal(quantise(wide) / np.float32(127.5) - 1, wide)
    narrow = depthnet_inputs(QUICK.from_relief(mm), QUICK)
    assert np.abs(quantise(wide).astype(int) - quantise(narrow)).max() <= 1  # a value may lie between two levels
    shrunk = depthnet_inputs(DEPTH_RANGE.from_relief(to_square(mm, 48, crop="full")), DEPTH_RANGE)
    assert np.abs(shrunk - wide).max() < 0.1
    stripes = np.tile(np.array([-1, 1], np.float32), (1, 128, 64))  # at the finest: aliasing would keep them
    assert np.abs(depthnet_inputs(stripes, DEPTH_RANGE)).max() < 0.01


def test_what_a_range_clipped_stays_clipped():
    far = depthnet_inputs(np.ones((1, 64, 64), np.float32), QUICK)
    np.testing.assert_allclose(DEPTH_RANGE.to_mm(far), 80, atol=0.3)


def test_outputs(seen):
    images, output, crop = seen
    assert output.features.dtype == output.log_probabilities.dtype == np.float32
    assert output.features.shape[1] <= 128 and output.log_probabilities.shape == (len(images), len(EMOTIONS))
    np.testing.assert_allclose(np.exp(output.log_probabilities).sum(1), 1, rtol=1e-4)
    none = depthnet_features(images[:0], depth_range=QUICK, crop=crop)
    assert none.features.shape == (0, output.features.shape[1]) and none.log_probabilities.shape == (0, len(EMOTIONS))


def test_chunks_do_not_show(seen):
    images, output, crop = seen
    many = np.concatenate([images] * (CHUNK // len(images) + 1))
    again = depthnet_features(many, depth_range=QUICK, crop=crop)
    assert len(many) > CHUNK and len(again.features) == len(many)
    np.testing.assert_allclose(again.features[-len(images) :], output.features, rtol=1e-4, atol=1e-4)


def test_it_reads_the_emotions_of_people_it_never_saw(people, seen):
    emotion = people[1]
    labels = [EMOTIONS.index(name) for name in SHOWN]
    log_probabilities = seen[1].log_probabilities
    assert (log_probabilities.argmax(1) == emotion).mean() > 0.5  # of seven
    assert (np.array(labels)[log_probabilities[:, labels].argmax(1)] == emotion).mean() > 0.65


def test_the_nearest_face_in_another_emotion_is_often_the_same_persons(people, seen):
    _, emotion, subject = people
    features = seen[1].features.astype(np.float64)
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    nearest = np.where(emotion[:, None] == emotion[None], np.inf, distance).argmin(1)
    assert (subject[nearest] == subject).mean() > 3 / PEOPLE


def test_noise_is_further_from_faces_than_other_people_are(people, seen):
    images, output, crop = seen
    subject = people[2]
    noise = np.random.default_rng(0).uniform(-1, 1, images.shape).astype(np.float32)
    strange = depthnet_features(noise, depth_range=QUICK, crop=crop).features
    features = output.features
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    to_others = np.where(subject[:, None] == subject[None], np.inf, apart).min(1)
    to_noise = np.linalg.norm(strange[:, None] - features[None], axis=2).min(1)
    assert to_noise.min() > np.median(to_others)
    assert np.linalg.norm(strange.mean(0) - features.mean(0)) > 2 * np.linalg.norm(
        features[subject < PEOPLE / 2].mean(0) - features[subject >= PEOPLE / 2].mean(0)
    )


def test_wrong_arguments_are_refused():
    images = np.zeros((1, 64, 64), np.float32)
    with pytest.raises(UserError, match="not one of face, full"):
        depthnet_features(images, depth_range=QUICK, crop="half")
    with pytest.raises(UserError, match="not finite"):
        depthnet_features(images * np.nan, depth_range=QUICK, crop="face")
