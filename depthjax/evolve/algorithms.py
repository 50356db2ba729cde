"""Every algorithm by its name in the config, behind evosax's init, ask and tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from evosax.algorithms import CMA_ES, MR15_GA, SAMR_GA, Sep_CMA_ES
from evosax.algorithms.base import EvolutionaryAlgorithm
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm

from depthjax import config
from depthjax.evolve import novelty, paper_ga

EVOSAX: dict[str, type[EvolutionaryAlgorithm]] = {
    "mr15_ga": MR15_GA,
    "samr_ga": SAMR_GA,
    "cma_es": CMA_ES,
    "sep_cma_es": Sep_CMA_ES,
}


@lru_cache
def make_algorithm(
    name: str, population: int, latent_size: int, *, tournament: int = 3, elite: int = 1
) -> EvolutionaryAlgorithm:
    """Return the algorithm of that name and these sizes.

    One object for each: jit compares static arguments of evosax by identity.
    """
    latent = jnp.zeros(latent_size)
    if name == "paper":
        return paper_ga.PaperGA(population, latent, tournament_size=tournament, elite=elite)
    if name == "novelty":
        return novelty.DominatedNovelty(population, latent)
    return EVOSAX[name](population, latent)


def params_of(algorithm: EvolutionaryAlgorithm, settings: config.Evolve) -> Any:
    """Return the config's rates in the form that the algorithm takes; the others are evosax's defaults.

    Strategies that adapt a distribution begin at the prior itself, mean 0 and standard deviation 1;
    adaptive genetic algorithms begin with steps of `mutation_sigma`.
    """
    with jax.numpy_rank_promotion("allow"):
        params = algorithm.default_params
    if isinstance(algorithm, MR15_GA | SAMR_GA):
        return params.replace(std_init=settings.mutation_sigma)
    return with_settings(params, settings)


def with_settings(params: Any, settings: config.Evolve) -> Any:
    """Return an algorithm's params with the config's values in fields of the same name."""
    names = {field.name for field in fields(params)} & {field.name for field in fields(settings)}
    return params.replace(**{name: getattr(settings, name) for name in names})


def vmapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of evosax for a leading axis of populations.

    evosax adds a mean (d,) to a population (n, d), so rank promotion is allowed in it.
    """

    def call(*arguments: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return jax.vmap(method)(*arguments)

    return call


def init(algorithm: EvolutionaryAlgorithm, key: jax.Array, latents: jax.Array, cost: jax.Array, params: Any) -> Any:
    """Return the states (b,) after the first latents (b, n, d) with cost (b, n); a distribution begins at its mean."""
    if isinstance(algorithm, DistributionBasedAlgorithm):
        return vmapped(algorithm.init)(key, jnp.zeros_like(latents[:, 0]), params)
    return vmapped(algorithm.init)(key, latents, cost, params)
