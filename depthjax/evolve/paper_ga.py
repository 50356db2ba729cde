"""The paper's genetic algorithm behind evosax's interface: DEAP's `eaSimple` with elites.

A generation: as many tournaments as individuals; consecutive winners are crossed with `crossover_probability`; each is
then mutated with `mutation_probability` (DEAP's `varAnd`). With `elite=0` that is exactly `eaSimple`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax import config
from depthjax.evolve.operators import blend, gaussian_mutation, tournament


@struct.dataclass
class State(base.State):
    """What a generation hands to the next; `fitness` is minimised."""


@struct.dataclass
class Params(base.Params):
    """The rates and sizes of steps: arrays to the compiled program, so they can be vmapped."""

    crossover_probability: float | jax.Array
    blend_alpha: float | jax.Array
    mutation_probability: float | jax.Array
    gene_probability: float | jax.Array
    mutation_sigma: float | jax.Array


class PaperGA(base.PopulationBasedAlgorithm):
    """Tournament selection, blend crossover, gene-wise Gaussian mutation, elites kept."""

    def __init__(self, population_size: int, solution: jax.Array, *, tournament_size: int = 3, elite: int = 1) -> None:
        """Fix what shapes depend on.

        Args:
            population_size: even, for crossover takes pairs.
            solution: (d,) any latent; only its shape is read.
            tournament_size: individuals in a tournament.
            elite: best parents that outlive the worst offspring.
        """
        if population_size % 2 or not 0 <= elite < population_size:
            raise ValueError(f"population_size ({population_size}) must be even and above elite ({elite})")
        super().__init__(population_size, solution)
        self.tournament_size = tournament_size
        self.elite = elite

    @property
    def _default_params(self) -> Params:
        return params_from(config.Evolve())

    def _init(self, key: jax.Array, params: Params) -> State:
        return State(
            population=jnp.full((self.population_size, self.num_dims), jnp.nan),
            fitness=jnp.full((self.population_size,), jnp.inf),
            best_solution=jnp.full((self.num_dims,), jnp.nan),
            best_fitness=jnp.inf,
            generation_counter=0,
        )

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        # One split for all keys: each draw from threefry costs a quarter of a second of compilation on a CPU.
        select, whether_cross, cross, whether_mutate, mutate = jax.random.split(key, (5, self.population_size))
        chosen = jax.vmap(partial(tournament, size=self.tournament_size), in_axes=(0, None))(select, state.fitness)
        pairs = state.population[chosen].reshape(-1, 2, self.num_dims)
        crossed = jax.vmap(_cross, in_axes=(0, 0, 0, None))(whether_cross[::2], cross[::2], pairs, params)
        offspring = crossed.reshape(-1, self.num_dims)
        return jax.vmap(_mutate, in_axes=(0, 0, 0, None))(whether_mutate, mutate, offspring, params), state

    def _tell(self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> State:
        # The elites come in after the offspring were evaluated, so that no evaluation is spent on them.
        elite = jnp.argsort(state.fitness)[: self.elite]
        survivors = jnp.argsort(fitness)[: self.population_size - self.elite]
        return state.replace(
            population=jnp.concatenate([state.population[elite], population[survivors]]),
            fitness=jnp.concatenate([state.fitness[elite], fitness[survivors]]),
        )


def params_from(settings: config.Evolve) -> Params:
    """The config's rates, as the algorithm takes them."""
    return Params(
        crossover_probability=settings.crossover_probability,
        blend_alpha=settings.blend_alpha,
        mutation_probability=settings.mutation_probability,
        gene_probability=settings.gene_probability,
        mutation_sigma=settings.mutation_sigma,
    )


def _cross(whether: jax.Array, how: jax.Array, pair: jax.Array, params: Params) -> jax.Array:
    children = jnp.stack(blend(how, pair[0], pair[1], alpha=params.blend_alpha))
    return jnp.where(jax.random.bernoulli(whether, params.crossover_probability), children, pair)


def _mutate(whether: jax.Array, how: jax.Array, individual: jax.Array, params: Params) -> jax.Array:
    mutated = gaussian_mutation(how, individual, sigma=params.mutation_sigma, gene_probability=params.gene_probability)
    return jnp.where(jax.random.bernoulli(whether, params.mutation_probability), mutated, individual)
