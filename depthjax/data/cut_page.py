"""A picture of what was cut out of a user's images: noses marked, and images in which no face was recognised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depthjax.files import replacing

if TYPE_CHECKING:
    from depthjax.data.face_files import Face

PAGE = "cut_faces.png"
SHOWN, ACROSS = 60, 12
TILE = (150, 96)  # height, width
NEAR_MM, FAR_MM = -20.0, 180.0  # about the nose; what is outside is white or black
NOSE, UNRECOGNISED = (230, 40, 40), (200, 120, 0)
INVALID = (40, 40, 80)


def draw_page(path: Path, faces: Sequence[Face]) -> None:
    """Write the picture: some faces, evenly taken, then framed in orange some images without a face."""
    from PIL import Image, ImageDraw

    from depthjax.data.face_files import read_spooled

    found, faceless = ([face for face in faces if (face.nose_at is None) == missing] for missing in (False, True))
    shown = [found[i] for i in _evenly(len(found), SHOWN)]
    shown += [faceless[i] for i in _evenly(len(faceless), SHOWN // 2)]
    tiles = [
        (_tile(depth, _nose_of(face, depth), face.nose_at), face.shown, NOSE if face.nose_at else UNRECOGNISED)
        for face, depth in zip(shown, read_spooled(shown), strict=True)
    ]
    height, width = TILE[0] + 14, TILE[1] + 4
    rows = max(1, -(-len(tiles) // ACROSS))
    page = Image.new("RGB", (ACROSS * width + 4, rows * height + 4), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    for number, (tile, name, colour) in enumerate(tiles):
        row, column = divmod(number, ACROSS)
        x, y = column * width + 4, row * height + 4
        page.paste(Image.fromarray(tile), (x, y))
        draw.text((x, y + TILE[0]), name.encode("ascii", "replace").decode()[-16:], (0, 0, 0))
        if colour == UNRECOGNISED:
            draw.rectangle((x, y, x + TILE[1] - 1, y + TILE[0] - 1), outline=colour, width=3)
    with replacing(path) as file:
        page.save(file, "PNG")


def _evenly(count: int, most: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def _nose_of(face: Face, depth: np.ndarray) -> float:
    """The distance that is drawn as the nose's: without a face somewhat nearer than most of the image."""
    return face.nose_mm if face.nose_at else float(np.median(depth[depth > 0])) - 60


def _tile(depth: np.ndarray, nose: float, at: tuple[float, float] | None) -> np.ndarray:
    """Grey by distance from the nose, which is marked, fitted into a tile."""
    height, width = depth.shape
    step = max(height / TILE[0], width / TILE[1])
    rows = np.minimum((np.arange(round(height / step)) * step).astype(int), height - 1)
    columns = np.minimum((np.arange(round(width / step)) * step).astype(int), width - 1)
    part = depth[rows][:, columns].astype(np.float32)
    light = 255 * (1 - (part - nose - NEAR_MM) / (FAR_MM - NEAR_MM)).clip(0, 1)
    colour = np.where((part > 0)[..., None], light[..., None], INVALID).astype(np.uint8)
    if at is not None:
        x, y = (round(place / step) for place in at)
        colour[max(y - 5, 0) : y + 6, x : x + 1] = NOSE
        colour[y : y + 1, max(x - 5, 0) : x + 6] = NOSE
    tile = np.full((*TILE, 3), 255, np.uint8)
    tile[: len(colour), : colour.shape[1]] = colour[: TILE[0], : TILE[1]]
    return tile
