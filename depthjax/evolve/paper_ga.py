"""The paper's genetic algorithm behind evosax's interface: DEAP's `eaSimple` with elites.

In each generation every slot is filled by a tournament. Consecutive winners are crossed with
`crossover_probability`, then each is mutated with `mutation_probability` (DEAP's `varAnd`). With `elite=0` that is
exactly `eaSimple`. The operators draw from the same distributions as DEAP's. Costs are minimised, as in evosax.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax.config import Evolve


@struct.dataclass
class Params(base.Params):
    """Rates and step sizes of the config: arrays to the compiled program, so that they can be vmapped."""

    crossover_probability: float | jax.Array = Evolve.crossover_probability
    blend_alpha: float | jax.Array = Evolve.blend_alpha
    mutation_probability: float | jax.Array = Evolve.mutation_probability
    gene_probability: float | jax.Array = Evolve.gene_probability
    mutation_sigma: float | jax.Array = Evolve.mutation_sigma


class PaperGA(base.PopulationBasedAlgorithm):
    """Tournament selection, blend crossover, gene-wise Gaussian mutation, elitism."""

    def __init__(self, population_size: int, solution: jax.Array, *, tournament_size: int = 3, elite: int = 1) -> None:
        """Fix the sizes; `elite` best parents replace the worst offspring, and only the shape of `solution` is read."""
        if population_size % 2 or not 0 <= elite < population_size:
            raise ValueError(f"population_size ({population_size}) must be even and above elite ({elite})")
        super().__init__(population_size, solution)
        self.tournament_size = tournament_size
        self.elite = elite

    @property
    def _default_params(self) -> Params:
        return Params()

    def _init(self, key: jax.Array, params: Params) -> base.State:
        return base.State(*blank_state(self.population_size, self.num_dims))

    def _ask(self, key: jax.Array, state: base.State, params: Params) -> tuple[jax.Array, base.State]:
        # One split for all keys: each threefry draw costs a quarter of a second of compilation on a CPU.
        keys = jax.random.split(key, (5, self.population_size))
        select, cross_or_not, cross, mutate_or_not, mutate = keys
        compete = jax.vmap(partial(tournament, size=self.tournament_size), in_axes=(0, None))
        chosen = compete(select, state.fitness)
        pairs = state.population[chosen].reshape(-1, 2, self.num_dims)
        crossed = jax.vmap(_cross, in_axes=(0, 0, 0, None))(cross_or_not[::2], cross[::2], pairs, params)
        offspring = crossed.reshape(-1, self.num_dims)
        return jax.vmap(_mutate, in_axes=(0, 0, 0, None))(mutate_or_not, mutate, offspring, params), state

    def _tell(
        self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: base.State, params: Params
    ) -> base.State:
        # Elites join after the offspring were evaluated, so that no evaluation is spent on them.
        elite = jnp.argsort(state.fitness)[: self.elite]
        survivors = jnp.argsort(fitness)[: self.population_size - self.elite]
        return state.replace(
            population=jnp.concatenate([state.population[elite], population[survivors]]),
            fitness=jnp.concatenate([state.fitness[elite], fitness[survivors]]),
        )


def blank_state(population_size: int, num_dims: int) -> tuple[Any, ...]:
    """Return the fields of evosax's state before a population is known: the best, a counter, latents and costs."""
    latents = jnp.full((population_size, num_dims), jnp.nan)
    return latents[0], jnp.inf, 0, latents, jnp.full(population_size, jnp.inf)


def _cross(decide: jax.Array, draw: jax.Array, pair: jax.Array, params: Params) -> jax.Array:
    children = jnp.stack(blend(draw, pair[0], pair[1], alpha=params.blend_alpha))
    return jnp.where(jax.random.bernoulli(decide, params.crossover_probability), children, pair)


def _mutate(decide: jax.Array, draw: jax.Array, individual: jax.Array, params: Params) -> jax.Array:
    rates = {"sigma": params.mutation_sigma, "gene_probability": params.gene_probability}
    mutated = gaussian_mutation(draw, individual, **rates)
    return jnp.where(jax.random.bernoulli(decide, params.mutation_probability), mutated, individual)


def tournament(key: jax.Array, cost: jax.Array, *, size: int) -> jax.Array:
    """Return the index of the least cost (n,) among `size` individuals drawn with replacement."""
    # Plain bits compile three times faster than randint; the bias of the remainder is below n / 2^32.
    drawn = (jax.random.bits(key, (size,), jnp.uint32) % cost.shape[0]).astype(jnp.int32)
    return drawn[jnp.argmin(cost[drawn])]


def blend(
    key: jax.Array, first: jax.Array, second: jax.Array, *, alpha: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return both children of a pair (d,), (d,) by blend crossover (BLX-alpha; Eshelman and Schaffer 1993).

    Each gene is drawn on the line through the parents' genes, up to `alpha` of their distance beyond
    either: gamma = (1 + 2 alpha) u - alpha, children (1 - gamma) a + gamma b and gamma a + (1 - gamma) b.
    """
    gamma = (1 + 2 * alpha) * jax.random.uniform(key, first.shape, jnp.float32) - alpha
    # Exactly zero between equal parents, whatever is rounded: their children need no decoding.
    step = gamma * (second - first)
    return first + step, second - step


def gaussian_mutation(
    key: jax.Array, individual: jax.Array, *, sigma: float | jax.Array, gene_probability: float | jax.Array
) -> jax.Array:
    """Add N(0, sigma^2) to each gene (d,) with probability `gene_probability`; the others stay bit for bit."""
    which, step = jax.random.split(key)
    mutated = individual + sigma * jax.random.normal(step, individual.shape, jnp.float32)
    return jnp.where(jax.random.bernoulli(which, gene_probability, individual.shape), mutated, individual)


class Hall(NamedTuple):
    """The best distinct individuals so far, best first; empty slots hold NaN latents at infinite cost."""

    latents: jax.Array  # (hall, d)
    cost: jax.Array  # (hall,)


def known_cost(latents: jax.Array, parents: jax.Array, cost: jax.Array) -> jax.Array:
    """Return the cost of each of (n, d) latents that equals, gene for gene, one of (m, d) parents; else NaN."""
    same = (latents[:, None, :] == parents[None, :, :]).all(-1)
    return jnp.where(same.any(-1), cost[same.argmax(-1)], jnp.nan)


def update_hall(hall: Hall, latents: jax.Array, cost: jax.Array) -> Hall:
    """Return the best of the hall and a population (n, d) with cost (n,), without duplicates, best first.

    As DEAP's `HallOfFame`: of equal individuals one is kept; of equally good ones the older goes first.
    """
    everyone = jnp.concatenate([hall.latents, latents])
    size, total = len(hall.cost), len(everyone)
    same = (latents[:, None, :] == everyone[None, :, :]).all(-1)
    older = jnp.arange(total)[None, :] < jnp.arange(size, total)[:, None]
    cost = jnp.where((same & older).any(-1), jnp.inf, cost)
    return ranked(everyone, jnp.concatenate([hall.cost, cost]), size)


def ranked(latents: jax.Array, cost: jax.Array, size: int) -> Hall:
    """Return the best of latents (n, d) as a hall, best first."""
    best = jnp.argsort(cost, stable=True)[:size]
    finite = jnp.isfinite(cost[best])
    return Hall(jnp.where(finite[:, None], latents[best], jnp.nan), jnp.where(finite, cost[best], jnp.inf))
