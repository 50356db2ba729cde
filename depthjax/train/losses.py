"""The losses of the paper and of its released scripts, and others: one value per sample, the caller takes the mean."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

Kind = Literal["bce", "relativistic", "hinge"]


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


def relativistic(preferred: jax.Array, other: jax.Array) -> jax.Array:
    """-log sigmoid(preferred - other) of (n,) pairs of logits (RpGAN: Jolicoeur-Martineau 2018, section 4).

    The generator prefers generated faces, the discriminator real ones; the two of a pair claim the same emotion.
    """
    return jax.nn.softplus(other - preferred)


def adversarial_of_generator(on_fake: jax.Array, on_real: jax.Array | None, kind: Kind) -> jax.Array:
    """What the generator descends, (n,), from logits (n,); only `relativistic` reads those of real faces."""
    if kind == "bce":
        return generator_adversarial(on_fake)
    if kind == "hinge":
        return -on_fake
    if on_real is None:
        raise ValueError("the relativistic loss compares with real faces")
    return relativistic(on_fake, on_real)


def adversarial_of_discriminator(on_real: jax.Array, on_fake: jax.Array, kind: Kind) -> tuple[jax.Array, jax.Array]:
    """What the discriminator descends the mean of, for real and for generated faces, (n,) each, from logits (n,).

    `hinge`: max(0, 1 - D(x)) and max(0, 1 + D(G(z))) (Lim and Ye 2017). `relativistic`: both are that of the pair.
    """
    if kind == "bce":
        return real_cross_entropy(on_real), fake_cross_entropy(on_fake)
    if kind == "hinge":
        return jax.nn.relu(1 - on_real), jax.nn.relu(1 + on_fake)
    pair = relativistic(on_real, on_fake)
    return pair, pair


def lecam(on_real: jax.Array, on_fake: jax.Array, mean_real: jax.Array, mean_fake: jax.Array) -> jax.Array:
    """(D(x) - a_F)² + (D(G(z)) - a_R)² (Tseng et al. 2021, equation 5), (n,) from logits (n,).

    Args:
        mean_real, mean_fake: () running means a_R and a_F of the logits.
    """
    return jnp.square(on_real - mean_fake) + jnp.square(on_fake - mean_real)


def feature_distance(features: jax.Array, teacher_features: jax.Array) -> jax.Array:
    """Squared distance of (n, d) features from a teacher's, over the teacher's mean square: (n,), 1 for unlike zeros.

    The teacher is taken as fixed; the unit keeps the weight's meaning while features grow.
    """
    target = jax.lax.stop_gradient(teacher_features)
    return jnp.square(features - target).mean(1) / (jnp.square(target).mean() + 1e-8)
