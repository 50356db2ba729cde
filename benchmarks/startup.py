"""How long one waits before anything happens: help, a config error, and what a first and a second start compile.

Command: python -m benchmarks.startup [--rounds N] [--config configs/quick.py] [--stages]
Needs:   nothing. Programs are compiled and never run, but for the smallest.

With --stages, whole stages of the config run instead, with its shapes and little work (one epoch, two generations),
and what each compiles stands beside, cold and warm, with names of programs that it compiled more than once.

Help and the config error are whole commands in fresh processes, the median counts. Compilation is what a run of the
config compiles of its own: the state, a dispatch of training steps, the teacher's decoding, the discriminator on
training faces, and the evolution; in a fresh process with an empty folder for compiled programs, then in another
one with what the first has left there. Start-up of Python and jax is left out of both. Beside the clock stands
processor time, which others on the machine hardly change.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS = "compiled in "
LITTLE = {  # work of a run whose programs are those of the config but for lengths of loops
    "data.extra_test_subjects": "0",
    "train.epochs": "1",
    "train.save_every_epochs": "1",
    "evolve.generations": "2",
    "evolve.classifier_steps": "2",
    "evaluate.classifiers": "depthnet,network",
    "evaluate.feature_size": "64",
    "evaluate.bootstrap": "10",
    "evaluate.equal_draws": "2",
    "evaluate.inversion_steps": "2",
}


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of the commands; compilation is done once")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quick.py")
    parser.add_argument("--stages", action="store_true", help="what each stage compiles")
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.compile:
        run_stages(flags.config) if flags.stages else compile_all(flags.config)
        return
    if flags.stages:
        print_stages(flags.config)
        return
    launch = [sys.executable, "launch.py"]
    wrong = [*launch, "--config", str(flags.config), "--config.train.epoch=3"]
    for name, command in (("launch.py --help", [*launch, "--help"]), ("a config error", wrong)):
        clock, processor = (
            median(taken) for taken in zip(*(seconds(command) for _ in range(flags.rounds)), strict=True)
        )
        print(f"{name}: {clock:.2f} s, {processor:.2f} s of processor time", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        first, second = (compiling(flags.config, cache) for _ in range(2))
    for name, (clock, processor) in (("first", first), ("second", second)):
        print(f"{flags.config.stem}, {name} start: compiled in {clock:.1f} s, {processor:.1f} s of processor time")
    print(f"second / first: {100 * second[0] / first[0]:.0f} %, {100 * second[1] / first[1]:.0f} % of processor time")


def seconds(command: list[str]) -> tuple[float, float]:
    """Of a whole command: by the clock, and of processor time."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, spent


def compiling(config: Path, cache: str) -> tuple[float, float]:
    """Seconds that a fresh process compiles, with this folder of compiled programs: clock, processor."""
    command = [sys.executable, "-m", "benchmarks.startup", "--compile", "--config", str(config.resolve())]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    clock, processor = done.stdout.rpartition(SECONDS)[2].split()
    return float(clock), float(processor)


def compile_all(path: Path) -> None:
    """What a run of the config compiles for its networks, timed together; programs are traced and compiled, not run."""
    import jax

    from depthjax.config_file import load_config
    from depthjax.environment import cache_programs

    config = load_config(path)
    jax.devices()
    cache_programs()
    wanted = programs(config)
    start, processor = time.perf_counter(), time.process_time()
    for name, lowered in wanted:
        begun = time.perf_counter()
        lowered().compile()
        print(f"{name}: {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)
    print(f"{SECONDS}{time.perf_counter() - start:.2f} {time.process_time() - processor:.2f}")


def print_stages(config: Path) -> None:
    """Print a row for each stage: seconds that it compiles in a first run and in a second one."""
    command = [sys.executable, "-m", "benchmarks.startup", "--compile", "--stages", "--config", str(config.resolve())]
    found: list[dict[str, list[list[Any]]]] = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"| stage | programs | cold | warm | longest, cold | more than once |\n{'|---' * 6}|")
    for name, cold in found[0].items():
        times, again = [seconds for _, seconds in cold], sum(seconds for _, seconds in found[1][name])
        longest = ", ".join(f"{of} {s:.1f} s" for of, s in sorted(cold, key=lambda row: -row[1])[:4] if s >= 0.5)
        several = ", ".join(f"{n}x {of}" for of, n in Counter(of for of, s in cold if s >= 0.1).items() if n > 1)
        print(f"| {name} | {len(cold)} | {sum(times):.1f} s | {again:.1f} s | {longest} | {several} |")


