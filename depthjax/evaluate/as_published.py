"""The released scripts' formulas with their flaws, for comparison with the paper's tables only."""

import numpy as np
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.distances import gaussian_of, trace_of_root
from depthjax.evaluate.diversity import score

SCORE_OFFSET, SCORE_SPLITS = 0.7, 2


def published_frechet(real: np.ndarray, other: np.ndarray) -> float:
    """Return |m1 - m2|² + tr(S1 + S2 - 4 (S1 S2)^½) of (n, d) features: a 4 where a 2 should stand. May be negative."""
    a, b = gaussian_of(real), gaussian_of(other)
    gap = a.mean - b.mean
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 4 * trace_of_root(real, other))


def published_score(probabilities: np.ndarray) -> float:
    """Return the mean of the score over two halves, in the order given, plus 0.7 as released."""
    return float(np.mean([score(part) for part in np.array_split(probabilities, SCORE_SPLITS)])) + SCORE_OFFSET


def published_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return 30 log10(255 / rmse) of two 8-bit images, as released; identical ones count as one level apart."""
    error = np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float(30 * np.log10(255 / max(error, 1.0)))


def published_pairs(real: DepthFaces, other: DepthFaces) -> dict[str, float]:
    """Return mean `ssim` (scikit-image's defaults) and `psnr` (30 log10) of n-th real and n-th generated faces.

    Both sets are taken in the order in which they are stored, emotion by emotion; the longer one's rest is left out.
    No generated face matches the real one that it is paired with.
    """
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for label in range(len(real.emotions)):
        ours, theirs = (quantise(faces.images[faces.emotion == label]) for faces in (real, other))
        pairs += zip(ours, theirs, strict=False)
    return {
        "ssim": float(np.mean([structural_similarity(a, b, data_range=255) for a, b in pairs])),
        "psnr": float(np.mean([published_psnr(a, b) for a, b in pairs])),
    }
