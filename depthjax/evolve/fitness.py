"""What evolution maximises: one number for one face, larger is better.

A fitness combines one decoded face's `Measures` with its latent. Its numbers are arrays (`Weights`), so that they
can be vmapped. The weights of `natural` that no config changes are constants here: other weights are a fitness of
one's own, `--config.evolve.fitness=FILE.py:FUNCTION`, which may use the terms below.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthjax import config
from depthjax.evolve.statistics import Statistics

NOT_MEASURED: Any = jnp.nan  # by a network or beside training faces
CHI_STD = 0.5**0.5  # standard deviation of a standard normal vector's norm, for many dimensions
SHELL = 2.0  # standard deviations of that norm which cost nothing
CERTAIN = 0.97  # probability of the emotion from which on nothing is gained
BALL = 0.75  # of the radius of a training face: half of the faces of unseen subjects lie so near
BAND_UNIT = 0.1  # how far outside its band a mean, std or share costs one
MIN_LOG_PROBABILITY = -10.0  # a face of another emotion loses no more, so that other terms still rank it
BAND_WEIGHT, SHELL_WEIGHT = 0.1, 0.1  # of the penalties in `natural`, relative to the ball's 1
COPY_WEIGHT = 100.0  # lost at once by a face that is too near to a training face


class Measures(NamedTuple):
    """One decoded face (or a batch), measured; NaN where the fitness does not read it."""

    mean: jax.Array  # () of the pixels, in [-1, 1]
    std: jax.Array  # () of the pixels, in [0, 1]
    logit: jax.Array = NOT_MEASURED  # () of the teacher discriminator
    empty: jax.Array = NOT_MEASURED  # () share of background and invalid depth
    log_probability: jax.Array = NOT_MEASURED  # () of the emotion asked for
    outside: jax.Array = NOT_MEASURED  # () least distance to a training face over the radius of its ball
    nearest: jax.Array = NOT_MEASURED  # () distance to the nearest training face
    descriptor: jax.Array = NOT_MEASURED  # (k,) principal components of the shape
    emotion_features: jax.Array = NOT_MEASURED  # (r,) principal components of the classifiers' hidden layers


class Weights(NamedTuple):
    """The numbers of a fitness: those of the config, then those of the training faces of one emotion."""

    emotion_weight: float | jax.Array
    real_logit_median: jax.Array  # ()
    real_log_probability_median: Any = None  # ()
    band_low: Any = None  # (3,) 5th percentile of mean, std, empty
    band_high: Any = None  # (3,) 95th
    copy_distance: Any = None  # () below it, a face is nearer to a training face than subjects are to each other


Fitness = Callable[[Measures, jax.Array, Weights], jax.Array]


def paper(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """Return equation 2 of the paper, mean + std of the image (alpha = beta = 1); it has no upper bound of use."""
    return face.mean + face.std


def released(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """Return the released scripts' 10 std - 5 |mean|; its bound, 10, is an image half -1 and half +1."""
    return 10 * face.std - 5 * jnp.abs(face.mean)


def realism(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """Return min(logit, m) - max(0, | ||z|| - sqrt(d) | / s - 2), with s = sqrt(1/2).

    m is the teacher discriminator's median logit over training faces of the emotion: a face that passes for
    an average one gains nothing by going further. The second term keeps latents on the shell where the
    generator was trained. Both saturate, so the maximum, m, is reached by many faces and by no exploit of
    the discriminator.
    """
    return jnp.minimum(face.logit, weights.real_logit_median) - norm_shell_penalty(latent)


def natural(face: Measures, latent: jax.Array, weights: Weights) -> jax.Array:
    """Return the weighted sum of the terms below: each at most 0, and 0 for a face like the training faces."""
    return (
        weights.emotion_weight * emotion_term(face, weights)
        + ball_term(face)
        - BAND_WEIGHT * band_penalty(face, weights)
        - SHELL_WEIGHT * norm_shell_penalty(latent)
        - COPY_WEIGHT * is_copy(face, weights)
    )


def emotion_term(face: Measures, weights: Weights) -> jax.Array:
    """Return how far the log-probability is below log 0.97, or below the median of unseen subjects if less."""
    enough = jnp.minimum(jnp.log(CERTAIN), weights.real_log_probability_median)
    return jnp.clip(face.log_probability - enough, MIN_LOG_PROBABILITY, 0)


def ball_term(face: Measures) -> jax.Array:
    """Return how far the face lies beyond 0.75 of the nearest training face's radius, in radii; at most 0."""
    return jnp.minimum(0, BALL - face.outside)


def band_penalty(face: Measures, weights: Weights) -> jax.Array:
    """Return how far mean, std and empty share leave the range of 90 % of training faces, in tenths, summed."""
    values = jnp.stack([face.mean, face.std, jnp.asarray(face.empty)])
    above = jnp.maximum(values - weights.band_high, 0)
    below = jnp.maximum(weights.band_low - values, 0)
    return (above + below).sum() / BAND_UNIT


def is_copy(face: Measures, weights: Weights) -> jax.Array:
    """Return 1. for a face nearer to a training face than all but 5 % of subjects are to another, else 0."""
    return jnp.where(face.nearest < weights.copy_distance, 1.0, 0.0)


def norm_shell_penalty(latent: jax.Array) -> jax.Array:
    """Return how many standard deviations beyond two the norm of a (d,) latent lies from sqrt(d)."""
    distance = jnp.abs(jnp.linalg.norm(latent) - latent.shape[-1] ** 0.5) / CHI_STD
    return jnp.maximum(distance - SHELL, 0)


def worst_if_not_finite(fitness: jax.Array) -> jax.Array:
    """Return -inf in place of NaN and infinity, so that such a face loses every tournament."""
    return jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)


FITNESS: dict[str, Fitness] = {"paper": paper, "released": released, "realism": realism, "natural": natural}
EVERYTHING = ("logit", "relief")
# What a fitness reads besides mean and std; one of the user's own may read everything.
READS: dict[Fitness, tuple[str, ...]] = {paper: (), released: (), realism: ("logit",), natural: ("relief",)}


def reads_of(fitness: Fitness) -> tuple[str, ...]:
    """Return which of `logit` (of the discriminator) and `relief` (of training faces) a fitness reads."""
    return READS.get(fitness, EVERYTHING)


def weights_of(settings: config.Evolve, real: Statistics) -> Weights:
    """Return the weights of a config, with the numbers of all emotions: leading axis (classes,)."""
    of_faces = (getattr(real, name.removeprefix("real_")) for name in Weights._fields[1:])
    return Weights(settings.emotion_weight, *of_faces)


def of_emotion(weights: Weights, emotion: jax.Array) -> Weights:
    """Return the weights with the numbers of training faces narrowed to one emotion."""
    own: Any = (None if value is None else value[emotion] for value in weights[1:])
    return Weights(weights.emotion_weight, *own)
