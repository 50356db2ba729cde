"""Find the tip of the nose in a depth frame of any camera, or in a crop, by the shape about each point in millimetres.

Around each point that stands out, the relief is sampled in millimetres, so that size and distance do not matter; a
small network (`tools/train_nose_finder.py`, fitted to rendered people only) says whether it is near a nose, and where
the tip is. The places that most points name are looked at once more. The mirror image of all that is seen must lead to
the same tip, else no face is found. NumPy only: it runs in worker processes.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthjax.data.crop import CROP_WIDTH_MM, crop_face
from depthjax.files import read_arrays

WEIGHTS = Path(__file__).parent / "assets" / "nose_finder.npz"
RANGE_MM = (200.0, 4000.0)  # where a face may be
PITCH_MM = 4.0  # of the coarsened frame: at least this a pixel, less than twice that
SAME_MM = 40.0  # pixels of a block that are farther apart lie on two surfaces
OCTAVE, STEPS = 16, 24  # widths of a pixel that are told apart: 16 between one and its double, up to 11 mm
PAD = 48  # pixels about a coarsened frame: the farthest that is looked at from any point
# Where the depth is looked at about a point, mm below and right of it.
_CIRCLE = np.stack([np.sin(np.arange(8) * np.pi / 4), np.cos(np.arange(8) * np.pi / 4)], -1)
PLACES = {
    "sides": 110 * _CIRCLE[::4],
    "far": 110 * _CIRCLE,
    "near": 40 * _CIRCLE,
    "fine": np.stack(np.meshgrid(np.arange(-60.0, 71, 10), np.arange(-60.0, 61, 10), indexing="ij"), -1).reshape(-1, 2),
    "coarse": np.stack(np.meshgrid(np.arange(-180.0, 181, 40), np.arange(-160.0, 161, 40), indexing="ij"), -1)
    .reshape(-1, 2),
}  # fmt: skip
CLIP_MM = {"sides": (-50, 100), "far": (-50, 100), "near": (-30, 40), "fine": (-60, 90), "coarse": (-150, 250)}
FALLS_BACK_MM = {"sides": 25.0, "far": 22.0, "near": 4.0}  # on average, about a nose, at least
OFFSET_MM = 30.0  # the unit of the network's offsets
MOST = 1500  # points of a level, the nearest
KEPT = 48  # points that take part in the vote
VOTE_MM, LOOKS = 12.0, 3  # width of the vote, and places that are looked at once more
MIN_SCORE, MIN_CROP_SCORE = 0.55, 0.4  # of a face in a whole frame, and in a crop, which was made about one
SURE = 0.8  # ends the search, from near to far
MIN_MIRROR_SCORE, AGREE_MM = 0.2, 15.0  # of the tip by the mirror image, and how far apart the two may be


class Nose(NamedTuple):
    """The tip of a nose: column and row in the frame (fractions of a pixel), mm from the camera, a score of 0 to 1."""

    x: float
    y: float
    distance: float
    score: float = 1.0


class Level(NamedTuple):
    """A frame coarsened by `factor`: mm (`inf` where invalid) with a border of `PAD` invalid pixels, and mm a pixel."""

    depth: np.ndarray
    pitch: np.ndarray
    factor: int


class Points(NamedTuple):
    """Places of a level: pixel number in the bordered array, mm (a mean over neighbours), mm a pixel, (n,) each."""

    pixel: np.ndarray
    z: np.ndarray
    pitch: np.ndarray


def find_nose(frame: np.ndarray, *, focal: float = 0.0, pixel_mm: float = 0.0, crop: bool = False) -> Nose | None:
    """Return the nose tip of the nearest face in a frame (height, width) of uint16 mm, 0 is invalid; None without one.

    A pixel spans `pixel_mm` at any distance (a crop), or as much as the camera's `focal` length in pixels says. Of a
    `crop`, which was made about a face, a lower score is enough.
    """
    found, mirrored = list[Nose](), list[Nose]()
    for level in reversed(levels(frame, focal, pixel_mm)):
        points = candidates(level)
        seen = features(level, points)
        found += _noses(level, points, seen)
        mirrored += _noses(level, points, seen, mirror=True)
        if any(nose.score >= SURE for nose in found):
            break
    nose = _nearest(found, MIN_CROP_SCORE if crop or pixel_mm else MIN_SCORE)
    other = _nearest(mirrored, MIN_MIRROR_SCORE)
    if nose is None or other is None:
        return None
    pixel = pixel_mm or nose.distance / focal
    if np.hypot(nose.x - other.x, nose.y - other.y) * pixel > AGREE_MM:
        return None
    return nose._replace(distance=_distance(frame, nose, pixel))


def _nearest(noses: list[Nose], least: float) -> Nose | None:
    """The nearest nose of those that score about as high as the best; None below `least`."""
    best = max((nose.score for nose in noses), default=0.0)
    good = [nose for nose in noses if nose.score >= max(least, best - 0.3)]
    return min(good, key=lambda nose: nose.distance, default=None)


def levels(frame: np.ndarray, focal: float, pixel_mm: float) -> list[Level]:
    """Return the frame coarsened by 1, 2, 4 ..., as far as any of it may be a face."""
    depth = frame.astype(np.float32)
    inside = depth > 0 if pixel_mm else (depth >= RANGE_MM[0]) & (depth <= RANGE_MM[1])
    depth[~inside] = np.inf
    nearest = pixel_mm or (float(depth.min()) if inside.any() else np.inf) / focal
    result, factor = [], 1
    while True:
        bordered = np.pad(depth, PAD, constant_values=np.inf)
        with np.errstate(invalid="ignore"):
            pitch = np.full(bordered.shape, pixel_mm * factor, np.float32) if pixel_mm else bordered * (factor / focal)
        result.append(Level(bordered, pitch, factor))
        if nearest * factor >= PITCH_MM or min(depth.shape) < 16:
            return result
        depth, factor = _halved(depth), factor * 2


def _halved(depth: np.ndarray) -> np.ndarray:
    """Blocks of 2x2: the mean of the middle two of the depths, or the nearer of them where they are two surfaces."""
    height, width = (size // 2 * 2 for size in depth.shape)
    a, b, c, d = (depth[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
    low1, high1, low2, high2 = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    inner1, inner2 = np.maximum(low1, low2), np.minimum(high1, high2)
    near, far = np.minimum(inner1, inner2), np.maximum(inner1, inner2)
    nearest = np.minimum(low1, low2)
    near = np.where(np.isfinite(near), near, nearest)
    with np.errstate(invalid="ignore"):
        return np.where(far - near < SAME_MM, (near + far) / 2, near)


def candidates(level: Level) -> Points:
    """Return the points of a level that stand out as a nose does."""
    depth, pitch, factor = level
    coarse = pitch < 2 * PITCH_MM
    wanted = np.isfinite(depth) & (pitch >= PITCH_MM)
    if factor > 1:
        wanted &= coarse
    wanted[1::2] &= ~coarse[1::2]
    wanted[:, 1::2] &= ~coarse[:, 1::2]
    index = np.flatnonzero(wanted).astype(np.int32)
    points = Points(index, depth.ravel()[index], pitch.ravel()[index])
    for name, least in FALLS_BACK_MM.items():
        stands_out = relief(level, points, name).mean(1) >= least
        points = Points(*(column[stands_out] for column in points))
        if name == "sides":
            points = smoothed(level, points)
    nearest = np.argsort(points.z)[:MOST]
    return Points(*(column[nearest] for column in points))


def smoothed(level: Level, points: Points) -> Points:
    """Points whose depth is the mean over the pixel and its four neighbours, as far as they are of one surface."""
    width, depth = level.depth.shape[1], level.depth.ravel()
    around = depth.take(points.pixel[:, None] + np.array([0, -1, 1, -width, width], np.int32)) - points.z[:, None]
    same = np.abs(around) < SAME_MM / 2
    return points._replace(z=points.z + np.where(same, around, 0).sum(1) / same.sum(1))


def relief(level: Level, points: Points, name: str) -> np.ndarray:
    """Return the depth at the places of this name about each point, less that of the point, (n, places)."""
    step = np.rint(np.log2(points.pitch / PITCH_MM) * OCTAVE).astype(np.int32).clip(0, STEPS)
    seen = level.depth.ravel().take(_steps(name, level.depth.shape[1])[step] + points.pixel[:, None])
    seen -= points.z[:, None]
    return seen.clip(*CLIP_MM[name], out=seen)


@functools.lru_cache(64)
def _steps(name: str, width: int) -> np.ndarray:
    """How many pixels farther on each place of this name is, for each pitch, in an array of this width."""
    pitch = PITCH_MM * 2 ** (np.arange(STEPS + 1) / OCTAVE)
    pixels = np.rint(PLACES[name] / pitch[:, None, None]).astype(np.int32)
    return pixels[..., 0] * np.int32(width) + pixels[..., 1]


def features(level: Level, points: Points) -> np.ndarray:
    """Return what the network sees of each point, (n, 272) float32."""
    fine, coarse = relief(level, points, "fine"), relief(level, points, "coarse")
    return np.concatenate([fine / np.float32(50), coarse / np.float32(150)], 1)


def places(level: Level, points: Points) -> np.ndarray:
    """Row and column of each point in the level without its border, (n, 2)."""
    return np.stack(np.divmod(points.pixel, level.depth.shape[1]), 1) - PAD


@functools.cache
def mirrored_order() -> np.ndarray:
    """Return where each feature is found in the mirror image, (272,)."""
    result: list[int] = []
    for name in ("fine", "coarse"):
        index = {tuple(place): len(result) + i for i, place in enumerate(PLACES[name])}
        result += [index[row, -column] for row, column in PLACES[name]]
    return np.array(result)


@functools.cache
def _weights() -> list[tuple[np.ndarray, np.ndarray]]:
    arrays = read_arrays(WEIGHTS)
    return [(arrays[f"w{i}"].astype(np.float32), arrays[f"b{i}"].astype(np.float32)) for i in range(len(arrays) // 2)]


def judge(seen: np.ndarray, *, mirror: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability (n,) that the tip of a nose is near, and where it is, (n, 2) mm below and right.

    With `mirror`, the mirror image is judged, and the answer turned back.
    """
    *hidden, last = _weights()
    seen = seen[:, mirrored_order()] if mirror else seen
    for weight, bias in hidden:
        seen = np.maximum(seen @ weight + bias, 0)
    out = seen @ last[0] + last[1]
    offset = out[:, 1:] * np.array([OFFSET_MM, -OFFSET_MM if mirror else OFFSET_MM], np.float32)
    return 1 / (1 + np.exp(-out[:, 0].clip(-30, 30))), offset


