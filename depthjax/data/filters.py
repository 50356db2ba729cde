"""The filters that the released scripts put over their samples: separate, and off unless a method is so named."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from depthjax.data.depth_range import quantise

MEDIAN = 3  # pixels a side
CONTRAST = 1.3


def released_filters(images: np.ndarray) -> np.ndarray:
    """A 3x3 median, then contrast 1.3 about the image's mean grey, on 8 bits, as Pillow does them.

    Args:
        images: (n, h, w) in [-1, 1].
    Returns:
        The same shape, float32; near faces run into black, so that the expression is lost there.
    """
    filtered = [
        ImageEnhance.Contrast(Image.fromarray(levels).filter(ImageFilter.MedianFilter(MEDIAN))).enhance(CONTRAST)
        for levels in quantise(images)
    ]
    return (np.stack([np.asarray(image) for image in filtered]) / np.float32(127.5) - 1).astype(np.float32)
