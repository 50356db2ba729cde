"""Whole frames and crops of any size and turn to faces framed alike: what a folder holds is found out once."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import CROP_SHAPE, CROP_WIDTH_MM, NOSE_COLUMNS, NOSE_ROW, NOSE_ROWS
from depthjax.data.depth_files import Unfit, meaning, read_images, to_millimetres
from depthjax.data.find_face import WEIGHTS, Nose, crop_about, find_nose
from depthjax.data.listing import escape
from depthjax.data.stacks import SMALLEST_FRAME
from depthjax.errors import UserError, counted
from depthjax.files import file_digest

# Width, height and focal length, pixels, of the depth images that each camera makes.
CAMERAS: dict[str, tuple[tuple[int, int, float], ...]] = {
    "kinect_v1": ((640, 480, 571.3), (320, 240, 285.6)),
    "kinect_v2": ((512, 424, 365.0),),
    "azure": ((640, 576, 504.0), (320, 288, 252.0), (1024, 1024, 504.0), (512, 512, 252.0)),
    "d415": ((640, 480, 610.0), (1280, 720, 915.0), (848, 480, 610.0)),
    "d435": ((640, 480, 385.0), (1280, 720, 640.0), (848, 480, 424.0)),
    "truedepth": ((640, 480, 590.0), (320, 240, 295.0)),
}
FOCAL_PX = (20.0, 20_000.0)  # no depth camera has a shorter or longer focal length
SAMPLED = 24  # images of a folder that are looked at before all
ROWS_READ = 64 * SAMPLED  # of stacks, to take those from
SETTLED = 0.8  # a share of upright faces that makes turning needless
USUAL = 0.5  # a share of them with a face that settles what the folder holds
ALIKE = 0.8  # a share of one size: the others are problems
IN_PLACE = 0.8  # a share of the noses that lie where they are looked for: such crops stay as they are
STORED, RESAMPLED, WHOLE = "crops as they are", "crops of any size", "whole frames"
TURNS = {"0": 0, "90": 1, "180": 2, "270": 3}  # clockwise, in quarters
NO_FACE = "no face"  # the kind of fault of an image in which none was recognised


class Mode(NamedTuple):
    """The size of a camera's frames, pixels (0 if not known), and their focal length."""

    wide: int
    high: int
    focal: float


class Framing(NamedTuple):
    """How images become faces: what they are, their camera ("" if unknown), quarter turns, mm that a crop spans.

    Of a file of intrinsics `camera` is the name alone, and `mode` what it held: the file may be gone later.
    """

    kind: str
    camera: str
    turns: int
    width_mm: float
    mode: Mode | None = None

    @classmethod
    def of(cls, stored: Sequence[Any]) -> Framing:
        """Return the framing that was stored as a list; raise a TypeError or a ValueError if it is none."""
        kind, camera, turns, width_mm, *mode = stored
        held = None
        if mode and mode[0]:
            wide, high, focal = mode[0]
            held = Mode(int(wide), int(high), float(focal))
        return cls(str(kind), str(camera), int(turns), float(width_mm), held)

    def cut(self, depth: np.ndarray) -> tuple[np.ndarray, Nose | None]:
        """Return the face of an image (height, width) mm, and where its nose is in it; all of it without a face."""
        depth, (focal, pixel_mm), nose = self.find(depth)
        if nose is None or self.kind == STORED:
            return depth, nose
        face = crop_about(depth, nose, focal=focal, pixel_mm=pixel_mm)
        return face, nose._replace(x=(CROP_SHAPE[1] - 1) / 2, y=NOSE_ROW)

    def find(self, depth: np.ndarray) -> tuple[np.ndarray, tuple[float, float], Nose | None]:
        """Return an image turned upright, its focal length or mm a pixel (the other is 0), and the nose in it."""
        depth = np.ascontiguousarray(np.rot90(depth, -self.turns))
        try:
            whole = self.kind == WHOLE
            focal = focal_length(self.camera, depth.shape, whole=whole, mode=self.mode) if self.camera else 0.0
        except UserError:  # raised before, were it so of most images
            what = f"{depth.shape[1]}x{depth.shape[0]} pixels: no size of the frames of {self.camera}"
            raise Unfit("other size", what, "remove it; or see --config.data.focal_px") from None
        pixel_mm = 0.0 if focal else self.width_mm / depth.shape[1]
        return depth, (focal, pixel_mm), find_nose(depth, focal=focal, pixel_mm=pixel_mm, crop=self.kind != WHOLE)

    def __str__(self) -> str:
        """What was decided, and the settings that say so."""
        span = f"each spans {self.width_mm:g} mm (--config.data.width_mm)"
        scale = f"focal length by --config.data.focal_px={self.camera}" if self.camera else span
        turned = f"turned by --config.data.rotate={90 * self.turns}"
        return f"{self.kind} (--config.data.framing={'whole' if self.kind == WHOLE else 'crop'}), {turned}, {scale}"


