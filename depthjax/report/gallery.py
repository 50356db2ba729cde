"""The page's gallery: faces of every set as 8-bit depth, in one compact payload that its script draws."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from depthjax.data.depth_range import quantise
from depthjax.report import faces_image
from depthjax.report.figures_faces import FaceSet, face_sets, pitch_mm
from depthjax.report.stored import Run

MAX_FACES = 24  # of a set and emotion
PAYLOAD_BYTES = 5_000_000  # of all pictures as base64: a third of the largest page
# The constants of `faces_image.shade`, so that the script's relief is the figures' relief.
LIGHT = {
    "from": faces_image.LIGHT.tolist(),
    "wrap": faces_image.WRAP,
    "exaggeration": faces_image.EXAGGERATION,
    "smooth_mm": faces_image.SMOOTH_MM,
    "brightest": faces_image.BRIGHTEST,
    "hole": faces_image.HOLE,
    "far_share": faces_image.FAR_SHARE,
}


def gallery(run: Run, *, limit: int = PAYLOAD_BYTES) -> dict[str, Any] | None:
    """The faces that the page embeds, with the millimetres and the light by which its script draws them.

    Every set and emotion shows as many faces as the limit allows, at most MAX_FACES and at least one.

    Args:
        limit: of all pictures together, in bytes of base64.
    Returns:
        plain values for JSON, or None where no faces are stored. `sets[].sheets[].png` is a data URI of `count` faces,
        one beneath another, 0 at `window_mm[0]` and 255 at `window_mm[1]`.
    """
    sets, emotions = face_sets(run), len(run.emotions)
    # The size of one face of each set and emotion tells how many of them are affordable.
    size = sum(len(sheet["png"]) for one in sets for sheet in _sheets(one, emotions, 1))
    if not size:
        return None
    count = max(1, min(MAX_FACES, limit // size))
    height, width = sets[0].arrays["images"].shape[1:]
    high, wide = pitch_mm(run)
    return {
        "emotions": list(run.emotions),
        "sets": [{"id": one.key, "name": one.name, "sheets": _sheets(one, emotions, count)} for one in sets],
        "height": height,
        "width": width,
        "window_mm": list(run.window_mm),
        "width_mm": wide * width,
        "height_mm": high * height,
        "light": LIGHT,
    }


def _sheets(one: FaceSet, emotions: int, count: int) -> list[dict[str, Any]]:
    shown = [(emotion, one.shown(emotion, count)) for emotion in range(emotions)]
    return [{"emotion": emotion, "count": len(faces), "png": _png(faces)} for emotion, faces in shown if len(faces)]


def _png(faces: np.ndarray) -> str:
    """(n, h, w) in [-1, 1] as a data URI of one grey PNG, n * h high."""
    buffer = io.BytesIO()
    Image.fromarray(quantise(faces).reshape(-1, faces.shape[2])).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
