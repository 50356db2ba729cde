"""Feature spaces in which sets of faces are compared, always fitted on the training faces alone.

`relief` holds the shape of a face without its texture; the ratios below measure what it cannot see: noise,
checkerboards and invalid depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from depthjax.data.depth_range import quantise
from depthjax.data.noise import BACKGROUND
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, percentile_interval, weighted_means

SIDE = 32  # boxes a side, of the relief space
DIMENSIONS = 32
CLIP = 4.0  # standard deviations: a bin that training faces hardly fill must not decide a distance alone


@dataclass(frozen=True)
class PrincipalSpace:
    """The leading principal components of the training faces, in one unit for all of them.

    Attributes:
        mean: (d,) of the training values.
        components: (k, d) orthonormal rows.
        unit: one number; after division by it the training faces have a variance of 1 an axis on average. So distances
            do not depend on the depth range, and the kernel's x·y/k is about 1 for a training face with itself.
    """

    mean: np.ndarray
    components: np.ndarray
    unit: float

    def project(self, values: np.ndarray) -> np.ndarray:
        """Return (n, k) float64 coordinates of (n, d) values."""
        return (values - self.mean) @ self.components.T / self.unit

    def residual(self, values: np.ndarray) -> np.ndarray:
        """Return the (n,) root mean square of what lies outside the components, in the unit of `values`."""
        centred = values - self.mean
        outside = centred - centred @ self.components.T @ self.components
        return np.sqrt(np.mean(outside**2, axis=1))


def fit_principal_space(values: np.ndarray, dimensions: int) -> PrincipalSpace:
    """Return the space of (n, d) training values; fewer dimensions when n - 1 or d is smaller."""
    values = values.astype(np.float64)
    count = min(dimensions, len(values) - 1, values.shape[1])
    with threadpool_limits(1, "blas"):  # measured: teams of BLAS threads take longer on matrices of this size
        pca = PCA(count, svd_solver="full").fit(values)
    unit = float(np.sqrt(pca.explained_variance_.mean()))
    return PrincipalSpace(pca.mean_, pca.components_, unit if unit > 0 else 1.0)


@dataclass(frozen=True)
class FusedSpace:
    """Fused features, standardised on the training faces, clipped at ±4, then their principal components.

    Noise and upsampling decide it before shape does: never rank methods by it alone.
    """

    scaler: StandardScaler
    principal: PrincipalSpace

    def project(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float64 coordinates of (n, d) fused features."""
        return self.principal.project(_clipped(self.scaler, features))


