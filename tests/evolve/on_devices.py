"""Run in a process of its own, with eight simulated CPU devices: what each number of them makes of one evolution.

Command: XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.evolve.on_devices
Prints JSON: for each case and number of devices what came of it; and the collectives of the paper's algorithm by kind,
with the numbers in the largest thing that is sent.
"""

import json
import math
import re
from dataclasses import replace

import jax
import numpy as np
from jax.sharding import Mesh

from depthjax.config import Evolve
from depthjax.evolve.measure import everywhere
from depthjax.evolve.run import compiled, evolve, make_plan
from depthjax.evolve.sweep import run_together
from tests.evolve.conftest import LATENT, make_world
from tests.train.on_devices import collectives

PAPER = Evolve(fitness="paper", population=10, generations=6, islands=3, hall_of_fame=4)
NOVELTY = replace(PAPER, algorithm="novelty", fitness="natural", islands=1)
COUNTS = (1, 2, 4, 8)


def plain(outcome):
    return {name: np.asarray(values).tolist() for name, values in outcome._asdict().items()}


def sent(text):
    """The shape of everything that a compiled program sends between devices."""
    shapes = re.findall(r"= \(?\w+\[([\d,]*)\]\S* (?:all-gather|collective-permute)(?:-start)?\(", text)
    return [[int(size) for size in shape.split(",") if size] for shape in shapes]


def main():
    world, key, found = make_world(), jax.random.key(3), {}
    parts = {"generator": world.generator, "discriminator": world.discriminator, "latent_size": LATENT}
    for count in COUNTS:
        mesh = Mesh(np.asarray(jax.devices()[:count]), ("faces",)) if count > 1 else None
        alone = {"images_at_once": 7, "mesh": mesh, **parts}
        for name, settings in {"paper": PAPER, "novelty": NOVELTY}.items():
            told: list[int] = []
            made = evolve(key, world.networks, world.real, settings=settings, **alone, progress=told.append)
            found[f"{name} {count}"], found[f"told {name} {count}"] = plain(made), told
        grid = [replace(PAPER, seed=seed, mutation_sigma=sigma) for seed in (0, 1) for sigma in (0.1, 0.4)]
        found[f"sweep {count}"] = plain(run_together(grid, world.networks, world.real, **alone))
        plan = make_plan(world.real, settings=PAPER, **alone)
        arguments = everywhere((key, plan.with_relief(world.networks), plan.params, plan.weights), mesh)
        text = compiled("cpu").lower(*arguments, **plan.static).compile().as_text()
        found[f"collectives {count}"] = collectives(text)
        found[f"largest {count}"] = max(map(math.prod, sent(text)), default=0)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
