"""Depth faces as pictures: lit relief, surface normals, sheets of them, and the payload of the page's gallery."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter

from depthjax.data.crop import CROP_WIDTH_MM
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.report.stored import Run, method_name

LIGHT = np.array([-1.0, -1.2, 1.6]) / np.linalg.norm([-1.0, -1.2, 1.6])  # right, down, towards the viewer
WRAP = 0.3  # how far light reaches around: a bare Lambert term leaves half a face black
EXAGGERATION = 1.2  # of relief, as in shaded maps: an emotion is a few millimetres
SMOOTH_MM = 2.8  # about a pixel at 64x64: without it a sensor's noise hides the surface
BRIGHTEST, BACKGROUND, HOLE = 240.0, 255.0, 30.0
FAR_SHARE = 0.05  # of the depth range: what is nearer to its far end is background
MAX_FACES = 24  # of a set and emotion in the gallery
PAYLOAD_BYTES = 5_000_000  # of all its pictures as base64: a third of the largest page
Pitch = float | tuple[float, float]  # the side of a pixel on the face in millimetres, or its height and width


def shade(images: np.ndarray, window_mm: tuple[float, float], pitch_mm: Pitch) -> np.ndarray:
    """Return (n, h, w) uint8 faces lit from the upper left (wrapped Lambert) on white; invalid depth is dark.

    Images are (n, h, w) in [-1, 1]; `window_mm` are the millimetres behind the nose tip of -1 and +1.
    """
    face = surface(images, window_mm)
    down, right = (EXAGGERATION * slope for slope in _slopes(images, face, window_mm, pitch_mm))
    # Depth grows away from the viewer, so its own gradient points the way the surface faces.
    facing = (LIGHT[0] * right + LIGHT[1] * down + LIGHT[2]) / np.sqrt(right**2 + down**2 + 1)
    light = BRIGHTEST * np.clip((facing + WRAP) / (1 + WRAP), 0, 1)
    return _composed(light, face)


def normals(images: np.ndarray, window_mm: tuple[float, float], pitch_mm: Pitch) -> np.ndarray:
    """Return surface normals as (n, h, w, 3) uint8 colours on white: the relief of `shade`, not exaggerated."""
    face = surface(images, window_mm)
    down, right = _slopes(images, face, window_mm, pitch_mm)
    colours = normal_colours(np.stack([right, -down, np.ones_like(down)], axis=-1))
    return np.stack([_composed(colours[..., c], face) for c in range(3)], axis=-1)


def normal_colours(directions: np.ndarray) -> np.ndarray:
    """Return red, green and blue of (..., 3) directions: right, up and towards the viewer, -1 to 1 as 0 to 255."""
    return 127.5 * (directions / np.linalg.norm(directions, axis=-1, keepdims=True) + 1)


def surface(images: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Return where there is a face: nearer than the last FAR_SHARE, since a generated background only comes near +1."""
    return DepthRange(*window_mm).to_mm(images) < window_mm[1] - FAR_SHARE * (window_mm[1] - window_mm[0])


def _slopes(images: np.ndarray, face: np.ndarray, window_mm: tuple[float, float], pitch_mm: Pitch) -> list[np.ndarray]:
    """Growth of the smoothed depth downwards and to the right, millimetres a millimetre, (n, h, w) each."""
    high, wide = np.broadcast_to(pitch_mm, 2).tolist()
    sigma = (0, SMOOTH_MM / high, SMOOTH_MM / wide)
    # Means over face pixels only: background must not drag the cheeks' edges away.
    weight = gaussian_filter(face.astype(np.float32), sigma)
    total = gaussian_filter(np.where(face, DepthRange(*window_mm).to_mm(images), 0).astype(np.float32), sigma)
    smooth = total / np.maximum(weight, 1e-3)
    return [np.gradient(smooth, high, axis=1), np.gradient(smooth, wide, axis=2)]


