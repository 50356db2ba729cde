"""What no feature space shows of generated faces, relative to held-out faces: checkerboards and invalid depth."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter

from depthjax.data.depth_range import quantise
from depthjax.data.noise import BACKGROUND
from depthjax.evaluate.resampling import Estimate, ratio_of_means


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
    Returns:
        No value but a reason if held-out faces do not alternate at all.
    """
    ours, reference = alternation(generated), alternation(held_out)
    zero = "the held-out faces do not alternate from pixel to pixel"
    return ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero)


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
    return ratio_of_means(ours, reference, subjects, draws=draws, seed=seed, zero=zero)


def invalid_pixels(images: np.ndarray) -> np.ndarray:
    """Return (n,) counts of pixels of at least 0.95, as invalid depth is, with most of 5x5 around below."""
    empty = images >= BACKGROUND
    around = uniform_filter((~empty).astype(np.float32), (1, 5, 5), mode="nearest")
    return (empty & (around > 0.5)).sum((1, 2)).astype(float)
