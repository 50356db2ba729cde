"""Find the tip of the nose in a depth frame of any camera, or in a crop, by the shape about each point in millimetres.

Around each point that stands out, the relief is sampled in millimetres, so that size and distance do not matter; a
small network (`tools/train_nose_finder.py`, fitted to rendered people only) says whether it is near a nose, and where
the tip is. The places that most points name are looked at once more. The mirror image of all that is seen must lead to
the same tip, else no face is found. NumPy only: it runs in worker processes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthjax.data.crop import CROP_WIDTH_MM, crop_face
from depthjax.files import read_arrays

WEIGHTS = Path(__file__).parent / "assets" / "nose_finder.npz"
RANGE_MM = (200, 4000)  # where a face may be
INVALID = 2**16 - 1  # of a level: farther than all that is clipped
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
REACH = 2  # pixels about such a place
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
    """A frame coarsened by `factor`: float32 mm with a border of `PAD` pixels that are `INVALID`.

    A pixel of the frame spans `pixel_mm`, or if that is 0 the distance over `focal`.
    """

    depth: np.ndarray
    factor: int
    focal: float
    pixel_mm: float

    def pitch(self, depth: np.ndarray) -> np.ndarray:
        """Return mm a pixel at these depths."""
        if self.pixel_mm:
            return np.full(depth.shape, self.pixel_mm * self.factor, np.float32)
        return depth * np.float32(self.factor / self.focal)


class Points(NamedTuple):
    """Places of a level, (n,) each: pixel number in the bordered array, mm (a mean over neighbours), mm a pixel.

    `step` numbers the pitch, by which `_pixels` tells where to look.
    """

    pixel: np.ndarray
    z: np.ndarray
    pitch: np.ndarray
    step: np.ndarray

    @classmethod
    def of(cls, level: Level, pixel: np.ndarray) -> Points:
        """Return the points at these pixels."""
        z = level.depth.ravel()[pixel]
        pitch = level.pitch(z)
        step = np.rint(np.log2(pitch / PITCH_MM) * OCTAVE).astype(np.intp).clip(0, STEPS)
        return cls(pixel, z, pitch, step)

    def at(self, chosen: np.ndarray) -> Points:
        """Return some of the points, by number or by mask."""
        return Points(*(column[chosen] for column in self))


def find_nose(frame: np.ndarray, *, focal: float = 0.0, pixel_mm: float = 0.0, crop: bool = False) -> Nose | None:
    """Return the nose tip of the nearest face in a frame (height, width) of uint16 mm, 0 is invalid; None without one.

    A pixel spans `pixel_mm` at any distance (a crop), or as much as the camera's `focal` length in pixels says. Of a
    `crop`, which was made about a face, a lower score is enough.
    """
    looked_at: list[tuple[Level, Points, np.ndarray]] = []
    found: list[Nose] = []
    for level in levels(frame, focal, pixel_mm):
        points = candidates(level)
        looked_at.append((level, points, features(level, points)))
        found += _noses(*looked_at[-1])
        if any(nose.score >= SURE for nose in found):
            break
    nose = _nearest(found, MIN_CROP_SCORE if crop or pixel_mm else MIN_SCORE)
    if nose is None:
        return None
    other = _nearest([nose for each in looked_at for nose in _noses(*each, mirror=True)], MIN_MIRROR_SCORE)
    pixel = pixel_mm or nose.distance / focal
    if other is None or np.hypot(nose.x - other.x, nose.y - other.y) * pixel > AGREE_MM:
        return None
    return nose._replace(distance=_distance(frame, nose, pixel))


def _nearest(noses: list[Nose], least: float) -> Nose | None:
    """The nearest nose of those that score about as high as the best; None below `least`."""
    best = max((nose.score for nose in noses), default=0.0)
    good = [nose for nose in noses if nose.score >= max(least, best - 0.3)]
    return min(good, key=lambda nose: nose.distance, default=None)


def levels(frame: np.ndarray, focal: float, pixel_mm: float) -> Iterator[Level]:
    """Yield the frame coarsened by ..., 4, 2, 1, beginning where the nearest of it may be a face."""
    near, far = (1, INVALID - 1) if pixel_mm else RANGE_MM
    coarsened = [np.where((frame >= near) & (frame <= far), frame, np.uint16(INVALID))]
    nearest = pixel_mm or float(coarsened[0].min()) / focal
    while nearest * 2 ** (len(coarsened) - 1) < PITCH_MM and min(coarsened[-1].shape) >= 16:
        coarsened.append(_halved(coarsened[-1]))
    for power, depth in reversed(list(enumerate(coarsened))):
        bordered = np.full([size + 2 * PAD for size in depth.shape], INVALID, np.float32)
        bordered[PAD:-PAD, PAD:-PAD] = depth
        yield Level(bordered, 2**power, focal, pixel_mm)


def _halved(depth: np.ndarray) -> np.ndarray:
    """Blocks of 2x2: the mean of the middle two of the depths, or the nearer of them where they are two surfaces."""
    height, width = (size // 2 * 2 for size in depth.shape)
    above, below = depth[0:height:2, :width], depth[1:height:2, :width]
    # Rows first: whole rows are fast to compare.
    low, high = np.minimum(above, below), np.maximum(above, below)
    inner1, inner2 = np.maximum(low[:, ::2], low[:, 1::2]), np.minimum(high[:, ::2], high[:, 1::2])
    near, far = np.minimum(inner1, inner2), np.maximum(inner1, inner2)
    np.minimum(low[:, ::2], low[:, 1::2], out=near, where=near == INVALID)
    exact = near.astype(np.float32)
    return np.where(far - near < SAME_MM, (exact + far) / 2, exact)


def candidates(level: Level) -> Points:
    """Return the points of a level that stand out as a nose does."""
    # Of a coarsened level every second pixel of every second row; of the frame itself also all wide pixels.
    every = 1 if level.factor == 1 else 2
    inside = level.depth[PAD:-PAD:every, PAD:-PAD:every]
    pitch = level.pitch(inside)
    valid, fine = (inside < INVALID) & (pitch >= PITCH_MM), pitch < 2 * PITCH_MM
    if level.factor > 1:
        wanted = valid & fine
    else:
        wanted = valid & ~fine
        wanted[::2, ::2] |= valid[::2, ::2]
    row, column = np.nonzero(wanted)
    points = Points.of(level, (row * every + PAD) * level.depth.shape[1] + column * every + PAD)
    for name, least in FALLS_BACK_MM.items():
        points = points.at(mean_relief(level, points, name) >= least)
        if name == "sides":
            points = smoothed(level, points)
    return points.at(np.argsort(points.z)[:MOST])


def smoothed(level: Level, points: Points) -> Points:
    """Points whose depth is the mean over the pixel and its four neighbours, as far as they are of one surface."""
    width, depth = level.depth.shape[1], level.depth.ravel()
    around = depth.take(points.pixel[:, None] + np.array([0, -1, 1, -width, width])) - points.z[:, None]
    same = np.abs(around) < SAME_MM / 2
    return points._replace(z=points.z + np.where(same, around, 0).sum(1) / same.sum(1))


def mean_relief(level: Level, points: Points, name: str) -> np.ndarray:
    """Return the mean depth at the places of this name about each point, less that of the point, (n,)."""
    at = _pixels(level.depth.shape[1], name).T.take(points.step, axis=1)
    at += points.pixel
    seen = level.depth.ravel().take(at)
    seen -= points.z
    mean: np.ndarray = seen.clip(*CLIP_MM[name], out=seen).mean(0)
    return mean


@functools.lru_cache(64)
def _pixels(width: int, *names: str) -> np.ndarray:
    """How many pixels farther on each place of these names is, for each pitch, in an array of this width."""
    pitch = PITCH_MM * 2 ** (np.arange(STEPS + 1) / OCTAVE)
    pixels = np.rint(np.concatenate([PLACES[name] for name in names]) / pitch[:, None, None]).astype(np.intp)
    return pixels[..., 0] * width + pixels[..., 1]


def features(level: Level, points: Points) -> np.ndarray:
    """Return what the network sees of each point, (n, 272) float32."""
    at = _pixels(level.depth.shape[1], "fine", "coarse")[points.step]
    at += points.pixel[:, None]
    seen = level.depth.ravel().take(at)
    seen -= points.z[:, None]
    first = len(PLACES["fine"])
    for name, part, unit in (("fine", seen[:, :first], 50), ("coarse", seen[:, first:], 150)):
        part.clip(*CLIP_MM[name], out=part)
        part /= unit
    return seen


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
def _weights(mirror: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    arrays = {name: array.astype(np.float32) for name, array in read_arrays(WEIGHTS).items()}
    if mirror:  # the inputs in the order of the mirror image, which is its own inverse
        arrays["w0"] = arrays["w0"][mirrored_order()]
    return [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(len(arrays) // 2)]


def judge(seen: np.ndarray, *, mirror: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability (n,) that the tip of a nose is near, and where it is, (n, 2) mm below and right.

    With `mirror`, the mirror image is judged, and the answer turned back.
    """
    *hidden, last = _weights(mirror)
    for weight, bias in hidden:
        seen = seen @ weight
        seen += bias
        np.maximum(seen, 0, out=seen)
    out = seen @ last[0] + last[1]
    offset = out[:, 1:] * np.array([OFFSET_MM, -OFFSET_MM if mirror else OFFSET_MM], np.float32)
    return 1 / (1 + np.exp(-out[:, 0].clip(-30, 30))), offset


