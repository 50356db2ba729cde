"""Memory of the paper's training program by the compiler's own figure, and what its operations and bytes allow.

Command: python -m benchmarks.memory [--quick]
Needs:   nothing but a CPU: programs are compiled and never run. The figures are those of the compiler of the platform
         that this runs on, and another platform's differ: its convolutions are other programs.

XLA's CPU pipeline drops the barriers that keep `train.remat` from being merged away again, so on a CPU it saves
nothing; here that pass is left out of every row. A CPU computes bfloat16 in float32: its row does not show what a GPU
saves.

Memory is all that the compiled dispatch holds: the state and the training set (960 faces) that it is given, what it
gives back less what it overwrites, and everything in between. The second table counts, in the program that each
device gets once the compiler has shared a step among so many, its operations, its bytes and what it sends. Its times
are an estimate from below: operations over the peak rate or bytes over the memory's rate, whichever takes longer, and
ring all-reduces that nothing hides; no launches, no waiting.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_disable_hlo_passes=cse_barrier_expander"

import jax
import jax.numpy as jnp
import numpy as np

from configs import paper
from depthjax.config import Config
from depthjax.config_values import validate
from depthjax.train.mesh import AXIS, replicated, split
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_steps, make_update

FACES = 960  # that paper.py trains on: 32 of 40 subjects, 3 emotions, 10 frames
GIGABYTE = 1e9
# An H100 SXM by its data sheet: dense, not sparse.
PEAK = 495e12  # operations a second in TF32, which is what float32 convolutions run as
PEAKS = {"float32 exact": 67e12, "TensorFloat-32": PEAK, "bfloat16": 989e12}
MEMORY_RATE = 3.35e12  # bytes a second
LINK_RATE = 450e9  # bytes a second and direction, of NVLink between the GPUs of one machine
# Batch size, and fields of the model and train sections.
ROWS: tuple[tuple[int, dict[str, Any]], ...] = (
    (32, {}),
    (32, {"accumulate": 4}),
    (32, {"remat": True}),
    (32, {"dtype": "bfloat16"}),
    (300, {}),
    (300, {"remat": True}),
    (300, {"accumulate": 10}),
    (300, {"accumulate": 10, "remat": True}),
    (300, {"accumulate": 10, "dtype": "bfloat16"}),
)
NETWORK_RATE = 50e9  # the same between machines of 8: one adapter of 400 Gbit/s for each GPU
SHARED = ((1, 64), (8, 8), (64, 1), (8, 64), (64, 64))  # devices, and faces on each: one batch of 64, then more faces
SIZES = {"pred": 1, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}  # bytes of a number


@dataclass(frozen=True)
class Counts:
    """What each device does in a step, by the compiler."""

    operations: float
    moved: float  # bytes
    collectives: dict[str, int]  # kind to how many
    sent: float  # bytes that they combine

    def seconds(self, devices: int) -> tuple[float, float]:
        """On H100s: of the work, and of what is sent."""
        rate = LINK_RATE if devices <= 8 else NETWORK_RATE
        work = max(self.operations / PEAK, self.moved / MEMORY_RATE)
        return work, 2 * (1 - 1 / devices) * self.sent / rate


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first row of each table")
    flags = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", max(devices for devices, _ in SHARED))
    print("| batch | settings | in between, GB | in all, GB |\n|---|---|---|---|", flush=True)
    for batch_size, fields in ROWS[:1] if flags.quick else ROWS:
        between, total = memory(sized(batch_size, fields))
        settings = ", ".join(f"{name}={value}" for name, value in fields.items()) or "as they are"
        print(f"| {batch_size} | {settings} | {between / GIGABYTE:.2f} | {total / GIGABYTE:.2f} |", flush=True)
    print_shared(SHARED[:1] if flags.quick else SHARED)


def sized(batch_size: int, fields: dict[str, Any]) -> Config:
    """The paper's config with another batch size, and fields of its model and train sections replaced."""
    return changed(paper.get_config(), {"batch_size": batch_size, **fields})


def changed(config: Config, fields: dict[str, Any]) -> Config:
    """The config with fields of its model and train sections replaced."""
    model = {name: value for name, value in fields.items() if hasattr(config.model, name)}
    train = {name: value for name, value in fields.items() if name not in model}
    return validate(replace(config, model=replace(config.model, **model), train=replace(config.train, **train)))


def memory(config: Config) -> tuple[float, float]:
    """Bytes of a dispatch of training: what lies between its inputs and outputs, and all."""
    state = jax.eval_shape(lambda: init_state(jax.random.key(0), config))
    steps = jax.jit(make_steps(config, config.train.steps_per_dispatch), donate_argnums=0)
    found: Any = compiled(steps.lower(state, shapes(config, FACES), np.int32(1))).memory_analysis()
    kept = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return found.temp_size_in_bytes, kept + found.temp_size_in_bytes


