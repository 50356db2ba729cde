"""Dominated novelty search behind evosax's interface: a population that spreads as far as faces stay like real ones.

Each of population and offspring is scored by its mean descriptor distance to the k nearest of those at least as fit
(Bahlous-Boldi, Faldor, Grillotti, Janmohamed, Coiffard, Spector and Cully 2025, arXiv 2502.00593); the best half lives
on. No grid, so the descriptor may have many dimensions. Changed, for a fitness that saturates and the latents of a
generator:

- of equals, the one that stood higher before counts as fitter: so of two twins one goes, and the faces of the highest
  fitness spread as by farthest-first choice;
- novelty counts from `viable` fitness on: below it only fitness does. Novelty alone keeps what is odd enough;
- offspring are distributed as their parents are, standard normal: a generator knows no other latents.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax import config


@struct.dataclass
class State(base.State):
    """What a generation hands to the next; `fitness` is minimised."""

    descriptors: jax.Array  # (n, k) of the population, the most novel first
    offspring_descriptors: jax.Array  # (n, k) of those that are about to be told


@struct.dataclass
class Params(base.Params):
    """Arrays to the compiled program, so they can be vmapped."""

    crossover_probability: float | jax.Array
    angle: float | jax.Array
    viable: float | jax.Array


class DominatedNovelty(base.PopulationBasedAlgorithm):
    """A population of fixed size, whose every member is a result."""

    def __init__(self, population_size: int, solution: jax.Array, *, descriptor_size: int, neighbours: int = 5) -> None:
        """Fix what shapes depend on.

        Args:
            population_size: n.
            solution: (d,) any latent; only its shape is read.
            descriptor_size: k.
            neighbours: fitter ones whose distance counts.
        """
        super().__init__(population_size, solution)
        self.descriptor_size = descriptor_size
        self.neighbours = neighbours

    @property
    def _default_params(self) -> Params:
        return params_from(config.Evolve())

    def _init(self, key: jax.Array, params: Params) -> State:
        n = self.population_size
        blank = jnp.full((n, self.descriptor_size), jnp.nan)
        return State(
            population=jnp.full((self.population_size, self.num_dims), jnp.nan),
            fitness=jnp.full((self.population_size,), jnp.inf),
            descriptors=blank,
            offspring_descriptors=blank,
            best_solution=jnp.full((self.num_dims,), jnp.nan),
            best_fitness=jnp.inf,
            generation_counter=0,
        )

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        pair, vary_key = jax.random.split(key)
        n = self.population_size
        order = jax.random.permutation(pair, n)  # every member is a parent, once first and once second
        keys = jax.random.split(vary_key, n)
        offspring = jax.vmap(vary, in_axes=(0, 0, 0, None))(
            keys, state.population, state.population[jnp.roll(order, 1)[jnp.argsort(order)]], params
        )
        return offspring, state

    def _tell(self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> State:
        everyone = jnp.concatenate([state.population, population])
        cost = jnp.concatenate([state.fitness, fitness])
        descriptors = jnp.concatenate([state.descriptors, state.offspring_descriptors])
        score = survival(-cost, descriptors, neighbours=self.neighbours, viable=params.viable)
        kept = jnp.argsort(-score, stable=True)[: self.population_size]
        return state.replace(population=everyone[kept], fitness=cost[kept], descriptors=descriptors[kept])


def params_from(settings: config.Evolve) -> Params:
    """The config's rates, as the algorithm takes them."""
    return Params(crossover_probability=settings.crossover_probability, angle=settings.angle, viable=settings.viable)


def vary(key: jax.Array, first: jax.Array, second: jax.Array, params: Params) -> jax.Array:
    """One child of two latents (d,), normal as they are: mixed with `crossover_probability`, then turned by `angle`."""
    whether, share, noise = jax.random.split(key, 3)
    mixed = mix(first, second, share=jax.random.uniform(share))
    parent = jnp.where(jax.random.bernoulli(whether, params.crossover_probability), mixed, first)
    return turn(noise, parent, angle=params.angle)


def turn(key: jax.Array, latent: jax.Array, *, angle: float | jax.Array) -> jax.Array:
    """cos(a) z + sin(a) noise: of a standard normal z (d,), another, correlated by cos(a)."""
    return jnp.cos(angle) * latent + jnp.sin(angle) * jax.random.normal(key, latent.shape)


def mix(first: jax.Array, second: jax.Array, *, share: jax.Array) -> jax.Array:
    """sqrt(w) z_i + sqrt(1 - w) z_j: of two independent standard normal latents (d,), a third."""
    return jnp.sqrt(share) * first + jnp.sqrt(1 - share) * second


def survival(fitness: jax.Array, descriptors: jax.Array, *, neighbours: int, viable: float | jax.Array) -> jax.Array:
    """By what members live on: the viable by dominated novelty (the fittest has no limit), then the others by fitness.

    Args:
        fitness: (n,) larger is better; -inf for none.
        descriptors: (n, k).
        neighbours: of the fitter ones.
        viable: least fitness with which novelty counts.
    Returns:
        (n,) scores, larger is better.
    """
    novelty = dominated_novelty(fitness, descriptors, neighbours=neighbours)
    bounded = 1 - 1 / (1 + novelty)  # in [0, 1]
    return jnp.where(fitness >= viable, bounded, fitness - viable - 1)


def dominated_novelty(fitness: jax.Array, descriptors: jax.Array, *, neighbours: int) -> jax.Array:
    """(n,) mean distance of each to the k nearest fitter ones; infinite where there is none.

    arXiv 2502.00593, equation 2; of equals the earlier counts as fitter, and with fewer than k the mean is over these.
    """
    usable = jnp.isfinite(descriptors).all(1)
    known = jnp.where(usable[:, None], descriptors, 0.0)
    distance = jnp.sqrt(jnp.maximum(0, ((known[:, None] - known[None]) ** 2).sum(-1)))
    order = jnp.arange(len(fitness))
    earlier = (fitness[None] == fitness[:, None]) & (order[None] < order[:, None])
    fitter = ((fitness[None] > fitness[:, None]) | earlier) & usable[None]
    nearest = -jax.lax.top_k(-jnp.where(fitter, distance, jnp.inf), min(neighbours, len(fitness)))[0]
    found = jnp.isfinite(nearest)
    mean = jnp.where(found, nearest, 0).sum(1) / jnp.maximum(1, found.sum(1))
    return jnp.where(found.any(1), mean, jnp.inf)
