"""What evolution must beat with the same number of decoded faces: selections from one pool of random latents.

Each selection is a pure function of one emotion's pool to (n,) indices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax import config
from depthjax.evolve import novelty
from depthjax.evolve.fitness import EVERYTHING, Measures, Weights, of_emotion, weights_of, worst_if_not_finite
from depthjax.evolve.measure import Networks, measure_faces
from depthjax.evolve.program import Program, compiled, with_settings
from depthjax.evolve.statistics import Statistics


class Pool(NamedTuple):
    """One emotion's random latents, evaluated."""

    fitness: jax.Array  # (m,)
    shapes: jax.Array  # (m, k) descriptors
    descriptors: jax.Array  # (m, k + r) shapes, then emotion features
    params: novelty.Params  # by which novelty search would select


Select = Callable[[Pool, int], jax.Array]


def random(pool: Pool, count: int) -> jax.Array:
    """Select the first ones."""
    return jnp.arange(count)


def best_of(pool: Pool, count: int) -> jax.Array:
    """Select the fittest of each of `count` groups of m / count."""
    size = pool.fitness.shape[0] // count
    return pool.fitness[: count * size].reshape(count, size).argmax(1) + size * jnp.arange(count)


def truncation(pool: Pool, count: int) -> jax.Array:
    """Select the fittest of all."""
    return jnp.argsort(-pool.fitness, stable=True)[:count]


def k_centre(pool: Pool, count: int) -> jax.Array:
    """Select farthest first, from the fittest on (Gonzalez 1985)."""
    usable, first = jnp.isfinite(pool.fitness), jnp.argmax(pool.fitness)
    constraints = novelty.no_constraints(len(pool.shapes))
    return novelty.k_centre_greedy(pool.shapes, usable, first, constraints, count=count)[0]


def no_generations(pool: Pool, count: int) -> jax.Array:
    """Select as novelty search does, without its variation."""
    return novelty.survivors(pool.fitness, pool.descriptors, pool.params, count=count)


REFERENCES: dict[str, Select] = {
    "random": random,
    "best_of": best_of,
    "k_centre": k_centre,
    "truncation": truncation,
    "no_generations": no_generations,
}


def select_references(
    program: Program,
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    settings: config.Evolve,
    *,
    count: int,
    evaluations: int,
) -> dict[str, jax.Array]:
    """Return latents (classes, count, d) selected by each reference from one pool, in one dispatch.

    Args:
        program: of `settings`; runs on one device.
        key: of the pool.
        networks, real: as in `run.evolve`, with a relief.
        settings: fitness and its weights, and what novelty search selects by.
        count: faces of each emotion to select.
        evaluations: faces of each emotion to decode, at least `count`.
    """
    if count > evaluations:
        raise ValueError("the references need at least as many evaluations as faces")
    params = with_settings(novelty.Params(), settings)
    run = compiled(partial(_selected, params=params, count=count, evaluations=evaluations))
    program = replace(program, reads=EVERYTHING, mesh=None)
    return run(program, key, networks._replace(relief=real.relief), weights_of(settings, real))


def _selected(
    program: Program,
    key: jax.Array,
    networks: Networks,
    weights: Weights,
    *,
    params: novelty.Params,
    count: int,
    evaluations: int,
) -> dict[str, jax.Array]:
    classes, d, relief = weights.real_logit_median.shape[-1], program.algorithm.num_dims, networks.relief
    assert relief is not None
    emotions = jnp.arange(classes)
    latents = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (evaluations, d)))(emotions)
    needed = jnp.ones((classes, evaluations), bool)
    faces = measure_faces(program, networks, latents, emotions[:, None], needed)

    def one(emotion: jax.Array, latents: jax.Array, faces: Measures) -> dict[str, jax.Array]:
        values = jax.vmap(program.fitness, in_axes=(0, 0, None))(faces, latents, of_emotion(weights, emotion))
        pool = Pool(
            worst_if_not_finite(values),
            faces.descriptor,
            jnp.concatenate([faces.descriptor, faces.emotion_features], 1),
            params.replace(targets=novelty.targets_of(relief, emotion)),
        )
        return {name: latents[select(pool, count)] for name, select in REFERENCES.items()}

    return jax.vmap(one)(emotions, latents, faces)
