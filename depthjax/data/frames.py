"""Whole frames and crops of any size and turn to faces framed alike: what a folder holds is found out once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import CROP_SHAPE, NOSE_COLUMNS, NOSE_ROW, NOSE_ROWS
from depthjax.data.depth_files import Unfit, read_images, to_millimetres
from depthjax.data.find_face import Nose, crop_about, find_nose
from depthjax.data.listing import escape
from depthjax.errors import UserError

# Width, height and focal length, pixels, of the depth images that each camera makes.
CAMERAS: dict[str, tuple[tuple[int, int, float], ...]] = {
    "kinect_v1": ((640, 480, 571.3), (320, 240, 285.6)),
    "kinect_v2": ((512, 424, 365.0),),
    "azure": ((640, 576, 504.0), (320, 288, 252.0), (1024, 1024, 504.0), (512, 512, 252.0)),
    "d415": ((640, 480, 610.0), (1280, 720, 915.0), (848, 480, 610.0)),
    "d435": ((640, 480, 385.0), (1280, 720, 640.0), (848, 480, 424.0)),
    "truedepth": ((640, 480, 590.0), (320, 240, 295.0)),
}
SAMPLED = 24  # images of a folder that are looked at before all
SETTLED = 0.8  # a share of upright faces that makes turning needless
USUAL = 0.5  # a share of them with a face that settles what the folder holds
ALIKE = 0.8  # a share of one size: the others are problems
IN_PLACE = 0.8  # a share of the noses that lie where they are looked for: such crops stay as they are
STORED, RESAMPLED, WHOLE = "crops as they are", "crops of any size", "whole frames"
TURNS = {"0": 0, "90": 1, "180": 2, "270": 3}  # clockwise, in quarters
NO_FACE = "no face"


class Framing(NamedTuple):
    """How images become faces: what they are, their camera ("" if unknown), quarter turns, mm that a crop spans."""

    kind: str
    camera: str
    turns: int
    width_mm: float

    def cut(self, depth: np.ndarray) -> tuple[np.ndarray, Nose | None]:
        """Return the face of an image (height, width) mm, and where its nose is in it; all of it without a face."""
        depth = np.ascontiguousarray(np.rot90(depth, -self.turns))
        focal = focal_length(self.camera, depth.shape) if self.camera else 0.0
        pixel_mm = 0.0 if focal else self.width_mm / depth.shape[1]
        nose = find_nose(depth, focal=focal, pixel_mm=pixel_mm)
        if nose is None or self.kind == STORED:
            return depth, nose
        face = crop_about(depth, nose, focal=focal, pixel_mm=pixel_mm, width_mm=self.width_mm)
        return face, nose._replace(x=(CROP_SHAPE[1] - 1) / 2, y=NOSE_ROW)

    def __str__(self) -> str:
        """What was decided, and the settings that say so."""
        span = f"each spans {self.width_mm:g} mm (--config.data.width_mm)"
        scale = f"focal length by --config.data.focal_px={self.camera}" if self.camera else span
        turned = f"turned by --config.data.rotate={90 * self.turns}"
        return f"{self.kind} (--config.data.framing={'whole' if self.kind == WHOLE else 'crop'}), {turned}, {scale}"


def focal_length(camera: str, shape: tuple[int, ...]) -> float:
    """Return the focal length in pixels of an image (height, width): a number, a camera of `CAMERAS`, or a file's."""
    try:
        return float(camera)
    except ValueError:
        pass
    if camera not in CAMERAS:
        return _focal_of_file(Path(camera), shape)
    size, modes = (max(shape), min(shape)), CAMERAS[camera]
    for *mode, focal in modes:
        if scale := _scaled(size, (mode[0], mode[1])):
            return focal * scale
    if len({focal for *_, focal in modes}) > 1:
        known = ", ".join(f"{focal:g} for {wide}x{high}" for wide, high, focal in modes)
        raise UserError(
            f"--config.data.focal_px={camera}: {shape[1]}x{shape[0]} is no size of its frames; give the pixels of the "
            f"frames that the images were cut from ({known})"
        )
    return modes[0][2]


def _scaled(size: tuple[int, ...], whole: tuple[int, ...]) -> float:
    """1, a half or a quarter, if the image is the whole frame in so many of its pixels; else 0."""
    return next((1.0 / n for n in (1, 2, 4) if all(n * a == b for a, b in zip(size, whole, strict=True))), 0.0)


def _focal_of_file(path: Path, shape: tuple[int, ...]) -> float:
    """The first entry of the camera matrix in a JSON, YAML or text file, for an image (height, width)."""
    try:
        text = path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        known = ", ".join(CAMERAS)
        raise UserError(
            f"--config.data.focal_px={path}: neither pixels, nor a camera ({known}), nor a file of intrinsics"
        ) from None
    number = r"([0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?)"
    matrix = rf"\b(?:K|k|camera_matrix|intrinsic_matrix|intrinsics)\b[^\[]*\[\s*\[?\s*{number}"
    found = re.search(rf"\bfx\b\W*{number}", text) or re.search(matrix, text)
    if not found or not float(found[1]) > 0:
        raise UserError(f"--config.data.focal_px={path}: no fx, K, camera_matrix or intrinsic_matrix is in this file")
    sides = [re.search(rf"\b(?:\w+_)?{side}\b\W*([0-9]+)", text) for side in ("width", "height")]
    whole = sorted((int(side[1]) for side in sides if side), reverse=True)
    scale = _scaled((max(shape), min(shape)), tuple(whole)) if len(whole) == 2 else 0.0
    return float(found[1]) * (scale or 1.0)


