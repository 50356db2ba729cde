"""Other views of the same faces, to teach a network what does not matter: framing, turn, sensor, hair, holes."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from depthjax.data.depth_range import DepthRange

DEPTH_RANGE = DepthRange(-10.0, 80.0)  # what the network reads, mm about the nose tip
SCALE, SHIFT, TURN = 0.15, 0.08, 12.0  # either way; shares of the image, and degrees in its plane
RELIEF, OFFSET_MM = 0.15, 4.0  # gain of depth, either way; standard deviation of the whole face
NOISE_MM, WAVES_MM, BENDS_MM = 4.0, 3.0, 2.5  # the most of each: of a pixel, over some pixels, over a cheek
EDGE_MM = 4.0  # this near to the far end is background: it has no noise


def distorted(key: jax.Array, relief: jax.Array) -> jax.Array:
    """Return a view of each face, (n, h, h) in [-1, 1] over DEPTH_RANGE, of (n, h, h) mm behind the nose tip."""
    keys = iter(jax.random.split(key, 18))
    n, side, _ = relief.shape

    def one(low: float, high: float) -> jax.Array:
        return jax.random.uniform(next(keys), (n, 1, 1), jnp.float32, low, high)

    def waves(cells: int) -> jax.Array:
        coarse = jax.random.normal(next(keys), (n, cells, cells), jnp.float32)
        return jax.image.resize(coarse, (n, side, side), "linear")

    near, far = DEPTH_RANGE.near_mm, DEPTH_RANGE.far_mm
    offset = OFFSET_MM * jax.random.normal(next(keys), (n, 1, 1), jnp.float32)
    x = moved(next(keys), jnp.clip((relief - offset) * one(1 - RELIEF, 1 + RELIEF), near, far))
    noise = one(0, NOISE_MM) * jax.random.normal(next(keys), x.shape, jnp.float32)
    noise += one(0, WAVES_MM) * waves(side * 3 // 8) + one(0, BENDS_MM) * waves(6)
    x = jnp.where(x < far - EDGE_MM, x + noise, x)
    place = jnp.linspace(0, 1, side)
    lost = waves(side // 4) > one(1.3, 3.0)  # patches without a return
    lost |= place[None, :, None] + 0.05 * waves(8) < one(-0.5, 0.25)  # hair, a cap, a tight crop
    lost |= jnp.abs(2 * place - 1)[None, None] + 0.06 * waves(8) > one(0.7, 1.6)  # the sides
    x = jnp.clip(jnp.where(lost, far, x), near, far)
    mirrored = jax.random.bernoulli(next(keys), shape=(n, 1, 1))
    return jnp.where(mirrored, x[:, :, ::-1], x) * (2 / (far - near)) - (far + near) / (far - near)


def moved(key: jax.Array, images: jax.Array) -> jax.Array:
    """Return images (n, h, h) shifted, scaled and turned about their middle, bilinearly; beyond the edge, the edge."""
    n, side, _ = images.shape
    draws = jax.random.uniform(key, (4, n), jnp.float32, -1, 1)
    angle, scale, shift = jnp.deg2rad(TURN) * draws[0], 1 + SCALE * draws[1], SHIFT * side * draws[2:]
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    grid = jnp.arange(side) - (side - 1) / 2

    def one(image: jax.Array, cos: jax.Array, sin: jax.Array, shift: jax.Array) -> jax.Array:
        rows, columns = grid[:, None] - shift[0], grid[None] - shift[1]
        places = [cos * rows - sin * columns + (side - 1) / 2, sin * rows + cos * columns + (side - 1) / 2]
        found: jax.Array = jax.scipy.ndimage.map_coordinates(image, places, order=1, mode="nearest")
        return found

    return jax.vmap(one)(images, cos, sin, shift.T)
