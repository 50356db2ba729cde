"""What one compiled evolution is fixed by: networks, algorithm, fitness and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from evosax.algorithms.base import EvolutionaryAlgorithm
from flax import linen as nn
from jax.sharding import Mesh

from depthjax import config
from depthjax.evolve.algorithms import make_algorithm
from depthjax.evolve.fitness import FITNESS, Fitness, reads_of

# Faces decoded at once: small batches stay in the cache of a CPU.
MAX_AT_ONCE = {"cpu": 10}
MAX_AT_ONCE_ELSEWHERE = 1024


@dataclass(frozen=True)
class Program:
    """Static under jit: experiments of equal programs are compiled once and can run together.

    Attributes:
        generator: `apply(variables, latents (n, d), emotion (n,), train=False)` → (n, h, w) in [-1, 1].
        discriminator: `apply(variables, images (n, h, w), emotion (n,), train=False)` → (n,) logits.
        algorithm: evosax's interface, with the size of a population and of latents.
        fitness: of one face.
        reads: which of `logit` and `relief` are measured.
        islands: independent populations of each emotion.
        generations: after the first, random one.
        hall_of_fame: winners of each island; novelty search keeps its population instead.
        images_at_once: largest batch of the generator; bounds memory.
        mesh: devices in a row, which share the faces of every generation; None for a single one.
        watched: whether the program reports its progress while it runs.
    """

    generator: nn.Module
    discriminator: nn.Module
    algorithm: EvolutionaryAlgorithm
    fitness: Fitness
    reads: tuple[str, ...]
    islands: int
    generations: int
    hall_of_fame: int
    images_at_once: int
    mesh: Mesh | None = None
    watched: bool = False


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
    """Return the program of a config's evolution.

    Args:
        settings: algorithm, sizes, fitness, dtype and memory budget.
        generator, discriminator, mesh: as in `Program`.
        latent_size: d.
        fitness: instead of the one that the settings name.
        images_at_once: None: as `device_budget` allows, and at most 10 on a CPU, 1024 elsewhere.
    """
    if settings.dtype == "bfloat16":
        generator = generator.clone(dtype=jnp.bfloat16)
    fitness = fitness or FITNESS[settings.fitness]
    by_novelty = ("relief",) if settings.algorithm == "novelty" else ()
    return Program(
        generator=generator,
        discriminator=discriminator,
        algorithm=make_algorithm(
            settings.algorithm,
            settings.population,
            latent_size,
            tournament=settings.tournament,
            elite=settings.elite,
        ),
        fitness=fitness,
        reads=tuple(sorted({*reads_of(fitness), *by_novelty})),
        islands=settings.islands,
        generations=settings.generations,
        hall_of_fame=settings.hall_of_fame,
        images_at_once=images_at_once or images_within(settings.device_budget, generator),
        mesh=mesh,
    )


def images_within(megabytes: int, generator: nn.Module) -> int:
    """Return how many faces to decode and measure at once within that memory.

    The two widest maps of the generator hold `width` numbers for every 8 and 16 pixels; as measured, XLA
    keeps about four times their float32 bytes at its peak.
    """
    most = MAX_AT_ONCE.get(jax.default_backend(), MAX_AT_ONCE_ELSEWHERE)
    if not (hasattr(generator, "resolution") and hasattr(generator, "width")):
        return most
    numbers = generator.resolution**2 * (generator.width / 16 + generator.width / 32)
    return max(1, min(most, int(megabytes * 1e6 / (4 * 4 * numbers))))


def compiler_options(platform: str) -> dict[str, Any] | None:
    """Return XLA's options for programs full of random draws."""
    # On a CPU, level 3 unrolls every random draw: three times the compilation for the same speed.
    return {"xla_backend_optimization_level": 2} if platform == "cpu" else None