def decide(settings: configs.Data, paths: Sequence[Path], log: Callable[[str], None]) -> Framing:
    """Look at some of the files; return how all become faces, and log it. One line refuses what cannot be decided."""
    images = _sample(settings, paths)
    if not images:
        return Framing(STORED, "", TURNS.get(settings.rotate, 0), settings.width_mm)
    tried: list[tuple[Framing, list[tuple[float, float]], float]] = []
    for framing in _possible(settings, images):
        if framing.turns and max(len(noses) for _, noses, _ in tried) >= SETTLED * len(images):
            break
        tried.append((framing, *_found(framing, images)))
    framing, noses, _ = max(tried, key=lambda one: round(one[2], 1))  # the first of equals
    share = len(noses) / len(images)
    if share < USUAL:
        framing = tried[0][0]
        if framing.kind == WHOLE or _unequal(images):
            raise UserError(_refusal(settings, images, framing, share))
    if framing.kind == RESAMPLED and not framing.camera and not _unequal(images) and (not noses or _in_place(noses)):
        framing = framing._replace(kind=STORED)
    log(f"{framing}; a face in {len(noses)} of {len(images)} that were looked at first")
    return framing


def _sample(settings: configs.Data, paths: Sequence[Path]) -> list[np.ndarray]:
    images = []
    for path in dict.fromkeys(paths[i] for i in np.linspace(0, len(paths) - 1, SAMPLED).round().astype(int)):
        try:
            images.append(to_millimetres(next(iter(read_images(path))), settings))
        except (Unfit, StopIteration):  # is in the table of problems, later
            continue
    return images


def _possible(settings: configs.Data, images: list[np.ndarray]) -> list[Framing]:
    """Return what the images may be, upright first."""
    shape = Counter(image.shape for image in images).most_common(1)[0][0]
    size = (max(shape), min(shape))
    camera = settings.focal_px
    if not camera:
        cameras = [name for name, modes in CAMERAS.items() if size in {mode[:2] for mode in modes}]
        known = {focal_length(name, shape) for name in cameras}
        camera = cameras[0] if len(known) == 1 else ""
        ask = settings.framing == "whole" or (settings.framing == "auto" and cameras and not _unequal(images))
        if ask and not camera:
            names = ", ".join(cameras or CAMERAS)
            raise UserError(
                f"{size[0]}x{size[1]} pixels are whole frames of an unknown camera: name it by --config.data.focal_px "
                f"({names}), or give its focal length in pixels or its file of intrinsics; or set "
                "--config.data.framing=crop if these are crops"
            )
    kinds = [(WHOLE, camera)] if camera and settings.framing != "crop" else []
    if settings.framing == "crop" or (settings.framing == "auto" and not settings.focal_px):
        kinds.append((RESAMPLED, settings.focal_px))
    turns = TURNS.values() if settings.rotate == "auto" else [TURNS[settings.rotate]]
    return [Framing(kind, by, turn, settings.width_mm) for turn in turns for kind, by in kinds]


def _found(framing: Framing, images: list[np.ndarray]) -> tuple[list[tuple[float, float]], float]:
    """Where noses are found, as shares of the image's height and width, and the mean score of all images."""
    places, score = [], 0.0
    for image in images:
        depth = np.rot90(image, -framing.turns)
        _, nose = framing._replace(kind=STORED).cut(image)
        if nose is not None:
            places.append((nose.y / depth.shape[0], nose.x / depth.shape[1]))
            score += nose.score / len(images)
    return places, score


def _unequal(images: list[np.ndarray]) -> bool:
    return Counter(image.shape for image in images).most_common(1)[0][1] < ALIKE * len(images)


def _in_place(noses: list[tuple[float, float]]) -> bool:
    inside = [NOSE_ROWS[0] <= y <= NOSE_ROWS[1] and NOSE_COLUMNS[0] <= x <= NOSE_COLUMNS[1] for y, x in noses]
    return bool(np.mean(inside) >= IN_PLACE)


def _refusal(settings: configs.Data, images: list[np.ndarray], framing: Framing, share: float) -> str:
    middle = [float(np.median(image[image > 0])) for image in images if (image > 0).any()]
    seen = f"their values are about {min(middle):.0f} to {max(middle):.0f} mm" if middle else "they hold no depth"
    turned = "" if settings.rotate == "auto" else f", --config.data.rotate={settings.rotate}"
    return (
        f"{escape(settings.path)}: a face is found in {share:.0%} of {len(images)} images, read as {framing.kind} "
        f"(--config.data.focal_px={framing.camera or 'unknown'}{turned}), and {seen}: are they depth in millimetres, "
        "not infrared? Else mend the focal length or the turn; docs/how-to/own-faces.md shows right framing"
    )


def no_face(framing: Framing) -> Unfit:
    """Return the fault of an image in which no face was recognised."""
    what = "no face is recognised in this frame" if framing.kind == WHOLE else "no face is recognised in this crop"
    return Unfit(NO_FACE, what, "see cut_faces.png; remove it, or mend --config.data.focal_px or rotate")
