"""A long training in small: is its memory flat, are its files bounded, and its rows all there?

Lost: rows or steps that are missing. Wrong: memory of the process that grew by 5 % or more after the first fifth, or
more files than the retention policy leaves.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.runs import TINY, Checks, Row, rows_of

STEPS, DISPATCH, BATCH, PER_EPOCH = 20_000, 50, 2, 10
SAVED, DRAWN = 100, 1000  # epochs from a checkpoint, and from a sample grid, to the next
WARM_UP, MOST_GROWTH = 0.2, 0.05


def soak(steps: int, workdir: Path, *, streamed: bool = False) -> tuple[list[float], int]:
    """The resident megabytes of the process at each logged row, and the last step."""
    import numpy as np

    from depthjax.config_file import load_config
    from depthjax.data.depth_range import DepthRange
    from depthjax.data.faces import DepthFaces
    from depthjax.train.loop import train

    base = load_config(TINY)
    config = replace(
        base,
        data=replace(base.data, resolution=16, device_budget=0 if streamed else 2000),
        model=replace(base.model, latent_size=4, generator_width=16, discriminator_width=2),
        train=replace(
            base.train,
            epochs=steps // PER_EPOCH,
            batch_size=BATCH,
            steps_per_dispatch=DISPATCH,
            save_every_epochs=SAVED,
            samples_every_epochs=DRAWN,
        ),
    )
    count = BATCH * PER_EPOCH
    images = np.random.default_rng(0).uniform(-1, 1, (count, 16, 16)).astype(np.float32)
    label, zeros = (np.arange(count) % 2).astype(np.int32), np.zeros(count, np.int32)
    faces = DepthFaces(images, label, zeros, zeros, config.data.emotions, DepthRange.of(config.data))
    megabytes: list[float] = []

    def watch(row: dict[str, Any]) -> None:
        megabytes.append(resident())
        if len(megabytes) % 100 == 0:
            print(f"  step {row['step']}: {megabytes[-1]:.1f} MB, {row['seconds']:.0f} s", flush=True)

    return megabytes, int(train(config, faces, workdir, progress=watch).step)


def resident() -> float:
    """Megabytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(megabytes: list[float]) -> float:
    """From the tenth after the warm-up to the last tenth, by medians, as a share."""
    begin, tenth = int(len(megabytes) * WARM_UP), max(1, len(megabytes) // 10)
    return statistics.median(megabytes[-tenth:]) / statistics.median(megabytes[begin : begin + tenth]) - 1


def rows(steps: int = STEPS, *, streamed: bool = False) -> list[Row]:
    """The row."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        megabytes, last = soak(steps, workdir, streamed=streamed)
        logged = [row["step"] for row in rows_of(workdir)]
        names = sorted(path.name for path in (workdir / "checkpoints").iterdir())
        grids = len(list((workdir / "figures" / "progress").iterdir()))
        size = sum(path.stat().st_size for path in workdir.rglob("*") if path.is_file()) / 2**20
    grown = growth(megabytes)
    print(f"  {last} steps, {len(logged)} rows, checkpoints {names}, {grids} grids, {size:.1f} MB of files")
    print(f"  memory {megabytes[0]:.1f} MB at first, {max(megabytes):.1f} MB at most, {grown:+.2%} after the warm-up")
    lost = last != steps or logged != list(range(DISPATCH, steps + 1, DISPATCH))
    expected = [str(steps - SAVED * PER_EPOCH), str(steps)]
    wrong = grown >= MOST_GROWTH or names != sorted(expected) or grids != -(-steps // (DRAWN * PER_EPOCH))
    return [(f"soak: {steps} steps{', streamed' if streamed else ''}", 1, int(lost), int(wrong))]


def checks(steps: int = STEPS) -> Checks:
    """The faces on the device, and streamed to it."""
    return {"kept": partial(rows, steps), "streamed": partial(rows, steps, streamed=True)}