def fit_fused_space(features: np.ndarray, dimensions: int = 64) -> FusedSpace:
    """Return the space of the (n, d) fused features of the training faces."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    return FusedSpace(scaler, fit_principal_space(_clipped(scaler, features), dimensions))


def _clipped(scaler: StandardScaler, features: np.ndarray) -> np.ndarray:
    return np.clip(scaler.transform(features.astype(np.float64)), -CLIP, CLIP)


def box_means(images: np.ndarray) -> np.ndarray:
    """Return (n, 1024) float64 means of (n, height, width) in [-1, 1] over a 32x32 grid of equal boxes, after 8 bits.

    Boxes that cut a pixel take their share of its area, so any size will do.
    """
    n, height, width = images.shape
    levels = quantise(images) / 127.5 - 1
    return (_box_weights(height) @ levels @ _box_weights(width).T).reshape(n, SIDE * SIDE)


def _box_weights(pixels: int) -> np.ndarray:
    """Return (32, pixels): the share of each pixel in each box along one axis; rows sum to 1."""
    edges = np.linspace(0, pixels, SIDE + 1)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], right[None]) - np.maximum(edges[:-1, None], left[None])
    return np.maximum(overlap, 0) * SIDE / pixels


def fit_relief_space(means: np.ndarray) -> PrincipalSpace:
    """Return the 32 leading principal components of the (n, 1024) box means of the training faces."""
    return fit_principal_space(means, DIMENSIONS)


def residual_ratio(
    space: PrincipalSpace, generated: np.ndarray, held_out: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int
) -> Estimate:
    """Return how much of the generated faces lies outside the relief space, relative to held-out faces.

    The residual of a face is the root mean square, over its 1,024 box means, of what the 32 components cannot express;
    a set's residual is the root mean square over its faces; the ratio is generated / held-out. Near 1: as much fine
    detail as held-out faces; well above 1: noise; well below 1: too smooth. The interval resamples the generated faces
    and the held-out subjects.

    Args:
        space: fitted on the training faces.
        generated: (n, 1024) box means.
        held_out: (m, 1024) box means of subjects that `space` was not fitted on.
        subjects: (m,) of the held-out faces.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        No value but a reason if the residuals of held-out faces are zero.
    """
    ours, reference = space.residual(generated) ** 2, space.residual(held_out) ** 2
    zero = "the held-out faces lie wholly inside the relief space"
    return _ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero, transform=np.sqrt)


def checkerboard_ratio(
    generated: np.ndarray, held_out: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int
) -> Estimate:
    """Return how much the generated faces alternate from pixel to pixel, relative to held-out faces.

    Noise alternates too: 1 is as much as in held-out faces, well above 1 is more noise or the checkerboard that
    transposed convolutions leave (Odena 2016). No feature space shows it: `relief` averages it away, and handcrafted
    features mix it with everything else. A set's value is the mean of `alternation` over its faces.

    Args:
        generated: (n, height, width) in [-1, 1].
        held_out: (m, height, width).
        subjects: (m,) of the held-out faces.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        No value but a reason if held-out faces do not alternate at all.
    """
    ours, reference = alternation(generated), alternation(held_out)
    zero = "the held-out faces do not alternate from pixel to pixel"
    return _ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero)


def alternation(images: np.ndarray) -> np.ndarray:
    """Return the (n,) amplitude of a checkerboard, or of noise of that frequency, over (n, height, width) in [-1, 1].

    Each 3x3 pixels that are all face are filtered by [-1, 2, -1] / 4 both ways, which passes a checkerboard of one
    pixel whole and nothing that is flat one way. The mean of the lower nine tenths of the absolute values leaves edges
    out. Images are rounded to 8 bits first; 0 where there is no face.
    """
    levels = quantise(images) / 127.5 - 1
    down = (2 * levels[:, 1:-1] - levels[:, :-2] - levels[:, 2:]) / 4
    heights = np.abs(2 * down[:, :, 1:-1] - down[:, :, :-2] - down[:, :, 2:]) / 4
    on_face = maximum_filter(levels, (1, 3, 3))[:, 1:-1, 1:-1] < BACKGROUND
    return np.array([_lower_mean(h[m]) for h, m in zip(heights, on_face, strict=True)])


def _lower_mean(values: np.ndarray) -> float:
    return float(np.sort(values)[: -(-9 * len(values) // 10)].mean()) if len(values) else 0.0


def invalid_ratio(
    generated: np.ndarray, held_out: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int
) -> Estimate:
    """Return how many invalid pixels the generated faces have inside the face, relative to held-out faces.

    Near 0, mouths are grey where a sensor sees nothing, and outlines are smooth; arguments as of `checkerboard_ratio`.

    Returns:
        No value but a reason if held-out faces have none.
    """
    ours, reference = invalid_pixels(generated), invalid_pixels(held_out)
    zero = "the held-out faces have no invalid pixel"
    return _ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero)


def invalid_pixels(images: np.ndarray) -> np.ndarray:
    """Return (n,) counts of pixels of at least 0.95, as invalid depth is, with most of 5x5 around below."""
    empty = images >= BACKGROUND
    around = uniform_filter((~empty).astype(np.float32), (1, 5, 5), mode="nearest")
    return (empty & (around > 0.5)).sum((1, 2)).astype(float)


def _ratio_of_means(
    ours: np.ndarray,
    reference: np.ndarray,
    subjects: np.ndarray,
    *,
    draws: int,
    seed: int,
    zero: str,
    transform: Callable[[Any], Any] = np.asarray,
) -> Estimate:
    """Return mean(ours) / mean(reference); its interval resamples our faces and the reference's subjects.

    Args:
        zero: the reason to give where the reference's mean is 0.
        transform: of the ratio and of its draws.
    """
    if not reference.mean() > 0:
        return Estimate(reason=zero)
    rng = np.random.default_rng(seed)
    our_counts = bootstrap_counts(np.arange(len(ours)), draws, rng)
    counts = bootstrap_counts(subjects, draws, rng)
    ratios = weighted_means(ours, our_counts) / weighted_means(reference, counts)
    value = float(transform(ours.mean() / reference.mean()))
    return Estimate(value, *percentile_interval(transform(ratios)), n=len(ours))
