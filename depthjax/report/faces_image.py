"""Depth faces as pictures: grey depth, shaded relief, surface normals, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter

from depthjax.data.depth_range import DepthRange

LIGHT = np.array([-1.0, -1.2, 1.6]) / np.linalg.norm([-1.0, -1.2, 1.6])  # right, down, towards the viewer
WRAP = 0.3  # how far light reaches around: a bare Lambert term leaves half a face black
EXAGGERATION = 1.2  # of relief, as in shaded maps: an emotion is a few millimetres
SMOOTH_MM = 2.8  # about a pixel at 64x64: without it a sensor's noise hides the surface
BRIGHTEST, BACKGROUND, HOLE = 240.0, 255.0, 30.0
FAR_SHARE = 0.05  # of the window: what is nearer to its far end is background


def shade(images: np.ndarray, window_mm: tuple[float, float], pitch_mm: float | tuple[float, float]) -> np.ndarray:
    """The surface lit from the upper left (wrapped Lambert) on white; invalid depth inside the face is dark.

    Relief is exaggerated by EXAGGERATION and smoothed by a Gaussian of SMOOTH_MM inside the face only. All pictures are
    treated alike, so that sources can be compared.

    Args:
        images: (n, h, w) in [-1, 1].
        window_mm: millimetres behind the nose tip of -1 and +1.
        pitch_mm: the side of a pixel on the face in millimetres, or its height and width.
    Returns:
        (n, h, w) uint8.
    """
    face = surface(images, window_mm)
    down, right = (EXAGGERATION * slope for slope in _slopes(images, face, window_mm, pitch_mm))
    # Depth grows away from the viewer, so its own gradient points the way the surface faces.
    facing = (LIGHT[0] * right + LIGHT[1] * down + LIGHT[2]) / np.sqrt(right**2 + down**2 + 1)
    light = BRIGHTEST * np.clip((facing + WRAP) / (1 + WRAP), 0, 1)
    return np.rint(_composed(light, face)).astype(np.uint8)


def normals(images: np.ndarray, window_mm: tuple[float, float], pitch_mm: float | tuple[float, float]) -> np.ndarray:
    """Unit surface normals as colours on white, of the surface smoothed as in `shade` but not exaggerated.

    Arguments as for `shade`; invalid depth inside the face is dark.

    Returns:
        (n, h, w, 3) uint8, see `normal_colours`.
    """
    face = surface(images, window_mm)
    down, right = _slopes(images, face, window_mm, pitch_mm)
    colours = normal_colours(np.stack([right, -down, np.ones_like(down)], axis=-1))
    return np.rint(np.stack([_composed(colours[..., c], face) for c in range(3)], axis=-1)).astype(np.uint8)


def normal_colours(directions: np.ndarray) -> np.ndarray:
    """Red, green and blue of directions: right, up and towards the viewer, -1 to 1 as 0 to 255.

    Args:
        directions: (..., 3), of any length but 0.
    Returns:
        (..., 3) floats; a surface that faces the viewer is (127.5, 127.5, 255).
    """
    return 127.5 * (directions / np.linalg.norm(directions, axis=-1, keepdims=True) + 1)


def surface(images: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Where there is a face: nearer than the last FAR_SHARE of the window; a boolean of the shape of `images`.

    A generated background only comes near +1, so the far level itself does not separate it from a face.
    """
    return DepthRange(*window_mm).to_mm(images) < window_mm[1] - FAR_SHARE * (window_mm[1] - window_mm[0])


def _slopes(
    images: np.ndarray, face: np.ndarray, window_mm: tuple[float, float], pitch_mm: float | tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Growth of the smoothed depth downwards and to the right, millimetres a millimetre, (n, h, w) each."""
    high, wide = (pitch_mm, pitch_mm) if isinstance(pitch_mm, int | float) else pitch_mm
    smooth = _smooth_inside(DepthRange(*window_mm).to_mm(images), face, (0, SMOOTH_MM / high, SMOOTH_MM / wide))
    return np.gradient(smooth, high, axis=1), np.gradient(smooth, wide, axis=2)


def _smooth_inside(depth: np.ndarray, face: np.ndarray, sigma: tuple[float, float, float]) -> np.ndarray:
    """Gaussian means over face pixels only: background must not drag the cheeks' edges away."""
    weight = gaussian_filter(face.astype(np.float32), sigma)
    total = gaussian_filter(np.where(face, depth, 0).astype(np.float32), sigma)
    return total / np.maximum(weight, 1e-3)


def _composed(light: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The lit face over its background, outlines softened over a pixel."""
    outline = np.stack([binary_fill_holes(mask) for mask in face]) if len(face) else face
    cover, inside = (gaussian_filter(mask.astype(np.float32), (0, 0.5, 0.5)) for mask in (face, outline))
    behind = inside * HOLE + (1 - inside) * BACKGROUND
    return cover * light + (1 - cover) * behind


def mosaic(rows: Sequence[np.ndarray], columns: int, *, tile: int = 128, gap: int = 6) -> np.ndarray:
    """Pictures in a grid on white, each resized (bicubic) to the same square.

    Args:
        rows: for each row (up to `columns`, h, w) or (..., h, w, 3) uint8; a short row ends in blank tiles.
        columns: of the grid.
        tile: side of a picture in the grid, in pixels.
        gap: white pixels between pictures.
    Returns:
        (height, width) or (height, width, 3) uint8.
    """
    size = (len(rows) * (tile + gap) - gap, columns * (tile + gap) - gap)
    sheet = np.full((*size, *rows[0].shape[3:]), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row[:columns]):
            resized = Image.fromarray(picture).resize((tile, tile), Image.Resampling.BICUBIC)
            sheet[r * (tile + gap) :, c * (tile + gap) :][:tile, :tile] = np.asarray(resized)
    return sheet


def one_per_subject(train: dict[str, np.ndarray], emotion: int, count: int) -> np.ndarray:
    """The middle frame of each of the first `count` subjects in stored order: (up to count, h, w); none is picked."""
    members = np.flatnonzero(train["emotion"] == emotion)
    subjects = list(dict.fromkeys(train["subject"][members].tolist()))[:count]
    frames = [members[train["subject"][members] == subject] for subject in subjects]
    middle = [f[np.argsort(train["frame"][f], kind="stable")[len(f) // 2]] for f in frames]
    return train["images"][middle]


def spaced_samples(samples: dict[str, np.ndarray], emotion: int, count: int) -> np.ndarray:
    """Generated faces of an emotion at even distances in stored order, the first among them: (up to count, h, w).

    The first ones alone do not represent an evolved set: the most novel or the fittest come first.
    """
    members = np.flatnonzero(samples["emotion"] == emotion)
    shown = min(count, len(members))
    return samples["images"][members[np.arange(shown) * len(members) // max(1, shown)]]
