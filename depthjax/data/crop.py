"""From the sensor's frame to a face: the crop of 128x200 that IKFDB uses, and the networks' square."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

CROP_SHAPE = (200, 128)  # height, width
CROP_WIDTH_MM = 180.0
NOSE_ROW = 114.0  # row of the nose tip: 160 mm of forehead and hair above it, 121 mm of chin and neck below
FACE_ROWS = slice(56, 184)  # of the crop: the square from the brow to the chin, mouth open
EDGE_MM = 30.0  # depths further apart than this are not interpolated


def crop_face(frame: jax.Array, nose: jax.Array, *, pixel_mm: jax.Array) -> jax.Array:
    """Cut out the face about the nose and resample it to CROP_SHAPE.

    Bilinear on a surface; across holes and jumps the nearest pixel, so that no depth is invented.

    Args:
        frame: (height, width) uint16 mm, 0 is no return.
        nose: (2,) x, y of the nose tip in pixels.
        pixel_mm: mm a pixel spans at the face.
    Returns:
        CROP_SHAPE uint16 mm.
    """
    step = CROP_WIDTH_MM / CROP_SHAPE[1] / pixel_mm
    y = nose[1] + (jnp.arange(CROP_SHAPE[0]) - NOSE_ROW) * step
    x = nose[0] + (jnp.arange(CROP_SHAPE[1]) - (CROP_SHAPE[1] - 1) / 2) * step
    depth = frame.astype(jnp.float32)
    y0, x0 = jnp.floor(y).astype(jnp.int32), jnp.floor(x).astype(jnp.int32)
    rows, columns = [depth[_within(y0 + i, frame.shape[0])] for i in (0, 1)], (x0, x0 + 1)
    corners = jnp.stack([row[:, _within(column, frame.shape[1])] for row in rows for column in columns])
    fy, fx = (y - y0)[:, None], (x - x0)[None]
    weights = jnp.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    smooth = (corners.min(axis=0) > 0) & (corners.max(axis=0) - corners.min(axis=0) < EDGE_MM)
    nearest = jnp.take_along_axis(corners, weights.argmax(axis=0)[None], axis=0)[0]
    return jnp.round(jnp.where(smooth, (corners * weights).sum(axis=0), nearest)).astype(jnp.uint16)


def _within(index: jax.Array, size: int) -> jax.Array:
    return jnp.clip(index, 0, size - 1)


def nose_distance(crops: np.ndarray) -> np.ndarray:
    """Distance of the nose tip in each crop.

    The 20th nearest return around the nose, not the nearest: noise and flying pixels come closer than any skin.

    Args:
        crops: (n, 200, 128) uint16 mm, 0 is no return.
    Returns:
        (n,) float32 mm; 0 where the region has fewer than 20 returns.
    """
    region = crops[:, int(NOSE_ROW) - 18 : int(NOSE_ROW) + 18, 44:84].reshape(len(crops), -1).astype(np.float32)
    region[region == 0] = np.inf
    nearest = np.partition(region, 19, axis=1)[:, 19]
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def to_square(crops: np.ndarray, resolution: int, *, crop: str) -> np.ndarray:
    """Crops in [-1, 1] to the networks' square by area averaging.

    Args:
        crops: (n, 200, 128) float32 after the depth window.
        crop: "full" squeezes the whole crop (the paper); "face" takes the 128x128 from brow to chin.
    Returns:
        (n, resolution, resolution) float32.
    """
    cut = crops[:, FACE_ROWS] if crop == "face" else crops
    rows = _area_weights(cut.shape[1], resolution)
    columns = _area_weights(cut.shape[2], resolution)
    return np.matmul(np.matmul(rows, cut), columns.T).astype(np.float32)


def _area_weights(source: int, target: int) -> np.ndarray:
    """(target, source) rows that average the source pixels under each target pixel; bilinear when enlarging."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(source)[None] - centres[:, None])
    weights = np.maximum(0, 1 - distance) if scale <= 1 else np.clip((scale + 1) / 2 - distance, 0, 1)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
