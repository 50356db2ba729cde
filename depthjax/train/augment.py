"""Differentiable augmentation of depth faces, real and generated alike (Zhao et al. 2020, Karras et al. 2020).

What is shown to the discriminator is never the face itself, so it cannot learn the training faces by heart; gradients
pass through to the generator. Amounts are in shares of the image or in millimetres and degrees of the face.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax.config import AUGMENTATIONS, Config
from depthjax.data.crop import pixel_pitch
from depthjax.precision import EXACT

SHIFT = 0.06  # of the side, at most, either way
SCALE = 0.08  # at most, either way, about the middle
OFFSET_MM, GAIN = 3.0, 0.06  # of depth, at most, either way; the gain is about the nose tip
HOLE = (0.15, 0.35)  # the side of a cutout as a share of the image's
TURN_DEG = 8.0  # at most, either way
AXIS_MM = 40.0  # behind the nose tip, of the vertical axis that a head is turned about
FADE = 0.05  # in [-1, 1]: a value nearer than this to +1 is ever more background, which has no depth to change

Augment = Callable[[jax.Array, int, jax.Array], jax.Array]  # key of the step, number of the draw, images (n, h, w)


class Relief(NamedTuple):
    """What values and pixels mean: millimetres of -1 and +1 behind the nose tip, and of a pixel down and across."""

    near: float
    far: float
    pitch: tuple[float, float]

    @property
    def half(self) -> float:
        """Millimetres of a difference of 1."""
        return (self.far - self.near) / 2

    @classmethod
    def of(cls, config: Config) -> Relief:
        """The relief of a config's images."""
        return cls(config.data.near_mm, config.data.far_mm, pixel_pitch(config.data))


def make_augment(config: Config) -> Augment:
    """`augment(key, draw, images)` as configured; without any augmentation the images as they are."""
    names, relief, probability = config.train.augment, Relief.of(config), config.train.augment_probability

    def augment(key: jax.Array, draw: int, images: jax.Array) -> jax.Array:
        if not names:
            return images
        return augmented(jax.random.fold_in(key, draw), images, names=names, relief=relief, probability=probability)

    return augment


