"""Histograms of oriented gradients (Dalal and Triggs 2005) of 8-bit images, equal to those of scikit-image.

The gradient of an 8-bit image is a pair of integers from -255 to 255: its length and orientation bin come from a table.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ORIENTATIONS, CELL, BLOCK = 9, 16, 2
STEEPEST = 255
SIDE = 2 * STEEPEST + 1  # of the table
EPSILON, CLIP = 1e-5, 0.2  # of L2-Hys, in scikit-image


def histograms_of_gradients(levels: np.ndarray) -> np.ndarray:
    """9 orientations without sign, 16x16 cells, 2x2 blocks, L2-Hys.

    Equal to `skimage.feature.hog(image / 255, 9, (16, 16), (2, 2))` but for the last digits of float32, in which both
    add up cells.

    Args:
        levels: (n, height, width) uint8, both sides at least 32.
    Returns:
        (n, blocks * 36) float64, blocks row by row.
    """
    return _blocks(np.stack([_cells(image) for image in levels]).astype(np.float64))


def _cells(image: np.ndarray) -> np.ndarray:
    """(rows, columns, 9): the lengths of the gradients of each orientation, as a share of the cell."""
    rows, columns = (side // CELL for side in image.shape)
    wide = image.astype(np.intp)
    code = np.full(image.shape, STEEPEST * SIDE + STEEPEST)  # no gradient; across an edge of the image there is none
    code[1:-1] += SIDE * (wide[2:] - wide[:-2])
    code[:, 1:-1] += wide[:, 2:] - wide[:, :-2]
    lengths, bins = _table()
    code = code[: rows * CELL, : columns * CELL]
    cell = ORIENTATIONS * (np.arange(rows).repeat(CELL)[:, None] * columns + np.arange(columns).repeat(CELL))
    sums = np.zeros(rows * columns * ORIENTATIONS, np.float32)
    np.add.at(sums, (bins.take(code) + cell).ravel(), lengths.take(code).ravel())  # one by one, row after row
    return sums.reshape(rows, columns, ORIENTATIONS) / CELL**2


def _blocks(cells: np.ndarray) -> np.ndarray:
    """(n, d): blocks of cells, each normalised by L2-Hys."""
    blocks = np.moveaxis(sliding_window_view(cells, (BLOCK, BLOCK), (1, 2)), 3, -1)
    blocks = blocks.reshape(*blocks.shape[:3], -1)
    blocks = np.minimum(blocks / _norm(blocks), CLIP)
    return (blocks / _norm(blocks)).reshape(len(cells), -1)


def _norm(blocks: np.ndarray) -> np.ndarray:
    return np.sqrt((blocks**2).sum(-1, keepdims=True) + EPSILON**2)


@lru_cache(1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    """Length, in shares of white, and orientation bin of each gradient (down, right), flat."""
    down, right = np.meshgrid(*2 * [np.arange(-STEEPEST, STEEPEST + 1) / STEEPEST], indexing="ij")
    angle = np.arctan2(down, right) * (180 / np.pi) % 180
    # But for level ones, no such gradient comes nearer to the border of a bin than 1e-4 degrees: rounding moves none.
    lengths = np.hypot(down, right).astype(np.float32)
    return lengths.ravel(), (angle // (180 / ORIENTATIONS)).astype(np.intp).ravel()