def focal_length(camera: str, shape: tuple[int, ...], *, whole: bool = False, mode: Mode | None = None) -> float:
    """Return the focal length in pixels of an image (height, width): a number, a camera of `CAMERAS`, or a file's.

    Of a `whole` frame whose size is none of the camera's it is unknown. A crop was cut from a frame of usual size.
    `mode` is what the file held, if it was read before.
    """
    if (number := _number(camera)) is not None and mode is None:
        return _plausible(camera, number)
    modes: Sequence[tuple[int, int, float]] = [mode] if mode else CAMERAS.get(camera) or [_mode_of_file(Path(camera))]
    for wide, high, focal in modes:
        if scale := _scaled((max(shape), min(shape)), (wide, high)):
            return focal * scale
    if len({focal for *_, focal in modes}) == 1 and not (whole and all(wide for wide, *_ in modes)):
        return modes[0][2]
    known = ", ".join(f"{focal:g} for {wide}x{high}" for wide, high, focal in modes)
    raise UserError(
        f"--config.data.focal_px={camera}: {shape[1]}x{shape[0]} is no size of its frames ({known}); give in pixels "
        "the focal length of these, or if they are crops that of the frames they were cut from, with "
        "--config.data.framing=crop"
    )


def _number(camera: str) -> float | None:
    try:
        return float(camera)
    except ValueError:
        return None


def _plausible(camera: str, focal: float) -> float:
    if not FOCAL_PX[0] <= focal <= FOCAL_PX[1]:
        raise UserError(f"--config.data.focal_px={camera}: {focal:g} is no focal length in pixels")
    return focal


def _scaled(size: tuple[int, ...], whole: tuple[int, ...]) -> float:
    """1, a half or a quarter, if the image is the whole frame in so many of its pixels; else 0."""
    return next((1.0 / n for n in (1, 2, 4) if all(n * a == b for a, b in zip(size, whole, strict=True))), 0.0)


def _mode_of_file(path: Path) -> Mode:
    """What a JSON, YAML or text file of intrinsics holds."""
    where = f"--config.data.focal_px={path}"
    try:
        text = path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last of a ~ without a home
        known = ", ".join(CAMERAS)
        raise UserError(f"{where}: neither pixels, nor a camera ({known}), nor a file of intrinsics") from None
    number = r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)"
    matrix = rf"\b(?:K|k|camera_matrix|intrinsic_matrix|intrinsics)\b[^\[]*\[\s*\[?\s*{number}"
    found = re.findall(rf"\bfx\b[\s\"':=>]*{number}", text) or re.findall(matrix, text)
    if not found:
        raise UserError(f"{where}: no fx, K, camera_matrix or intrinsic_matrix is in this file")
    if len(set(map(float, found))) > 1:
        held = ", ".join(dict.fromkeys(found))
        raise UserError(f"{where}: several focal lengths are in this file ({held}): give that of the depth, in pixels")
    sides = [re.search(rf"\b(?:\w+_)?{side}\b\W*([0-9]+)", text) for side in ("width", "height")]
    wide, high = sorted((int(side[1]) for side in sides if side), reverse=True) if all(sides) else (0, 0)
    return Mode(wide, high, _plausible(str(path), float(found[0])))


def read_by(settings: configs.Data) -> list[str]:
    """Return digests of what faces are found by beside the settings: the finder's weights, a file of intrinsics."""
    if settings.source == "depth_heads":
        return []
    try:
        intrinsics = [file_digest(Path(settings.focal_px).expanduser())] if settings.focal_px else []
    except (OSError, RuntimeError):  # no file
        intrinsics = []
    return [file_digest(WEIGHTS), *intrinsics]


def decide(settings: configs.Data, paths: Sequence[Path], log: Callable[[str], None]) -> Framing:
    """Look at some of the files; return how all become faces, and log it. One line refuses what cannot be decided."""
    images, grey = _sample(settings, paths)
    if not images:
        return Framing(STORED, "", TURNS.get(settings.rotate, 0), settings.width_mm)
    tried: list[tuple[Framing, list[tuple[float, float]], float]] = []
    for framing in _possible(settings, images, grey):
        if framing.turns and max(len(noses) for _, noses, _ in tried) >= SETTLED * len(images):
            break
        tried.append((framing, *_found(framing, images)))
    framing, noses, _ = max(tried, key=lambda one: round(one[2], 1))  # the first of equals
    if len(noses) < USUAL * len(images):
        framing, noses, _ = tried[0]
        if framing.kind == WHOLE or _unequal(images):
            raise UserError(_refusal(settings, images, framing, len(noses) / len(images)))
    if framing.kind == RESAMPLED and _are_metric(framing, images) and (not noses or _in_place(noses)):
        framing = framing._replace(kind=STORED)
    log(f"{framing}; a face in {len(noses)} of {len(images)} that were looked at first")
    return framing


