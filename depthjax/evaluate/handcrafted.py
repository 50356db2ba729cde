"""The fused handcrafted features of the paper: HOG, LBP, Sobel and intensity, with scikit-image's values.

Written anew for 8-bit images, whose gradients are integers: 5 to 10 times as fast (`python -m benchmarks.features`).
"""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from skimage.filters import sobel
from skimage.transform import resize

from depthjax.data.depth_range import quantise
from depthjax.files import cached_arrays, digest
from depthjax.parallel import in_processes

VERSION = 2  # of the definition below: raise it when a value may change, and stale caches are left alone
ORIENTATIONS, CELL, BLOCK = 9, 16, 2  # of HOG
STEEPEST = 255  # levels: the largest gradient along one axis
EPSILON, CLIP = 1e-5, 0.2  # of L2-Hys
POINTS, RADIUS = 24, 3  # of LBP
PATTERNS = POINTS + 2  # 0 to 24 points at least as far as the pixel, and whatever is not uniform
BINS = 32  # of Sobel magnitude and of intensity
SOBEL_WHITE = 4 * 255  # the Sobel sum along one axis of a step from black to white
TIED = BINS + 1  # code of Sobel magnitudes on the border of two bins; those above the last bin have code BINS
WORTH_PROCESSES = 1000 * 128**2  # pixels: below it, starting processes takes longer than the work


def fused_features(images: np.ndarray, *, size: int, among: int = 0) -> np.ndarray:
    """Return HOG, LBP, Sobel and intensity of each image, (n, d) float32 (paper, "feature extraction"; as released).

    Images in [-1, 1] become 8-bit, are resized to `size`, at least 32 (bilinear, antialiased when they shrink), and
    rounded to 8 bits again. Then: HOG with 9 orientations, 16x16 cells and 2x2 blocks, L2-Hys; uniform LBP with P = 24,
    R = 3 in 26 bins; Sobel magnitude in 32 bins on (0, 1); intensity in 32 bins. Histograms are shares of all pixels;
    d is 8,190 at size 256 and 1,854 at 128. Processes share the work where these images, or `among` so many, are worth
    starting them.
    """
    levels, compute = quantise(images), partial(_features_of_all, size=size)
    if max(len(images), among) * size**2 < WORTH_PROCESSES:
        return compute(levels)
    return in_processes(compute, levels)


def cached_features(images: np.ndarray, *, size: int, cache: Path, among: int = 0) -> np.ndarray:
    """Return `fused_features`, stored in `cache` under a name made of the images, the size and the definition."""
    name = digest(quantise(images), {"features": "fused", "version": VERSION, "size": size})
    path = cache / f"fused-{size}-{name[:32]}.npz"
    return cached_arrays(path, lambda: {"features": fused_features(images, size=size, among=among)})["features"]


