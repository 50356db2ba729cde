"""Frames a second, and peak memory, of the whole prepare stage on a folder of depth PNG.

    python -m benchmarks.prepare [--json FILE] [--frames N] [--resolution R] [--bits 8|16] [--grouped] [--small]

The tree is made first, and not timed: 128x200 crops of rendered subjects with fresh noise, so that no two are alike and
compression has its usual work; --small makes them 32x50. What is timed: finding, checking, storing as array_record, and
the network inputs.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.table import Row, report
from depthjax.config import Config, Data

EMOTIONS = ("neutral", "happiness", "fear")
SEEDS = 30  # rendered frames of each emotion that the others derive from


def make_tree(root: Path, frames: int, bits: int, step: int) -> None:
    """`root/EMOTION/sSSS_fFFFFF.png`, 50 frames a subject and emotion, of every `step`-th pixel."""
    from depthjax.data.generate import generate

    made = generate(subjects=range(SEEDS), emotions=EMOTIONS, frames=1, seed=0, full_sequence=False)
    faces: dict[str, list[np.ndarray]] = {emotion: [] for emotion in EMOTIONS}
    for shots in made:
        faces[shots.emotion].append(shots.crops[0][::step, ::step])
    for emotion in EMOTIONS:
        (root / emotion).mkdir(parents=True)

    def write(i: int) -> None:
        emotion, number = EMOTIONS[i % 3], i // 3
        rng = np.random.default_rng(i)
        face = faces[emotion][number // 50 % SEEDS]
        depth = np.where(face > 0, face + rng.integers(-1, 2, face.shape), 0)
        if bits == 8:
            depth = np.where(face > 0, np.clip((depth - 500.0) / 6, 1, 255), 255).astype(np.uint8)
        name = f"s{number // 50:04d}_f{number % 50:05d}.png"
        Image.fromarray(depth.astype(np.uint8 if bits == 8 else np.uint16)).save(root / emotion / name)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(frames)))


class PeakMemory(threading.Thread):
    """The peak memory of this process and its children together, sampled ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self) -> None:
        """Sample until `done` is set."""
        while not self.done.wait(0.1):
            self.peak = max(self.peak, sum(map(resident, family(os.getpid()))))


def family(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def resident(pid: int) -> int:
    """Bytes that only this process holds, and its share of those it holds with others (Linux: Pss)."""
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--bits", type=int, choices=(8, 16), default=16)
    parser.add_argument("--grouped", action="store_true", help="no subjects: near-duplicates are grouped")
    parser.add_argument("--small", action="store_true", help="frames of 32x50 pixels instead of 128x200")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_tree(root / "faces", flags.frames, flags.bits, 4 if flags.small else 1)
        seconds, cpu, peak = measure(root, flags)
    pixels = "32x50" if flags.small else "128x200"
    name = f"prepare {flags.frames} PNG of {pixels}, {flags.bits}-bit, inputs of {flags.resolution}, a frame"
    note = f"{flags.frames / seconds:.0f} frames/s, {1e3 * cpu / flags.frames:.2f} ms of CPU a frame, "
    note += f"{peak / 2**20:.0f} MB at most"
    report([Row(name, "none", seconds / flags.frames, None, note)], flags.json)


def cpu_seconds() -> float:
    """Of this process and its finished children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(root: Path, flags: argparse.Namespace) -> tuple[float, float, int]:
    """Seconds, seconds of CPU, and bytes of the stage."""
    from depthjax.pipeline import prepare

    pattern = "**" if flags.grouped else "s{subject}_f{frame}"
    grey = {"scale_mm": 6.0, "invalid_value": 255.0} if flags.bits == 8 else {}
    data = Data(
        source="folder", path=str(root / "faces"), pattern=pattern, resolution=flags.resolution, framing="crop", **grey
    )
    memory = PeakMemory()
    memory.start()
    start, cpu = time.perf_counter(), cpu_seconds()
    prepare(Config(data=data), root / "run", lambda line: print(f"{time.perf_counter() - start:7.1f} s  {line}"))
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    memory.done.set()
    memory.join()
    return seconds, cpu, memory.peak


if __name__ == "__main__":
    main()
