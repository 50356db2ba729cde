"""Experiments of the paper's genetic algorithm as one program, beside one after another; and what bfloat16 changes.

Command: python -m benchmarks.experiments [--config FILE] [--workdir DIR] [--counts N ...] [--json FILE]
Needs:   a finished run, whose networks and training faces these are (default: configs/quick.py in runs/quick).

Each experiment is 3 emotions x 10 generations x 20 latents with the `realism` fitness, and a seed and rates of its own.
For every count of them: seconds of the one program in steady state, and as many times those of a single one.
The first call, with compilation, stands beside. Then the same latents are decoded in bfloat16 and in float32, and
evaluated by the fitness of the run; and the same evolution is run in both. First of all, the cost of twenty reports of
progress for the paper's algorithm: 3 x 100 x 20, with and without reports in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.table import Row, report
from depthjax import pipeline
from depthjax.config import Config, Evolve
from depthjax.config_file import load_config
from depthjax.evolve.fitness import of_emotion, weights_of
from depthjax.evolve.program import measure_faces
from depthjax.evolve.run import evolve, run_together
from depthjax.evolving import Inputs, evolution_inputs, program_of
from depthjax.keys import key_for

COUNTS = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 21  # of an evolution with and without reports; the first is not counted
LATENTS = 400  # of each emotion, decoded in both precisions


def main() -> None:
    """Print the curve, then the comparison of precisions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/quick.py"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="experiments at once")
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    config = load_config(flags.config)
    inputs = evolution_inputs(config, flags.workdir, pipeline.prepared_faces(config, flags.workdir, "train"))
    reports = progress_cost(config, inputs)
    report([*curve(config, inputs, flags.counts), reports], flags.json)
    print("\n".join(precisions(config, inputs)))


def curve(config: Config, inputs: Inputs, counts: Sequence[int]) -> list[Row]:
    """A row for every number of experiments."""
    single = timed(together(config, inputs, 1))
    rows = []
    for count in counts:
        first, again = single if count == 1 else timed(together(config, inputs, count))
        note = f"{1e3 * again / count:.0f} ms an experiment; first call, with compilation, {first:.1f} s"
        rows.append(Row(f"{count} experiments", "as many times one", again, count * single[1], note))
    return rows


def together(config: Config, inputs: Inputs, count: int) -> Callable[[], Any]:
    """That many experiments as one program, which differ in seed and rates."""
    settings = replace(
        config.evolve, algorithm="paper", fitness="realism", population=20, generations=10, hall_of_fame=20, islands=1
    )
    experiments = [replace(settings, seed=i, mutation_sigma=0.05 + 0.01 * i) for i in range(count)]
    program = program_of(config, settings)
    return lambda: run_together(program, experiments, *inputs)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the first call, and of the faster of two more."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - start)
    return seconds[0], min(seconds[1:])


def progress_cost(config: Config, inputs: Inputs) -> Row:
    """Return a row for an evolution that reports its progress, beside one that does not; medians."""
    settings = replace(config.evolve, algorithm="paper", fitness="released", population=20, generations=100, islands=1)
    program, key = program_of(config, settings), key_for(0, "evolve")
    seconds: dict[bool, list[float]] = {True: [], False: []}
    reports: list[int] = []
    for _ in range(ROUNDS):
        for reported in seconds:
            start = time.perf_counter()
            found = evolve(program, key, *inputs, settings, progress=reports.append if reported else None)
            jax.block_until_ready(found)
            seconds[reported].append(time.perf_counter() - start)
    ours, plain = (float(np.median(seconds[reported][1:])) for reported in (True, False))  # the first compiles
    spread = np.percentile(np.array(seconds[True][1:]) / np.array(seconds[False][1:]), [25, 75])
    note = f"costs {100 * (ours / plain - 1):.1f} % (middle half of {ROUNDS - 1} pairs: "
    note += f"{100 * (spread[0] - 1):.1f} to {100 * (spread[1] - 1):.1f} %); {len(reports) // ROUNDS} calls"
    return Row("reporting progress", "no reports", ours, plain, note)


def precisions(config: Config, inputs: Inputs) -> list[str]:
    """Lines of a Markdown table: the fitness of the run in float32 and in bfloat16."""
    whole, half = (replace(config.evolve, dtype=dtype) for dtype in ("float32", "bfloat16"))
    at_once, (exact, rough) = {}, (fitness_of(config, inputs, settings) for settings in (whole, half))
    difference, spread = np.abs(exact - rough), exact.std()
    for settings in (whole, half):
        at_once[settings.dtype] = timed(lambda settings=settings: evolved(config, inputs, settings))[1]
    best = [fitness_of(config, inputs, whole, winners(config, inputs, s)).mean() for s in (whole, half)]
    return [
        "",
        "| | float32 | bfloat16 |",
        "|---|---|---|",
        f"| fitness of {exact.size} random latents, mean | {exact.mean():.4f} | {rough.mean():.4f} |",
        f"| its difference, median / largest (standard deviation of the fitness: {spread:.3f}) | – | "
        f"{np.median(difference):.4f} / {difference.max():.4f} |",
        f"| fitness of what evolved, by the float32 generator, mean | {best[0]:.4f} | {best[1]:.4f} |",
        f"| the evolution, seconds | {at_once['float32']:.1f} | {at_once['bfloat16']:.1f} |",
    ]


def evolved(config: Config, inputs: Inputs, settings: Evolve) -> Any:
    """Return the evolution of the run with these settings."""
    return evolve(program_of(config, settings), key_for(settings.seed, "evolve"), *inputs, settings)


def winners(config: Config, inputs: Inputs, settings: Evolve) -> jax.Array:
    """Return its winners, (classes, k, d)."""
    found = evolved(config, inputs, settings).winners
    return jnp.reshape(found, (found.shape[0], -1, found.shape[-1]))


def fitness_of(config: Config, inputs: Inputs, settings: Evolve, latents: jax.Array | None = None) -> np.ndarray:
    """Return the fitness (classes, k) of latents (classes, k, d), or of random ones."""
    classes, d = len(config.data.emotions), config.model.latent_size
    if latents is None:
        latents = jax.random.normal(key_for(0, "benchmark"), (classes, LATENTS, d))
    program = replace(program_of(config, settings), mesh=None)
    networks = inputs.networks._replace(relief=inputs.real.relief)
    emotion, needed = jnp.arange(classes), jnp.ones(latents.shape[:2], bool)
    faces = jax.jit(measure_faces, static_argnums=0)(program, networks, latents, emotion[:, None], needed)
    weights = jax.vmap(partial(of_emotion, weights_of(settings, inputs.real)))(emotion)
    return np.asarray(jax.vmap(jax.vmap(program.fitness, in_axes=(0, 0, None)))(faces, latents, weights))


if __name__ == "__main__":
    main()
