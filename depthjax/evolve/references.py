"""What evolution must beat with the same number of decoded faces: choices from one pool of random latents.

Each choice is a pure function of one emotion's pool to (n,) indices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax import config
from depthjax.evolve import novelty
from depthjax.evolve.fitness import Fitness, Weights, of_emotion, worst_if_not_finite
from depthjax.evolve.measure import Networks, make_measure
from depthjax.evolve.run import compiler_options, make_plan, places_of
from depthjax.evolve.spread import farthest_first
from depthjax.evolve.statistics import Statistics


class Pool(NamedTuple):
    """One emotion's random latents, evaluated."""

    fitness: jax.Array  # (m,)
    descriptors: jax.Array  # (m, k) of shape
    seen: jax.Array  # (m, q) shape, all components of it, and what the readers see
    params: novelty.Params  # what novelty search would choose by


Choose = Callable[[Pool, int], jax.Array]


def random(pool: Pool, count: int) -> jax.Array:
    """The first ones: the rest of the pool is not looked at."""
    return jnp.arange(count)


def best_of(pool: Pool, count: int) -> jax.Array:
    """The fittest of each of `count` groups of m / count."""
    size = pool.fitness.shape[0] // count
    return pool.fitness[: count * size].reshape(count, size).argmax(1) + size * jnp.arange(count)


def truncation(pool: Pool, count: int) -> jax.Array:
    """The fittest of all."""
    return jnp.argsort(-pool.fitness, stable=True)[:count]


def k_centre(pool: Pool, count: int) -> jax.Array:
    """Farthest first, from the fittest on (Gonzalez 1985): each the farthest from those chosen before it."""
    return farthest_first(pool.descriptors, jnp.isfinite(pool.fitness), jnp.argmax(pool.fitness), count=count)[0]


def no_generations(pool: Pool, count: int) -> jax.Array:
    """Whom novelty search would let live on: its choice without its variation."""
    return novelty.survivors(pool.fitness, pool.seen, pool.params, count=count, compared=pool.descriptors.shape[1])


REFERENCES: dict[str, Choose] = {
    "random": random,
    "best_of": best_of,
    "k_centre": k_centre,
    "truncation": truncation,
    "no_generations": no_generations,
}


def chosen_by_references(
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    settings: config.Evolve,
    latent_size: int,
    count: int,
    evaluations: int,
) -> dict[str, jax.Array]:
    """Latents (classes, count, d) chosen by each reference from one pool, in one dispatch.

    Args:
        key: of the pool.
        networks, real, generator, discriminator, latent_size: as of `run.evolve`.
        settings: of them the fitness, which reads the relief, its weights, and what novelty search chooses by.
        count: faces of each emotion to choose.
        evaluations: faces of each emotion to decode, at least `count`.
    """
    plan = make_plan(real, generator=generator, discriminator=discriminator, settings=settings, latent_size=latent_size)
    if plan.relief is None or not count <= evaluations:
        raise ValueError("the references need a fitness that reads the relief, and as many evaluations as faces")
    names = ("generator", "discriminator", "fitness", "images_at_once")
    parts = {name: plan.static[name] for name in names}
    run = jax.jit(
        partial(
            _chosen,
            **parts,
            latent_size=latent_size,
            descriptor_size=settings.descriptor_size,
            params=novelty.params_from(settings),
            count=count,
            evaluations=evaluations,
        ),
        compiler_options=compiler_options(jax.default_backend()),
    )
    return run(key, plan.with_relief(networks), plan.weights)


def _chosen(
    key: jax.Array,
    networks: Networks,
    weights: Weights,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    fitness: Fitness,
    images_at_once: int,
    latent_size: int,
    descriptor_size: int,
    params: novelty.Params,
    count: int,
    evaluations: int,
) -> dict[str, jax.Array]:
    measure, relief = make_measure(generator, discriminator, images_at_once), networks.relief
    assert relief is not None

    def one(emotion: jax.Array) -> dict[str, jax.Array]:
        latents = jax.random.normal(jax.random.fold_in(key, emotion), (evaluations, latent_size))
        faces = measure(networks, latents, jnp.full(evaluations, emotion), jnp.ones(evaluations, bool))
        own = of_emotion(weights, emotion)
        values = worst_if_not_finite(jax.vmap(fitness, in_axes=(0, 0, None))(faces, latents, own))
        seen = jnp.concatenate([faces.descriptor, faces.reading], 1)
        pool = Pool(
            values, faces.descriptor[:, :descriptor_size], seen, params.replace(places=places_of(relief, emotion))
        )
        return {name: latents[choose(pool, count)] for name, choose in REFERENCES.items()}

    return jax.vmap(one)(jnp.arange(weights.real_logit_median.shape[-1]))
