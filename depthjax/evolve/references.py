"""What evolution must beat with the same number of decoded faces: choices from one pool of random latents.

Each choice is a pure function of one emotion's pool, (m,) fitness and (m, k) descriptors, to (n,) indices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax import config
from depthjax.evolve.fitness import Fitness, Weights, of_emotion, worst_if_not_finite
from depthjax.evolve.measure import Networks, make_measure
from depthjax.evolve.run import compiler_options, make_plan
from depthjax.evolve.spread import farthest_first
from depthjax.evolve.statistics import Statistics

Choose = Callable[[jax.Array, jax.Array, int], jax.Array]


def random(fitness: jax.Array, descriptors: jax.Array, count: int) -> jax.Array:
    """The first ones: the rest of the pool is not looked at."""
    return jnp.arange(count)


def best_of(fitness: jax.Array, descriptors: jax.Array, count: int) -> jax.Array:
    """The fittest of each of `count` groups of m / count."""
    size = fitness.shape[0] // count
    return fitness[: count * size].reshape(count, size).argmax(1) + size * jnp.arange(count)


def truncation(fitness: jax.Array, descriptors: jax.Array, count: int) -> jax.Array:
    """The fittest of all."""
    return jnp.argsort(-fitness, stable=True)[:count]


def k_centre(fitness: jax.Array, descriptors: jax.Array, count: int) -> jax.Array:
    """Farthest first, from the fittest on (Gonzalez 1985): each the farthest from those chosen before it."""
    return farthest_first(descriptors, jnp.isfinite(fitness), jnp.argmax(fitness), count=count)[0]


def fit_k_centre(fitness: jax.Array, descriptors: jax.Array, count: int) -> jax.Array:
    """Farthest first among the fitter half of the pool: the odd faces that farthest-first loves are mostly unfit."""
    return k_centre(jnp.where(fitness >= jnp.median(fitness), fitness, -jnp.inf), descriptors, count)


REFERENCES: dict[str, Choose] = {
    "random": random,
    "best_of": best_of,
    "k_centre": k_centre,
    "fit_k_centre": fit_k_centre,
    "truncation": truncation,
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
        networks, real, generator, discriminator, settings, latent_size: as of `run.evolve`; of the settings the fitness
            and its weights are read, and that fitness is one that reads the relief.
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
    count: int,
    evaluations: int,
) -> dict[str, jax.Array]:
    measure = make_measure(generator, discriminator, images_at_once)

    def one(emotion: jax.Array) -> dict[str, jax.Array]:
        latents = jax.random.normal(jax.random.fold_in(key, emotion), (evaluations, latent_size))
        faces = measure(networks, latents, jnp.full(evaluations, emotion), jnp.ones(evaluations, bool))
        own = of_emotion(weights, emotion)
        values = worst_if_not_finite(jax.vmap(fitness, in_axes=(0, 0, None))(faces, latents, own))
        descriptor = faces.descriptor[:, :descriptor_size]
        return {name: latents[choose(values, descriptor, count)] for name, choose in REFERENCES.items()}

    return jax.vmap(one)(jnp.arange(weights.real_logit_median.shape[-1]))
