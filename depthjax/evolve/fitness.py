"""What evolution rewards: one number for one face, larger is better.

A face is decoded and measured in batches (`Measures`, the only part that needs the networks); a fitness combines one
face's measures with its latent. Its numbers come as arrays (`Weights`), so that a sweep can vmap them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthjax import config
from depthjax.evolve.statistics import Statistics

WORST = -jnp.inf
UNREAD: Any = jnp.nan  # what no network was asked for
UNKNOWN: Any = None  # what was not measured on real faces
CHI_STD = 0.5**0.5  # standard deviation of the norm of a standard normal vector, in the limit of many dimensions
SHELL = 2.0  # standard deviations of that norm which cost nothing
CERTAIN = 0.97  # probability of the emotion from which on nothing is gained
BALL = 0.75  # of the radius about a real face: half of the faces of people left out lie so near
BAND_UNIT = 0.1  # how far beyond its band a mean, std or share of 2, 1 and 1 at most costs one
LEAST_LOG_PROBABILITY = -10.0  # a face of another emotion loses no more: so that the other terms still rank it


class Measures(NamedTuple):
    """One decoded face (or a batch), measured; NaN where the fitness does not read it."""

    mean: jax.Array  # () of the pixels, in [-1, 1]
    std: jax.Array  # () of the pixels, in [0, 1]
    logit: jax.Array  # () of the teacher discriminator
    empty: jax.Array = UNREAD  # () share of background and holes
    log_probability: jax.Array = UNREAD  # () of the emotion asked for, see `statistics.Seen`
    outside: jax.Array = UNREAD  # () distance to a real face over the radius of its ball
    nearest: jax.Array = UNREAD  # () distance to the nearest real training face
    descriptor: jax.Array = UNREAD  # (k,)
    reading: jax.Array = UNREAD  # (r,) what the readers of emotions see, see `statistics.Readings`


class Weights(NamedTuple):
    """The numbers of a fitness, of the config and of real faces; any of them may be vmapped.

    Those of real faces are of one emotion, and have a leading axis (classes,) for a run.
    """

    mean_weight: float | jax.Array  # alpha of equation 2
    std_weight: float | jax.Array  # beta of equation 2
    real_logit_median: jax.Array  # ()
    emotion_weight: float | jax.Array = 1.0
    realism_weight: float | jax.Array = 1.0
    logit_weight: float | jax.Array = 1.0
    band_weight: float | jax.Array = 1.0
    shell_weight: float | jax.Array = 1.0
    copy_weight: float | jax.Array = 1.0
    real_logit_low: jax.Array = UNKNOWN  # ()
    real_log_probability_median: jax.Array = UNKNOWN  # ()
    band_low: jax.Array = UNKNOWN  # (3,) of mean, std, empty
    band_high: jax.Array = UNKNOWN  # (3,)
    copy_distance: jax.Array = UNKNOWN  # ()


OF_REAL = (
    "real_logit_median",
    "real_logit_low",
    "real_log_probability_median",
    "band_low",
    "band_high",
    "copy_distance",
)
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


def natural(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """The sum of the terms below, each at most 0 and 0 for a face like the real ones: nothing is gained beyond."""
    return (
        weights.emotion_weight * emotion_term(face, weights)
        + weights.realism_weight * ball_term(face)
        + weights.logit_weight * logit_term(face, weights)
        - weights.band_weight * band_penalty(face, weights)
        - weights.shell_weight * norm_shell_penalty(latent)
        - weights.copy_weight * is_copy(face, weights)
    )


def emotion_term(face: Measures, weights: Weights) -> jax.Array:
    """How far the log-probability is below that of 97 %, or of half of real strangers if that is less; at most ten."""
    sure = jnp.minimum(jnp.log(CERTAIN), weights.real_log_probability_median)
    return jnp.clip(face.log_probability - sure, LEAST_LOG_PROBABILITY, 0)


def ball_term(face: Measures) -> jax.Array:
    """How far beyond 0.75 of the nearest real face's radius, in radii; going deeper inside earns nothing.

    The whole radius would let in more odd faces than there are near any real one, for most of a ball lies at its rim;
    half of it, nothing but neighbours of training faces.
    """
    return jnp.minimum(0, BALL - face.outside)


def logit_term(face: Measures, weights: Weights) -> jax.Array:
    """By how much the discriminator's logit is below that of 95 % of real faces.

    Few generated faces reach the real median, and a search that is driven there finds what the discriminator overlooks.
    """
    return jnp.minimum(0, face.logit - weights.real_logit_low)


def band_penalty(face: Measures, weights: Weights) -> jax.Array:
    """How far mean, std and empty share leave what 90 % of real faces have, in tenths, summed; 0 inside."""
    values = jnp.stack([face.mean, face.std, jnp.asarray(face.empty)])
    beyond = jnp.maximum(values - weights.band_high, 0) + jnp.maximum(weights.band_low - values, 0)
    return beyond.sum() / BAND_UNIT


def is_copy(face: Measures, weights: Weights) -> jax.Array:
    """1. where a face is nearer to a training face than all but 5 % of people are to another, else 0.; a hard gate."""
    return jnp.where(face.nearest < weights.copy_distance, 1.0, 0.0)


def norm_shell_penalty(latent: jax.Array) -> jax.Array:
    """How many standard deviations beyond two the norm of a (d,) latent lies from sqrt(d); 0 inside."""
    distance = jnp.abs(jnp.linalg.norm(latent) - latent.shape[-1] ** 0.5) / CHI_STD
    return jnp.maximum(distance - SHELL, 0)


def worst_if_not_finite(fitness: jax.Array) -> jax.Array:
    """-inf in place of NaN and infinity: a face without a value loses every tournament and poisons nothing."""
    return jnp.where(jnp.isfinite(fitness), fitness, WORST)


FITNESS: dict[str, Fitness] = {"paper": paper, "released": released, "realism": realism, "natural": natural}


def reads_logit(fitness: Fitness) -> bool:
    """Whether the discriminator is asked: the fitness of a config's own may read everything."""
    return fitness not in (paper, released)


def reads_relief(fitness: Fitness) -> bool:
    """Whether faces are laid beside real ones."""
    return fitness not in (paper, released, realism)


def make_fitness(settings: config.Evolve, real: Statistics, own: Fitness | None = None) -> tuple[Fitness, Weights]:
    """The fitness that a config names, and its numbers.

    Args:
        settings: whose `fitness` and weights are read.
        real: training faces of each emotion.
        own: the fitness instead, where it is none of `FITNESS`.
    """
    of_real: Any = real
    return own or FITNESS[settings.fitness], Weights(
        settings.mean_weight,
        settings.std_weight,
        of_real.logit_median,
        settings.emotion_weight,
        settings.realism_weight,
        settings.logit_weight,
        settings.band_weight,
        settings.shell_weight,
        settings.copy_weight,
        of_real.logit_low,
        of_real.log_probability_median,
        of_real.band_low,
        of_real.band_high,
        of_real.copy_distance,
    )


def of_emotion(weights: Weights, emotion: jax.Array) -> Weights:
    """The weights of a run, with what it knows of real faces narrowed to one emotion."""
    given = {name: getattr(weights, name) for name in OF_REAL}
    return weights._replace(**{name: value[emotion] for name, value in given.items() if value is not None})
