"""Signs that stored values are not what they were taken for: a wrong unit, inverse depth, a level that is a hole."""

from __future__ import annotations

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import nose_distance
from depthjax.data.depth_files import SCALE, Unfit, meaning
from depthjax.data.near_duplicates import COLUMNS, ROWS

NOSE_MM = (150.0, 4000.0)  # a nearer or farther nose is none that a depth camera measures
DEEP_MM = 200.0  # behind the nose: no point of a face from brow to chin and cheek to cheek
RELIEF_MM = 75.0  # median from brow to chin: rendered heads have 19 to 39, 3 to 12 where they turn by 45 degrees
INVERSE_MM = 5.0  # a middle that lies so much farther than its rim is no face
BORDER = 0.5  # of the border's pixels
KINDS = ("distance", "relief", "inverse")  # of faults that show that stored values mean something else


def check_plausible(depth: np.ndarray, settings: configs.Data, dtype: np.dtype) -> float:
    """Return the nose's distance of a crop (h, w) uint16 mm; raise Unfit where no face can have such a depth.

    `dtype` is that of the stored values, whose meaning the settings may have wrong.
    """
    grey = meaning(dtype, settings).grey
    nose = float(nose_distance(depth[None])[0])
    if nose == 0:
        raise Unfit(
            "no nose", "no depth around the nose (the middle of the image)", "crop it about the face; or remove it"
        )
    if not NOSE_MM[0] <= nose <= NOSE_MM[1]:
        what = f"its nose is {nose:.0f} mm from the camera, not {NOSE_MM[0]:.0f} to {NOSE_MM[1]:.0f}"
        raise Unfit("distance", what, f"set {SCALE}")
    height, width = depth.shape
    face = depth[_part(height, ROWS), _part(width, COLUMNS)].astype(float)
    relief = face[face > 0] - nose
    # Behind a turned head there is a wall: only what may be face is measured, if there is any.
    near = relief[relief <= DEEP_MM]
    if len(near) < len(relief) / 4 or np.median(near) > RELIEF_MM:
        shown = f"{DEEP_MM:.0f}" if len(near) < len(relief) / 4 else f"{np.median(near):.0f}"
        what = f"most of the face lies {shown} mm and more behind its nose"
        raise Unfit("relief", what, f"set {SCALE}; or crop it about the face")
    if _middle_behind_rim(face) > INVERSE_MM:
        todo = "set --config.data.polarity, or --config.data.invalid_value if one level is a hole" if grey else (
            "export distances, not inverse depth or infrared; or remove it")  # fmt: skip
        raise Unfit("inverse", "the middle of the face lies farther than its rim", todo)
    return nose


def _part(size: int, share: tuple[float, float]) -> slice:
    return slice(round(size * share[0]), round(size * share[1]))


def _middle_behind_rim(face: np.ndarray) -> float:
    """How much farther the median of the middle is than that of the rim, mm; 0 unless both are measured."""
    height, width = face.shape
    rim = np.ones(face.shape, bool)
    rim[height // 8 : -(height // 8), width // 8 : -(width // 8)] = False
    middle = face[3 * height // 8 : 5 * height // 8, 3 * width // 8 : 5 * width // 8]
    around, within = face[rim & (face > 0)], middle[middle > 0]
    enough = len(around) > rim.sum() / 4 and len(within)
    return float(np.median(within) - np.median(around)) if enough else 0.0


def border_hole(raw: np.ndarray, settings: configs.Data) -> int | None:
    """Return the level, 0 or 255, of most of an 8-bit image's border, unless it is set as a hole."""
    if raw.dtype != np.uint8:
        return None
    border = np.concatenate([raw[0], raw[-1], raw[1:-1, 0], raw[1:-1, -1]])
    found = (level for level in (0, 255) if (border == level).mean() > BORDER)
    return next((level for level in found if level != settings.invalid_value), None)
