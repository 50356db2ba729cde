"""Copies of training faces: pixel similarity, AuthPct, and distances relative to held-out faces."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from depthjax.data.depth_range import quantise
from depthjax.evaluate.memorisation import (
    CHUNK,
    authentic,
    median_ratio,
    nearest_index,
    nearest_of_same_emotion,
    nearest_similarity,
    psnr,
    ssim,
)


def test_nearest_is_the_least_pixel_distance_within_the_emotion(faces):
    train, asked = faces(6, 2), faces(CHUNK // 6 + 3, 3, first=40)
    index = nearest_index(asked, train)
    assert (train.emotion[index] == asked.emotion).all()
    known, levels = (quantise(f.images).astype(int) for f in (train, asked))
    for row in range(0, len(asked), 7):
        gap = ((known - levels[row]) ** 2).sum((1, 2))
        assert gap[index[row]] == gap[train.emotion == asked.emotion[row]].min()


def test_psnr_and_ssim_are_by_definition(faces):
    a, b = quantise(faces(1, 2).images[:2])
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert psnr(np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)) == 0
    assert psnr(a, a) == pytest.approx(58.92, abs=0.005)
    assert ssim(a, a) == pytest.approx(1) and ssim(a, b) < 0.999


def test_copies_are_counted(faces):
    train, test = faces(4, 2), faces(2, 2, first=30)
    copied, new = nearest_similarity(train, train), nearest_similarity(test, train)
    assert copied["identical"].all() and not new["identical"].any()
    assert copied["ssim"].min() > 0.999 and new["ssim"].max() < 0.999
    assert new["psnr"].max() < copied["psnr"].min()


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.normal(0.4, 0.8, size=(30, 3))


def test_copies_are_not_authentic_and_other_faces_are(clouds):
    train = clouds[0]
    assert not authentic(train + 1e-6, train).any()
    assert authentic(train + 50, train).all()


def test_nearest_keeps_to_the_emotion(clouds):
    x, y = clouds
    emotion, known = np.arange(30) % 3, np.arange(40) % 3
    index, distance = nearest_of_same_emotion(y, emotion, x, known)
    assert (known[index] == emotion).all()
    expected = [min(np.linalg.norm(q - p) for p in x[known == e]) for q, e in zip(y, emotion, strict=True)]
    np.testing.assert_allclose(distance, expected)


def test_median_ratio_is_one_for_unseen_subjects_and_small_for_copies():
    rng = np.random.default_rng(1)
    held_out, subjects = rng.uniform(1, 2, 200), np.repeat(np.arange(10), 20)
    options = {"draws": 200, "seed": 0}
    alike = median_ratio(rng.uniform(1, 2, 300), held_out, subjects, **options)
    assert alike.low < 1 < alike.high
    assert median_ratio(held_out / 10, held_out, subjects, **options).high < 0.15
    none = median_ratio(held_out, np.zeros(200), subjects, **options)
    assert none.value is None and "among the training faces" in none.reason
