"""Many experiments as one program: a grid of rates, weights and seeds is a batch axis; sizes take a program each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax import config
from depthjax.evolve.fitness import BALL, EVERYTHING
from depthjax.evolve.measure import Networks, measure_faces, replicate
from depthjax.evolve.program import Program, compiled
from depthjax.evolve.run import Evolution, Progress, evolve_together
from depthjax.evolve.statistics import Statistics
from depthjax.keys import key_for


class Outcome(NamedTuple):
    """The results of experiments, each array (experiments, classes)."""

    best_fitness: jax.Array
    mean_fitness: jax.Array  # of the last populations
    logit: jax.Array  # from here on of the winners: means over them
    log_probability: jax.Array
    inside: jax.Array  # share within the ball of some training face
    copies: jax.Array  # share too near to a training face
    apart: jax.Array  # distance to the nearest other winner, by shape
    norm: jax.Array  # of their latents
    evaluations: jax.Array  # decoded faces


def grid(settings: config.Evolve, sweep: config.Sweep) -> list[config.Evolve]:
    """Return every combination of the values of a sweep, for each seed; the first field varies slowest."""
    values = {**sweep.grid, "seed": range(settings.seed, settings.seed + sweep.seeds)}
    return [replace(settings, **dict(zip(values, point, strict=True))) for point in itertools.product(*values.values())]


def run_together(
    program: Program,
    experiments: Sequence[config.Evolve],
    networks: Networks,
    real: Statistics,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Run experiments of one program in one dispatch, and measure their winners in another; `real` has its relief.

    They differ in rates, weights and seeds only: other sizes are a ValueError.
    """
    fixed = ("algorithm", "fitness", *config.SWEPT_SIZES)
    if len({tuple(getattr(s, name) for name in fixed) for s in experiments}) > 1:
        raise ValueError("experiments of different sizes are not of this program: run them apart")
    keys = jnp.stack([key_for(s.seed, "evolve") for s in experiments])
    found = evolve_together(program, keys, networks, real, experiments, progress=progress)
    arguments = replicate((networks._replace(relief=real.relief), real.copy_distance), program.mesh)
    outcome: Outcome = compiled(_outcomes)(replace(program, reads=EVERYTHING), found, *arguments)
    return outcome


def _outcomes(program: Program, found: Evolution, networks: Networks, copy_distance: jax.Array) -> Outcome:
    x, classes, _, _, d = found.winners.shape
    winners = found.winners.reshape(x, classes, -1, d)  # all islands together
    filled = jnp.isfinite(winners).all(-1)
    latents = jnp.where(filled[..., None], winners, 0)
    faces = measure_faces(program, networks, latents, jnp.arange(classes)[None, :, None], filled)
    mean = partial(jnp.mean, axis=-1, where=filled)
    return Outcome(
        best_fitness=found.best[..., -1].max(-1),
        mean_fitness=found.mean[..., -1].mean(-1),
        logit=mean(faces.logit),
        log_probability=mean(faces.log_probability),
        inside=mean(faces.outside <= BALL),
        copies=mean(faces.nearest < copy_distance[None, :, None]),
        apart=mean(jax.vmap(jax.vmap(_nearest_other))(faces.descriptor, filled)),
        norm=mean(jnp.linalg.norm(winners, axis=-1)),
        evaluations=found.evaluations.sum(-1),
    )


def _nearest_other(descriptors: jax.Array, filled: jax.Array) -> jax.Array:
    """Return the distance (n,) of each of (n, k) to the nearest other filled one; 0 where there is none."""
    gap = jnp.sqrt(((descriptors[:, None] - descriptors[None]) ** 2).sum(-1))
    others = filled[None] & ~jnp.eye(len(gap), dtype=bool)
    nearest = jnp.where(others, gap, jnp.inf).min(1)
    return jnp.where(jnp.isfinite(nearest), nearest, 0)
