import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from depthjax.data.depth_range import quantise
from depthjax.evaluate.nearest import CHUNK, nearest_index, nearest_similarity, psnr, ssim, summarise


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
    table = summarise(copied, np.arange(24), draws=50, seed=0)
    assert table["psnr"]["identical"] == table["psnr"]["n"] == table["ssim"]["n"] == 24
