"""The peer of evolution: the released genetic algorithm in DEAP and PyTorch, one image at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
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


def released_toolbox(settings: Evolve, generator: torch.nn.Module, emotion: int, latent_size: int) -> base.Toolbox:
    """DEAP's toolbox with the released operators and fitness, for one emotion."""
    label = torch.tensor([emotion], device=DEVICE)

    def evaluate(individual: Individual) -> tuple[float]:
        with torch.no_grad():
            image = generator(torch.tensor([individual], device=DEVICE), label)[0, 0]
        return (float(10 * image.std() - 5 * image.mean().abs()),)

    toolbox = base.Toolbox()
    toolbox.register("individual", lambda: Individual(random.gauss(0, 1) for _ in range(latent_size)))
    toolbox.register("evaluate", evaluate)
    toolbox.register("mate", tools.cxBlend, alpha=settings.blend_alpha)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=settings.mutation_sigma, indpb=settings.gene_probability)
    toolbox.register("select", tools.selTournament, tournsize=settings.tournament)
    return toolbox


def deap_run(settings: Evolve, resolution: int, width: int, classes: int, latent_size: int) -> Callable[[], int]:
    """eaSimple for every emotion; returns the number of evaluations."""
    torch.manual_seed(0)
    generator = Generator(resolution, width, classes, latent_size).eval().to(DEVICE)

    def run() -> int:
        evaluations = 0
        for emotion in range(classes):
            toolbox = released_toolbox(settings, generator, emotion, latent_size)
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