def _noses(level: Level, points: Points, seen: np.ndarray, *, mirror: bool = False) -> list[Nose]:
    """The best places of a level, each looked at once more about where the points' votes meet."""
    if not len(points.z):
        return []
    likely, offset = judge(seen, mirror=mirror)
    chosen = np.argsort(-likely)[:KEPT]
    likely, offset, points = likely[chosen], offset[chosen], points.at(chosen)
    votes = places(level, points) * points.pitch[:, None] + offset
    near = np.exp(-0.5 * ((votes[:, None] - votes) ** 2).sum(-1) / VOTE_MM**2)
    near *= np.abs(points.z[:, None] - points.z) < 100
    support, looks = (near * likely).sum(1), []
    for _ in range(LOOKS):
        best = int(support.argmax())
        if support[best] < 0.2:
            break
        weight = near[best] * likely
        looks.append((points.z[best], (votes * weight[:, None]).sum(0) / weight.sum() / points.pitch[best]))
        support[near[best] >= 0.01] = 0
    if not looks:
        return []
    z, at = map(np.array, zip(*looks, strict=True))
    return _again(level, z, at, mirror)


def _again(level: Level, z: np.ndarray, at: np.ndarray, mirror: bool) -> list[Nose]:
    """The tip about each place (row, column) of a level: the mean of what the points about it say."""
    points, place = points_about(level, z, at)
    likely, offset = judge(features(level, points), mirror=mirror)
    found = (places(level, points) + offset / points.pitch[:, None]) * likely[:, None]
    noses = []
    for number in range(len(z)):
        own = place == number
        if (count := int(own.sum())) < 3:
            continue
        chance = likely[own]
        row, column = found[own].sum(0) / chance.sum() * level.factor + (level.factor - 1) / 2
        score = float(np.sort(chance)[-count // 2 :].mean())
        noses.append(Nose(float(column), float(row), float(np.median(points.z[own])), score))
    return noses


def points_about(level: Level, z: np.ndarray, at: np.ndarray) -> tuple[Points, np.ndarray]:
    """The pixels within a centimetre of each place (k, 2) of a level, about as far as `z` (k,) mm; and whose they are.

    Places are rows and columns.
    """
    height, width = level.depth.shape
    inside = ((at >= 0) & (at < (height - 2 * PAD, width - 2 * PAD))).all(axis=1, keepdims=True)
    middle = np.where(inside, np.rint(at).astype(int) + PAD, REACH)  # else in the border: nothing is there
    around = np.arange(-REACH, REACH + 1)
    index = (middle[:, :1] * width + middle[:, 1:] + (around[:, None] * width + around).ravel()).ravel()
    place = np.repeat(np.arange(len(z)), len(around) ** 2)
    near: np.ndarray = np.abs(level.depth.ravel()[index] - z[place]) < 2 * SAME_MM
    return smoothed(level, Points.of(level, index[near])), place[near]


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
