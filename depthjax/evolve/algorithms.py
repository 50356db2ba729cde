"""Every algorithm by the name it has in the config, behind evosax's init, ask and tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from evosax.algorithms import CMA_ES, MR15_GA, SAMR_GA, Sep_CMA_ES, SimpleGA
from evosax.algorithms.base import EvolutionaryAlgorithm
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm

from depthjax import config
from depthjax.evolve import novelty, paper_ga

Make = Callable[[config.Evolve, int, int], EvolutionaryAlgorithm]


def _paper(settings: config.Evolve, latent_size: int, descriptor_size: int) -> EvolutionaryAlgorithm:
    return paper_ga.PaperGA(
        settings.population, jnp.zeros(latent_size), tournament_size=settings.tournament, elite=settings.elite
    )


def _novelty(settings: config.Evolve, latent_size: int, descriptor_size: int) -> EvolutionaryAlgorithm:
    return novelty.DominatedNovelty(
        settings.population,
        jnp.zeros(latent_size),
        descriptor_size=descriptor_size,
    )


def _simple(settings: config.Evolve, latent_size: int, descriptor_size: int) -> EvolutionaryAlgorithm:
    # Its step is no parameter of the program: a sweep cannot vary it.
    return SimpleGA(settings.population, jnp.zeros(latent_size), optax.constant_schedule(settings.mutation_sigma))


def _theirs(
    kind: type[EvolutionaryAlgorithm], settings: config.Evolve, latent_size: int, descriptor_size: int
) -> EvolutionaryAlgorithm:
    return kind(settings.population, jnp.zeros(latent_size))


ALGORITHMS: dict[str, Make] = {
    "paper": _paper,
    "novelty": _novelty,
    "simple_ga": _simple,
    "mr15_ga": partial(_theirs, MR15_GA),
    "samr_ga": partial(_theirs, SAMR_GA),
    "cma_es": partial(_theirs, CMA_ES),
    "sep_cma_es": partial(_theirs, Sep_CMA_ES),
}


@lru_cache
def make_algorithm(settings: config.Evolve, latent_size: int, descriptor_size: int = 0) -> EvolutionaryAlgorithm:
    """The algorithm that a config names: one object for each, for jit tells static arguments apart by identity.

    Args:
        settings: of which only what `sizes_of` leaves should differ between two calls, or each call compiles anew.
        latent_size: d.
        descriptor_size: k, for algorithms that look at descriptors.
    """
    return ALGORITHMS[settings.algorithm](settings, latent_size, descriptor_size)


def sizes_of(settings: config.Evolve) -> config.Evolve:
    """The settings with everything at its default that is not fixed when an algorithm is made."""
    step: dict[str, Any] = {"mutation_sigma": settings.mutation_sigma} if settings.algorithm == "simple_ga" else {}
    names = ("algorithm", "population", "tournament", "elite")
    return config.Evolve(**{name: getattr(settings, name) for name in names}, **step)


def params_from(settings: config.Evolve, algorithm: EvolutionaryAlgorithm) -> Any:
    """The config's rates, as the algorithm takes them; what the config does not name stays as evosax has it.

    The strategies that adapt a distribution begin at the prior itself, mean 0 and standard deviation 1; the adaptive
    genetic algorithms begin with steps of `mutation_sigma`.
    """
    if settings.algorithm == "paper":
        return paper_ga.params_from(settings)
    if settings.algorithm == "novelty":
        return novelty.params_from(settings)
    with jax.numpy_rank_promotion("allow"):
        params = algorithm.default_params
    if settings.algorithm == "simple_ga":
        return params.replace(crossover_rate=settings.crossover_probability)
    if settings.algorithm in ("mr15_ga", "samr_ga"):
        return params.replace(std_init=settings.mutation_sigma)
    return params


def start(
    algorithm: EvolutionaryAlgorithm,
    key: jax.Array,
    latents: jax.Array,
    cost: jax.Array,
    descriptors: jax.Array,
    params: Any,
) -> Any:
    """The state after the first, random latents (n, d) at cost (n,), with these descriptors (n, k)."""
    with jax.numpy_rank_promotion("allow"):
        if isinstance(algorithm, DistributionBasedAlgorithm):
            return algorithm.init(key, jnp.zeros(algorithm.num_dims), params)
        state = algorithm.init(key, latents, cost, params)
    return state.replace(descriptors=descriptors) if isinstance(state, novelty.State) else state


def ask(algorithm: EvolutionaryAlgorithm, key: jax.Array, state: Any, params: Any) -> tuple[jax.Array, Any]:
    """(n, d) latents to be evaluated, and the state to be told of them."""
    with jax.numpy_rank_promotion("allow"):  # evosax adds a mean (d,) to a population (n, d)
        return algorithm.ask(key, state, params)


def tell(
    algorithm: EvolutionaryAlgorithm,
    key: jax.Array,
    latents: jax.Array,
    cost: jax.Array,
    descriptors: jax.Array,
    state: Any,
    params: Any,
) -> Any:
    """The state that knows the cost (n,) and descriptors (n, k) of what was asked for."""
    if isinstance(state, novelty.State):
        state = state.replace(offspring_descriptors=descriptors)
    with jax.numpy_rank_promotion("allow"):
        return algorithm.tell(key, latents, cost, state, params)[0]


def living(state: Any, latents: jax.Array, cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The population (n, d) of a state with its cost (n,); what was told last, where a distribution is all it keeps."""
    return (state.population, state.fitness) if hasattr(state, "population") else (latents, cost)