def augmented(
    key: jax.Array, images: jax.Array, *, names: tuple[str, ...], relief: Relief, probability: float
) -> jax.Array:
    """Each face changed by each of `names` with that probability, in a fixed order.

    Args:
        images: (n, h, w) in [-1, 1].
        names: of mirror, shift, scale, depth, cutout, turn.
        relief: what the values mean.
    Returns:
        (n, h, w) in [-1, 1]; background stays +1.
    """
    n, (height, width) = len(images), images.shape[1:]
    keys = {name: jax.random.split(jax.random.fold_in(key, i)) for i, name in enumerate(AUGMENTATIONS)}
    chosen = {name: jax.random.bernoulli(keys[name][0], probability, (n,)) for name in names}

    def draw(name: str, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(keys[name][1], (n, *shape), minval=-1.0, maxval=1.0)

    if "turn" in names:
        degrees = jnp.where(chosen["turn"], TURN_DEG * draw("turn", ()), 0)
        images = turned(images, jnp.deg2rad(degrees), relief)
    if "depth" in names:
        amounts = jnp.where(chosen["depth"][:, None], draw("depth", (2,)), 0)
        images = redepthed(images, OFFSET_MM * amounts[:, 0], 1 + GAIN * amounts[:, 1], relief)
    if {"mirror", "shift", "scale"} & set(names):
        flip = chosen["mirror"] & (draw("mirror", ()) > 0) if "mirror" in names else jnp.zeros(n, bool)
        size = jnp.where(chosen["scale"], 1 + SCALE * draw("scale", ()), 1) if "scale" in names else jnp.ones(n)
        moves = jnp.zeros((n, 2))
        if "shift" in names:
            # Whole pixels: between them a face would be smoothed, real or not.
            reach = SHIFT * jnp.array([[height, width]])
            moves = jnp.round(jnp.where(chosen["shift"][:, None], reach * draw("shift", (2,)), 0))
        images = resampled(images, flip, size, moves)
    if "cutout" in names:
        images = cut_out(images, chosen["cutout"], draw("cutout", (3,)))
    return images


def resampled(images: jax.Array, flip: jax.Array, size: jax.Array, moves: jax.Array) -> jax.Array:
    """Mirrored, enlarged about the middle and moved, bilinear; beyond the edges the edge goes on.

    As two products with matrices of weights: a gather would be a slow scatter in the gradient.

    Args:
        images: (n, h, w).
        flip: (n,) bool.
        size: (n,) factor, above 1 enlarges.
        moves: (n, 2) pixels down and right.
    """
    height, width = images.shape[1:]
    rows = _weights(height, size, moves[:, 0], jnp.zeros_like(flip))
    columns = _weights(width, size, moves[:, 1], flip)
    return jnp.einsum("nij,njk,nlk->nil", rows, images, columns, precision=EXACT)


def _weights(pixels: int, size: jax.Array, move: jax.Array, flip: jax.Array) -> jax.Array:
    """(n, pixels, pixels): the weight of each source pixel in each target pixel."""
    here, middle = jnp.arange(pixels, dtype=jnp.float32), (pixels - 1) / 2
    source = (here[None] - middle - move[:, None]) / size[:, None]
    source = jnp.where(flip[:, None], -source, source) + middle
    source = jnp.clip(source, 0, pixels - 1)
    return jnp.maximum(0, 1 - jnp.abs(source[:, :, None] - here[None, None]))


def redepthed(images: jax.Array, offset: jax.Array, gain: jax.Array, relief: Relief) -> jax.Array:
    """Moved away by `offset` mm and stretched by `gain` about the nose tip, (n,) each; background stays."""
    millimetres = (images + 1) * relief.half + relief.near
    change = (gain[:, None, None] - 1) * millimetres + offset[:, None, None]
    return jnp.clip(images + face_share(images) * change / relief.half, -1, 1)


def face_share(images: jax.Array) -> jax.Array:
    """1 on the face, falling to 0 where an image nears +1: the background."""
    return jnp.clip((1 - images) / FADE, 0, 1)


def cut_out(images: jax.Array, chosen: jax.Array, draws: jax.Array) -> jax.Array:
    """A square of no return where `chosen`, (n,); draws (n, 3) in [-1, 1] give its middle and its side."""
    height, width = images.shape[1:]
    share = (draws + 1) / 2
    half = (HOLE[0] + (HOLE[1] - HOLE[0]) * share[:, 2]) / 2
    rows = jnp.abs((jnp.arange(height) + 0.5)[None] / height - share[:, :1]) < half[:, None]
    columns = jnp.abs((jnp.arange(width) + 0.5)[None] / width - share[:, 1:2]) < half[:, None]
    hole = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    return jnp.where(hole, 1.0, images)


def turned(images: jax.Array, angle: jax.Array, relief: Relief) -> jax.Array:
    """The relief turned about the vertical axis through the middle, AXIS_MM behind the nose tip.

    x' = x cos + z sin and z' = z cos - x sin. Where a pixel comes from is found from the depth that stands there, and
    that one from the depth at the pixel: enough for a small angle. Nothing appears that was hidden.

    Args:
        images: (n, h, w) in [-1, 1].
        angle: (n,) radians, of at most TURN_DEG.
    """
    width, pitch = images.shape[2], relief.pitch[1]
    sine, cosine = (f(angle)[:, None, None] for f in (jnp.sin, jnp.cos))
    x = ((jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2) * pitch)[None, None]
    fixed, source, reach = jax.lax.stop_gradient(images), jnp.broadcast_to(x, images.shape), _reach(width, relief)
    for _ in range(2):
        depth = (_looked_up(fixed, (source - x) / pitch, reach=reach) + 1) * relief.half + relief.near - AXIS_MM
        source = (x - depth * sine) / cosine
    moved = _looked_up(images, (source - x) / pitch, reach=reach)
    z = (moved + 1) * relief.half + relief.near - AXIS_MM
    change = z * (cosine - 1) - source * sine
    return jnp.clip(moved + face_share(moved) * change / relief.half, -1, 1)


def _reach(width: int, relief: Relief) -> int:
    """Pixels that a turn moves anything by, at most."""
    most, pitch = math.radians(TURN_DEG), relief.pitch[1]
    depth = max(abs(relief.near - AXIS_MM), abs(relief.far - AXIS_MM))
    return math.ceil((depth * math.sin(most) + width * pitch / 2 * (1 - math.cos(most))) / math.cos(most) / pitch)


def _looked_up(images: jax.Array, ahead: jax.Array, *, reach: int) -> jax.Array:
    """Each pixel taken from `ahead` (n, h, w) pixels to its right, at most `reach`; bilinear, edges go on."""
    width = images.shape[2]
    wide = jnp.pad(images, ((0, 0), (0, 0), (reach, reach)), mode="edge")
    ahead = jnp.clip(ahead, -reach, reach)
    steps = range(-reach, reach + 1)
    parts = [jax.lax.slice_in_dim(wide, reach + k, reach + k + width, axis=2) for k in steps]
    moved = jnp.zeros_like(images)
    for k, part in zip(steps, parts, strict=True):
        moved += jnp.maximum(0, 1 - jnp.abs(ahead - k)) * part
    return moved
