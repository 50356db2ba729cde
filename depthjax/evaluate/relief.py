"""The `relief` space: the shape of the face without its texture, and the noise that this space cannot see."""

from __future__ import annotations

import numpy as np

from depthjax.data.window import quantise
from depthjax.evaluate.intervals import bootstrap_counts, percentile_interval
from depthjax.evaluate.spaces import PrincipalSpace, fit_principal_space

SIDE = 32  # boxes a side
DIMENSIONS = 32


def box_means(images: np.ndarray) -> np.ndarray:
    """(n, height, width) in [-1, 1] to (n, 1024) float64 means over a 32x32 grid of equal boxes, after 8 bits.

    Boxes that cut a pixel take their share of its area, so any size will do.
    """
    n, height, width = images.shape
    levels = quantise(images) / 127.5 - 1
    return (_box_weights(height) @ levels @ _box_weights(width).T).reshape(n, SIDE * SIDE)


def _box_weights(pixels: int) -> np.ndarray:
    """(32, pixels): the share of each pixel in each box along one axis; rows sum to 1."""
    edges = np.linspace(0, pixels, SIDE + 1)
    left, right = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], right[None]) - np.maximum(edges[:-1, None], left[None])
    return np.maximum(overlap, 0) * SIDE / pixels


def fit_relief_space(means: np.ndarray) -> PrincipalSpace:
    """The 32 leading principal components of the (n, 1024) box means of the real training faces."""
    return fit_principal_space(means, DIMENSIONS)


def residual_ratio(
    space: PrincipalSpace, generated: np.ndarray, held_out: np.ndarray, people: np.ndarray, *, draws: int, seed: int
) -> dict:
    """How much of the generated faces lies outside the relief space, against real people who were held out.

    The residual of a face is the root mean square, over its 1,024 box means, of what the 32 components cannot express;
    a set's residual is the root mean square over its faces; the ratio is generated / held-out real. Near 1: as much
    fine detail as real faces have; well above 1: noise; well below 1: too smooth. The interval resamples the generated
    faces and the held-out people.

    Args:
        space: fitted on real train.
        generated: (n, 1024) box means.
        held_out: (m, 1024) box means of real people whom `space` has not seen.
        people: (m,) who they are.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        `ratio`, `interval`, `n`; or a `reason` if real residuals are zero.
    """
    ours, real = space.residual(generated) ** 2, space.residual(held_out) ** 2
    if not real.mean() > 0:
        return {"reason": "the held-out real faces lie wholly inside the relief space"}
    rng = np.random.default_rng(seed)
    our_counts = bootstrap_counts(np.arange(len(ours)), draws, rng)
    real_counts = bootstrap_counts(people, draws, rng)
    ratios = np.sqrt(_weighted_means(ours, our_counts) / _weighted_means(real, real_counts))
    ratio = float(np.sqrt(ours.mean() / real.mean()))
    return {"ratio": ratio, "interval": percentile_interval(ratios), "n": len(generated)}


def _weighted_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return counts @ values / counts.sum(1)
