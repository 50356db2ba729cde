"""Augmentations by what they must do to a face: nothing, exactly this, or this much."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import AUGMENTATIONS
from depthjax.train import augment
from depthjax.train.augment import Relief

RELIEF = Relief(-10.0, 80.0, (2.8125, 2.8125))
ONES = jnp.ones(4)
STILL = {"flip": jnp.zeros(4, bool), "size": ONES, "moves": jnp.zeros((4, 2))}


def _millimetres(images):
    return (np.asarray(images) + 1) * RELIEF.half + RELIEF.near


@pytest.fixture(scope="module")
def faces():
    """A smooth bowl on background, in [-1, 1], (4, 32, 32)."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    bowl = -0.7 + 1.1 * (x**2 + y**2) / 0.5
    shift = np.linspace(0, 0.1, 4)[:, None, None]
    return jnp.asarray(np.where(x**2 + y**2 < 0.6, bowl[None] + shift, 1.0).clip(-1, 1).astype(np.float32))


def test_resampling_moves_and_mirrors_whole_pixels_exactly(faces):
    np.testing.assert_allclose(augment.resampled(faces, **STILL), faces, atol=1e-6)
    flipped = augment.resampled(faces, **STILL | {"flip": jnp.array([True, False, True, False])})
    np.testing.assert_allclose(flipped[::2], faces[::2, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(flipped[1::2], faces[1::2], atol=1e-6)
    moved = augment.resampled(faces, **STILL | {"moves": jnp.array([[2.0, -3.0]] * 4)})
    np.testing.assert_allclose(moved[:, 2:, :-3], faces[:, :-2, 3:], atol=1e-6)
    np.testing.assert_allclose(moved[:, :2, :-3], faces[:, :1, 3:].repeat(2, 1), atol=1e-6)  # the edge goes on


def test_enlarging_is_bilinear_about_the_middle(faces):
    from scipy.ndimage import map_coordinates

    large = augment.resampled(faces, **STILL | {"size": 1.1 * ONES})
    where = (np.indices((32, 32)) - 15.5) / 1.1 + 15.5
    np.testing.assert_allclose(large[1], map_coordinates(faces[1], where, order=1), atol=1e-5)


def test_depth_moves_in_millimetres_and_background_stays(faces):
    changed = augment.redepthed(faces, 2.0 * ONES, 1.05 * ONES, RELIEF)
    before, after = _millimetres(faces), _millimetres(changed)
    np.testing.assert_array_equal(changed[faces == 1], 1)
    plain = (np.asarray(faces) < 1 - augment.FADE) & (after < RELIEF.far - 0.01)
    np.testing.assert_allclose(after[plain], 1.05 * before[plain] + 2, atol=1e-3)


def test_a_turn_is_that_of_points_in_space():
    """A plane that faces the camera becomes one that leans by the angle, at the distance of the axis."""
    flat = jnp.full((2, 8, 32), (30 - RELIEF.near) / RELIEF.half - 1)
    angle = jnp.deg2rad(jnp.array([6.0, -4.0]))
    turned = _millimetres(augment.turned(flat, angle, RELIEF))[:, 4, 6:-6]
    x = (np.arange(32) - 15.5)[6:-6] * 2.8125
    for row, a in zip(turned, np.asarray(angle), strict=True):
        z = 30 - augment.AXIS_MM
        # Points (s, z) go to x = s cos + z sin and z' = z cos - s sin; so at x the plane is at (z - x sin) / cos.
        np.testing.assert_allclose(row - augment.AXIS_MM, (z - x * np.sin(a)) / np.cos(a), atol=0.05)


def test_a_turn_moves_the_near_against_the_far():
    x, angle = (np.arange(64) - 31.5) * 2.8125, np.deg2rad(8.0)
    z = 50 - 45 * np.exp(-((x / 20) ** 2) / 2) - augment.AXIS_MM  # a nose
    images = np.broadcast_to((z + augment.AXIS_MM - RELIEF.near) / RELIEF.half - 1, (1, 4, 64)).astype(np.float32)
    turned = _millimetres(augment.turned(jnp.asarray(images), jnp.array([angle]), RELIEF))[0, 2]
    to = x * np.cos(angle) + z * np.sin(angle)
    expected = np.interp(x, to, z * np.cos(angle) - x * np.sin(angle)) + augment.AXIS_MM
    np.testing.assert_allclose(turned[6:-6], expected[6:-6], atol=0.6)
    assert np.abs(turned - _millimetres(images)[0, 2]).max() > 5


def test_all_together_stay_in_range_and_let_gradients_through(faces):
    def total(images, probability):
        out = augment.augmented(jax.random.key(3), images, names=AUGMENTATIONS, relief=RELIEF, probability=probability)
        return jnp.square(out).sum(), out

    (_, out), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(faces, 1.0)
    assert np.abs(out).max() <= 1 and not np.allclose(out, faces, atol=0.05)
    assert np.isfinite(gradient).all() and (np.abs(gradient) > 0).mean() > 0.5
    np.testing.assert_allclose(total(faces, 0.0)[1], faces, atol=1e-5)


def test_cutouts_are_background_of_the_stated_size(faces):
    draws = jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    cut = augment.cut_out(jnp.zeros_like(faces), jnp.array([True, True, False, True]), draws)
    share = np.asarray(cut).mean((1, 2))
    np.testing.assert_allclose(share[:3], [augment.HOLE[1] ** 2, augment.HOLE[0] ** 2, 0], atol=0.03)
    assert 0 < share[3] < share[0] / 2  # half of it is off the image, each way
