"""How different the faces of one set are: the Vendi score, RKE, MS-SSIM and the formula of the Inception Score."""

import numpy as np
from scipy.ndimage import correlate1d
from scipy.spatial.distance import cdist

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales (Wang et al. 2003)
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def gaussian_kernel(features: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the (n, n) matrix exp(-distance² / (2 bandwidth²)) of (n, d) features."""
    return np.exp(-(cdist(features, features) ** 2) / (2 * bandwidth**2))


def vendi_score(kernel: np.ndarray) -> float:
    """Return exp of the Shannon entropy of the eigenvalues of K / n (Friedman and Dieng 2023, arXiv 2210.02410).

    The effective number of different faces: between 1 (all alike) and n. It grows with n and with the number of
    subjects: compare sets that have as many of both, with one kernel.
    """
    share = np.clip(np.linalg.eigvalsh(kernel / len(kernel)), 0, None)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def rke_score(kernel: np.ndarray) -> float:
    """Return exp of the Rényi entropy of order 2 of these eigenvalues: 1 / |K / n|² (Jalali et al., NeurIPS 2023)."""
    return float(len(kernel) ** 2 / (kernel**2).sum())


def median_distance(features: np.ndarray) -> float:
    """Return the median distance between two different points of (n, d), 1 where all are one: a kernel's bandwidth."""
    apart = cdist(features, features)[np.triu_indices(len(features), 1)]
    median = float(np.median(apart)) if len(apart) else 0.0
    return median if median > 0 else 1.0


def score(probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return exp of the mean divergence of p(y|x) from p(y): the Inception Score's formula (Salimans et al. 2016).

    Only with the Inception network may it be called so. Rows of (n, classes) sum to 1; `weights` (n,) are how often
    each face counts, as a bootstrap draws them. Between 1 and the number of classes.
    """
    w = np.full(len(probabilities), 1 / len(probabilities)) if weights is None else weights / weights.sum()
    marginal = w @ probabilities
    ratio = np.divide(probabilities, marginal, out=np.ones_like(probabilities), where=probabilities > 0)
    return float(np.exp(w @ (probabilities * np.log(ratio)).sum(axis=1)))


def scales_for(side: int) -> int:
    """Return how many of the five scales an image of `side` pixels has: each scale must hold the window."""
    return max(1, min(len(MS_SSIM_WEIGHTS), int(np.log2(side / WINDOW)) + 1))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (n,) multi-scale structural similarity of image pairs (Wang, Simoncelli and Bovik 2003), 1 if identical.

    A small image has fewer scales than five (`scales_for`); their weights are then divided by their sum. Negative
    contrast-structure counts as 0. Both are (n, height, width) of 8-bit levels, at least 11 pixels a side.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    weights = np.array(MS_SSIM_WEIGHTS[: scales_for(min(a.shape[1:]))])
    weights /= weights.sum()
    result = np.ones(len(a))
    for scale, weight in enumerate(weights):
        luminance, contrast = _ssim_parts(a, b)
        last = scale == len(weights) - 1
        result *= np.clip((luminance * contrast if last else contrast).mean((1, 2)), 0, None) ** weight
        a, b = _halved(a), _halved(b)
    return result


def _ssim_parts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return luminance and contrast-structure maps, where the whole window lies inside."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    shared = _blurred(a * b) - mean_a * mean_b
    c1, c2 = (K1 * 255) ** 2, (K2 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * shared + c2) / (var_a + var_b + c2)


def _blurred(images: np.ndarray) -> np.ndarray:
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    edge = WINDOW // 2
    blurred = correlate1d(correlate1d(images, kernel, axis=1), kernel, axis=2)
    return blurred[:, edge : images.shape[1] - edge, edge : images.shape[2] - edge]


def _halved(images: np.ndarray) -> np.ndarray:
    n, height, width = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
