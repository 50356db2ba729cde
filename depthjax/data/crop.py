"""From the sensor's frame to a face: the crop of 128x200 that IKFDB uses, and the networks' square."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # of NumPy or of JAX, but all of a call alike

SENSOR_SHAPE = (424, 512)  # height, width of a Kinect v2's depth image
FOCAL = 365.0  # pixels, of that sensor
CROP_SHAPE = (200, 128)  # height, width
CROP_WIDTH_MM = 180.0
NOSE_ROW = 114.0  # row of the nose tip: 160 mm of forehead and hair above it, 121 mm of chin and neck below
FACE_ROWS = slice(56, 184)  # of the crop: the square from the brow to the chin, mouth open
FACE_MIDDLE = 0.6  # the middle of that square, as a share of the crop's height
NOSE_ROWS, NOSE_COLUMNS = (0.48, 0.66), (44 / 128, 84 / 128)  # where the nose tip is looked for, as shares of the crop
NOSE_RANK = 20 / 1440  # of the returns there, ordered by nearness, as a share
EDGE_MM = 30.0  # depths further apart than this are not interpolated


def crop_face(frame: Array, nose: Array, *, pixel_mm: Array) -> Array:
    """Cut the face about the nose (x, y in pixels) out of a frame (h, w) of uint16 mm, resampled to CROP_SHAPE.

    Bilinear on a surface; across holes and jumps the nearest pixel, so that no depth is invented. In the array library
    of `frame`: processes that only read files crop without JAX. A pixel spans `pixel_mm` at the face.
    """
    xp = frame.__array_namespace__()
    step = CROP_WIDTH_MM / CROP_SHAPE[1] / pixel_mm
    y = nose[1] + (xp.arange(CROP_SHAPE[0], dtype=xp.float32) - NOSE_ROW) * step
    x = nose[0] + (xp.arange(CROP_SHAPE[1], dtype=xp.float32) - (CROP_SHAPE[1] - 1) / 2) * step
    y0, x0 = xp.floor(y).astype(xp.int32), xp.floor(x).astype(xp.int32)
    rows, columns = [frame[_within(y0 + i, frame.shape[0])] for i in (0, 1)], (x0, x0 + 1)
    corners = xp.stack([row[:, _within(column, frame.shape[1])] for row in rows for column in columns])
    corners = corners.astype(xp.float32)
    fy, fx = (y - y0)[:, None], (x - x0)[None]
    weights = xp.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    smooth = (corners.min(axis=0) > 0) & (corners.max(axis=0) - corners.min(axis=0) < EDGE_MM)
    nearest = frame[_within(y0 + (y - y0 > 0.5), frame.shape[0])][:, _within(x0 + (x - x0 > 0.5), frame.shape[1])]
    return xp.round(xp.where(smooth, (corners * weights).sum(axis=0), nearest)).astype(xp.uint16)


def _within(index: Array, size: int) -> Array:
    return index.clip(0, size - 1)


def nose_distance(crops: np.ndarray) -> np.ndarray:
    """Return the distance (n,) float32 mm of the nose tip in crops (n, height, width) uint16 mm; 0 is invalid in both.

    Not the nearest return around the nose but the 20th nearest (in a crop of 200x128): noise and flying pixels come
    closer than any skin. The region and the rank are shares of the image, so that any size is measured alike.
    """
    height, width = crops.shape[1:]
    rows, columns = (slice(round(size * low), round(size * high)) for size, low, high in
                     ((height, *NOSE_ROWS), (width, *NOSE_COLUMNS)))  # fmt: skip
    region = crops[:, rows, columns].reshape(len(crops), -1).astype(np.float32)
    region[region == 0] = np.inf
    rank = max(1, round(region.shape[1] * NOSE_RANK))
    nearest = np.partition(region, rank - 1, axis=1)[:, rank - 1]
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def face_square(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return rows and columns of the largest square about the middle of the face, in an image of (height, width)."""
    height, width = shape
    side = min(height, width)
    top = min(max(0, round(FACE_MIDDLE * height - side / 2)), height - side)
    left = (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


def to_square(crops: np.ndarray, resolution: int, *, crop: str) -> np.ndarray:
    """Return crops (n, h, w) as network inputs (n, resolution, resolution) by area averaging.

    A `crop` of "full" squeezes the whole crop (the paper); "face" takes the square from brow to chin.
    """
    cut = crops[:, *face_square(crops.shape[1:])] if crop == "face" else crops
    down, across = area_weights(cut.shape[1], resolution), area_weights(cut.shape[2], resolution)
    return np.matmul(np.matmul(down, cut), across.T).astype(np.float32)


def area_weights(source: int, target: int) -> np.ndarray:
    """(target, source) rows that average the source pixels under each target pixel; bilinear when enlarging."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(source)[None] - centres[:, None])
    weights = np.maximum(0, 1 - distance) if scale <= 1 else np.clip((scale + 1) / 2 - distance, 0, 1)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
