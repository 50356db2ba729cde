"""The sensor in the loop against the sensor that the embedded people are seen with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data import kinect
from depthjax.data.crop import FOCAL, crop_face, to_square
from depthjax.data.depth_range import DepthRange
from depthjax.data.render import Surface
from depthjax.train.augment import Relief
from depthjax.train.sensor import sensed

RELIEF = Relief(-10.0, 80.0, (2.8125, 2.8125))
WINDOW, PLANE, PEOPLE = DepthRange(-10.0, 80.0), 30.3, 24
sense = jax.jit(sensed, static_argnums=2)


def _values(millimetres):
    return np.float32((millimetres - RELIEF.near) / RELIEF.half - 1)


def _noise(images):
    """Standard deviation in mm, and correlation of a pixel with its neighbour, without holes."""
    relief = WINDOW.to_mm(images)[:, 4:-4, 4:-4]
    kept = np.where(np.abs(relief - PLANE) < 20, relief, np.nan)
    kept -= np.nanmean(kept, (1, 2), keepdims=True)
    return np.nanstd(kept), np.nanmean(kept[:, :, 1:] * kept[:, :, :-1]) / np.nanvar(kept)


@pytest.fixture(scope="module")
def measured():
    """A plane as `kinect.measure` and the crop deliver it, from as many distances."""
    rng, images = np.random.default_rng(0), []
    measure = jax.jit(lambda key, depth, z: kinect.measure(
        key, Surface(depth, jnp.ones_like(depth), jnp.zeros_like(depth)),
        kinect.Scene(jnp.float32(2000.0), jnp.float32(0.0)), distance=z))  # fmt: skip
    for i in range(PEOPLE):
        distance, offset = np.float32(rng.uniform(800, 1200)), rng.uniform(-0.5, 0.5, 2)
        frame = np.asarray(measure(jax.random.key(i), jnp.full((168, 112), distance + PLANE), distance))
        crop = crop_face(frame, np.float32([56, 92]) + offset, pixel_mm=distance / FOCAL)
        relief = WINDOW.from_mm(crop[None], np.float32([distance]))
        images.append(to_square(relief, 64, crop="face")[0])
    return np.stack(images)


def test_noise_is_as_strong_and_as_smooth_as_the_camera_s(measured):
    ours = sense(jax.random.key(5), np.full((PEOPLE, 64, 64), _values(PLANE)), RELIEF)
    np.testing.assert_allclose(_noise(np.asarray(ours)), _noise(measured), rtol=0.05)


def test_background_stays_and_edges_lose_returns():
    images = np.ones((8, 64, 64), np.float32)
    images[:, 16:48, 16:48] = _values(0.0)
    seen = np.asarray(sense(jax.random.key(1), images, RELIEF))
    assert (seen[:, :12] == 1).all() and (seen[:, :, -12:] == 1).all()
    inside, edge = seen[:, 20:44, 20:44], seen[:, 16:48, 16]
    assert (inside > 0).mean() < 0.01 < 0.2 < (edge > 0).mean()


def test_steep_surfaces_are_noisier():
    ramp = np.broadcast_to(np.linspace(0, 60, 64, dtype=np.float32)[:, None], (8, 64, 64))
    steep = np.broadcast_to((np.arange(64, dtype=np.float32) % 16 * 5)[:, None], (8, 64, 64))
    noise = []
    for relief in (ramp, steep):
        pair = [np.asarray(sense(jax.random.key(k), _values(relief), RELIEF)) for k in (1, 1)]
        other = np.asarray(sense(jax.random.key(2), _values(relief), RELIEF))
        np.testing.assert_array_equal(*pair)
        noise.append(np.median(np.abs(other - pair[0])))
    assert noise[1] > 1.3 * noise[0]


def test_gradients_pass_the_rounding():
    images = jnp.full((2, 64, 64), _values(PLANE))
    gradient = jax.grad(lambda x: sense(jax.random.key(0), x, RELIEF)[:, 8:-8, 8:-8].sum())(images)
    middle = np.asarray(gradient)[:, 16:-16, 16:-16]
    np.testing.assert_allclose(middle.mean(), 1, atol=0.03)  # every weight sums to one
