"""Find the face in a whole Kinect v2 frame by geometry and two small filters: person, head, nose tip, crop.

NumPy and SciPy only: it runs once a frame in worker processes, a few milliseconds each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from depthjax.data.crop import FOCAL, crop_face

RANGE_MM = (450, 1700)  # where a sitter may be; the nose itself at 0.6 m to 1.5 m
STRIDE = 4  # the person is looked for in every fourth row and column: a head is still 9 pixels wide at 1.5 m
SURFACE_JUMP_MM = 60  # between such neighbours; more and they belong to two things
MIN_AREA_MM2 = 8_000.0  # of a piece of a person: the visible front of a child's face alone is twice that
PERSON_DEPTH_MM = 450.0  # a sitter's nearest large piece to the farthest
HEAD_WIDTH_MM = 70.0  # a row of the person this wide is part of the head, not of a tuft of hair
HEAD_ROWS_MM = 160.0  # below the top, where only the head is: no shoulders yet
NOSE_ROWS_MM = (30.0, 240.0)  # below the top: hair may be invisible to the sensor, or stand high
NOSE_COLUMNS_MM = (-70.0, 70.0)  # of the head's middle
HEAD_DEPTH_MM = 150.0  # of a head before and behind its typical distance; nothing is put there
SMOOTH_MM = 10.0
COARSE_MM, FINE_MM = 6.0, 2.0  # steps of the search for the nose, and for its tip about the nose
# Where noses are, below the head's top and beside its middle: mean and spread; and what being elsewhere costs.
USUAL_ROW_MM, USUAL_COLUMN_MM, PRIOR = (130.0, 60.0), 40.0, 0.05
CLEAR_MM = 40.0  # a nose is nearer than the far end of the head by this
# Patches of relief about a point that may be a nose tip, sampled each 10 mm.
PATCH_ROWS, PATCH_COLUMNS, CENTRE = np.arange(-50.0, 61, 10), np.arange(-40.0, 41, 10), (5, 4)
NOSE_CLIP_MM, TIP_CLIP_MM = (-15.0, 30.0), (-25.0, 40.0)  # what is farther off is no part of the likeness
NOISE_MM = 5.0  # added to the norm of a patch: flat ones look like nothing
MIN_LIKENESS = 0.5  # of a face; walls and shoulders stay below


def _mirrored(half: list[list[int]]) -> np.ndarray:
    return np.pad(np.array(half, np.float32), [(0, 0), (0, 4)], mode="reflect")


# Millimetres behind the tip: the median of rendered faces.
NOSE = _mirrored(
    [
        [23, 18, 16, 14, 12], [25, 22, 21, 17, 15], [27, 23, 21, 16, 13], [26, 23, 19, 12, 8],
        [25, 21, 17, 7, 2], [25, 20, 15, 6, 0], [26, 20, 14, 9, 6], [29, 21, 14, 9, 7],
        [35, 25, 18, 14, 12], [43, 30, 22, 17, 15], [45, 42, 28, 21, 18], [45, 45, 43, 31, 26],
    ]
)  # fmt: skip
# What tells the tip from the rest of a face: ridge regression (penalty 1e8) of a Gaussian of 7 mm about the tip on the
# clipped patches, and their mirror images, of 72 rendered people (seeds 101 to 104) in three emotions.
TIP_FILTER = 1e-5 * _mirrored(
    [
        [-10, -14, -7, -4, -6], [12, 16, 31, 32, 25], [21, 28, 45, 42, 31], [17, 25, 33, 19, 6],
        [13, 21, 20, -8, -23], [16, 22, 23, 1, 0], [20, 16, 12, 4, -1], [20, 9, -5, -6, -3],
        [19, 8, -3, 2, 10], [19, 10, 2, 7, 12], [19, 12, 0, -9, -12], [20, 16, 4, -11, -18],
    ]
)  # fmt: skip
_Y, _X = np.meshgrid(PATCH_ROWS, PATCH_COLUMNS, indexing="ij")
WEIGHTS = np.exp(-0.5 * (_Y**2 + _X**2) / 60**2).astype(np.float32)
PLANES = np.linalg.qr((np.stack([np.ones_like(_X), _X, _Y], -1) * WEIGHTS[..., None]).reshape(-1, 3))[0].astype("f4")


def _level(patches: np.ndarray) -> np.ndarray:
    """Weighted patches (..., 108) without their mean and tilt: a turned head has the same nose."""
    return patches - (patches @ PLANES) @ PLANES.T


PATTERN = _level((np.clip(NOSE, *NOSE_CLIP_MM) * WEIGHTS).reshape(-1))
PATTERN /= np.linalg.norm(PATTERN)


class Nose(NamedTuple):
    """The tip of a nose: column and row in the frame (fractions of a pixel), millimetres from the camera."""

    x: float
    y: float
    distance: float


def crop_from_frame(frame: np.ndarray) -> np.ndarray | None:
    """Find the face in a frame (see `find_nose`) and cut it out as `depthjax.data.crop` does; None if there is none."""
    nose = find_nose(frame)
    return None if nose is None else crop_about(frame, nose)


def find_nose(frame: np.ndarray) -> Nose | None:
    """Return the nose tip of the nearest person in a frame (424, 512) of uint16 mm, or None.

    The person is before a wall, head and shoulders in view; 0 is invalid.
    """
    head = _find_head(frame[::STRIDE, ::STRIDE].astype(np.float32))
    return None if head is None else _find_tip(frame, head)


class _Head(NamedTuple):
    top: float  # row in the frame
    middle: float  # column in the frame
    distance: float  # mm, typical


def _find_head(depth: np.ndarray) -> _Head | None:
    person = _nearest_person(depth)
    if person is None:
        return None
    distance = float(np.median(depth[person]))
    pixel_mm = STRIDE * distance / FOCAL
    wide = np.flatnonzero(person.sum(axis=1) * pixel_mm >= HEAD_WIDTH_MM)
    if not len(wide):
        return None
    rows, columns = np.nonzero(person[wide[0] : wide[0] + max(2, int(HEAD_ROWS_MM / pixel_mm))])
    distance = float(np.median(depth[rows + wide[0], columns]))
    return _Head(float(wide[0] * STRIDE), float(np.median(columns) * STRIDE), distance)


def _nearest_person(depth: np.ndarray) -> np.ndarray | None:
    """A mask of the nearest large connected surface and of those close behind it, the wall left out."""
    pieces, count = ndimage.label(_inside_surfaces(depth))
    if count == 0:
        return None
    numbers = np.arange(1, count + 1)
    area = ndimage.sum_labels((STRIDE * depth / FOCAL) ** 2, pieces, numbers)
    spans = np.array([span[1].stop - span[1].start for span in ndimage.find_objects(pieces)])
    large = numbers[(area >= MIN_AREA_MM2) & (spans < depth.shape[1] - 4)]  # a wall runs from side to side
    if not len(large):
        return None
    distance = np.array([np.median(depth[pieces == number]) for number in large])
    return np.isin(pieces, large[distance <= distance.min() + PERSON_DEPTH_MM])


def _inside_surfaces(depth: np.ndarray) -> np.ndarray:
    """Where a pixel is in range and no neighbour to the right or below is a jump away."""
    valid = (depth >= RANGE_MM[0]) & (depth <= RANGE_MM[1])
    inside = valid.copy()
    inside[:, :-1] &= ~valid[:, 1:] | (np.abs(np.diff(depth, axis=1)) < SURFACE_JUMP_MM)
    inside[:-1] &= ~valid[1:] | (np.abs(np.diff(depth, axis=0)) < SURFACE_JUMP_MM)
    return inside


def _find_tip(frame: np.ndarray, head: _Head) -> Nose | None:
    """The point of the head whose surroundings look most like a nose's: first the whole nose, then its tip."""
    smooth, corner = _smooth(frame, head)
    pixel_mm = head.distance / FOCAL
    middle = np.array([head.top - corner[0], head.middle - corner[1]])
    rows, columns = np.arange(*NOSE_ROWS_MM, COARSE_MM), np.arange(*NOSE_COLUMNS_MM, COARSE_MM)
    relief, centre = _reliefs(smooth, middle, rows, columns, pixel_mm)
    # Correlation, -1 to 1, of the typical nose with each patch.
    patches = _level((np.clip(relief, *NOSE_CLIP_MM) * WEIGHTS).reshape(*relief.shape[:2], -1))
    likeness = patches @ PATTERN / (np.linalg.norm(patches, axis=-1) + NOISE_MM)
    unusual = ((rows[:, None] - USUAL_ROW_MM[0]) / USUAL_ROW_MM[1]) ** 2 + (columns / USUAL_COLUMN_MM) ** 2
    score = likeness + _tip_likeness(relief) - PRIOR * unusual
    score[centre > HEAD_DEPTH_MM - CLEAR_MM] = -np.inf
    best = np.unravel_index(score.argmax(), score.shape)
    if likeness[best] < MIN_LIKENESS or score[best] == -np.inf:
        return None
    rows, columns = rows[best[0]] + np.arange(-24, 25, FINE_MM), columns[best[1]] + np.arange(-16, 17, FINE_MM)
    row, column = _peak(_tip_likeness(_reliefs(smooth, middle, rows, columns, pixel_mm)[0]))
    at = middle + np.array([rows[0] + FINE_MM * row, columns[0] + FINE_MM * column]) / pixel_mm
    distance = head.distance + ndimage.map_coordinates(smooth, at[:, None], order=1)[0]
    return Nose(float(at[1] + corner[1]), float(at[0] + corner[0]), float(distance))


