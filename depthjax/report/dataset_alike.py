"""Faces of a set that are all but the same: how far each is from the most similar other one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BOXES = 16  # a side, of the box means that near-duplicates are looked for in
BOX_MM = (-20.0, 130.0)  # what box means clip to, whatever the networks' window: thresholds stay comparable
# Between a measured-again copy (0.1 to 0.9 on rendered faces) and two different people (6 and more).
DUPLICATE_MM = 2.0
AT_ONCE = 64  # faces compared with all others


@dataclass(frozen=True)
class Nearest:
    """RMS difference, in mm of box-mean relief, of each sampled face to the nearest sampled face of three kinds.

    Attributes:
        same: of the same person; infinite where there is no other. (m,).
        other: of other people. (m,).
        across: of each test face to the training faces, (sampled test faces,); empty if sides are not known.
        pairs: up to 8 pairs of face numbers (train, test) nearer than DUPLICATE_MM, nearest first, and their distance.
    """

    same: np.ndarray
    other: np.ndarray
    across: np.ndarray
    pairs: list[tuple[int, int, float]]

    def rate(self, kind: str) -> float | None:
        """Share of faces nearer than DUPLICATE_MM to one of that kind; None where there was nothing to compare."""
        distance = getattr(self, kind)
        return float((distance < DUPLICATE_MM).mean()) if np.isfinite(distance).any() else None


def box_means(relief: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean relief over a grid of BOXES x BOXES, of the returns in each box, clipped to BOX_MM.

    Args:
        relief: (n, height, width) mm behind the nose tip.
        seen: same shape, where there is a return; a box without any is as far as can be.
    Returns:
        (n, boxes) float32 mm.
    """
    rows, columns = _box_edges(relief.shape[1]), _box_edges(relief.shape[2])
    clipped = np.where(seen, np.clip(relief, *BOX_MM), 0).astype(np.float32)
    total, count = (
        np.add.reduceat(np.add.reduceat(x, rows, axis=1), columns, axis=2) for x in (clipped, seen.astype(np.float32))
    )
    means = np.where(count > 0, total / np.maximum(count, 1), BOX_MM[1])
    return means.reshape(len(relief), -1).astype(np.float32)


def box_count(shape: tuple[int, int]) -> int:
    """How many boxes an image of this height and width has: fewer than BOXES a side if it has fewer pixels."""
    return len(_box_edges(shape[0])) * len(_box_edges(shape[1]))


def _box_edges(pixels: int) -> np.ndarray:
    return np.unique(np.linspace(0, pixels, BOXES + 1).astype(int)[:-1])


def nearest_faces(
    boxes: np.ndarray, number: np.ndarray, *, person: np.ndarray, in_train: np.ndarray, in_test: np.ndarray
) -> Nearest:
    """Nearest neighbours among faces, a block of rows at a time.

    Args:
        boxes: (m, boxes) of `box_means`.
        number: (m,) of each face in its set, which `Nearest.pairs` names it by.
        person: (m,) label of each.
        in_train, in_test: (m,) bool.
    """
    boxes = boxes.astype(np.float64)
    square = (boxes**2).sum(axis=1)
    same, other = (np.full(len(boxes), np.inf, np.float32) for _ in range(2))
    across, pairs = [], []
    for start in range(0, len(boxes), AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, len(boxes)))
        distance = _distances(boxes, square, rows)
        distance[np.arange(len(rows)), rows] = np.inf
        own = person[rows, None] == person[None]
        same[rows] = np.where(own, distance, np.inf).min(axis=1)
        other[rows] = np.where(own, np.inf, distance).min(axis=1)
        tested = rows[in_test[rows]]
        if len(tested) and in_train.any():
            to_train = np.where(in_train[None], distance[in_test[rows]], np.inf)
            nearest, least = to_train.argmin(axis=1), to_train.min(axis=1)
            across += least.tolist()
            close = np.flatnonzero(least < DUPLICATE_MM)
            pairs += [(int(number[nearest[i]]), int(number[tested[i]]), float(least[i])) for i in close]
    return Nearest(same, other, np.array(across), sorted(pairs, key=lambda pair: pair[2])[:8])


def _distances(boxes: np.ndarray, square: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(rows, m) root mean square difference of some faces to all; in float64, for near-duplicates are what cancels."""
    squares = square[rows, None] + square[None] - 2 * boxes[rows] @ boxes.T
    return np.sqrt(np.maximum(squares, 0) / max(1, boxes.shape[1]))
