"""The losses of the paper and of its released scripts: one value per sample, the caller takes the mean."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp


def generator_adversarial(fake_logits: jax.Array) -> jax.Array:
    """-log D(G(z)), the non-saturating loss, from (n,) logits (paper: equation 1, as released)."""
    return jax.nn.softplus(-fake_logits)


def real_cross_entropy(logits: jax.Array) -> jax.Array:
    """-log D(x), from (n,) logits of real faces (paper: equation 1)."""
    return jax.nn.softplus(-logits)


def fake_cross_entropy(logits: jax.Array) -> jax.Array:
    """-log(1 - D(G(z))), from (n,) logits of generated faces (paper: equation 1)."""
    return jax.nn.softplus(logits)


def generator_distillation(images: jax.Array, teacher_images: jax.Array, norm: Literal["l1", "l2"]) -> jax.Array:
    """Distance of the student's images from the teacher's for the same latents and emotions.

    Args:
        images, teacher_images: (n, h, w) in [-1, 1].
        norm: `l1`, mean absolute difference (released), or `l2`, mean squared difference (paper: equation 5).
    Returns:
        (n,), a mean over the pixels of each image.
    """
    difference = images - teacher_images
    return (jnp.abs(difference) if norm == "l1" else jnp.square(difference)).mean((1, 2))


def discriminator_distillation(logits: jax.Array, teacher_logits: jax.Array) -> jax.Array:
    """Squared difference of the student's and the teacher's probabilities, from (n,) logits (as released)."""
    return jnp.square(jax.nn.sigmoid(logits) - jax.nn.sigmoid(teacher_logits))
