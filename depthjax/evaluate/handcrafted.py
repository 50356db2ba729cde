"""The fused handcrafted features of the paper: HOG, LBP, Sobel and intensity, with scikit-image's values."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from skimage.filters import sobel
from skimage.transform import resize

from depthjax.data.depth_range import quantise
from depthjax.evaluate import lbp
from depthjax.evaluate.hog import BLOCK, CELL, ORIENTATIONS, histograms_of_gradients
from depthjax.evaluate.parallel import in_processes
from depthjax.files import cached_arrays, digest

VERSION = 2  # of the definition below: raise it when a value may change, and stale caches are left alone
BINS = 32
SOBEL_WHITE = 4 * 255  # the Sobel sum along one axis of a step from black to white
TIED = BINS + 1  # code of Sobel magnitudes on the border of two bins; those above the last bin have code BINS
WORTH_PROCESSES = 1000 * 128**2  # pixels: below it, starting processes takes longer than the work


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
    widths = {"hog": ORIENTATIONS * BLOCK**2 * blocks**2, "lbp": lbp.BINS, "sobel": BINS, "intensity": BINS}
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


def _features_of_all(levels: np.ndarray, *, size: int) -> np.ndarray:
    levels = np.stack([_resized(image, size) for image in levels])
    intensity = np.stack([_intensity_counts(image) for image in levels])
    edges = np.stack([_sobel_counts(image) for image in levels])
    shares = np.concatenate([lbp.uniform_patterns(levels), edges, intensity], axis=1) / size**2
    return np.concatenate([histograms_of_gradients(levels), shares], axis=1).astype(np.float32)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape == (size, size):
        return image
    shrinks = size < max(image.shape)
    smooth = resize(image / 255, (size, size), order=1, mode="edge", anti_aliasing=shrinks)
    return np.rint(smooth * 255).astype(np.uint8)


def _intensity_counts(image: np.ndarray) -> np.ndarray:
    """(32,) pixels a bin of `np.histogram(image / 255, 32, (0, 1))`."""
    bins = np.minimum(np.arange(256) * BINS // 255, BINS - 1)
    return np.bincount(bins, np.bincount(image.ravel(), minlength=256), BINS)


def _sobel_counts(image: np.ndarray) -> np.ndarray:
    """(32,) pixels a bin of `np.histogram(skimage.filters.sobel(image / 255), 32, (0, 1))`.

    The two sums of 8-bit levels are integers, and the bin follows from the sum of their squares. Where that is exactly
    a border, scikit-image's rounding decides, and is asked.
    """
    wide = np.pad(image.astype(np.int16), 1, mode="symmetric")
    down, right = wide[2:] - wide[:-2], wide[:, 2:] - wide[:, :-2]
    down = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    right = right[:-2] + 2 * right[1:-1] + right[2:]
    codes = _sobel_bins().take(np.square(down, dtype=np.int32) + np.square(right, dtype=np.int32))
    counts = np.bincount(codes.ravel(), minlength=TIED + 1)
    if counts[TIED] == 0:
        return counts[:BINS]
    return counts[:BINS] + np.histogram(sobel(image / 255)[codes == TIED], BINS, (0, 1))[0]


@lru_cache(1)
def _sobel_bins() -> np.ndarray:
    """The code of each sum of squares, uint8: its bin, or BINS or TIED."""
    squares = np.arange(2 * SOBEL_WHITE**2 + 1)
    codes = np.floor(BINS * np.sqrt(squares / 2) / SOBEL_WHITE).astype(np.uint8)
    borders = np.arange(1, BINS + 1) ** 2 * SOBEL_WHITE**2
    whole = borders[borders % (BINS**2 // 2) == 0] // (BINS**2 // 2)
    codes[whole] = TIED
    return codes