def feature_groups(size: int) -> dict[str, slice]:
    """Return which columns of `fused_features` belong to `hog`, `lbp`, `sobel` and `intensity`."""
    blocks = max(0, size // CELL - BLOCK + 1)
    widths = {"hog": ORIENTATIONS * BLOCK**2 * blocks**2, "lbp": PATTERNS, "sobel": BINS, "intensity": BINS}
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


def _features_of_all(levels: np.ndarray, *, size: int) -> np.ndarray:
    levels = np.stack([_resized(image, size) for image in levels])
    bins = np.minimum(np.arange(256) * BINS // 255, BINS - 1)  # of np.histogram(image / 255, 32, (0, 1))
    intensity = np.stack([np.bincount(bins[image.ravel()], minlength=BINS) for image in levels])
    edges = np.stack([_sobel_counts(image) for image in levels])
    shares = np.concatenate([uniform_patterns(levels), edges, intensity], axis=1) / size**2
    return np.concatenate([histograms_of_gradients(levels), shares], axis=1).astype(np.float32)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape == (size, size):
        return image
    shrinks = size < max(image.shape)
    smooth = resize(image / 255, (size, size), order=1, mode="edge", anti_aliasing=shrinks)
    return np.rint(smooth * 255).astype(np.uint8)


def histograms_of_gradients(levels: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients (Dalal and Triggs 2005): 9 orientations, 16x16 cells, 2x2 blocks, L2-Hys.

    Of (n, height, width) uint8, at least 32 a side, (n, blocks * 36) float64. Equal to
    `skimage.feature.hog(image / 255, 9, (16, 16), (2, 2))` but for the last digits of float32, in which both add up.
    """
    cells = np.stack([_gradient_cells(image) for image in levels]).astype(np.float64)
    blocks = np.moveaxis(sliding_window_view(cells, (BLOCK, BLOCK), (1, 2)), 3, -1)
    blocks = blocks.reshape(*blocks.shape[:3], -1)

    def normalised(values: np.ndarray) -> np.ndarray:
        return values / np.sqrt((values**2).sum(-1, keepdims=True) + EPSILON**2)

    return normalised(np.minimum(normalised(blocks), CLIP)).reshape(len(cells), -1)


def _gradient_cells(image: np.ndarray) -> np.ndarray:
    """Return (rows, columns, 9): the gradient lengths of each orientation, averaged over the cell."""
    rows, columns = (side // CELL for side in image.shape)
    wide, side = image.astype(np.intp), 2 * STEEPEST + 1
    # The code of a gradient is its place in the table; across an edge of the image there is none.
    code = np.full(image.shape, STEEPEST * side + STEEPEST)
    code[1:-1] += side * (wide[2:] - wide[:-2])
    code[:, 1:-1] += wide[:, 2:] - wide[:, :-2]
    code = code[: rows * CELL, : columns * CELL]
    lengths, bins = _gradient_table()
    cell = np.arange(rows).repeat(CELL)[:, None] * columns + np.arange(columns).repeat(CELL)
    sums = np.zeros(rows * columns * ORIENTATIONS, np.float32)
    np.add.at(sums, (bins.take(code) + ORIENTATIONS * cell).ravel(), lengths.take(code).ravel())  # row after row
    return sums.reshape(rows, columns, ORIENTATIONS) / CELL**2


@lru_cache(1)
def _gradient_table() -> tuple[np.ndarray, np.ndarray]:
    """Return length, as a share of white, and orientation bin of each gradient (down, right), flat."""
    steps = np.arange(-STEEPEST, STEEPEST + 1) / STEEPEST
    down, right = np.meshgrid(steps, steps, indexing="ij")
    angle = np.arctan2(down, right) * (180 / np.pi) % 180
    # Apart from level ones, no such gradient lies within 1e-4 degrees of a bin's border: rounding moves none.
    lengths = np.hypot(down, right).astype(np.float32)
    return lengths.ravel(), (angle // (180 / ORIENTATIONS)).astype(np.intp).ravel()


def uniform_patterns(levels: np.ndarray) -> np.ndarray:
    """Return (n, 26): how many pixels of (n, h, w) uint8 have each uniform local binary pattern, P = 24, R = 3.

    Ojala et al. 2002, doi:10.1109/TPAMI.2002.1017623. Equal to the counts of
    `skimage.feature.local_binary_pattern(image, 24, 3, "uniform")`, ties included: on a flat background rounding alone
    decides every comparison, so the float64 operations are the same ones. Outside the image is 0.
    """
    return np.stack([np.bincount(_patterns(image).ravel(), minlength=PATTERNS) for image in levels])


def _patterns(image: np.ndarray) -> np.ndarray:
    """Return the pattern of each pixel: how many points are at least as far, or 25 where it is not uniform."""
    angles = 2 * np.pi * np.arange(POINTS) / POINTS
    rows, columns = np.round(-RADIUS * np.sin(angles), 5), np.round(RADIUS * np.cos(angles), 5)
    padded = np.pad(image.astype(np.float64), RADIUS + 1)
    farther = np.empty((POINTS, *image.shape), bool)
    # Points above each other share the interpolation between columns.
    for column in np.unique(columns):
        across = _shifted(padded.T, column).T
        for point in np.flatnonzero(columns == column):
            np.greater_equal(_shifted(across, rows[point]), image, out=farther[point])
    changes = np.add.reduce((farther[1:] != farther[:-1]).view(np.uint8), axis=0, dtype=np.uint8)
    count = np.add.reduce(farther.view(np.uint8), axis=0, dtype=np.uint8)
    np.putmask(count, changes > 2, PATTERNS - 1)
    return count


def _shifted(values: np.ndarray, shift: float) -> np.ndarray:
    """Return the rows at `shift` from those inside the margin, interpolated with scikit-image's rounding."""
    margin = RADIUS + 1
    count = len(values) - 2 * margin
    place = np.arange(count) + shift
    below = np.floor(place)
    fraction = (place - below)[:, None]
    start = margin + int(below[0])
    above = values[start : start + count]
    if not fraction.any():
        return above
    return (1 - fraction) * above + fraction * values[start + 1 : start + 1 + count]


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