def _smooth(frame: np.ndarray, head: _Head) -> tuple[np.ndarray, tuple[int, int]]:
    """The head's neighbourhood, mm behind its typical distance, holes filled from around; its corner (row, column)."""
    pixels = FOCAL / head.distance  # of a millimetre
    top, bottom = (int(head.top + (mm + margin) * pixels) for mm, margin in zip(NOSE_ROWS_MM, (-80, 90), strict=True))
    left, right = (int(head.middle + (mm + side) * pixels) for mm, side in zip(NOSE_COLUMNS_MM, (-65, 65), strict=True))
    top, left = max(0, top), max(0, left)
    nearest_last = frame[top:bottom, left:right] - np.uint16(1)  # 0, invalid, becomes the farthest
    behind = ndimage.median_filter(nearest_last, 3, mode="nearest") + np.uint16(1) - np.float32(head.distance)
    there = np.abs(behind) < HEAD_DEPTH_MM
    size = max(1, round(SMOOTH_MM * pixels))
    share = ndimage.uniform_filter(there.astype(np.float32), size)
    mean = ndimage.uniform_filter(np.where(there, behind, 0), size) / np.maximum(share, 1e-6)
    return np.where(share > 0.3, mean, np.float32(HEAD_DEPTH_MM)), (top, left)


