"""Which axis of an array counts its images: what their sides say, and what a face's depth says where sides do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMALLEST_FRAME = 240 * 320  # pixels, of any sensor's; fewer are a crop
SIDES = (1 / 1.8, 1.4)  # width by height of a crop; a face is taller than wide
FRAME_WIDTH = 2.0  # by height, at most
ROUGH = 4.0  # steps from column to column, in those from row to row: more, and columns are not neighbours
BUMP = 2.0  # of the outer columns' depth less the middle ones', in steps from row to row: less, and it is flat
PARABOLA = 0.3  # of the variance of the columns' depth: less, and they are people in a row
MIN_FACES = 0.6  # of a stack's images


def is_stack(shape: Sequence[int]) -> bool:
    """Return whether (images, height, width) are faces or frames by their sides."""
    height, width = shape[1:]
    low, high = SIDES
    return low <= width / height <= (FRAME_WIDTH if height * width >= SMALLEST_FRAME else high)


def is_ambiguous(shape: Sequence[int]) -> bool:
    """Return whether (images, height, width) of crops may as well be (height, width, images)."""
    return shape[0] > 1 and shape[1] * shape[2] < SMALLEST_FRAME and is_stack((shape[2], *shape[:2]))


def todo(shape: tuple[int, ...]) -> str:
    """Return what to do about an array whose first axis does not count its images."""
    count, height, width = shape
    wanted = "save (images, height, width)"
    if is_stack((width, count, height)):
        return f"{wanted}: np.moveaxis(array, -1, 0), if the images are the last axis"
    if is_stack((count, width, height)):
        return f"{wanted}: np.swapaxes(array, 1, 2), if MATLAB turned them"
    return wanted


def is_face(image: np.ndarray) -> bool | None:
    """Return whether the columns of a crop are neighbours, the middle ones at another depth; None: not measured.

    Of an array that is cut along another axis, columns are images: they differ from each other, or all are alike.
    """
    height, width = image.shape
    values = image[height // 4 : -(height // 4)].astype(float)
    values[values == 0] = np.nan
    eighth = width // 8
    outer = _measured(np.concatenate([values[:, eighth : 2 * eighth], values[:, -2 * eighth : -eighth]], axis=1))
    middle = _measured(values[:, width // 2 - eighth : width // 2 + eighth])
    across, down = (_measured(np.abs(np.diff(values, axis=axis))) for axis in (1, 0))
    if not all(map(len, (outer, middle, across, down))):
        return None
    bump, step = abs(np.median(outer) - np.median(middle)), np.median(down)
    return bool(bump > BUMP * step and np.median(across) <= max(ROUGH * step, bump / 10) and _is_smooth(values))


def _is_smooth(values: np.ndarray) -> bool:
    """Whether a parabola explains the median depth of the columns between the outer ones."""
    measured = np.isfinite(values).any(axis=0)
    eighth = len(measured) // 8
    column = np.flatnonzero(measured[eighth:-eighth]) + eighth
    depth = np.nanmedian(values[:, column], axis=0)
    residual = depth - np.polynomial.Polynomial.fit(column, depth, 2)(column)
    return bool(residual.var() < (1 - PARABOLA) * depth.var())


def _measured(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def share_of_faces(images: Sequence[np.ndarray] | np.ndarray) -> float:
    """Return the share of images that may be faces, of those measured; 1 if there are none."""
    found = [face for face in map(is_face, images) if face is not None]
    return sum(found) / len(found) if found else 1.0