def _sample(settings: configs.Data, paths: Sequence[Path]) -> tuple[list[np.ndarray], bool]:
    """Some images in millimetres, and whether they are grey levels, which have no distance."""
    raw: list[np.ndarray] = []
    chosen = list(dict.fromkeys(paths[i] for i in _evenly(len(paths))))
    for path in chosen:
        try:
            raw += _some_rows(read_images(path), len(chosen))
        except Unfit:  # is in the table of problems, later
            continue
    raw, images = [raw[i] for i in _evenly(len(raw))], []
    for image in raw:
        try:
            images.append(to_millimetres(image, settings))
        except Unfit:
            continue
    return images, sum(meaning(image.dtype, settings).grey for image in raw) > len(raw) / 2


def _evenly(count: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, SAMPLED))})


def _some_rows(images: Iterator[np.ndarray], files: int) -> list[np.ndarray]:
    """Images of one of so many files, from its first to its last as far as it is read, evenly; at least two of many."""
    most, step = max(2, 2 * SAMPLED // files), 1
    kept: list[np.ndarray] = []
    for row, image in enumerate(itertools.islice(images, ROWS_READ // files)):
        kept += [image] if row % step == 0 else []
        if len(kept) > most:
            kept, step = kept[::2], 2 * step
    return kept


def _possible(settings: configs.Data, images: list[np.ndarray], grey: bool) -> list[Framing]:
    """Return what the images may be, upright first."""
    shape = Counter(image.shape for image in images).most_common(1)[0][0]
    if grey and (settings.focal_px or settings.framing == "whole"):
        raise UserError(
            f"{escape(settings.path)}: the images are grey levels, which have no distance, so no focal length gives "
            "their scale: crop them about the face and leave out --config.data.focal_px and framing=whole (the scale "
            "is --config.data.width_mm), or export distances of 16 bits"
        )
    mode = None
    if camera := settings.focal_px:
        whole = settings.framing == "whole" or (settings.framing == "auto" and _are_frames(camera, images, shape))
        focal_length(camera, shape, whole=whole)  # refuses for all images
        if _number(camera) is None and camera not in CAMERAS:
            camera, mode = Path(camera).name, _mode_of_file(Path(camera))
        kinds = [(WHOLE if whole else RESAMPLED, camera)]
    else:
        camera = "" if grey else _usual_camera(settings, images, shape)
        kinds = [(WHOLE, camera)] if camera and settings.framing != "crop" else []
        kinds += [] if settings.framing == "whole" else [(RESAMPLED, "")]
    turns = TURNS.values() if settings.rotate == "auto" else [TURNS[settings.rotate]]
    return [Framing(kind, by, turn, settings.width_mm, mode) for turn in turns for kind, by in kinds]


def _usual_camera(settings: configs.Data, images: list[np.ndarray], shape: tuple[int, ...]) -> str:
    """The camera whose frames have this size; "" if there is none. Where there are several it must be named."""
    size = (max(shape), min(shape))
    cameras = [name for name, modes in CAMERAS.items() if size in {mode[:2] for mode in modes}]
    if len({focal_length(name, shape) for name in cameras}) == 1:
        return cameras[0]
    if settings.framing == "whole" or (settings.framing == "auto" and cameras and not _unequal(images)):
        names = ", ".join(cameras or CAMERAS)
        raise UserError(
            f"{size[0]}x{size[1]} pixels are whole frames of an unknown camera: name it by --config.data.focal_px "
            f"({names}), or give its focal length in pixels or its file of intrinsics; or set "
            "--config.data.framing=crop if these are crops"
        )
    return ""


def _are_frames(camera: str, images: list[np.ndarray], shape: tuple[int, ...]) -> bool:
    """Whether images with a focal length are whole frames: all of one size, a camera's own or as large as one."""
    modes = CAMERAS.get(camera, ())
    own = any(_scaled((max(shape), min(shape)), mode[:2]) for mode in modes)
    return not _unequal(images) and (own or shape[0] * shape[1] >= SMALLEST_FRAME)


def _are_metric(framing: Framing, images: list[np.ndarray]) -> bool:
    """Whether crops need no resampling: of one size, said to be as wide as faces are stored."""
    return not framing.camera and framing.width_mm == CROP_WIDTH_MM and not _unequal(images)


def _found(framing: Framing, images: list[np.ndarray]) -> tuple[list[tuple[float, float]], float]:
    """Where noses are found, as shares of the image's height and width, and the mean score of all images."""
    places, score = [], 0.0
    for image in images:
        try:
            depth, _, nose = framing.find(image)
        except Unfit:
            continue
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
        f"{escape(settings.path)}: a face is found in {share:.0%} of {counted(len(images), 'image')}, read as "
        f"{framing.kind} (--config.data.focal_px={framing.camera or 'unknown'}{turned}), and {seen}: are they depth in "
        "millimetres, not infrared? Else mend focal length or turn; docs/how-to/own-faces.md shows right framing"
    )
