import subprocess
import sys

import numpy as np
import pytest
from skimage.feature import hog, local_binary_pattern
from skimage.filters import sobel

from depthjax.data.window import quantise
from depthjax.evaluate.features import cached_features, feature_groups, fused_features


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
        np.testing.assert_allclose(features[1, columns], expected[name], atol=1e-6, err_msg=name)


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
    monkeypatch.setattr("depthjax.evaluate.features.fused_features", lambda *_, **__: pytest.fail("made again"))
    np.testing.assert_array_equal(cached_features(images, size=32, cache=tmp_path), first)
    monkeypatch.setattr("depthjax.evaluate.features.VERSION", -1)
    with pytest.raises(pytest.fail.Exception, match="made again"):
        cached_features(images, size=32, cache=tmp_path)


def test_processes_give_what_one_process_gives(faces, monkeypatch):
    images = faces(2, 2).images
    alone = fused_features(images, size=32)
    monkeypatch.setattr("depthjax.evaluate.features.WORTH_PROCESSES", 0)
    np.testing.assert_array_equal(fused_features(images, size=32), alone)


def test_a_worker_does_not_import_jax():
    code = "import sys, depthjax.evaluate.features; print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