def _noses(level: Level, points: Points, seen: np.ndarray, *, mirror: bool = False) -> list[Nose]:
    """The best places of a level, each looked at once more about where the points' votes meet."""
    if not len(points.z):
        return []
    likely, offset = judge(seen, mirror=mirror)
    chosen = np.argsort(-likely)[:KEPT]
    likely, offset, points = likely[chosen], offset[chosen], Points(*(column[chosen] for column in points))
    votes = places(level, points) * points.pitch[:, None] + offset
    near = np.exp(-0.5 * ((votes[:, None] - votes) ** 2).sum(-1) / VOTE_MM**2)
    near *= np.abs(points.z[:, None] - points.z) < 100
    found, free = [], np.ones(len(likely), bool)
    for _ in range(LOOKS):
        support = (near * likely).sum(1) * free
        best = int(support.argmax())
        if support[best] < 0.2:
            break
        weight = near[best] * likely
        place = (votes * weight[:, None]).sum(0) / weight.sum() / points.pitch[best]
        found.append(_again(level, float(points.z[best]), place, mirror))
        free &= near[best] < 0.01
    return [nose for nose in found if nose is not None]


def _again(level: Level, z: float, at: np.ndarray, mirror: bool) -> Nose | None:
    """The tip about a place (row, column) of a level: the mean of what the points about it say."""
    points = points_about(level, z, at)
    if len(points.z) < 3:
        return None
    likely, offset = judge(features(level, points), mirror=mirror)
    found = places(level, points) + offset / points.pitch[:, None]
    row, column = (found * likely[:, None]).sum(0) / likely.sum() * level.factor + (level.factor - 1) / 2
    score = float(np.sort(likely)[-len(likely) // 2 :].mean())
    return Nose(float(column), float(row), float(np.median(points.z)), score)


def points_about(level: Level, z: float, at: np.ndarray) -> Points:
    """The pixels within a centimetre of a place (row, column) of a level, about as far as `z` mm."""
    height, width = level.depth.shape
    middle = np.rint(at).astype(int) + PAD
    if not (0 <= at[0] < height - 2 * PAD and 0 <= at[1] < width - 2 * PAD):
        middle = np.array([0, 0])  # of the border: nothing is there
    reach = 2
    rows, columns = (np.arange(max(0, m - reach), m + reach + 1, dtype=np.int32) for m in middle)
    index = (rows[:, None] * np.int32(width) + columns).ravel()
    index = index[np.abs(level.depth.ravel()[index] - z) < 2 * SAME_MM]
    points = Points(index, level.depth.ravel()[index], level.pitch.ravel()[index])
    return smoothed(level, points)


def _distance(frame: np.ndarray, nose: Nose, pixel_mm: float) -> float:
    """The median of the depth within 6 mm of the tip, of what lies near the distance known so far."""
    reach = max(1, round(6 / pixel_mm))
    row, column = round(nose.y), round(nose.x)
    part = frame[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1].astype(np.float32)
    part = part[np.abs(part - nose.distance) < SAME_MM]
    return float(np.median(part)) if part.size else nose.distance


def crop_about(frame: np.ndarray, nose: Nose, *, focal: float = 0.0, pixel_mm: float = 0.0,
               width_mm: float = CROP_WIDTH_MM) -> np.ndarray:  # fmt: skip
    """Return `depthjax.data.crop.crop_face` of a frame (height, width) about a nose, `width_mm` wide.

    What lies outside of the frame is invalid.
    """
    centre, pixel = np.array([nose.x + 1, nose.y + 1], np.float32), pixel_mm or nose.distance / focal
    cut: np.ndarray = crop_face(np.pad(frame, 1), centre, pixel_mm=np.float32(pixel * CROP_WIDTH_MM / width_mm))
    return cut
