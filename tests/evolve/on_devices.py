"""Run in a process of its own, with simulated CPU devices: the results of one evolution on each number of them.

Command: XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.evolve.on_devices 1,2,4,8
Prints JSON: for each case and number of devices the results; and the collectives of the paper's algorithm by kind, with
the numbers in the largest thing that is sent.
"""

import json
import math
import re
import sys
from dataclasses import replace

import jax
import numpy as np
from jax.sharding import Mesh

from depthjax.evolve import run
from depthjax.evolve.run import run_together
from tests.evolve.conftest import DIVERSE, PAPER, make_world
from tests.train.on_devices import collectives


def plain(outcome):
    return {name: np.asarray(values).tolist() for name, values in outcome._asdict().items()}


def sent(text):
    """The shape of everything that a compiled program sends between devices."""
    kinds = "all-gather|all-reduce|all-to-all|collective-permute"
    results = re.findall(rf" = (.+?) (?:{kinds})(?:-start)?\(", text)
    shapes = [shape for result in results for shape in re.findall(r"\w\[([\d,]*)\]", result)]
    return [[int(size) for size in shape.split(",") if size] for shape in shapes]


def main():
    world, key, found = make_world(), jax.random.key(3), {}
    inputs = world.networks, world.real
    for count in map(int, sys.argv[1].split(",")):
        mesh = Mesh(np.asarray(jax.devices()[:count]), ("faces",)) if count > 1 else None
        for name, settings in {"paper": PAPER, "k_dpp": DIVERSE}.items():
            reports: list[int] = []
            program = world.program(settings, mesh=mesh)
            made = run.evolve(program, key, *inputs, settings, progress=reports.append)
            found[f"{name} {count}"], found[f"reports {name} {count}"] = plain(made), reports
        grid = [replace(PAPER, seed=seed, mutation_sigma=sigma) for seed in (0, 1) for sigma in (0.1, 0.4)]
        program = world.program(PAPER, mesh=mesh)
        found[f"sweep {count}"] = plain(run_together(program, grid, *inputs))
        arguments = run.arguments_of(program, key[None], *inputs, [PAPER])
        text = run.compiled(run.run_experiments).lower(program, *arguments).compile().as_text()
        found[f"collectives {count}"] = collectives(text)
        found[f"largest {count}"] = max(map(math.prod, sent(text)), default=0)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