def run_stages(path: Path) -> None:
    """Run the stages of the config with little work, and print what each compiled as JSON: names and seconds."""
    from depthjax.config_file import load_config
    from depthjax.config_values import override
    from depthjax.environment import start_jax

    start_jax()
    from depthjax.pipeline import run
    from depthjax.stages import STAGES

    config, compiled = override(load_config(path), LITTLE), Compiled()
    logger = logging.getLogger("jax._src.dispatch")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(compiled)
    logger.propagate = False
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for stage in STAGES:
            compiled.found = found[stage] = []
            run(config, Path(folder), [stage], log=None)
            print(stage, *compiled.found, file=sys.stderr, flush=True)
    print(json.dumps(found))


class Compiled(logging.Handler):
    """Gathers the names of the programs that jax logs as compiled, or read from its cache, and the seconds."""

    found: list[list[Any]]

    def emit(self, record: logging.LogRecord) -> None:
        """Add the program of a line."""
        line = re.search(r"XLA compilation of (.*) in ([\d.]+) sec", record.getMessage())
        if line:
            self.found.append([line[1].removeprefix("jit(").removesuffix(")"), float(line[2])])


def programs(config: Any) -> list[tuple[str, Any]]:
    """Each by name, as a function that traces and lowers it."""
    import jax
    import numpy as np

    from depthjax.evolve import run
    from depthjax.keys import key_for
    from depthjax.models.dcgan import decode_batch
    from depthjax.train import loop
    from depthjax.train.state import init_state, networks
    from depthjax.train.step import Batch, make_steps, teacher_variables

    key, nets, size = key_for(config.train.seed, "init"), networks(config), config.data.resolution
    state = jax.eval_shape(lambda: init_state(key, config))
    faces = int(config.data.subjects * (1 - config.data.test_fraction)) * config.data.frames * len(config.data.emotions)

    def shape(kind: Any, *axes: int) -> Any:
        return jax.ShapeDtypeStruct(axes, kind)

    batch = Batch(shape(np.float32, faces, size, size), shape(np.int32, faces))
    steps = jax.jit(make_steps(config, config.train.steps_per_dispatch), donate_argnums=0)
    teachers = jax.eval_shape(teacher_variables, state)
    cells = loop.GRID_COLUMNS * len(config.data.emotions)
    latents, labels = shape(np.float32, cells, config.model.latent_size), shape(np.int32, cells)
    discriminate = jax.jit(lambda v, x, e: nets.discriminator.apply(v, x, e, train=False))
    few = shape(np.float32, 320, size, size), shape(np.int32, 320)
    return [
        ("fresh state", lambda: jax.jit(init_state, static_argnums=1).lower(key, config)),
        ("training", lambda: steps.lower(state, batch, np.int32(1))),
        ("decoding", lambda: decode_batch.lower(nets.generator, teachers.generator, latents, labels)),
        ("discriminator", lambda: discriminate.lower(teachers.discriminator, *few)),
        ("evolution", evolution(config, nets, teachers, run)),
    ]


def evolution(config: Any, nets: Any, teachers: Any, run: Any) -> Any:
    """What lowers the evolution of the config; its training faces are noise: values change no program."""
    import numpy as np

    from depthjax.evolve.program import Networks, make_program
    from depthjax.evolve.statistics import statistics_of
    from depthjax.keys import key_for

    data, rng = config.data, np.random.default_rng(0)
    subjects = int(data.subjects * (1 - data.test_fraction))
    subject, emotion, _ = (a.ravel() for a in np.mgrid[:subjects, : len(data.emotions), : data.frames])
    noise = rng.uniform(-1, 1, (len(subject), data.resolution, data.resolution)).astype(np.float32)
    logits = rng.normal(size=len(subject)).astype(np.float32)
    real = statistics_of(noise, emotion, subject, logits, classes=len(data.emotions), classifier_steps=1, seed=0)
    program = make_program(config.evolve, **nets._asdict(), latent_size=config.model.latent_size)
    key = key_for(config.evolve.seed, "evolve")
    networks = Networks(teachers.generator, teachers.discriminator)
    arguments = run.arguments_of(program, key[None], networks, real, [config.evolve])
    return lambda: run.compiled(run.run_experiments).lower(program, *arguments)


if __name__ == "__main__":
    main()
