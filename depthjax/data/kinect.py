"""What a Kinect v2 makes of a surface: blurred at its resolution, noisy, full of holes, in whole millimetres.

Noise model: Fankhauser et al. 2015, "Kinect v2 for mobile robot navigation: evaluation and modeling".
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax.data.crop import FOCAL
from depthjax.data.render import Surface
from depthjax.precision import EXACT

LATERAL_MM = 1.6  # standard deviation of the lateral noise, modelled as the blur of a pixel's footprint
JUMP_MM = 25.0  # a step of depth inside a footprint beyond which light from both sides mixes
JUMP_LOSS = 0.6  # share of such mixed pixels that the sensor throws away; the others are flying pixels
GRAZING_DEG, GRAZING_SOFTNESS_DEG = 80.0, 3.0  # angle at which half of the pixels are lost
STRAY_LOSS = 5e-4  # share of pixels lost for no reason


class Scene(NamedTuple):
    """What stands around the face: distance of the wall (mm) and the share of hair pixels that are lost."""

    wall: jax.Array
    hair: jax.Array


def axial_sigma(depth: jax.Array, angle: jax.Array) -> jax.Array:
    """Return the standard deviation of `depth` (mm, fitted for 500 to 2000) at an angle to the normal (< pi/2)."""
    z = depth / 1000
    return 1.5 - 0.5 * z + 0.3 * z**2 + 0.1 * z**1.5 * angle**2 / (jnp.pi / 2 - angle) ** 2


def measure(key: jax.Array, surface: Surface, scene: Scene, *, distance: jax.Array) -> jax.Array:
    """Return the sensor's frame (height, width) uint16 mm, 0 where depth is invalid.

    The surface is rendered at the sensor's resolution; its attribute is where hair grows, 0 to 1. The face's distance
    in mm sets the footprint's width in pixels.
    """
    seen = jnp.isfinite(surface.depth)
    depth = jnp.where(seen, surface.depth, scene.wall)
    mixed = _blur(depth, LATERAL_MM * FOCAL / distance)
    # Largest less smallest depth in the footprint.
    high = jax.lax.reduce_window(depth, -jnp.inf, jax.lax.max, (3, 3), (1, 1), "SAME")
    jump = high - jax.lax.reduce_window(depth, jnp.inf, jax.lax.min, (3, 3), (1, 1), "SAME") > JUMP_MM
    angle = jnp.clip(jnp.arccos(jnp.clip(surface.cosine, 0, 1)), 0, jnp.deg2rad(89.0))
    noise_key, *hole_keys = jax.random.split(key, 4)
    noisy = mixed + axial_sigma(mixed, angle) * jax.random.normal(noise_key, mixed.shape, jnp.float32)
    invalid = _invalid(hole_keys, jump, angle, surface.attribute * scene.hair)
    return jnp.where(invalid, 0, jnp.round(noisy)).astype(jnp.uint16)


def _invalid(keys: list[jax.Array], jump: jax.Array, angle: jax.Array, hair: jax.Array) -> jax.Array:
    grazing = jax.nn.sigmoid((jnp.rad2deg(angle) - GRAZING_DEG) / GRAZING_SOFTNESS_DEG)
    chance = jnp.maximum(jnp.where(jump, JUMP_LOSS, STRAY_LOSS), grazing)
    # Strands lie together: the chance of hair is decided for patches, not for single pixels.
    patches = jax.random.normal(keys[1], (-(-jump.shape[0] // 3), -(-jump.shape[1] // 3)), jnp.float32)
    patches = jnp.repeat(jnp.repeat(patches, 3, axis=0), 3, axis=1)[: jump.shape[0], : jump.shape[1]]
    pixels = jax.random.normal(keys[2], jump.shape, jnp.float32)
    lost_hair = 0.8 * patches + 0.6 * pixels < jax.scipy.stats.norm.ppf(hair)
    return (jax.random.uniform(keys[0], jump.shape, jnp.float32) < chance) | (lost_hair & (hair > 0.01))


def _blur(image: jax.Array, sigma: jax.Array) -> jax.Array:
    kernel = jnp.exp(-0.5 * (jnp.arange(-2, 3) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = jnp.pad(image, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        windows = [jax.lax.slice_in_dim(padded, i, i + image.shape[axis], axis=axis) for i in range(5)]
        image = jnp.tensordot(kernel, jnp.stack(windows), 1, precision=EXACT)
    return image