def _reliefs(
    smooth: np.ndarray, middle: np.ndarray, rows: np.ndarray, columns: np.ndarray, pixel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """The relief (rows, columns, 12, 9) about each of (rows, columns), mm below the head's top and beside its middle,
    and the depth there."""
    y = (rows[:, None] + PATCH_ROWS) / pixel_mm + middle[0]
    x = (columns[:, None] + PATCH_COLUMNS) / pixel_mm + middle[1]
    y, x = (np.clip(np.rint(v), 0, size - 1).astype(int) for v, size in zip((y, x), smooth.shape, strict=True))
    depth = smooth[y[:, None, :, None], x[None, :, None, :]]
    centre = depth[:, :, CENTRE[0], CENTRE[1]]
    return depth - centre[..., None, None], centre


def _tip_likeness(relief: np.ndarray) -> np.ndarray:
    """About 1 where a patch's centre is the tip, falling to 0 beside it."""
    clipped = np.clip(relief, *TIP_CLIP_MM).reshape(*relief.shape[:2], -1)
    return clipped @ TIP_FILTER.reshape(-1)


def _peak(values: np.ndarray) -> tuple[float, float]:
    """Row and column of the largest value, to a fraction of a step: a parabola through it and its neighbours."""
    row, column = map(int, np.unravel_index(values.argmax(), values.shape))
    return row + _vertex(values[:, column], row), column + _vertex(values[row], column)


def _vertex(line: np.ndarray, at: int) -> float:
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = line[at - 1 : at + 2].tolist()
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def crop_about(frame: np.ndarray, nose: Nose) -> np.ndarray:
    """Return `depthjax.data.crop.crop_face` of a frame (height, width) about a nose that was found."""
    centre, pixel_mm = np.array([nose.x, nose.y], np.float32), np.float32(nose.distance / FOCAL)
    cut: np.ndarray = crop_face(frame, centre, pixel_mm=pixel_mm)
    return cut
