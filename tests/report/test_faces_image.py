"""Depth as pictures: fixed greys, light from the upper left, and faces that nobody picked."""

import numpy as np
import pytest

from depthjax.data.depth_range import quantise
from depthjax.report.faces_image import BACKGROUND, mosaic, real_faces, shade, spaced_samples

WINDOW = (-10.0, 80.0)


def _plane(right: float = 0.0, down: float = 0.0) -> np.ndarray:
    """A plane whose depth grows by these millimetres a pixel, as an image in [-1, 1]."""
    y, x = np.mgrid[:32, :32].astype(np.float32)
    return (((30 + right * (x - 16) + down * (y - 16)) + 10) / 90 * 2 - 1)[None]


def test_grey_is_fixed_darker_is_closer_and_never_stretched() -> None:
    images = np.array([[[-1.0, 1.0, 0.0, -2.0, 2.0]]], np.float32)
    assert quantise(images).tolist() == [[[0, 255, 128, 0, 255]]]
    assert np.ptp(quantise(0.01 * images)) <= 6


@pytest.mark.parametrize(("right", "down"), [(-1.0, 0.0), (0.0, -1.0)])
def test_surfaces_that_face_up_or_left_are_brighter(right: float, down: float) -> None:
    towards, away = (shade(_plane(s * right, s * down), WINDOW, 2.0)[0, 8:24, 8:24] for s in (1, -1))
    assert towards.min() > away.max() + 40


def test_shading_depends_on_slope_in_millimetres_not_on_resolution_or_depth() -> None:
    coarse = shade(_plane(1.0), WINDOW, 2.0)[0, 16, 16]
    fine = shade(_plane(0.5), WINDOW, 1.0)[0, 16, 16]
    oblong = shade(_plane(1.0), WINDOW, (9.0, 2.0))[0, 16, 16]
    nearer = shade(_plane(1.0) - 0.3, WINDOW, 2.0)[0, 16, 16]
    np.testing.assert_allclose([fine, oblong, nearer], float(coarse), atol=1)


def test_shading_agrees_with_normals_by_cross_product() -> None:
    light = np.array([-1.0, -1.2, 1.6])
    # Two tangents of the exaggerated surface, in mm: right, down, towards the viewer.
    normal = np.cross([2.0, 0.0, -1.2 * 0.7], [0.0, 2.0, -1.2 * -0.4])
    facing = normal @ light / np.linalg.norm(normal) / np.linalg.norm(light)
    shaded = shade(_plane(0.7, -0.4), WINDOW, 2.0)[0, 16, 16]
    assert shaded == pytest.approx(240 * (facing + 0.3) / 1.3, abs=1)


def test_background_is_white_holes_are_dark_and_edges_do_not_flare() -> None:
    image = np.ones((1, 32, 32), np.float32)
    image[:, 8:24, 8:24] = 0.0
    image[:, 15:18, 15:18] = 1.0
    shaded = shade(image, WINDOW, 2.8)[0]
    assert shaded[2, 2] == BACKGROUND
    assert shaded[16, 16] < 60
    assert np.ptp(shaded[11:14, 10:22].astype(int)) <= 2  # flat up to its outline: the far plane does not leak in
    assert shade(np.zeros((0, 32, 32), np.float32), WINDOW, 2.8).shape == (0, 32, 32)


def test_mosaic_places_rows_and_leaves_blanks_white() -> None:
    rows = [np.zeros((2, 4, 4), np.uint8), np.full((1, 4, 4), 100, np.uint8)]
    sheet = mosaic(rows, 2, tile=8, gap=2)
    assert sheet.shape == (18, 18)
    assert (sheet[:8, :8] == 0).all()
    assert (sheet[10:, :8] == 100).all()
    assert (sheet[10:, 8:] == 255).all()


def test_real_faces_are_middle_frames_of_different_people() -> None:
    subject = np.repeat([7, 3, 9], 3)
    train = {
        "images": np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32),
        "emotion": np.zeros(9, np.int32),
        "subject": subject,
        "frame": np.array([2, 0, 1] * 3),
    }
    assert real_faces(train, 0, 2)[:, 0, 0].tolist() == [2.0, 5.0]
    assert len(real_faces(train, 0, 8)) == 3
    assert real_faces(train, 1, 8).shape == (0, 2, 2)


def test_samples_stand_at_even_distances() -> None:
    samples = {"images": np.arange(6.0)[:, None, None], "emotion": np.array([1, 0, 1, 0, 1, 1])}
    assert spaced_samples(samples, 1, 2).ravel().tolist() == [0.0, 4.0]
    assert spaced_samples(samples, 1, 9).ravel().tolist() == [0.0, 2.0, 4.0, 5.0]
    assert len(spaced_samples(samples, 2, 3)) == 0
