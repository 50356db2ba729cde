"""The latent genetic algorithm against DEAP + PyTorch: as released, one image at a time, and a generation as one batch.

Command: python -m benchmarks.evolve [--case NAME] [--generations N] [--rounds N] [--json FILE]

3 emotions x 100 generations x 20 latents of 256, fitness 10 std - 5 |mean|; at 256x256 on a CPU fewer generations, as
the row says. The released generator runs in evaluation mode without gradients, on random weights: the arithmetic is the
same. Where jax has a GPU, PyTorch is given it too; convolutions are TensorFloat-32 there on both sides, as both come.
The rounds of both sides are interleaved and the best of each counts; compilation is reported apart. DEAP's seconds are
those of eaSimple; both sides evaluate only what changed (about 84 % of the offspring), and the row says how many.
Beside the clock stands processor time: on a busy machine PyTorch's threads wait for one another at every image, and the
clock then flatters ours.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.table import Row, report
from depthjax.config import Evolve
from depthjax.evolve.program import Networks, make_program
from depthjax.evolve.run import evolve
from depthjax.evolve.statistics import Statistics
from depthjax.models.dcgan import Discriminator, Generator

LATENT, CLASSES = 256, 3
PEERS = "DEAP + PyTorch, one image at a time", "DEAP + PyTorch, a generation as one batch"
RELEASED = Evolve(fitness="released", islands=1)


@dataclass(frozen=True)
class Case:
    """One size of the networks."""

    name: str
    resolution: int
    width: int
    generations: int
    rounds: int


CASES = (
    Case("quarter64", 64, 128, 100, 3),  # of configs/quick.py
    Case("half64", 64, 256, 100, 3),
    Case("full64", 64, 512, 100, 2),
    Case("full256", 256, 512, 5, 2),
)


def our_run(case: Case, settings: Evolve = RELEASED) -> Callable[[], int]:
    """All emotions in one dispatch; returns the number of evaluations."""
    generator, discriminator = Generator(case.resolution, case.width, CLASSES), Discriminator(64, CLASSES)
    emotion = jnp.zeros(1, jnp.int32)
    init = jax.jit(partial(generator.init, train=False))
    variables = init(jax.random.key(0), jnp.zeros((1, LATENT)), emotion)
    # The released fitness reads no discriminator, so none is given.
    networks, settings = Networks(variables, {}), replace(settings, generations=case.generations)
    program = make_program(settings, generator=generator, discriminator=discriminator, latent_size=LATENT)

    def run() -> int:
        found = evolve(program, jax.random.key(0), networks, Statistics(jnp.zeros(CLASSES)), settings)
        return int(jax.block_until_ready(found).evaluations.sum())

    return run


class Timing(NamedTuple):
    """One run: seconds on the clock, seconds of processor time on all cores, evaluations."""

    wall: float
    processor: float
    evaluations: int


def timed(run: Callable[[], int]) -> Timing:
    """The timing of one run."""
    wall, processor = time.perf_counter(), time.process_time()
    evaluations = run()
    return Timing(time.perf_counter() - wall, time.process_time() - processor, evaluations)


def compare(case: Case) -> Iterator[Row]:
    """A row for each peer: ours and DEAP's rounds in turn, after ours was compiled."""
    from benchmarks.deap_peer import deap_run  # needs the bench extra

    random.seed(0)
    sizes = replace(RELEASED, generations=case.generations), case.resolution, case.width, CLASSES, LATENT
    peers = {PEERS[batched]: deap_run(*sizes, batched=batched) for batched in (False, True)}
    run = our_run(case)
    first = timed(run)
    rounds = [(timed(run), *map(timed, peers.values())) for _ in range(case.rounds)]
    ours, *others = (min(of) for of in zip(*rounds, strict=True))
    size = f"{case.resolution}x{case.resolution} width {case.width}, 3 x {case.generations} x {RELEASED.population}"
    for name, peer in zip(peers, others, strict=True):
        note = (
            f"evaluations {ours.evaluations} / {peer.evaluations}; processor time {ours.processor:.1f} / "
            f"{peer.processor:.1f} s; first call, with compilation, {first.wall:.1f} s"
        )
        yield Row(f"evolve {size}", name, ours.wall, peer.wall, note)


def main() -> None:
    """Parse the flags, run the cases, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", choices=[case.name for case in CASES], action="append", help="default: all")
    parser.add_argument("--generations", type=int, help="at most so many, to spare time; the row says how many")
    parser.add_argument("--rounds", type=int, help="at most so many, likewise")
    flags = parser.parse_args()
    chosen = [case for case in CASES if not flags.case or case.name in flags.case]
    if jax.default_backend() == "gpu":
        chosen = [replace(case, generations=100) for case in chosen]
    if flags.generations:
        chosen = [replace(case, generations=min(case.generations, flags.generations)) for case in chosen]
    if flags.rounds:
        chosen = [replace(case, rounds=min(case.rounds, flags.rounds)) for case in chosen]
    report([row for case in chosen for row in compare(case)], flags.json)


if __name__ == "__main__":
    main()
