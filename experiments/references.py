"""What evolution must beat with the same number of decoded faces: selections from one pool of random latents.

Each selection is a pure function of one emotion's pool to (n,) indices. k-DPP, facility location and herding compare
faces by shapes and emotion features, with the bandwidth of the evolution `k_dpp`. Facility location covers the pool,
not the training faces: there it would be paid for copies, and at an end once each of them is reached.
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
from depthjax.evolve import k_dpp as evolution
from depthjax.evolve.fitness import EVERYTHING, Measures, Weights, of_emotion, weights_of, worst_if_not_finite
from depthjax.evolve.program import Networks, Program, compiled, measure_faces
from depthjax.evolve.statistics import AT_ONCE, Statistics, compare_faces
from experiments import selections


class Pool(NamedTuple):
    """One emotion's random latents, evaluated."""

    fitness: jax.Array  # (m,)
    shapes: jax.Array  # (m, k) descriptors
    descriptors: jax.Array  # (m, k + r) shapes, then emotion features
    bandwidth: jax.Array  # () of the kernel
    known: np.ndarray  # (t, k + r) descriptors of the training faces


FEASIBLE = -1.2  # fitness `natural` from which on a face is taken by those that do not weigh it
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


def k_centre(pool: Pool, count: int) -> np.ndarray:
    """Select farthest first by shape, from the fittest on."""
    return _farthest_first(pool, feasible(pool, count, np.finfo(np.float32).min), count)


def k_centre_feasible(pool: Pool, count: int) -> np.ndarray:
    """Select farthest first among the feasible."""
    return _farthest_first(pool, feasible(pool, count), count)


def _farthest_first(pool: Pool, rows: np.ndarray, count: int) -> np.ndarray:
    first = int(np.asarray(pool.fitness)[rows].argmax())
    return rows[selections.k_centre(np.asarray(pool.shapes)[rows], first, count)]


@partial(jax.jit, static_argnums=1)
def k_dpp(pool: Pool, count: int) -> jax.Array:
    """Select as the evolution `k_dpp` does from parents and offspring, from all at once."""
    return evolution.k_dpp(pool.fitness, pool.descriptors, pool.bandwidth, count=count)


def facility_location(pool: Pool, count: int) -> np.ndarray:
    """Select the feasible faces that stand best for all feasible faces of the pool."""
    rows = feasible(pool, count)
    features = np.asarray(pool.descriptors)[rows]
    return rows[selections.facility_location(features, float(pool.bandwidth), count)]


def herding(pool: Pool, count: int) -> np.ndarray:
    """Select the feasible faces whose mean kernel comes nearest to that of the training faces."""
    rows = feasible(pool, count)
    features = np.asarray(pool.descriptors)[rows]
    return rows[selections.herding(features, pool.known, float(pool.bandwidth), count)]


def feasible(pool: Pool, count: int, lowest: float | None = None) -> np.ndarray:
    """Return the rows whose fitness is at least `lowest`, or FEASIBLE; if they are fewer than `count`, the fittest."""
    enough = np.flatnonzero(np.asarray(pool.fitness) >= (FEASIBLE if lowest is None else lowest))
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
        settings: fitness and its weights.
        count: faces of each emotion to select.
        evaluations: faces of each emotion to decode, at least `count`.
    """
    if count > evaluations:
        raise ValueError("the references need at least as many evaluations as faces")
    relief = real.relief
    assert relief is not None
    program = replace(program, reads=EVERYTHING, mesh=None)
    latents = random_latents(key, len(known), evaluations, program.algorithm.num_dims)
    fitness, faces = compiled(measured)(program, networks._replace(relief=relief), weights_of(settings, real), latents)
    found: dict[str, list[np.ndarray]] = {name: [] for name in REFERENCES}
    for emotion, own in enumerate(known):
        shapes, features = faces.descriptor[emotion], faces.emotion_features[emotion]
        both = jnp.concatenate([shapes, features], 1)
        pool = Pool(fitness[emotion], shapes, both, relief.bandwidth[emotion], own)
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
    return [found[emotion == label].astype(np.float64) for label in range(len(relief.bandwidth))]


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
