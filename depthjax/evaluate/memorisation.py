"""Copies of training faces: pixel similarity to the nearest one, and every sign of memorisation in a feature space.

Generated and training faces have no pixel correspondence, so SSIM and PSNR do not measure fidelity: values above those
of held-out faces point to copies, lower ones to faces unlike any training face.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.coordinates import Coordinates, Sides, nearest
from depthjax.evaluate.likelihood import likelihoods
from depthjax.evaluate.membership import SHARED, attacks
from depthjax.evaluate.resampling import Estimate, bootstrap_mean, percentile_interval

NEAR = 0.05  # share of held-out faces that are called near to a training face
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
    """Return `ssim` and `psnr` (dB), (n,) each, of each face and its nearest training face."""
    ours, theirs = quantise(faces.images), quantise(train.images[nearest_index(faces, train)])
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "ssim": np.array([ssim(*pair) for pair in pairs]),
        "psnr": np.array([psnr(*pair) for pair in pairs]),
    }


def planted(generated: Coordinates, copies: Coordinates, share: float, *, seed: int) -> Coordinates:
    """Return generated faces of which this share, in each emotion, is replaced by copies of the same emotion."""
    rng, features = np.random.default_rng(seed), generated.features.copy()
    for label in np.unique(generated.emotion):
        ours, theirs = np.flatnonzero(generated.emotion == label), np.flatnonzero(copies.emotion == label)
        count = min(round(share * len(ours)), len(theirs))
        features[rng.permutation(ours)[:count]] = copies.features[rng.permutation(theirs)[:count]]
    return generated._replace(features=features)


def near_share(sides: Sides, *, draws: int, seed: int) -> Estimate:
    """Return the share of generated faces nearer to a training face than the nearest 5 % of held-out faces are.

    Neighbours are of the same emotion. The interval resamples the generated faces and the held-out subjects. No value
    but a reason if held-out faces, or subjects, are among the training faces.
    """
    if np.isin(sides.train.subject, sides.held_out.subject).any():
        return Estimate(reason=SHARED)
    ours, others = (nearest(of, sides.train)[1] for of in (sides.generated, sides.held_out))
    limit = np.quantile(others, NEAR)
    if not limit > 0:
        return Estimate(reason="held-out faces are among the training faces")
    rng, subject = np.random.default_rng(seed), sides.held_out.subject
    groups = [others[subject == name] for name in np.unique(subject)]
    limits = [np.quantile(np.concatenate([groups[i] for i in drawn]), NEAR)
              for drawn in rng.integers(len(groups), size=(draws, len(groups)))]  # fmt: skip
    shares = np.searchsorted(np.sort(ours), limits) / len(ours)
    interval = percentile_interval(rng.binomial(len(ours), shares) / len(ours))
    return Estimate(float(np.mean(ours < limit)), *interval, n=len(ours))


def authentic(sides: Sides) -> np.ndarray:
    """Return (n,) bool: whether each generated face is authentic beside the training faces; the mean is AuthPct.

    Alaa et al. 2022, arXiv 2102.08921: a face is called a copy when its nearest training face lies nearer to it than
    to any other training face. Here the others are of other subjects: a subject's own next frame is so near that not
    even copies are nearer.
    """
    train = sides.train
    apart = cdist(train.features, train.features)
    apart[train.subject[:, None] == train.subject] = np.inf
    between = cdist(sides.generated.features, train.features)
    found: np.ndarray = between.min(axis=1) > apart.min(axis=1)[between.argmin(axis=1)]
    return found


def signs(sides: Sides, *, draws: int, seed: int) -> list[tuple[str, Estimate]]:
    """Return every sign of memorisation by its name; each sees near-copies if a fifth of the faces are."""
    options = {"draws": draws, "seed": seed}
    own, generated = authentic(sides).astype(float), np.arange(len(sides.generated.emotion))
    found = [("near_share", near_share(sides, **options)), ("auth_pct", bootstrap_mean(own, generated, **options))]
    return [*found, *attacks(sides, **options), ("fld_gap", likelihoods(sides, **options)["fld_gap"])]
