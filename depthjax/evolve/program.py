"""What one compiled evolution is fixed by: networks, algorithm, fitness and sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from evosax.algorithms import CMA_ES, MR15_GA, SAMR_GA, Sep_CMA_ES
from evosax.algorithms.base import EvolutionaryAlgorithm
from flax import linen as nn
from jax.sharding import Mesh

from depthjax import config
from depthjax.evolve.fitness import FITNESS, Fitness, reads_of
from depthjax.evolve.novelty import DominatedNovelty
from depthjax.evolve.paper_ga import PaperGA

EVOSAX: dict[str, type[EvolutionaryAlgorithm]] = {
    "mr15_ga": MR15_GA,
    "samr_ga": SAMR_GA,
    "cma_es": CMA_ES,
    "sep_cma_es": Sep_CMA_ES,
}
# Faces decoded at once: small batches stay in the cache of a CPU.
MAX_AT_ONCE = {"cpu": 10}
MAX_AT_ONCE_ELSEWHERE = 1024


@dataclass(frozen=True)
class Program:
    """Static under jit: experiments of equal programs are compiled once and can run together."""

    generator: nn.Module  # apply(variables, latents (n, d), emotion (n,), train=False) → (n, h, w) in [-1, 1]
    discriminator: nn.Module  # apply(variables, images (n, h, w), emotion (n,), train=False) → (n,) logits
    algorithm: EvolutionaryAlgorithm  # with the size of a population and of latents
    fitness: Fitness  # of one face
    reads: tuple[str, ...]  # which of `logit` and `relief` are measured
    islands: int  # independent populations of each emotion
    generations: int  # after the first, random one
    hall_of_fame: int  # winners of each island; novelty search keeps its population instead
    images_at_once: int  # largest batch of the generator; bounds memory
    mesh: Mesh | None = None  # devices in a row, which share the faces of every generation; None: a single one
    watched: bool = False  # whether the program reports its progress while it runs


def make_program(
    settings: config.Evolve,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_size: int,
    fitness: Fitness | None = None,
    images_at_once: int | None = None,
    mesh: Mesh | None = None,
) -> Program:
    """Return the program that evolves latents (d,) with a config's algorithm, sizes, dtype and memory budget.

    By default the fitness is the one that the settings name, and `images_at_once` what `device_budget` allows, at most
    10 on a CPU, 1024 elsewhere.
    """
    if settings.dtype == "bfloat16":
        generator = generator.clone(dtype=jnp.bfloat16)
    fitness = fitness or FITNESS[settings.fitness]
    by_novelty = ("relief",) if settings.algorithm == "novelty" else ()
    algorithm = _algorithm(settings.algorithm, settings.population, latent_size, settings.tournament, settings.elite)
    return Program(
        generator=generator,
        discriminator=discriminator,
        algorithm=algorithm,
        fitness=fitness,
        reads=tuple(sorted({*reads_of(fitness), *by_novelty})),
        islands=settings.islands,
        generations=settings.generations,
        hall_of_fame=settings.hall_of_fame,
        images_at_once=images_at_once or images_within(settings.device_budget, generator),
        mesh=mesh,
    )


@lru_cache  # one object for each: jit compares static arguments of evosax by identity
def _algorithm(name: str, population: int, latent_size: int, tournament: int, elite: int) -> EvolutionaryAlgorithm:
    latent = jnp.zeros(latent_size)
    if name == "paper":
        return PaperGA(population, latent, tournament_size=tournament, elite=elite)
    return (DominatedNovelty if name == "novelty" else EVOSAX[name])(population, latent)


def images_within(megabytes: int, generator: nn.Module) -> int:
    """Return how many faces to decode and measure at once within that memory.

    The two widest maps of the generator hold `width` numbers for every 8 and 16 pixels; as measured, XLA
    keeps about four times their float32 bytes at its peak.
    """
    largest = MAX_AT_ONCE.get(jax.default_backend(), MAX_AT_ONCE_ELSEWHERE)
    if not (hasattr(generator, "resolution") and hasattr(generator, "width")):
        return largest
    numbers = generator.resolution**2 * (generator.width / 16 + generator.width / 32)
    return max(1, min(largest, int(megabytes * 1e6 / (4 * 4 * numbers))))


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
    """Return a method of evosax for a leading axis of populations, with rank promotion allowed in it."""

    def call(*arguments: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return jax.vmap(method)(*arguments)

    return call


@lru_cache
def compiled(function: Callable[..., Any]) -> Any:
    """Return a function of a program and arrays under jit, with a static program."""
    # On a CPU, level 3 unrolls every random draw: three times the compilation for the same speed.
    options = {"xla_backend_optimization_level": 2} if jax.default_backend() == "cpu" else None
    return jax.jit(function, static_argnums=0, compiler_options=options)
