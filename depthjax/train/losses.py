"""The losses of the paper and of its released scripts: one value per sample, the caller takes the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp


class GanObjective(NamedTuple):
    """The adversarial losses of both networks, from logits; each returns one value per sample.

    Generated and training faces of one index claim the same emotion. The discriminator descends the mean of its two
    losses, (n,) each: of logits of training faces, and of generated faces.
    """

    generator: Callable[[jax.Array, jax.Array], jax.Array]  # (logits (n,) of generated faces, of training faces) → (n,)
    discriminator: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def generator_cross_entropy(fake_logits: jax.Array, real_logits: jax.Array) -> jax.Array:
    """Return -log D(G(z)), the non-saturating loss, (n,) (paper: equation 1, as released)."""
    del real_logits
    return jax.nn.softplus(-fake_logits)


def discriminator_cross_entropy(real_logits: jax.Array, fake_logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log D(x) and -log(1 - D(G(z))), (n,) each (paper: equation 1)."""
    return jax.nn.softplus(-real_logits), jax.nn.softplus(fake_logits)


CROSS_ENTROPY = GanObjective(generator_cross_entropy, discriminator_cross_entropy)


def generator_distillation(images: jax.Array, teacher_images: jax.Array, norm: Literal["l1", "l2"]) -> jax.Array:
    """Return the distance (n,) of the student's images (n, h, w) from the teacher's for the same latents and emotions.

    A mean over pixels: `l1`, of absolute differences (released), or `l2`, of squared ones (paper: equation 5).
    """
    difference = images - teacher_images
    return (jnp.abs(difference) if norm == "l1" else jnp.square(difference)).mean((1, 2))


def discriminator_distillation(logits: jax.Array, teacher_logits: jax.Array) -> jax.Array:
    """Return the squared difference of the student's and the teacher's probabilities, (n,) (as released)."""
    return jnp.square(jax.nn.sigmoid(logits) - jax.nn.sigmoid(teacher_logits))
