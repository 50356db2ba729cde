"""Many trainings in one program, at the size of configs/few.py: seconds a step of one training, by their number.

Command: python -m benchmarks.few [--number N ...] [--rounds N] [--json FILE]
Needs:   nothing else. The way that this backend takes by default against the other: side by side (vmap) or one after
         the other (map). They take turns, and the median counts; compilation is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.table import Row, report
from benchmarks.train_step import STEPS as STEPS_OF_A_RUN
from benchmarks.train_step import Run, interleaved
from depthjax import load_config
from depthjax.train.many import Own, default_vmapped, init_many, make_many_steps
from depthjax.train.step import Batch

FACES = 90  # of a training: three people with ten frames of three emotions


def main() -> None:
    """Run every number of trainings both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, action="append", help="of trainings; default: 1, 2, 5, 10")
    parser.add_argument("--rounds", type=int, default=3, help=f"dispatches of {STEPS_OF_A_RUN} steps timed of each")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    flags = parser.parse_args()
    rows = [compare(number, flags.rounds) for number in flags.number or (1, 2, 5, 10)]
    report(rows, flags.json)


def compare(number: int, rounds: int) -> Row:
    """Return the row of so many trainings."""
    names, default = {True: "vmap", False: "map"}, default_vmapped()
    runs = {names[vmapped]: dispatch(number, vmapped=vmapped) for vmapped in (False, True)}
    seconds = {name: value / number for name, value in interleaved(runs, rounds).items()}
    ours, peer = names[default], names[not default]
    print(f"{number}: {ours} {seconds[ours]:.4f} s, {peer} {seconds[peer]:.4f} s", file=sys.stderr, flush=True)
    return Row(f"few {number} trainings: step of one, by {ours}", peer, seconds[ours], seconds[peer])


def dispatch(number: int, *, vmapped: bool) -> Run:
    """Return a call that takes STEPS_OF_A_RUN steps of so many trainings on faces of noise."""
    config = load_config("few")
    rng, size = np.random.default_rng(0), config.data.resolution
    images = jnp.asarray(rng.uniform(-1, 1, (FACES, size, size)), jnp.float32)
    faces = Batch(images, jnp.arange(FACES, dtype=jnp.int32) % len(config.data.emotions))
    keys = jax.vmap(jax.random.key)(jnp.arange(number))
    rows = jnp.broadcast_to(jnp.arange(FACES, dtype=jnp.int32), (number, FACES))
    own = Own(rows, jnp.full(number, FACES, jnp.int32), keys)
    steps = jax.jit(make_many_steps(config, vmapped=vmapped), donate_argnums=0)
    held = [jax.jit(init_many, static_argnums=1)(keys, config)]

    def run() -> None:
        held[0], _ = steps(held[0], own, faces, np.int32(STEPS_OF_A_RUN))
        jax.block_until_ready(held[0])

    run()
    return run


if __name__ == "__main__":
    main()
