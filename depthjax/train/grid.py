"""The same latents in every emotion, drawn as training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from depthjax.data.depth_range import quantise
from depthjax.files import replacing

_GAP = 4  # pixels between faces
_SMALLEST = 96  # pixels: smaller faces are enlarged by a whole factor


def write_grid(path: Path, images: np.ndarray, emotions: Sequence[str], title: str) -> None:
    """Draw faces as a labelled PNG: a row an emotion, a column a latent; darker is closer.

    Args:
        path: of the PNG.
        images: (emotions, columns, h, w) in [-1, 1].
        emotions: the names of the rows.
        title: a line above the faces.
    """
    factor = max(1, -(-_SMALLEST // images.shape[-2]))
    gray = quantise(images).repeat(factor, axis=2).repeat(factor, axis=3)
    rows, columns, height, width = gray.shape
    size = max(12, height // 8)
    font = ImageFont.load_default(size)
    left = _GAP * 3 + max(round(font.getlength(name)) for name in emotions)
    top = 2 * size
    sheet = Image.new("L", (left + columns * (width + _GAP), top + rows * (height + _GAP)), 255)
    draw = ImageDraw.Draw(sheet)
    draw.text((left, top // 2), title, fill=40, font=font, anchor="lm")
    for row, name in enumerate(emotions):
        y = top + row * (height + _GAP)
        draw.text((left - 2 * _GAP, y + height // 2), name, fill=40, font=font, anchor="rm")
        for column in range(columns):
            sheet.paste(Image.fromarray(gray[row, column]), (left + column * (width + _GAP), y))
    data = BytesIO()
    sheet.save(data, "PNG", optimize=True)
    with replacing(path) as file:
        file.write(data.getvalue())
