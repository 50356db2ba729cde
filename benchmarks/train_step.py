"""One training step, generator + discriminator + both teachers, against PyTorch: seconds in steady state.

Command: python -m benchmarks.train_step [--quick | --size NAME] [--peer NAME] [--rounds N] [--json FILE]
Needs:   the bench extra (PyTorch). Ours and the peers take turns, so that a busy machine slows all alike; the median
         counts. Compilation is left out, on both sides. Each turn is a dispatch of steps, as training runs them: one
         program for ours, a Python loop for PyTorch. On a single core (taskset -c 0) processor time counts, which
         others on the machine hardly change. PyTorch runs on a GPU where jax does, and both compute their
         convolutions there as they come, in TensorFloat-32.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import jax
import numpy as np

from benchmarks.table import Row, report
from depthjax.config import Config
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_steps

Run = Callable[[], None]  # a dispatch of STEPS steps

STEPS = 4

PAPERS = "256x256, full width (512/64), batch 32"
# name: resolution, generator width, discriminator width, batch size
SIZES = {
    "64x64, quarter width (128/16), batch 8": (64, 128, 16, 8),  # of configs/quick.py
    "64x64, full width (512/64), batch 32": (64, 512, 64, 32),
    "64x64, half width (256/32), batch 32": (64, 256, 32, 32),
    "256x256, full width (512/64), batch 8": (256, 512, 64, 8),
    PAPERS: (256, 512, 64, 32),  # of configs/paper.py
}
# Mode of torch.compile; None: not compiled. With `reduce-overhead`, networks run as CUDA graphs.
PEERS = {"PyTorch eager": None, "torch.compile": "default", "torch.compile, CUDA graphs": "reduce-overhead"}


def main() -> None:
    """Run every size against every peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--quick", action="store_true", help="only those of 64x64 and less than full width")
    parser.add_argument(
        "--size", choices=SIZES, action="append", help="default: all, batch 32 of 256x256 on a GPU alone"
    )
    parser.add_argument("--rounds", type=int, default=5, help=f"dispatches of {STEPS} steps timed of each")
    parser.add_argument("--peer", choices=PEERS, action="append", help="default: all")
    flags = parser.parse_args()
    on_gpu = jax.default_backend() == "gpu"
    names = flags.size or [name for name in SIZES if on_gpu or name != PAPERS]
    names = [name for name in names if not flags.quick or "full width" not in name]
    if not names:
        parser.error("--quick leaves out every --size that is given")
    rows = []
    for name in names:
        found = compare(name, flags.rounds, flags.peer or list(PEERS))
        rows += found
        for row in found:
            theirs_s = "–" if row.peer_s is None else f"{row.peer_s:.3f} s"
            print(f"{name}: ours {row.ours_s:.3f} s a step, {row.peer} {theirs_s}", file=sys.stderr, flush=True)
    report(rows, flags.json)


def compare(name: str, rounds: int, peers: list[str]) -> list[Row]:
    """Rows of one size against these of PEERS."""
    config, batch_size = sized(*SIZES[name])
    runs, notes = {"ours": ours(config, batch_size)}, {}
    for peer in peers:
        try:
            runs[peer] = theirs(config, batch_size, mode=PEERS[peer])
        except Exception as error:  # torch.compile needs a C++ compiler: without one the row says so
            notes[peer] = f"could not run: {str(error).strip().splitlines()[0][:80]}"
    seconds = interleaved(runs, rounds)
    return [Row(f"train_step {name}", p, seconds["ours"], seconds.get(p), notes.get(p, "")) for p in peers]


def sized(resolution: int, generator_width: int, discriminator_width: int, batch_size: int) -> tuple[Config, int]:
    """The paper's config at another size."""
    base = Config()
    model = replace(base.model, generator_width=generator_width, discriminator_width=discriminator_width)
    train = replace(base.train, batch_size=batch_size)
    return replace(base, data=replace(base.data, resolution=resolution), model=model, train=train), batch_size


def faces(config: Config, batch_size: int) -> Batch:
    """Noise in the shape of a batch: the time does not depend on the values."""
    rng, size = np.random.default_rng(0), config.data.resolution
    images = rng.uniform(-1, 1, (batch_size, size, size)).astype(np.float32)
    return Batch(images, (np.arange(batch_size) % len(config.data.emotions)).astype(np.int32))


def ours(config: Config, batch_size: int) -> Run:
    """The compiled dispatch that training runs, with its state donated; the training set is one batch."""
    steps = jax.jit(make_steps(config, STEPS), donate_argnums=0)
    held = [jax.jit(init_state, static_argnums=1)(jax.random.key(0), config)]
    batch = jax.tree.map(jax.numpy.asarray, faces(config, batch_size))

    def run() -> None:
        held[0], _ = steps(held[0], batch, np.int32(STEPS))
        jax.block_until_ready(held[0])

    run()
    return run


def theirs(config: Config, batch_size: int, *, mode: str | None) -> Run:
    """The same steps in PyTorch, warmed up; fresh latents are drawn in each, as in ours."""
    import torch

    from benchmarks.torch_peer import DEVICE, Training

    if DEVICE == "cpu" and jax.default_backend() == "gpu":
        raise RuntimeError("this PyTorch has no CUDA, and jax runs on a GPU")
    training = Training(config, DEVICE)
    if mode:
        training.compile(mode)
    batch = faces(config, batch_size)
    images = torch.from_numpy(batch.images)[:, None].to(DEVICE)
    emotion = torch.from_numpy(batch.emotion).long().to(DEVICE)

    def run() -> None:
        for _ in range(STEPS):
            training.step(images, emotion, torch.randn(batch_size, config.model.latent_size, device=DEVICE))
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    run()
    return run


def clock() -> float:
    """Seconds: of the processor where this process has one core and computes there, else by the wall clock."""
    alone = jax.default_backend() == "cpu" and len(os.sched_getaffinity(0)) == 1
    return time.process_time() if alone else time.perf_counter()


def interleaved(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """The median seconds a step of each, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append((clock() - start) / STEPS)
    return {name: median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
