"""Augmented copies of depth faces: the control that every claim about generated faces is compared with."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform

BACKGROUND = 0.999  # from here to 1 a pixel is background or invalid depth
MAX_SHIFT = 0.06  # of the image's side, either way
MAX_SCALE = 0.08  # either way
MAX_TURN = 6.0  # degrees in the image plane, either way
OFFSET_MM = 2.0  # of the whole face, at most, either way
NOISE_MM = 1.3  # standard deviation: a Kinect v2 at 1 m, frontal (Fankhauser et al. 2015)


def augmented_copies(images: np.ndarray, *, depth_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Return one changed copy of each face: mirrored or not, shifted, scaled, turned, and with depth noise.

    Args:
        images: (n, h, w) float32 in [-1, 1]; background and invalid depth are 1.
        depth_mm: millimetres from -1 to 1.
        rng: of the changes; each face has its own.
    Returns:
        (n, h, w) float32 in [-1, 1]. Background stays 1 and is not mixed with the face.
    """
    return np.stack([_changed(image, depth_mm, rng) for image in images])


def _changed(image: np.ndarray, depth_mm: float, rng: np.random.Generator) -> np.ndarray:
    face = image[:, ::-1] if rng.random() < 0.5 else image
    matrix, offset = _motion(np.array(face.shape), rng)
    valid = face < BACKGROUND

    def moved(values: np.ndarray) -> np.ndarray:
        result: np.ndarray = affine_transform(values, matrix, offset, order=1, mode="nearest")
        return result

    # Interpolate over valid pixels only: a mean of face and background is a surface that nobody has.
    weight = moved(valid.astype(np.float32))
    depth = moved(np.where(valid, face, 0).astype(np.float32)) / np.maximum(weight, 1e-6)
    change_mm = rng.uniform(-OFFSET_MM, OFFSET_MM) + NOISE_MM * rng.standard_normal(face.shape)
    noisy = np.clip(depth + change_mm * 2 / depth_mm, -1, 1)
    return np.where(weight > 0.5, noisy, 1).astype(np.float32)


def _motion(shape: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The (2, 2) matrix and (2,) offset that map a pixel of the copy to its place in the original."""
    angle = np.deg2rad(rng.uniform(-MAX_TURN, MAX_TURN))
    scale = 1 + rng.uniform(-MAX_SCALE, MAX_SCALE)
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * shape
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix, middle = rotation / scale, (shape - 1) / 2
    return matrix, middle - matrix @ (middle + shift)
