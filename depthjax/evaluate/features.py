"""The fused handcrafted features of the paper: HOG, LBP, Sobel and intensity, by scikit-image."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from skimage.feature import hog, local_binary_pattern
from skimage.filters import sobel
from skimage.transform import resize

from depthjax.data.window import quantise
from depthjax.evaluate.parallel import in_processes
from depthjax.files import cached_arrays, digest

VERSION = 1  # of the definition below: raise it when a value may change, and stale caches are left alone
ORIENTATIONS, CELL, BLOCK = 9, 16, 2
LBP_POINTS, LBP_RADIUS, LBP_BINS = 24, 3, 26
BINS = 32
WORTH_PROCESSES = 200 * 128**2  # pixels: below it, starting processes takes longer than the work


def fused_features(images: np.ndarray, *, size: int) -> np.ndarray:
    """HOG, LBP, Sobel and intensity of each image, concatenated (paper, "feature extraction"; released scripts).

    Images become 8-bit, are resized to `size` x `size` (bilinear, antialiased when they shrink) and rounded to 8 bits
    again. Then: HOG with 9 orientations, 16x16 cells and 2x2 blocks, L2-Hys; uniform LBP with P = 24, R = 3 in 26 bins;
    Sobel magnitude in 32 bins on (0, 1); intensity in 32 bins. Histograms are shares of all pixels.

    Args:
        images: (n, height, width) in [-1, 1], n at least 1.
        size: pixels, at least 32 (one HOG block).
    Returns:
        (n, d) float32; d is 8,190 at size 256 and 1,854 at 128.
    """
    levels, compute = quantise(images), partial(_features_of_all, size=size)
    if len(images) * size**2 < WORTH_PROCESSES:
        return compute(levels)
    return in_processes(compute, levels)


def cached_features(images: np.ndarray, *, size: int, cache: Path) -> np.ndarray:
    """`fused_features`, stored in the folder `cache` under a name made of the images, the size and the definition."""
    name = digest(quantise(images), {"features": "fused", "version": VERSION, "size": size})
    path = cache / f"fused-{size}-{name[:32]}.npz"
    return cached_arrays(path, lambda: {"features": fused_features(images, size=size)})["features"]


def feature_groups(size: int) -> dict[str, slice]:
    """Which columns of `fused_features` belong to `hog`, `lbp`, `sobel` and `intensity`."""
    blocks = max(0, size // CELL - BLOCK + 1)
    widths = {"hog": ORIENTATIONS * BLOCK**2 * blocks**2, "lbp": LBP_BINS, "sobel": BINS, "intensity": BINS}
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


def _features_of_all(levels: np.ndarray, *, size: int) -> np.ndarray:
    return np.stack([_features_of(image, size=size) for image in levels])


def _features_of(image: np.ndarray, *, size: int) -> np.ndarray:
    levels = _resized(image, size)
    gray = levels / 255
    patterns = local_binary_pattern(levels, LBP_POINTS, LBP_RADIUS, "uniform")
    parts = (
        hog(gray, ORIENTATIONS, (CELL, CELL), (BLOCK, BLOCK)),
        _shares(patterns, LBP_BINS, (0, LBP_BINS)),
        _shares(sobel(gray), BINS, (0, 1)),
        _shares(gray, BINS, (0, 1)),
    )
    return np.concatenate(parts).astype(np.float32)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape == (size, size):
        return image
    shrinks = size < max(image.shape)
    smooth = resize(image / 255, (size, size), order=1, mode="edge", anti_aliasing=shrinks)
    return np.rint(smooth * 255).astype(np.uint8)


def _shares(values: np.ndarray, bins: int, limits: tuple[int, int]) -> np.ndarray:
    return np.histogram(values, bins, limits)[0] / values.size
