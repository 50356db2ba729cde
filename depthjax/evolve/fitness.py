"""What evolution rewards: one number for one face, larger is better.

A face is decoded and measured in batches (`Measures`, the only part that needs the networks); a fitness combines one
face's measures with its latent. Its numbers come as arrays (`Weights`), so that a sweep can vmap them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax import config

WORST = -jnp.inf
CHI_STD = 0.5**0.5  # standard deviation of the norm of a standard normal vector, in the limit of many dimensions
SHELL = 2.0  # standard deviations of that norm which cost nothing


class Measures(NamedTuple):
    """One decoded face (or a batch), measured."""

    mean: jax.Array  # () of the pixels, in [-1, 1]
    std: jax.Array  # () of the pixels, in [0, 1]
    logit: jax.Array  # () of the teacher discriminator; NaN where the fitness does not read it


class Weights(NamedTuple):
    """The numbers of a fitness; any of them may be vmapped."""

    mean_weight: float | jax.Array  # alpha of equation 2
    std_weight: float | jax.Array  # beta of equation 2
    real_logit_median: jax.Array  # () for one emotion, (classes,) for a run


Fitness = Callable[[Measures, jax.Array, Weights], jax.Array]


def paper(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """Equation 2 of the paper: alpha mean + beta std of the image. Unbounded pull towards two tones."""
    return weights.mean_weight * face.mean + weights.std_weight * face.std


def released(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """The released scripts' 10 std - 5 |mean|; its bound, 10, is an image half -1 and half +1."""
    return 10 * face.std - 5 * jnp.abs(face.mean)


def realism(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """min(logit, m) - max(0, | ||z|| - sqrt(d) | / s - 2), with s = sqrt(1/2).

    m is the teacher discriminator's median logit over real training faces of the emotion: a face that passes for an
    average real one earns nothing by going further. The second term keeps latents on the shell where the generator was
    trained: one logit for each standard deviation of a standard normal's norm beyond the second. Both saturate, so the
    maximum, m, is reached by many faces and by no exploit of the discriminator.
    """
    return jnp.minimum(face.logit, weights.real_logit_median) - norm_shell_penalty(latent)


def norm_shell_penalty(latent: jax.Array) -> jax.Array:
    """How many standard deviations beyond two the norm of a (d,) latent lies from sqrt(d); 0 inside."""
    distance = jnp.abs(jnp.linalg.norm(latent) - latent.shape[-1] ** 0.5) / CHI_STD
    return jnp.maximum(distance - SHELL, 0)


def worst_if_not_finite(fitness: jax.Array) -> jax.Array:
    """-inf in place of NaN and infinity: a face without a value loses every tournament and poisons nothing."""
    return jnp.where(jnp.isfinite(fitness), fitness, WORST)


FITNESS: dict[str, Fitness] = {"paper": paper, "released": released, "realism": realism}
READS_LOGIT = (realism,)  # the others save the discriminator's forward pass


def make_fitness(settings: config.Evolve, real_logit_median: jax.Array) -> tuple[Fitness, Weights]:
    """The fitness that a config names, and its numbers.

    Args:
        settings: whose `fitness`, `mean_weight` and `std_weight` are read.
        real_logit_median: (classes,) teacher-discriminator logits, median over real training faces of each emotion.
    """
    return FITNESS[settings.fitness], Weights(settings.mean_weight, settings.std_weight, real_logit_median)
