"""What a discriminator is shown of a face beside its depth: how the surface leans."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

Kind = Literal["none", "slopes", "normals"]
STEEPEST = 2.0  # slopes beyond this are edges of the face, not its shape


def surface_planes(images: jax.Array, kind: Kind, steepness: tuple[float, float]) -> jax.Array:
    """The image and, beside it, the surface's slopes down and right, or the unit normal's parts in these directions.

    Differences are from pixel to next pixel: central ones would be blind to a checkerboard.

    Args:
        images: (n, h, w) in [-1, 1].
        kind: `none`, `slopes` (clipped at STEEPEST, then scaled to [-1, 1]) or `normals` (in [-1, 1]).
        steepness: slope (mm of depth a mm on the face) of a difference of 1 between pixels, downwards and to the right.
    Returns:
        (n, h, w, 1 or 3), depth first.
    """
    if kind == "none":
        return images[..., None]
    steps = [jnp.diff(images, axis=axis, append=_last(images, axis)) for axis in (1, 2)]
    down, right = (factor * step for factor, step in zip(steepness, steps, strict=True))
    if kind == "slopes":
        planes = [jnp.clip(slope, -STEEPEST, STEEPEST) / STEEPEST for slope in (down, right)]
    else:
        length = jnp.sqrt(1 + jnp.square(down) + jnp.square(right))
        planes = [-down / length, -right / length]
    return jnp.stack([images, *planes], axis=-1)


def _last(images: jax.Array, axis: int) -> jax.Array:
    return jax.lax.slice_in_dim(images, images.shape[axis] - 1, images.shape[axis], axis=axis)
