"""The page's gallery: faces of every set as 8-bit depth, in one compact payload that its script draws."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from depthjax.data.depth_range import quantise
from depthjax.report import faces_image
from depthjax.report.faces_image import real_faces, spaced_samples
from depthjax.report.stored import Run, method_name

MOST_FACES = 24  # of a set and emotion
PAYLOAD_BYTES = 5_000_000  # of all pictures as base64: a third of the largest page
REAL = "real"
FULL_CROP_RATIO = 200 / 128  # height by width of a whole crop, which `data.crop=full` squeezes into a square


def gallery(run: Run, *, limit: int = PAYLOAD_BYTES) -> dict[str, Any] | None:
    """The faces that the page embeds, with the millimetres and the light by which its script draws them.

    Every set and emotion shows as many faces as the limit allows, at most MOST_FACES and at least one: real people by
    `real_faces` (no one twice), generated ones at even distances in stored order (none picked).

    Args:
        limit: of all pictures together, in bytes of base64.
    Returns:
        plain values for JSON, or None where no faces are stored. `sets[].sheets[].png` is a data URI of `count` faces,
        one beneath another, 0 at `window_mm[0]` and 255 at `window_mm[1]`.
    """
    count = _affordable(run, limit)
    sets: list[dict[str, Any]] = [
        {"id": name, "name": title, "sheets": _sheets(run, name, count)} for name, title in _sets(run)
    ]
    sides = [_faces(run, name, emotion, 1).shape[1:] for name, _ in _sets(run) for emotion in range(len(run.emotions))]
    if not sum(sheet["count"] for group in sets for sheet in group["sheets"]):
        return None
    wide = float(run.config["data"]["width_mm"])
    return {
        "emotions": list(run.emotions),
        "sets": sets,
        "height": sides[0][0],
        "width": sides[0][1],
        "window_mm": list(run.window_mm),
        "width_mm": wide,
        "height_mm": wide * (FULL_CROP_RATIO if run.config["data"].get("crop") == "full" else 1),
        "light": _light(),
    }


def _light() -> dict[str, Any]:
    """The constants of `faces_image.shade`, so that the script's relief is the figures' relief."""
    return {
        "from": faces_image.LIGHT.tolist(),
        "wrap": faces_image.WRAP,
        "exaggeration": faces_image.EXAGGERATION,
        "smooth_mm": faces_image.SMOOTH_MM,
        "brightest": faces_image.BRIGHTEST,
        "hole": faces_image.HOLE,
        "far_share": faces_image.FAR_SHARE,
    }


def _sets(run: Run) -> list[tuple[str, str]]:
    real = [] if run.train is None else [(REAL, "Real people")]
    return real + [(method, method_name(method)) for method in run.samples]


def _faces(run: Run, name: str, emotion: int, count: int) -> np.ndarray:
    if name == REAL and run.train is not None:
        return real_faces(run.train, emotion, count)
    return spaced_samples(run.samples[name], emotion, count)


def _affordable(run: Run, limit: int) -> int:
    """Faces of a set and emotion, judged by the size of one of each."""
    ones = [_faces(run, name, emotion, 1) for name, _ in _sets(run) for emotion in range(len(run.emotions))]
    size = sum(len(_png(one)) for one in ones if len(one))
    return max(1, min(MOST_FACES, limit // max(1, size)))


def _sheets(run: Run, name: str, count: int) -> list[dict[str, Any]]:
    drawn = [(emotion, _faces(run, name, emotion, count)) for emotion in range(len(run.emotions))]
    return [{"emotion": emotion, "count": len(faces), "png": _png(faces)} for emotion, faces in drawn if len(faces)]


def _png(faces: np.ndarray) -> str:
    """(n, h, w) in [-1, 1] as a data URI of one grey PNG, n * h high."""
    buffer = io.BytesIO()
    Image.fromarray(quantise(faces).reshape(-1, faces.shape[2])).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
