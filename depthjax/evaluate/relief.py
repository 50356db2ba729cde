"""The `relief` space, the shape of a face without its texture, and what it cannot see: noise, checkerboards, holes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter

from depthjax.data.depth_range import quantise
from depthjax.data.noise import BACKGROUND
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
    without = "the held-out real faces lie wholly inside the relief space"
    return _ratio_of_means(ours, real, people, draws=draws, seed=seed, without=without, as_told=np.sqrt)


def checkerboard_ratio(
    generated: np.ndarray, held_out: np.ndarray, people: np.ndarray, *, draws: int, seed: int
) -> dict:
    """How much the generated faces alternate from pixel to pixel, against real people who were held out.

    Noise alternates too: real faces have it, so 1 is as much as theirs, and well above 1 more noise or a checkerboard.

    It is what transposed convolutions leave behind (Odena 2016), and no other space sees it: `relief` averages it away,
    and handcrafted features mix it with everything else. A set's value is the mean of `alternation` over its faces;
    the ratio is generated / held-out real.

    Args:
        generated: (n, height, width) in [-1, 1].
        held_out: (m, height, width), of real people.
        people: (m,) who they are.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        `ratio`, `interval`, `n`; or a `reason` if real faces do not alternate at all.
    """
    ours, real = alternation(generated), alternation(held_out)
    without = "the held-out real faces do not alternate from pixel to pixel"
    return _ratio_of_means(ours, real, people, draws=draws, seed=seed, without=without)


def alternation(images: np.ndarray) -> np.ndarray:
    """(n, height, width) in [-1, 1] to (n,): how high a checkerboard, or noise of that frequency, lies over each face.

    Each 3x3 pixels that are all face, through [-1, 2, -1] / 4 both ways, which passes a checkerboard of one pixel whole
    and nothing that is flat one way; of the absolute values the mean of the lower nine tenths, without edges. After
    8 bits, as everything that is judged; 0 where there is no face.
    """
    levels = quantise(images) / 127.5 - 1
    down = (2 * levels[:, 1:-1] - levels[:, :-2] - levels[:, 2:]) / 4
    heights = np.abs(2 * down[:, :, 1:-1] - down[:, :, :-2] - down[:, :, 2:]) / 4
    on_face = maximum_filter(levels, (1, 3, 3))[:, 1:-1, 1:-1] < BACKGROUND
    return np.array([_lower_mean(h[m]) for h, m in zip(heights, on_face, strict=True)])


def holes_ratio(generated: np.ndarray, held_out: np.ndarray, people: np.ndarray, *, draws: int, seed: int) -> dict:
    """How many pixels without a return the generated faces have among those of the face, real people's being 1.

    Near 0, mouths are grey where a sensor sees nothing, and outlines are smooth; arguments as of `checkerboard_ratio`.

    Returns:
        `ratio`, `interval`, `n`; or a `reason` if real faces have none.
    """
    without = "the held-out real faces have no pixel without a return"
    return _ratio_of_means(holes(generated), holes(held_out), people, draws=draws, seed=seed, without=without)


def holes(images: np.ndarray) -> np.ndarray:
    """(n, height, width) in [-1, 1] to (n,): pixels of 0.95 and above, as holes are, with most of 5x5 around below."""
    empty = images >= BACKGROUND
    around = uniform_filter((~empty).astype(np.float32), (1, 5, 5), mode="nearest")
    return (empty & (around > 0.5)).sum((1, 2)).astype(float)


def _lower_mean(values: np.ndarray) -> float:
    return float(np.sort(values)[: -(-9 * len(values) // 10)].mean()) if len(values) else 0.0


def _ratio_of_means(
    ours: np.ndarray,
    real: np.ndarray,
    people: np.ndarray,
    *,
    draws: int,
    seed: int,
    without: str,
    as_told: Callable[[Any], Any] = np.asarray,
) -> dict:
    """mean(ours) / mean(real), with its interval by our faces and their people drawn anew.

    Args:
        without: the reason to give where real faces have none of it.
        as_told: what becomes of the ratio and of its draws.
    """
    if not real.mean() > 0:
        return {"reason": without}
    rng = np.random.default_rng(seed)
    our_counts = bootstrap_counts(np.arange(len(ours)), draws, rng)
    real_counts = bootstrap_counts(people, draws, rng)
    ratios = _weighted_means(ours, our_counts) / _weighted_means(real, real_counts)
    value, drawn = float(as_told(ours.mean() / real.mean())), as_told(ratios)
    return {"ratio": value, "interval": percentile_interval(drawn), "n": len(ours)}


def _weighted_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return counts @ values / counts.sum(1)
