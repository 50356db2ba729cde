"""What evolution must beat with the same number of decoded faces: selections from one pool of random latents.

Each selection is a pure function of one emotion's pool to (n,) indices. The three of `selections` compare faces by the
same features that novelty search reads, shapes and emotion features, with the median distance between training faces
as the bandwidth. Facility location covers the pool, not the training faces: there it would be paid for copies, and at
an end once each of them is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthjax import config
from depthjax.evaluate.diversity import median_distance
from depthjax.evolve import novelty
from depthjax.evolve.fitness import EVERYTHING, Measures, Weights, of_emotion, weights_of, worst_if_not_finite
from depthjax.evolve.program import Networks, Program, compiled, measure_faces, with_settings
from depthjax.evolve.statistics import AT_ONCE, Statistics, compare_faces
from experiments import selections


class Pool(NamedTuple):
    """One emotion's random latents, evaluated."""

    fitness: jax.Array  # (m,)
    shapes: jax.Array  # (m, k) descriptors
    descriptors: jax.Array  # (m, k + r) shapes, then emotion features
    params: novelty.Params  # by which novelty search would select
    known: np.ndarray  # (t, k + r) descriptors of the training faces


Select = Callable[[Pool, int], jax.Array | np.ndarray]


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


@partial(jax.jit, static_argnums=1)
def k_centre(pool: Pool, count: int) -> jax.Array:
    """Select farthest first, from the fittest on (Gonzalez 1985)."""
    usable, first = jnp.isfinite(pool.fitness), jnp.argmax(pool.fitness)
    constraints = novelty.no_constraints(len(pool.shapes))
    return novelty.k_centre_greedy(pool.shapes, usable, first, constraints, count=count)[0]


@partial(jax.jit, static_argnums=1)
def k_centre_feasible(pool: Pool, count: int) -> jax.Array:
    """Select farthest first among those that novelty search takes as equals; the others, where these run out."""
    enough = pool.fitness >= pool.params.feasible_fitness
    return k_centre(pool._replace(fitness=jnp.where(enough, pool.fitness, -jnp.inf)), count)


@partial(jax.jit, static_argnums=1)
def no_generations(pool: Pool, count: int) -> jax.Array:
    """Select as novelty search does, without its variation."""
    return novelty.survivors(pool.fitness, pool.descriptors, pool.params, count=count)


def k_dpp(pool: Pool, count: int) -> np.ndarray:
    """Select by the greedy k-DPP whose quality is exp(fitness / 2), so that L_ii is exp(fitness)."""
    rows = np.flatnonzero(np.isfinite(pool.fitness))
    features, fitness = np.asarray(pool.descriptors)[rows], np.asarray(pool.fitness)[rows]
    return rows[selections.k_dpp(features, fitness, median_distance(pool.known), count)]


def facility_location(pool: Pool, count: int) -> np.ndarray:
    """Select the feasible faces that stand best for all feasible faces of the pool."""
    rows = feasible(pool, count)
    features = np.asarray(pool.descriptors)[rows]
    return rows[selections.facility_location(features, median_distance(pool.known), count)]


def herding(pool: Pool, count: int) -> np.ndarray:
    """Select the feasible faces whose mean kernel comes nearest to that of the training faces."""
    rows = feasible(pool, count)
    features = np.asarray(pool.descriptors)[rows]
    return rows[selections.herding(features, pool.known, median_distance(pool.known), count)]


def feasible(pool: Pool, count: int) -> np.ndarray:
    """Return the rows that novelty search takes as equals; if they are fewer than `count`, the fittest."""
    enough = np.flatnonzero(np.asarray(pool.fitness) >= float(pool.params.feasible_fitness))
    return enough if len(enough) >= count else np.asarray(truncation(pool, count))


REFERENCES: dict[str, Select] = {
    "random": random,
    "best_of": best_of,
    "k_centre": k_centre,
    "k_centre_feasible": k_centre_feasible,
    "truncation": truncation,
    "k_dpp": k_dpp,
    "facility_location": facility_location,
    "herding": herding,
    "no_generations": no_generations,
}


def select_references(
    program: Program,
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    known: Sequence[np.ndarray],
    settings: config.Evolve,
    *,
    count: int,
    evaluations: int,
) -> dict[str, np.ndarray]:
    """Return latents (classes, count, d) selected by each reference from one pool.

    Args:
        program: of `settings`; runs on one device.
        key: of the pool.
        networks, real: as in `run.evolve`, with a relief.
        known: of each emotion, the descriptors of the training faces: `descriptors_of`.
        settings: fitness and its weights, and what novelty search selects by.
        count: faces of each emotion to select.
        evaluations: faces of each emotion to decode, at least `count`.
    """
    if count > evaluations:
        raise ValueError("the references need at least as many evaluations as faces")
    params, relief = with_settings(novelty.Params(), settings), real.relief
    assert relief is not None
    program = replace(program, reads=EVERYTHING, mesh=None)
    latents = random_latents(key, len(known), evaluations, program.algorithm.num_dims)
    fitness, faces = compiled(measured)(program, networks._replace(relief=relief), weights_of(settings, real), latents)
    found: dict[str, list[np.ndarray]] = {name: [] for name in REFERENCES}
    for emotion, own in enumerate(known):
        shapes, features = faces.descriptor[emotion], faces.emotion_features[emotion]
        targets = novelty.targets_of(relief, jnp.int32(emotion))
        pool = Pool(
            fitness[emotion], shapes, jnp.concatenate([shapes, features], 1), params.replace(targets=targets), own
        )
        for name, select in REFERENCES.items():
            found[name].append(np.asarray(latents[emotion])[np.asarray(select(pool, count))])
    return {name: np.stack(of_emotions) for name, of_emotions in found.items()}


def descriptors_of(real: Statistics, images: np.ndarray, emotion: np.ndarray) -> list[np.ndarray]:
    """Return of each emotion the descriptors (t, k + r) of its training faces, from (n, h, w) images."""
    relief = real.relief
    assert relief is not None
    chunks = [slice(i, i + AT_ONCE) for i in range(0, len(images), AT_ONCE)]
    parts = [compare_faces(relief, jnp.asarray(images[i]), jnp.asarray(emotion[i])) for i in chunks]
    found = np.concatenate([np.concatenate([part.descriptor, part.emotion_features], 1) for part in parts])
    return [found[emotion == label].astype(np.float64) for label in range(len(relief.counts))]


def random_latents(key: jax.Array, classes: int, count: int, size: int) -> jax.Array:
    """Return random latents (classes, count, size)."""
    return jnp.stack([jax.random.normal(jax.random.fold_in(key, i), (count, size)) for i in range(classes)])


def measured(program: Program, networks: Networks, weights: Weights, latents: jax.Array) -> tuple[jax.Array, Measures]:
    """Return fitness and measures of latents (classes, m, d)."""
    emotions, needed = jnp.arange(len(latents)), jnp.ones(latents.shape[:2], bool)
    faces = measure_faces(program, networks, latents, emotions[:, None], needed)

    def fitness(emotion: jax.Array, latents: jax.Array, faces: Measures) -> jax.Array:
        values = jax.vmap(program.fitness, in_axes=(0, 0, None))(faces, latents, of_emotion(weights, emotion))
        return worst_if_not_finite(values)

    return jax.vmap(fitness)(emotions, latents, faces), faces
