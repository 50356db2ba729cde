"""Generated faces as a Kinect would see them: the sensor between generator and discriminator.

AmbientGAN (Bora et al. 2018): where every real face has passed through a known noisy measurement, so do the generated
ones before they are compared; then the generator itself is free to make what was measured, the clean relief. The
measurement is that of `depthjax.data.kinect` and `depthjax.data.crop`, on the networks' square: seen at the sensor's
resolution and blurred there, noisy, in whole millimetres, with holes, and resampled to the crop and to the square.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from depthjax.config import Config
from depthjax.data.crop import CROP_SHAPE, CROP_WIDTH_MM, FOCAL
from depthjax.data.generate import DISTANCE_MM
from depthjax.data.kinect import (
    GRAZING_DEG,
    GRAZING_SOFTNESS_DEG,
    JUMP_HOLE,
    JUMP_MM,
    LATERAL_MM,
    STRAY_HOLE,
    axial_sigma,
)
from depthjax.precision import EXACT
from depthjax.train.augment import Relief, face_share

BEHIND_MM = 900.0  # from the nose tip to the wall: what light from both sides of an edge is mixed with

Sense = Callable[[jax.Array, int, jax.Array], jax.Array]  # key of the step, number of the draw, images (n, h, w)


def make_sensor(config: Config) -> Sense:
    """`sense(key, draw, images)`: as the sensor sees them if `train.sensor`; else the images as they are."""
    relief = Relief.of(config)

    def sense(key: jax.Array, draw: int, images: jax.Array) -> jax.Array:
        if not config.train.sensor:
            return images
        # Folded once more: the augmentation of the same draw must not share its numbers.
        return sensed(jax.random.fold_in(jax.random.fold_in(key, draw), 1), images, relief)

    return sense


def sensed(key: jax.Array, images: jax.Array, relief: Relief) -> jax.Array:
    """Each face measured from a distance of its own, as the crops of the embedded people are.

    Gradients pass as if nothing were rounded, along the weights of every resampling; lost pixels have none.

    Args:
        images: (n, h, w) in [-1, 1], clean; +1 is background.
        relief: what the values mean.
    Returns:
        (n, h, w) in [-1, 1], with +1 where there is no return.
    """
    far, place, noise, loss = jax.random.split(key, 4)
    distance = jax.random.uniform(far, (len(images),), minval=DISTANCE_MM[0], maxval=DISTANCE_MM[1])
    phase = jax.random.uniform(place, (2, len(images)), minval=-0.5, maxval=0.5)
    axes = [
        _Axis(size, pitch, distance / FOCAL, shift)
        for size, pitch, shift in zip(images.shape[1:], relief.pitch, phase, strict=True)
    ]
    surface = (images + 1) * relief.half + relief.near
    wall = jax.lax.stop_gradient((1 - face_share(images)) * (BEHIND_MM - relief.far))
    mixed, shape = (_through(v, *(axis.blur() for axis in axes)) for v in (surface + wall, surface))
    nearest = _through(jax.lax.stop_gradient(surface + wall), *(axis.pick() for axis in axes))
    angle = _angle(jax.lax.stop_gradient(shape), distance / FOCAL)
    sigma = axial_sigma(distance[:, None, None] + jax.lax.stop_gradient(shape), angle)
    noisy = mixed + sigma * jax.random.normal(noise, mixed.shape)
    noisy += jax.lax.stop_gradient(jnp.round(noisy) - noisy)
    jump = _range(nearest) > JUMP_MM
    hole = jax.random.uniform(loss, mixed.shape) < _chance_of_loss(jump, angle)
    crop = _cropped(jnp.where(hole, BEHIND_MM, noisy), hole | jump, axes)
    values = (jnp.clip(crop, relief.near, relief.far) - relief.near) / relief.half - 1
    return _averaged(values, images.shape[1:])


def _chance_of_loss(jump: jax.Array, angle: jax.Array) -> jax.Array:
    """The share of returns lost at edges, at grazing angles and for no reason, as `kinect` has it.

    Hair is the generator's own business: its holes are part of what it learns.
    """
    grazing = jax.nn.sigmoid((jnp.rad2deg(angle) - GRAZING_DEG) / GRAZING_SOFTNESS_DEG)
    return jnp.maximum(jnp.where(jump, JUMP_HOLE, STRAY_HOLE), grazing)


class _Axis:
    """The pixels of one axis of the square, of the sensor and of the crop, in mm from the middle of the face."""

    def __init__(self, size: int, pitch: float, footprint: jax.Array, phase: jax.Array) -> None:
        crop_pitch = CROP_WIDTH_MM / CROP_SHAPE[1]
        self.parts = max(1, round(pitch / crop_pitch))  # pixels of the crop under one of the square
        seen = math.ceil(size * pitch / (DISTANCE_MM[0] / FOCAL)) + 2  # by the sensor from nearby
        self.square = _centred(size) * pitch
        self.crop = _centred(size * self.parts) * pitch / self.parts
        self.sensor = (_centred(seen)[None] + phase[:, None]) * footprint[:, None]
        self.footprint = footprint

    def blur(self) -> jax.Array:
        """(n, sensor, square) weights of the lateral noise about each pixel of the sensor."""
        logits = -0.5 * jnp.square((self._inside()[:, :, None] - self.square[None, None]) / LATERAL_MM)
        return jax.nn.softmax(logits, axis=-1)

    def pick(self) -> jax.Array:
        """(n, sensor, square) weights of the nearest pixel alone."""
        apart = jnp.abs(self._inside()[:, :, None] - self.square[None, None])
        return jax.nn.one_hot(apart.argmin(-1), len(self.square))

    def between(self) -> jax.Array:
        """(n, crop, sensor) bilinear weights."""
        return jnp.maximum(0, 1 - self._apart())

    def beside(self) -> jax.Array:
        """(n, crop, sensor) weights of the nearest pixel alone."""
        return jax.nn.one_hot(self._apart().argmin(-1), self.sensor.shape[1])

    def _inside(self) -> jax.Array:
        return jnp.clip(self.sensor, self.square[0], self.square[-1])

    def _apart(self) -> jax.Array:
        return jnp.abs(self.crop[None, :, None] - self.sensor[:, None, :]) / self.footprint[:, None, None]


def _centred(count: int) -> jax.Array:
    return jnp.arange(count, dtype=jnp.float32) - (count - 1) / 2


def _through(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.einsum("nij,njk,nlk->nil", rows, images, columns, precision=EXACT)


def _angle(depth: jax.Array, footprint: jax.Array) -> jax.Array:
    """Radians between ray and normal of (n, h, w) mm, from central differences, below 89 degrees."""
    wide = jnp.pad(depth, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    right = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    slope = jnp.sqrt(jnp.square(down) + jnp.square(right)) / (2 * footprint[:, None, None])
    return jnp.minimum(jnp.arctan(slope), jnp.deg2rad(89.0))


def _range(depth: jax.Array) -> jax.Array:
    """Largest less smallest depth among each pixel of (n, h, w) and its neighbours."""
    window, ones = (1, 3, 3), (1, 1, 1)
    high = jax.lax.reduce_window(depth, -jnp.inf, jax.lax.max, window, ones, "SAME")
    return high - jax.lax.reduce_window(depth, jnp.inf, jax.lax.min, window, ones, "SAME")


def _cropped(depth: jax.Array, broken: jax.Array, axes: list[_Axis]) -> jax.Array:
    """At the crop's resolution: bilinear on a surface, the nearest pixel where a corner is `broken`."""
    between = [axis.between() for axis in axes]
    near_break = _through(broken.astype(jnp.float32), *between) > 0
    picked = _through(depth, *(axis.beside() for axis in axes))
    return jnp.where(near_break, picked, _through(depth, *between))


def _averaged(crop: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    height, width = shape
    blocks = crop.reshape(len(crop), height, crop.shape[1] // height, width, crop.shape[2] // width)
    return blocks.mean((2, 4))