def _composed(light: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The lit face over its background, outlines softened over a pixel, as uint8."""
    outline = np.stack([binary_fill_holes(mask) for mask in face]) if len(face) else face
    cover, inside = (gaussian_filter(mask.astype(np.float32), (0, 0.5, 0.5)) for mask in (face, outline))
    behind = inside * HOLE + (1 - inside) * BACKGROUND
    return np.rint(cover * light + (1 - cover) * behind).astype(np.uint8)


def mosaic(rows: Sequence[np.ndarray], columns: int, *, tile: int = 128, gap: int = 6) -> np.ndarray:
    """Return rows of (n, h, w) or (n, h, w, 3) uint8 pictures on white, each resized to a square of `tile` pixels."""
    size = (len(rows) * (tile + gap) - gap, columns * (tile + gap) - gap)
    sheet = np.full((*size, *rows[0].shape[3:]), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row[:columns]):
            resized = Image.fromarray(picture).resize((tile, tile), Image.Resampling.BICUBIC)
            sheet[r * (tile + gap) :, c * (tile + gap) :][:tile, :tile] = np.asarray(resized)
    return sheet


@dataclass(frozen=True)
class FaceSet:
    """The faces of one source."""

    key: str  # `real` for the training faces, or a method
    name: str  # for labels
    # images (n, h, w) in [-1, 1] and emotion (n,); of training faces subject and frame besides
    arrays: dict[str, np.ndarray]

    def shown(self, emotion: int, count: int) -> np.ndarray:
        """Return up to `count` faces of an emotion, the same in every figure: no subject twice, none picked."""
        choose = one_per_subject if self.key == "real" else spaced_samples
        return choose(self.arrays, emotion, count)


def face_sets(run: Run) -> list[FaceSet]:
    """Return the training faces, then each method's."""
    train = [] if run.train is None else [FaceSet("real", "Training faces", run.train)]
    return train + [FaceSet(m, method_name(m), arrays) for m, arrays in run.samples.items()]


def one_per_subject(train: dict[str, np.ndarray], emotion: int, count: int) -> np.ndarray:
    """Return the middle frame of each of the first `count` subjects in stored order, (up to count, h, w)."""
    members = np.flatnonzero(train["emotion"] == emotion)
    subjects = list(dict.fromkeys(train["subject"][members].tolist()))[:count]
    frames = [members[train["subject"][members] == subject] for subject in subjects]
    middle = [f[np.argsort(train["frame"][f], kind="stable")[len(f) // 2]] for f in frames]
    return train["images"][middle]


def spaced_samples(samples: dict[str, np.ndarray], emotion: int, count: int) -> np.ndarray:
    """Return generated faces of an emotion at even distances in stored order, (up to count, h, w)."""
    # The first ones alone do not represent an evolved set: the fittest come first.
    members = np.flatnonzero(samples["emotion"] == emotion)
    shown = min(count, len(members))
    return samples["images"][members[np.arange(shown) * len(members) // max(1, shown)]]


def pitch_mm(run: Run) -> tuple[float, float]:
    """Return millimetres a pixel on the face, down and across."""
    height, width = face_sets(run)[0].arrays["images"].shape[1:]
    # A whole crop of 128x200 pixels is squeezed into a square; any other crop is square already.
    high = CROP_WIDTH_MM * (200 / 128 if run.config["data"].get("crop") == "full" else 1)
    return high / height, CROP_WIDTH_MM / width


def gallery(run: Run, *, limit: int = PAYLOAD_BYTES) -> dict[str, Any] | None:
    """Return the faces that the page embeds, with the millimetres and the light by which its script draws them.

    All pictures together take `limit` bytes of base64; every set and emotion shows 1 to MAX_FACES faces. In a
    `sets[].sheets[].png` faces lie one beneath another, 0 at `window_mm[0]` and 255 at `window_mm[1]`.
    """
    sets, labels = face_sets(run), range(len(run.emotions))
    # The size of one face of each set and emotion predicts how many fit.
    size = sum(len(sheet["png"]) for one in sets for sheet in _gallery_sheets(one, labels, 1))
    if not size:
        return None
    count = max(1, min(MAX_FACES, limit // size))
    height, width = sets[0].arrays["images"].shape[1:]
    high, wide = pitch_mm(run)
    return {
        "emotions": list(run.emotions),
        "sets": [{"id": one.key, "name": one.name, "sheets": _gallery_sheets(one, labels, count)} for one in sets],
        "height": height, "width": width, "window_mm": list(run.window_mm),
        "width_mm": wide * width, "height_mm": high * height,
        # The constants of `shade`, so that the script's relief is the figures' relief.
        "light": {"from": LIGHT.tolist(), "wrap": WRAP, "exaggeration": EXAGGERATION, "smooth_mm": SMOOTH_MM,
                  "brightest": BRIGHTEST, "hole": HOLE, "far_share": FAR_SHARE},
    }  # fmt: skip


def _gallery_sheets(one: FaceSet, labels: Sequence[int], count: int) -> list[dict[str, Any]]:
    sheets = []
    for label in labels:
        faces = one.shown(label, count)
        if len(faces):
            png = io.BytesIO()
            Image.fromarray(quantise(faces).reshape(-1, faces.shape[2])).save(png, format="PNG", optimize=True)
            uri = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
            sheets.append({"emotion": label, "count": len(faces), "png": uri})
    return sheets
