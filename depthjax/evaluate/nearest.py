"""SSIM and PSNR of each face to its nearest real training face.

Generated and real faces have no pixel correspondence, so these are no measure of fidelity: high values beyond those of
held-out real people point to copying, low ones to faces unlike any real one.
"""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.intervals import bootstrap_mean
from depthjax.evaluate.parallel import in_threads

CHUNK = 64  # faces compared at once: bounds the memory
ROUNDING = 12**-0.5  # levels: root mean square error of rounding to 8 bits


def nearest_index(faces: DepthFaces, train: DepthFaces) -> np.ndarray:
    """(n,) index into `train` of the nearest face of the same emotion by pixel L2, on 8-bit levels."""
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
    """20·log10(255 / rmse) dB of two 8-bit images.

    Identical images would be infinitely alike; but 8 bits are only known to within their rounding, so the rmse counts
    as 12^-1/2 levels at least and PSNR is 58.92 dB at most.
    """
    error = np.sqrt(np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2))
    return float(20 * np.log10(255 / max(error, ROUNDING)))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity of two 8-bit images (Wang et al. 2004: Gaussian window, sigma 1.5), 1 if identical."""
    return float(
        structural_similarity(
            image, reference, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def nearest_similarity(faces: DepthFaces, train: DepthFaces) -> dict[str, np.ndarray]:
    """`ssim` (n,), `psnr` (n,) dB and `identical` (n,) bool of each face beside its nearest training face."""
    ours, theirs = quantise(faces.images), quantise(train.images[nearest_index(faces, train)])
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "ssim": np.array(in_threads(lambda pair: ssim(*pair), pairs)),
        "psnr": np.array([psnr(*pair) for pair in pairs]),
        "identical": (ours == theirs).all((1, 2)),
    }


def summarise(similarity: dict[str, np.ndarray], groups: np.ndarray, *, draws: int, seed: int) -> dict[str, dict]:
    """Means with bootstrap intervals over `groups`, as {`ssim`: N, `psnr`: N}; N has `value`, `interval`, `n`.

    The PSNR also says how many faces are `identical` to a training face, level by level.
    """
    n = {"n": len(groups)}
    return {
        "ssim": bootstrap_mean(similarity["ssim"], groups, draws=draws, seed=seed) | n,
        "psnr": bootstrap_mean(similarity["psnr"], groups, draws=draws, seed=seed)
        | n
        | {"identical": int(similarity["identical"].sum())},
    }
