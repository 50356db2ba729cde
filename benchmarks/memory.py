"""Memory of the paper's training program by the compiler's own figure, and what its operations and bytes allow.

Command: python -m benchmarks.memory [--quick]
Needs:   nothing but a CPU: programs are compiled and never run. The figures are those of the compiler of the platform
         that this runs on, and another platform's differ: its convolutions are other programs.

XLA's CPU pipeline drops the barriers that keep `train.remat` from being merged away again, so on a CPU it saves
nothing; here that pass is left out of every row. A CPU computes bfloat16 in float32: its row does not show what a GPU
saves.

Memory is all that the compiled dispatch holds: the state and the training set (960 faces) that it is given, what it
gives back less what it overwrites, and everything in between. The times are roofline arithmetic, an estimate from
below: operations over the peak rate or bytes over the memory's rate, whichever takes longer, and a ring all-reduce of
the gradients that nothing hides; no launches, no waiting.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections import Counter
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
COUNTS = (1, 2, 4, 6, 8, 16, 64)  # of devices; the batch must divide


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of a step: `fixed` and for `each` face of the batch, from two batch sizes."""

    fixed: tuple[float, float]
    each: tuple[float, float]

    def of(self, faces: float) -> tuple[float, float]:
        """Operations and bytes of one step of that many faces."""
        operations, moved = (f + faces * e for f, e in zip(self.fixed, self.each, strict=True))
        return operations, moved


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first row of each table")
    flags = parser.parse_args()
    print("| batch | settings | in between, GB | in all, GB |\n|---|---|---|---|", flush=True)
    for batch_size, fields in ROWS[:1] if flags.quick else ROWS:
        between, total = memory(sized(batch_size, fields))
        settings = ", ".join(f"{name}={value}" for name, value in fields.items()) or "as they are"
        print(f"| {batch_size} | {settings} | {between / GIGABYTE:.2f} | {total / GIGABYTE:.2f} |", flush=True)
    print("\n| batch | GPUs | operations | bytes | all-reduce | a step | images/s | efficiency |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    cost = measured_cost()
    for batch_size in (32,) if flags.quick else (32, 64, 300):
        print("\n".join(scaling(cost, batch_size)), flush=True)


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


def measured_cost() -> Cost:
    """By XLA's count, of two programs: all of it is linear in the batch size."""
    few, many = 4, 32
    of_few, of_many = (step_cost(sized(size, {})) for size in (few, many))
    each = tuple((b - a) / (many - few) for a, b in zip(of_few, of_many, strict=True))
    fixed = tuple(a - few * e for a, e in zip(of_few, each, strict=True))
    return Cost((fixed[0], fixed[1]), (each[0], each[1]))


def step_cost(config: Config) -> tuple[float, float]:
    """Operations and bytes of one step."""
    state = jax.eval_shape(lambda: init_state(jax.random.key(0), config))
    key, batch = jax.eval_shape(lambda: jax.random.key(0)), shapes(config, config.train.batch_size)
    update = jax.jit(make_update(config), donate_argnums=0)
    found: Any = compiled(update.lower(state, batch, key)).cost_analysis()
    return found["flops"], found["bytes accessed"]


def scaling(cost: Cost, batch_size: int) -> list[str]:
    """Rows of the second table: numbers of devices that divide the batch, and what no number of them goes below."""
    alone = sum(estimate(cost, batch_size, 1)[2:])
    rows = []
    for count in (*(c for c in COUNTS if batch_size % c == 0), math.inf):
        operations, moved, work, reduced = estimate(cost, batch_size, count)
        seconds = work + reduced
        cells = [str(batch_size), "ever more" if count == math.inf else str(count)]
        cells += [f"{1e3 * s:.2f} ms" for s in (operations, moved, reduced, seconds)]
        cells += [f"{batch_size / seconds:,.0f}", f"{100 * alone / count / seconds:.0f} %"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def estimate(cost: Cost, batch_size: int, count: float) -> tuple[float, float, float, float]:
    """Seconds of a step on `count` GPUs: its operations, its bytes, the longer of the two, and the all-reduce."""
    operations, moved = cost.of(batch_size / count)
    of_operations, of_bytes = operations / PEAK, moved / MEMORY_RATE
    rate = NETWORK_RATE if 8 < count < math.inf else LINK_RATE  # ever more: as if all were one machine
    reduced = 2 * (1 - 1 / count) * 4 * parameters() / rate
    return of_operations, of_bytes, max(of_operations, of_bytes), reduced


def parameters() -> int:
    """Weights of both networks: what has a gradient."""
    config = paper.get_config()
    params = jax.eval_shape(lambda: init_state(jax.random.key(0), config)).params
    return sum(leaf.size for leaf in jax.tree.leaves(params))


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

    names = [f"operations, {name}" for name in PEAKS]
    titles = ["batch 32, full width", "operations", "bytes", *names, "bytes", f"{devices} devices send"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for side in (64, 128, 256):
        config, _ = train_step.sized(side, 512, 64, 32)
        operations, moved = step_cost(config)
        times = [operations / peak for peak in PEAKS.values()] + [moved / MEMORY_RATE]
        cells = [f"{side}x{side}", f"{operations / 1e12:.3f} T", f"{moved / 1e9:.1f} GB"]
        cells += [f"{1e3 * seconds:.2f} ms" for seconds in times] + [collectives(config, devices)]
        print(f"| {' | '.join(cells)} |", flush=True)
    peaks = ", ".join(f"{peak / 1e12:.0f}e12 ({name})" for name, peak in PEAKS.items())
    print(f"\nPeaks of an H100 SXM, dense: {peaks} operations and {MEMORY_RATE / 1e12:.2f}e12 bytes a second.")
    print("Counted in the program for a CPU, in float32: a GPU's is fused otherwise, and bfloat16 moves fewer bytes.")


def collectives(config: Config, devices: int) -> str:
    """Kinds and numbers of what a compiled step sends between devices that share its batch."""
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:devices]), (AXIS,))
    whole = replicated(mesh)
    state, key = jax.eval_shape(lambda: (init_state(jax.random.key(0), config), jax.random.key(0)))
    update = jax.jit(make_update(config), in_shardings=(whole, split(mesh), whole), out_shardings=whole)
    text = compiled(update.lower(state, shapes(config, config.train.batch_size), key)).as_text()
    kinds = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    found = Counter(re.findall(rf" ({kinds})(?:-start)?\(", text))
    gradients = 4e-6 * sum(leaf.size for leaf in jax.tree.leaves(state.params))
    return ", ".join(f"{count} {kind}" for kind, count in found.items()) + f"; gradients {gradients:.0f} MB"


def compiled(lowered: Any) -> Any:
    """Without LLVM's optimisation on a CPU: it changes neither buffers nor operations, and takes half of the time."""
    print(".", end="", file=sys.stderr, flush=True)
    return lowered.compile({"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None)


if __name__ == "__main__":
    main()
