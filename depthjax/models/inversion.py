"""Latent inversion: how near a generator can come to a given face, by gradient descent on the latent."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from depthjax.models.dcgan import Generator
from depthjax.precision import exact_products

BACKGROUND = 0.95  # from here to 1 a pixel is background or invalid: it has no depth to be missed
RATE = 0.1  # of Adam, falling to 0 by a cosine
STARTS = 2  # latents that the descent begins from; the best counts
AT_ONCE = 16  # faces: bounds the memory, and one shape is compiled


class Decoder(NamedTuple):
    """A generator with its variables."""

    generator: Generator
    variables: dict[str, Any]


def invert(key: jax.Array, decoder: Decoder, images: np.ndarray, emotion: np.ndarray, *, steps: int) -> np.ndarray:
    """Return the (n,) root mean square depth, in the images' unit, that the generator misses of (n, h, w) faces.

    Only pixels with valid depth count, and the depth before the validity mask, whose draw has no gradient in z. A
    latent is kept as short as nearly all normal ones are: beyond, a generator can imitate what it never makes.
    """
    padding = -len(images) % AT_ONCE
    faces, labels = np.pad(images, ((0, padding), (0, 0), (0, 0))), np.pad(emotion, (0, padding))
    size = decoder.variables["params"]["linear"]["kernel"].shape[0] - decoder.generator.classes
    errors = []
    with exact_products():
        for i in range(0, len(faces), AT_ONCE):
            begin = jax.random.normal(jax.random.fold_in(key, i), (STARTS, AT_ONCE, size), jnp.float32)
            cut = slice(i, i + AT_ONCE)
            errors.append(_descend(decoder.generator, decoder.variables, begin, faces[cut], labels[cut], steps))
    return np.concatenate(errors)[: len(images)].astype(np.float64)


def root_mean_square(made: jax.Array | np.ndarray, images: jax.Array | np.ndarray) -> jax.Array:
    """Return the root mean square difference (...,) over the pixels of (..., h, w) images that have valid depth."""
    valid = images < BACKGROUND
    squares = jnp.where(valid, made - images, 0) ** 2
    # The root has no gradient at 0.
    return jnp.sqrt(squares.sum(axis=(-2, -1)) / jnp.maximum(valid.sum(axis=(-2, -1)), 1) + 1e-12)


@partial(jax.jit, static_argnums=(0, 5))
def _descend(
    generator: Generator,
    variables: dict[str, Any],
    latents: jax.Array,  # (starts, n, d)
    images: jax.Array,  # (n, h, w)
    emotion: jax.Array,  # (n,)
    steps: int,
) -> jax.Array:
    """Return the (n,) least root mean square error after Adam from each start."""
    starts, n, size = latents.shape
    depth = generator.clone(validity_mask=False)
    labels, faces = jnp.tile(emotion, starts), jnp.tile(images, (starts, 1, 1))
    # The norm of a normal latent is about sqrt(d), with a standard deviation of 0.7.
    longest = jnp.sqrt(size) + 1.5

    def errors(z: jax.Array) -> jax.Array:
        made: Any = depth.apply(variables, z.reshape(starts * n, size), labels, False)
        return root_mean_square(made, faces).reshape(starts, n)

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def step(carry: tuple[jax.Array, Any], _: None) -> tuple[tuple[jax.Array, Any], None]:
        z, state = carry
        change, state = optimizer.update(jax.grad(lambda z: errors(z).sum())(z), state)
        z = optax.apply_updates(z, change)
        norm = jnp.linalg.norm(z, axis=-1, keepdims=True)
        return (z * jnp.minimum(1, longest / norm), state), None

    (latents, _), _ = jax.lax.scan(step, (latents, optimizer.init(latents)), None, length=steps)
    return errors(latents).min(axis=0)
