import subprocess
import sys

import numpy as np
import pytest
from skimage.feature import hog, local_binary_pattern
from skimage.filters import sobel

from depthjax.data.depth_range import quantise
from depthjax.evaluate import handcrafted
from depthjax.evaluate.handcrafted import (
    cached_features,
    feature_groups,
    fused_features,
    histograms_of_gradients,
    uniform_patterns,
)


@pytest.fixture(scope="module")
def hard_images():
    """Images full of ties: chequers, ramps both ways, a few levels, noise before a background of one level."""
    rng, size = np.random.default_rng(0), 100
    noise = rng.integers(0, 256, (size, size))
    chequers = np.kron(rng.integers(0, 2, (25, 25)), np.ones((4, 4)))
    ramp = np.arange(size) * 2
    faint = 120 + (noise < 8)
    half = np.where(np.arange(size) < 60, 255, noise)
    images = [noise, half, 255 * chequers, 64 * chequers, ramp + 0 * noise, ramp[:, None] + 0 * noise, noise % 3, faint]
    return np.stack(images).astype(np.uint8)


def pattern_counts(images):
    return [np.bincount(local_binary_pattern(i, 24, 3, "uniform").astype(int).ravel(), minlength=26) for i in images]


def test_patterns_are_scikit_images_bit_for_bit_also_where_rounding_decides(hard_images):
    np.testing.assert_array_equal(uniform_patterns(hard_images), pattern_counts(hard_images))
    np.testing.assert_array_equal(uniform_patterns(hard_images[:, :51]), pattern_counts(hard_images[:, :51]))


def test_patterns_of_every_flat_background_are_scikit_images():
    flat = np.broadcast_to(np.arange(0, 256, 5, dtype=np.uint8)[:, None, None], (52, 40, 40))
    np.testing.assert_array_equal(uniform_patterns(flat), pattern_counts(flat))
    big = np.full((1, 270, 40), 201, np.uint8)  # the fraction of a row is rounded otherwise beyond 64, 128 and 256
    np.testing.assert_array_equal(uniform_patterns(big), pattern_counts(big))


def test_gradients_are_scikit_images_also_where_they_are_faint(hard_images):
    expected = [hog(image / 255, 9, (16, 16), (2, 2)) for image in hard_images]
    np.testing.assert_allclose(histograms_of_gradients(hard_images), expected, atol=3e-7)


def test_edges_are_scikit_images_also_on_the_borders_of_bins(hard_images):
    expected = [np.histogram(sobel(image / 255), 32, (0, 1))[0] for image in hard_images]
    np.testing.assert_array_equal([handcrafted._sobel_counts(image) for image in hard_images], expected)
    steps = handcrafted._sobel_bins()
    assert np.flatnonzero(steps == handcrafted.TIED).tolist() == [2 * (255 * k) ** 2 for k in (1, 2, 3, 4)]


def test_the_paper_size_gives_8190_values(faces):
    images = faces(1, 1, size=64).images[:1]
    assert fused_features(images, size=256).shape == (1, 8190)
    assert fused_features(images, size=128).shape == (1, 1854)


def test_groups_cover_all_columns_and_hold_what_scikit_image_computes(faces):
    images = faces(1, 1, size=64).images
    features, groups = fused_features(images, size=64), feature_groups(64)
    assert [g.stop - g.start for g in groups.values()] == [324, 26, 32, 32]
    assert list(groups.values())[-1].stop == features.shape[1]
    levels = np.round((images[1].astype(np.float64) + 1) / 2 * 255).astype(np.uint8)
    gray = levels / 255
    patterns = np.bincount(local_binary_pattern(levels, 24, 3, "uniform").astype(int).ravel(), minlength=26) / 64**2
    expected = {
        "hog": hog(gray, orientations=9, pixels_per_cell=(16, 16), cells_per_block=(2, 2)),
        "lbp": patterns,
        "sobel": np.histogram(sobel(gray), 32, (0, 1))[0] / 64**2,
        "intensity": np.histogram(gray, 32, (0, 1))[0] / 64**2,
    }
    for name, columns in groups.items():
        np.testing.assert_allclose(features[1, columns], expected[name], atol=3e-7, err_msg=name)


def test_histograms_sum_to_one_at_a_size_that_no_cell_divides(faces):
    features = fused_features(faces(1, 1, size=32).images, size=40)
    for name in ("lbp", "intensity"):
        np.testing.assert_allclose(features[:, feature_groups(40)[name]].sum(1), 1, atol=1e-6)


def test_finer_steps_than_8_bits_are_not_seen(faces):
    images = faces(1, 2).images
    rounded = quantise(images) / np.float32(127.5) - 1
    assert np.abs(images - rounded).max() > 1e-3
    np.testing.assert_array_equal(fused_features(images, size=64), fused_features(rounded.astype(np.float32), size=64))
    assert quantise(np.array([-1.0, 0.0, 1.0, 3.0])).tolist() == [0, 128, 255, 255]


def test_the_order_of_images_is_kept(faces):
    images = faces(2, 3).images
    np.testing.assert_array_equal(fused_features(images[::-1], size=64)[::-1], fused_features(images, size=64))


def test_cache_is_named_by_content_and_spares_the_work(faces, tmp_path, monkeypatch):
    images = faces(1, 1).images
    first = cached_features(images, size=32, cache=tmp_path)
    cached_features(images, size=48, cache=tmp_path)
    cached_features(images[:2], size=32, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr("depthjax.evaluate.handcrafted.fused_features", lambda *_, **__: pytest.fail("made again"))
    np.testing.assert_array_equal(cached_features(images, size=32, cache=tmp_path), first)
    monkeypatch.setattr("depthjax.evaluate.handcrafted.VERSION", -1)
    with pytest.raises(pytest.fail.Exception, match="made again"):
        cached_features(images, size=32, cache=tmp_path)


def test_processes_give_what_one_process_gives(faces, monkeypatch):
    images = faces(2, 2).images
    alone = fused_features(images, size=32)
    monkeypatch.setattr("depthjax.evaluate.handcrafted.WORTH_PROCESSES", 0)
    np.testing.assert_array_equal(fused_features(images, size=32), alone)


def test_a_worker_does_not_import_jax():
    code = "import sys, depthjax.evaluate.handcrafted; print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
