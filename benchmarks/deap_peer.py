"""The peers of evolution: the released genetic algorithm in DEAP and PyTorch, one image or a population at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import torch
from deap import algorithms, base, tools

from benchmarks.torch_peer import DEVICE, Generator
from depthjax.config import Evolve


class Maximise(base.Fitness):
    """One value, larger is better."""

    weights = (1.0,)


class Individual(list):
    """A latent as DEAP keeps it: a list of genes with a fitness."""

    def __init__(self, genes: Any) -> None:
        super().__init__(genes)
        self.fitness = Maximise()


def released_toolbox(
    settings: Evolve, generator: torch.nn.Module, emotion: int, latent_size: int, batched: bool
) -> base.Toolbox:
    """DEAP's toolbox with the released operators and fitness, for one emotion."""

    def fitness(individuals: list[Individual]) -> list[tuple[float]]:
        labels = torch.full((len(individuals),), emotion, device=DEVICE)
        with torch.no_grad():
            images = generator(torch.tensor(individuals, device=DEVICE), labels)[:, 0]
            values = 10 * images.std((1, 2)) - 5 * images.mean((1, 2)).abs()
        return [(value,) for value in values.tolist()]

    def evaluate(individual: Individual) -> tuple[float]:
        return fitness([individual])[0]

    def evaluate_all(_: Any, individuals: Iterable[Individual]) -> list[tuple[float]]:
        chosen = list(individuals)
        return fitness(chosen) if chosen else []

    toolbox = base.Toolbox()
    toolbox.register("individual", lambda: Individual(random.gauss(0, 1) for _ in range(latent_size)))
    toolbox.register("evaluate", evaluate)
    if batched:
        toolbox.register("map", evaluate_all)  # what eaSimple asks for a generation's fitness
    toolbox.register("mate", tools.cxBlend, alpha=settings.blend_alpha)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=settings.mutation_sigma, indpb=settings.gene_probability)
    toolbox.register("select", tools.selTournament, tournsize=settings.tournament)
    return toolbox


def deap_run(
    settings: Evolve, resolution: int, width: int, classes: int, latent_size: int, *, batched: bool = False
) -> Callable[[], int]:
    """eaSimple for every emotion; returns the number of evaluations. Batched: a generation is one batch."""
    torch.manual_seed(0)
    generator = Generator(resolution, width, classes, latent_size).eval().to(DEVICE)

    def run() -> int:
        evaluations = 0
        for emotion in range(classes):
            toolbox = released_toolbox(settings, generator, emotion, latent_size, batched)
            population = [toolbox.individual() for _ in range(settings.population)]
            _, log = algorithms.eaSimple(
                population,
                toolbox,
                settings.crossover_probability,
                settings.mutation_probability,
                settings.generations,
                halloffame=tools.HallOfFame(settings.hall_of_fame),
                verbose=False,
            )
            evaluations += sum(log.select("nevals"))
        return evaluations

    return run
