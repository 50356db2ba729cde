"""Copies of training faces: pixel similarity to the nearest one, AuthPct, and distances relative to held-out faces.

Generated and training faces have no pixel correspondence, so SSIM and PSNR do not measure fidelity: values above those
of held-out faces point to copies, lower ones to faces unlike any training face.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.distances import radii
from depthjax.evaluate.resampling import Estimate, percentile_interval

CHUNK = 64  # faces compared at once: bounds the memory
ROUNDING = 12**-0.5  # levels: root mean square error of rounding to 8 bits


def nearest_index(faces: DepthFaces, train: DepthFaces) -> np.ndarray:
    """Return the (n,) index into `train` of the nearest face of the same emotion by pixel L2, on 8-bit levels."""
    index = np.zeros(len(faces), np.int64)
    for label in range(len(train.emotions)):
        ours, theirs = np.flatnonzero(faces.emotion == label), np.flatnonzero(train.emotion == label)
        known = quantise(train.images[theirs]).reshape(len(theirs), -1).astype(np.float64)
        norms = np.einsum("ij,ij->i", known, known)
        for start in range(0, len(ours), CHUNK):
            chunk = ours[start : start + CHUNK]
            asked = quantise(faces.images[chunk]).reshape(len(chunk), -1).astype(np.float64)
            index[chunk] = theirs[np.argmin(norms[None] - 2 * asked @ known.T, axis=1)]
    return index


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """Return 20·log10(255 / rmse) dB of two 8-bit images; rounding bounds the rmse: 58.92 dB if identical."""
    error = np.sqrt(np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2))
    return float(20 * np.log10(255 / max(error, ROUNDING)))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the structural similarity of two 8-bit images (Wang et al. 2004: Gaussian window, sigma 1.5)."""
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, reference, data_range=255, **gaussian))


def nearest_similarity(faces: DepthFaces, train: DepthFaces) -> dict[str, np.ndarray]:
    """Return `ssim`, `psnr` (dB) and `identical` (1 or 0), (n,) each, of each face and its nearest training face."""
    ours, theirs = quantise(faces.images), quantise(train.images[nearest_index(faces, train)])
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "ssim": np.array([ssim(*pair) for pair in pairs]),
        "psnr": np.array([psnr(*pair) for pair in pairs]),
        "identical": (ours == theirs).all((1, 2)).astype(np.float64),
    }


def nearest_of_same_emotion(
    features: np.ndarray, emotion: np.ndarray, known: np.ndarray, known_emotion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) row of the nearest `known` face of the same emotion, and its (n,) distance."""
    index, distance = np.zeros(len(features), np.int64), np.zeros(len(features))
    for label in np.unique(emotion):
        ours, theirs = np.flatnonzero(emotion == label), np.flatnonzero(known_emotion == label)
        apart = cdist(features[ours], known[theirs])
        index[ours], distance[ours] = theirs[apart.argmin(axis=1)], apart.min(axis=1)
    return index, distance


def authentic(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return (n,) bool: whether each of (n, d) faces is authentic beside (m, d) training faces; the mean is AuthPct.

    Alaa et al. 2022, arXiv 2102.08921: a face is called a copy when its nearest training face lies nearer to it than
    to any other training face.
    """
    spacing = radii(cdist(train, train), 1)
    apart = cdist(features, train)
    found: np.ndarray = apart.min(axis=1) > spacing[apart.argmin(axis=1)]
    return found


def median_ratio(ours: np.ndarray, held_out: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int) -> Estimate:
    """Return the median distance to the nearest training face, (n,), divided by that of held-out faces, (m,).

    Near 1: as far from the training faces as unseen subjects are; well below: copies, or faces between those of one
    subject. The interval resamples the generated faces and the held-out `subjects`, (m,). No value but a reason if the
    held-out faces are among the training faces.
    """
    if not np.median(held_out) > 0:
        return Estimate(reason="the held-out faces are among the training faces")
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    ratios = []
    for _ in range(draws):
        drawn = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        ratios.append(np.median(rng.choice(ours, len(ours))) / np.median(held_out[drawn]))
    value = float(np.median(ours) / np.median(held_out))
    return Estimate(value, *percentile_interval(np.array(ratios)), n=len(ours))
