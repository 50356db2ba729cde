"""Seconds a frame of the depth renderer, beside a z-buffer that loops over triangles in numpy.

    python -m benchmarks.render [--json FILE] [--subjects N]

Ours is the whole frame: shape, expression, pose, z-buffer, sensor, crop, as `prepare` makes it. The peer only fills the
z-buffer, of the same mesh at the same resolution.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.table import Row, report
from depthjax.data import kinect
from depthjax.data.generate import FRAME_SHAPE, generate
from depthjax.data.head_model import load_head_model
from depthjax.data.people import sample_person

EMOTIONS = ("neutral", "happiness", "fear")
FRAMES = 10


def ours(subjects: int) -> float:
    """Seconds a frame, compilation apart."""
    settings = {"emotions": EMOTIONS, "frames": FRAMES, "seed": 0, "full_sequence": False}
    list(generate(subjects=range(1), **settings))
    start = time.perf_counter()
    made = sum(len(f.crops) for f in generate(subjects=range(subjects), **settings))
    return (time.perf_counter() - start) / made


def numpy_loop(rest: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """(h, w) depth of a head at 1 m: every triangle in turn, its bounding box, the nearest depth kept."""
    camera = rest * [1, -1, -1] + [0, 0, 1000]
    screen = kinect.FOCAL * camera[:, :2] / camera[:, 2:] + [FRAME_SHAPE[1] / 2, FRAME_SHAPE[0] * 0.55]
    depth = np.full(FRAME_SHAPE, np.inf)
    for a, b, c in np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]):
        (ax, ay), (bx, by), (cx, cy) = screen[[a, b, c]]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        x = np.arange(max(0, int(np.ceil(min(ax, bx, cx)))), min(FRAME_SHAPE[1], int(max(ax, bx, cx)) + 1))[None]
        y = np.arange(max(0, int(np.ceil(min(ay, by, cy)))), min(FRAME_SHAPE[0], int(max(ay, by, cy)) + 1))[:, None]
        if x.size == 0 or y.size == 0 or area == 0:
            continue
        wb = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
        wc = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
        z = 1 / ((1 - wb - wc) / camera[a, 2] + wb / camera[b, 2] + wc / camera[c, 2])
        box = depth[y[0, 0] : y[-1, 0] + 1, x[0, 0] : x[0, -1] + 1]
        np.minimum(box, np.where((wb >= 0) & (wc >= 0) & (wb + wc <= 1), z, np.inf), out=box)
    return depth


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--subjects", type=int, default=40)
    flags = parser.parse_args()
    model = load_head_model()
    rest = sample_person(model, seed=0, subject=0).rest
    start = time.perf_counter()
    for _ in range(3):
        assert np.isfinite(numpy_loop(rest, model.quads)).mean() > 0.1
    peer = (time.perf_counter() - start) / 3
    mine = ours(flags.subjects)
    report([Row("one frame", "numpy loop over triangles, z-buffer alone", mine, peer)], flags.json)
    print(f"{1 / mine:.0f} frames a second, sensor and crop included ({1 / peer:.1f} by the loop)")


if __name__ == "__main__":
    main()
