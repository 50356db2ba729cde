"""Seconds an image of the handcrafted features, beside a loop over images with scikit-image, on one core.

    python -m benchmarks.features [--json FILE] [--images N] [--size PIXELS]

Both compute HOG, LBP, Sobel and intensity of the same 8-bit images, and the values are compared.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.feature import hog, local_binary_pattern
from skimage.filters import sobel
from threadpoolctl import threadpool_limits

from benchmarks.table import Row, report
from depthjax.data.depth_range import quantise
from depthjax.evaluate.handcrafted import feature_groups, fused_features


def bumps(count: int, size: int) -> np.ndarray:
    """(count, size, size) float32 in [-1, 1]: ellipsoids with a sensor's noise before a background of one level."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    width, height = rng.uniform(0.5, 0.9, (2, count, 1, 1))
    radius = (x / width) ** 2 + (y / height) ** 2
    depth = np.where(radius < 1, 1.5 * radius - 0.9 + 0.02 * rng.normal(size=(count, size, size)), 1)
    return np.clip(depth, -1, 1).astype(np.float32)


def loop(images: np.ndarray) -> np.ndarray:
    """(n, d) float32: image after image, each feature by scikit-image."""
    return np.stack([_features(levels) for levels in quantise(images)]).astype(np.float32)


def _features(levels: np.ndarray) -> np.ndarray:
    gray = levels / 255
    patterns = local_binary_pattern(levels, 24, 3, "uniform")
    histograms = [(patterns, 26, (0, 26)), (sobel(gray), 32, (0, 1)), (gray, 32, (0, 1))]
    shares = [np.histogram(values, bins, limits)[0] / gray.size for values, bins, limits in histograms]
    return np.concatenate([hog(gray, 9, (16, 16), (2, 2)), *shares])


def seconds(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds of one call, and what it gave."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--size", type=int, default=256)
    flags = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    images = bumps(flags.images, flags.size)
    with threadpool_limits(1):
        fused_features(images[:2], size=flags.size)
        mine, ours = seconds(lambda: fused_features(images, size=flags.size))
        peer, theirs = seconds(lambda: loop(images))
    name = f"features of an image, {flags.size}x{flags.size}, one core"
    report([Row(name, "scikit-image, image after image", mine / len(images), peer / len(images))], flags.json)
    for group, columns in feature_groups(flags.size).items():
        print(f"{group}: largest difference {np.abs(ours - theirs)[:, columns].max():.1e}")


if __name__ == "__main__":
    main()
