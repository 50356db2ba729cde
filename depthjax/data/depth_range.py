"""The one place that maps millimetres to [-1, 1] and back, and [-1, 1] to grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depthjax import config as configs


@dataclass(frozen=True)
class DepthRange:
    """A range of depth about the nose tip: `near_mm` (negative: in front of it) is -1, `far_mm` is +1.

    Invalid depth (0 mm), background and anything farther are +1, anything nearer is -1.
    """

    near_mm: float
    far_mm: float

    @classmethod
    def of(cls, settings: configs.Data) -> DepthRange:
        """Return the range that the settings name."""
        return cls(settings.near_mm, settings.far_mm)

    def from_mm(self, depth: np.ndarray, nose: np.ndarray) -> np.ndarray:
        """Return camera millimetres (n, h, w), 0 is invalid, as float32 in [-1, 1]; `nose` (n,) mm is the tip."""
        relief = np.where(depth > 0, depth.astype(np.float32) - nose[:, None, None], np.inf)
        return self.from_relief(relief)

    def from_relief(self, relief: np.ndarray) -> np.ndarray:
        """Millimetres behind the nose tip (infinite: nothing there) to float32 in [-1, 1]."""
        clipped = np.clip(relief, self.near_mm, self.far_mm).astype(np.float32)
        return (clipped - self.near_mm) * np.float32(2 / (self.far_mm - self.near_mm)) - 1

    def to_mm(self, images: np.ndarray) -> np.ndarray:
        """Return millimetres behind the nose tip; what was clipped comes back as the range's end."""
        half = np.float32((self.far_mm - self.near_mm) / 2)
        return (np.asarray(images, np.float32) + 1) * half + np.float32(self.near_mm)


def quantise(images: np.ndarray) -> np.ndarray:
    """[-1, 1] to the 256 levels of an 8-bit image, darker closer: -1 is 0, +1 is 255, any shape, uint8.

    Real and generated faces pass through this alike, or the finer steps of one set would tell them apart.
    """
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