def print_shared(shared: Sequence[tuple[int, int]]) -> None:
    """Print a row for each (devices, faces on each), as far as there are devices."""
    titles = "devices | faces on each | operations | bytes | sends | bytes sent | work | sending | faces/s | efficiency"
    print(f"\n| {titles} |\n{'|---' * 10}|", flush=True)
    alone = 0.0  # faces a second of the first row's device
    for devices, faces in (row for row in shared if row[0] <= jax.device_count()):
        counts = step_counts(sized(devices * faces, {}), devices)
        work, sending = counts.seconds(devices)
        rate = devices * faces / (work + sending)
        alone = alone or rate
        cells = [str(devices), str(faces), f"{counts.operations / 1e12:.3f} T", f"{counts.moved / GIGABYTE:.1f} GB"]
        cells += [kinds(counts), f"{counts.sent / 1e6:.1f} MB", f"{1e3 * work:.2f} ms", f"{1e3 * sending:.2f} ms"]
        cells += [f"{rate:,.0f}", f"{100 * rate / alone / devices:.0f} %"]
        print(f"| {' | '.join(cells)} |", flush=True)


def step_counts(config: Config, devices: int) -> Counts:
    """Counts of the step that so many devices of this machine share, as training shares it."""
    state, key = jax.eval_shape(lambda: (init_state(jax.random.key(0), config), jax.random.key(0)))
    update = make_update(config)
    options: dict[str, Any] = {}
    if devices > 1:
        mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:devices]), (AXIS,))
        whole = replicated(mesh)
        options = {"in_shardings": (whole, split(mesh), whole), "out_shardings": whole}
    step = jax.jit(update, donate_argnums=0, **options)
    program = compiled(step.lower(state, shapes(config, config.train.batch_size), key))
    cost: Any = program.cost_analysis()
    names = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    found = re.findall(rf"= (.*?) ({names})(?:-start)?\(", program.as_text())
    numbers = [of for result, _ in found for of in re.findall(r"(\w+)\[([\d,]*)\]", result)]
    sent = sum(SIZES[kind] * math.prod(map(int, filter(None, shape.split(",")))) for kind, shape in numbers)
    return Counts(cost["flops"], cost["bytes accessed"], Counter(kind for _, kind in found), sent)


def kinds(counts: Counts) -> str:
    """Kinds of collectives and their numbers, in words."""
    return ", ".join(f"{count} {kind}" for kind, count in counts.collectives.items()) or "–"


def shapes(config: Config, count: int) -> Batch:
    """That many faces, without values."""
    size = config.data.resolution
    return Batch(
        jax.ShapeDtypeStruct((count, size, size), jnp.float32),  # type: ignore[arg-type]
        jax.ShapeDtypeStruct((count,), jnp.int32),  # type: ignore[arg-type]
    )


def print_counts(devices: int) -> None:
    """Print what a step of 32 is by the compiler's count, at three resolutions, and what an H100's peaks allow."""
    from benchmarks import train_step

    jax.config.update("jax_num_cpu_devices", devices)
    names = [f"operations, {name}" for name in PEAKS]
    titles = ["batch 32, full width", "operations", "bytes", *names, "bytes", f"{devices} devices send"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for side in (64, 128, 256):
        config, _ = train_step.sized(side, 512, 64, 32)
        counts, shared = step_counts(config, 1), step_counts(config, devices)
        operations, moved = counts.operations, counts.moved
        times = [operations / peak for peak in PEAKS.values()] + [moved / MEMORY_RATE]
        cells = [f"{side}x{side}", f"{operations / 1e12:.3f} T", f"{moved / 1e9:.1f} GB"]
        cells += [f"{1e3 * seconds:.2f} ms" for seconds in times]
        cells += [f"{kinds(shared)}; {shared.sent / 1e6:.0f} MB"]
        print(f"| {' | '.join(cells)} |", flush=True)
    peaks = ", ".join(f"{peak / 1e12:.0f}e12 ({name})" for name, peak in PEAKS.items())
    print(f"\nPeaks of an H100 SXM, dense: {peaks} operations and {MEMORY_RATE / 1e12:.2f}e12 bytes a second.")
    print("Counted in the program for a CPU, in float32: a GPU's is fused otherwise, and bfloat16 moves fewer bytes.")


def compiled(lowered: Any) -> Any:
    """Without LLVM's optimisation on a CPU: it changes neither buffers nor operations, and takes half of the time."""
    print(".", end="", file=sys.stderr, flush=True)
    return lowered.compile({"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None)


if __name__ == "__main__":
    main()
