"""Frames that look alike, grouped to stand for subjects where names do not give them.

Groups are chains of frames closer than thresholds that come from the data: a tight one for any two frames, and a wide
one for frames whose files follow each other. A split by group leaves a burst of one clip on one side. Groups are no
identities: a subject may be split over several of them, and subjects that look alike may share one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from depthjax.data.crop import nose_distance, to_square
from depthjax.data.depth_range import DepthRange

BOXES = 16  # a side
RELIEF_MM = (-10.0, 60.0)  # the front of a face: its outline moves with the crop, not with the person
ROWS, COLUMNS = (0.25, 0.85), (20 / 128, 108 / 128)  # of the image, from the brow to the chin
COMPONENTS = 64  # of the boxes' 256 values; the others are noise
SAMPLE = 512  # frames that the threshold is derived from
NEAREST_SHARE = 0.95  # tight: so many frames are grouped with the frame most like them; never more than wide
RANDOM_SHARE = 1 / 3  # wide: of the distance of two frames drawn at random
CHUNK = (1024, 8192)


def relief_boxes(depth: np.ndarray) -> np.ndarray:
    """Return box means of the face's relief, without its mean and tilt, of camera millimetres (n, height, width).

    A head that turns a little, or sits a little farther off, stays the same. The (n, 256) float32 millimetres are
    scaled so that a Euclidean distance is the root mean square over the boxes.
    """
    height, width = depth.shape[1:]
    rows, columns = (slice(round(size * low), round(size * high)) for size, (low, high) in
                     ((height, ROWS), (width, COLUMNS)))  # fmt: skip
    window = DepthRange(*RELIEF_MM)
    relief = window.to_mm(window.from_mm(depth[:, rows, columns], nose_distance(depth)))
    boxes = to_square(relief, BOXES, crop="full").reshape(len(depth), -1)
    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, BOXES, dtype=np.float32)], indexing="ij")
    planes = np.linalg.qr(np.stack([np.ones_like(x), x, y], -1).reshape(-1, 3))[0]
    return (boxes - (boxes @ planes) @ planes.T) / BOXES


class Thresholds(NamedTuple):
    """Root mean square millimetres over the boxes, below which two frames are alike, and two that follow each other."""

    tight: float
    wide: float


def group_alike(boxes: np.ndarray, follows: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, Thresholds]:
    """Return each frame's group of near-duplicates, (n,) int32 in order of first appearance, and the thresholds.

    Args:
        boxes: (n, 256) of `relief_boxes`, n at least 2.
        follows: (n,) bool, whether a frame's file comes right after that of the row before, in one folder.
    """
    centred = boxes - boxes.mean(axis=0, keepdims=True)
    points = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -COMPONENTS:]  # principal components
    thresholds = _thresholds(points, np.random.default_rng(seed))
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    begins = ~(follows[1:] & (steps <= thresholds.wide))
    runs = np.concatenate([[0], np.cumsum(begins)])
    return _chains(points, runs, thresholds.tight), thresholds


def _thresholds(points: np.ndarray, rng: np.random.Generator) -> Thresholds:
    from scipy.spatial.distance import pdist
    from sklearn.neighbors import NearestNeighbors

    sample = points[rng.permutation(len(points))[:SAMPLE]]
    nearest = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(sample)[0][:, 1]  # the first is the frame itself
    wide = RANDOM_SHARE * float(np.median(pdist(sample)))
    return Thresholds(min(float(np.quantile(nearest, NEAREST_SHARE)), wide), wide)


def _chains(points: np.ndarray, label: np.ndarray, threshold: float) -> np.ndarray:
    """Connected components of "of one label, or closer than the threshold", block by block of the distance matrix."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from sklearn.metrics.pairwise import euclidean_distances

    count, (tall, wide) = len(points), CHUNK
    for top in range(0, count, tall):
        pairs = []
        for left in range(top, count, wide):
            squared = euclidean_distances(points[top : top + tall], points[left : left + wide], squared=True)
            row, column = np.nonzero(squared <= threshold**2)
            first, second = label[row + top], label[column + left]
            apart = first != second
            pairs.append(np.unique(first[apart] * count + second[apart]))
        links = np.divmod(np.concatenate(pairs), count)
        graph = coo_array((np.ones(len(links[0]), bool), links), shape=(count, count))
        label = connected_components(graph, directed=False)[1].astype(np.int64)[label]
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number].astype(np.int32)
