"""Count the labels of a stored set and measure its depth, in one pass over a bounded, seeded sample of its faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import face_square, nose_distance
from depthjax.data.near_duplicates import relief_boxes
from depthjax.data.stored import StoredFaces

SAMPLE = 3000  # faces that are read at most
RUN = 4  # neighbouring frames drawn together: near-duplicates of one clip follow each other
BATCH = 64
FACE_MM = (-60.0, 160.0)  # about the nose tip: depth that counts as face, hair and neck
BIN_MM = 2.0
NOISE_LAG_MM = 4.2  # three pixels of a 128-pixel crop: resampling correlates nearer ones
FACE_SHARE, VALID_SHARE = 0.5, 0.3  # of valid depths, and of faces: what belongs to the mean face
# Rendered faces: a second recording of a face is 0.1 to 0.8 mm away, another subject 2.5 mm and more.
DUPLICATE_MM = 1.2


@dataclass(frozen=True)
class Nearest:
    """Distance of each sampled face to the nearest other one: RMS millimetres over `relief_boxes`.

    Attributes:
        same: (m,) to faces of the same subject; infinite where there is none.
        other: (m,) to faces of other subjects.
        across: (sampled test faces,) to the training faces.
        pairs: up to 8 pairs (train, test, distance) of face numbers below DUPLICATE_MM, nearest first.
    """

    same: np.ndarray
    other: np.ndarray
    across: np.ndarray
    pairs: list[tuple[int, int, float]]

    def rate(self, kind: str) -> float | None:
        """Return the share of faces below DUPLICATE_MM; None where nothing could be compared."""
        distance = getattr(self, kind)
        return float((distance < DUPLICATE_MM).mean()) if np.isfinite(distance).any() else None


@dataclass(frozen=True)
class Numbers:
    """What the card and its figures show.

    Attributes:
        faces: how many are stored.
        shape: height and width of one in pixels.
        emotions: names of the classes.
        subjects: (p,) labels that occur, and `names` of each.
        counts: (emotions, p) faces.
        test: (n,) bool, the test faces.
        train_subjects, test_subjects: labels on each side.
        sampled: how many faces were measured.
        constant: sampled faces that hold a single value.
        noseless: sampled faces without depth around the nose.
        relief: (emotions, bins) share of pixels by millimetres behind the nose tip, and `edges` of the bins.
        distance: (m,) mm from the camera to the nose tip.
        noise: (m,) standard deviation of pixel noise in mm.
        invalid_map: (height, width) share of faces with invalid depth there.
        face_invalid: (emotions,) share of invalid pixels inside the mean face.
        clipped: shares of face pixels before and behind the depth range of the network inputs.
        nearest: near-duplicates.
    """

    faces: int
    shape: tuple[int, int]
    emotions: tuple[str, ...]
    subjects: np.ndarray
    names: tuple[str, ...]
    counts: np.ndarray
    test: np.ndarray
    train_subjects: np.ndarray
    test_subjects: np.ndarray
    sampled: int
    constant: int
    noseless: int
    relief: np.ndarray
    edges: np.ndarray
    distance: np.ndarray
    noise: np.ndarray
    invalid_map: np.ndarray
    face_invalid: np.ndarray
    clipped: tuple[float, float]
    nearest: Nearest


class _Measured(NamedTuple):
    """One row a face of a batch; the histogram and pixel counts are whole numbers of pixels."""

    nose: np.ndarray
    constant: np.ndarray
    noise: np.ndarray
    histogram: np.ndarray
    pixels: np.ndarray  # face, before the depth range, behind it
    boxes: np.ndarray


def measure(faces: StoredFaces, settings: configs.Data, *, test: np.ndarray) -> Numbers:
    """Count all labels and measure up to SAMPLE faces, drawn by `settings.seed`.

    Args:
        test: (n,) bool, which faces are test faces.
    """
    index = draw(faces, seed=settings.seed)
    subjects, column = np.unique(faces.subject, return_inverse=True)
    counts = np.zeros((len(faces.emotions), len(subjects)), int)
    np.add.at(counts, (faces.emotion, column), 1)

    height, width = faces.shape
    invalid = np.zeros((len(faces.emotions), height, width))
    face_count, batches = np.zeros((height, width)), []
    for rows in np.split(index, range(BATCH, len(index), BATCH)):
        depth = np.asarray(faces.depth[rows])
        measured, face = _measure_batch(depth, settings)
        np.add.at(invalid, faces.emotion[rows], depth == 0)
        face_count += face.sum(axis=0)
        batches.append(measured)
    found = _Measured(*map(np.concatenate, zip(*batches, strict=True)))

    emotion, usable = faces.emotion[index], (found.nose > 0) & ~found.constant
    per_emotion = np.maximum(np.bincount(emotion, minlength=len(faces.emotions)), 1)
    histogram = np.zeros((len(faces.emotions), found.histogram.shape[1]))
    np.add.at(histogram, emotion, found.histogram)
    face, before, behind = found.pixels.sum(axis=0)
    return Numbers(
        faces=len(faces),
        shape=(int(height), int(width)),
        emotions=tuple(clean(name) for name in faces.emotions),
        subjects=subjects,
        names=tuple(subject_name(faces, label) for label in subjects),
        counts=counts,
        test=test,
        train_subjects=np.unique(faces.subject[~test]),
        test_subjects=np.unique(faces.subject[test]),
        sampled=len(index),
        constant=int(found.constant.sum()),
        noseless=int((~usable).sum() - found.constant.sum()),
        relief=histogram / (per_emotion * height * width)[:, None],
        edges=np.arange(FACE_MM[0], FACE_MM[1] + BIN_MM, BIN_MM),
        distance=found.nose[usable],
        noise=found.noise[usable & np.isfinite(found.noise)],
        invalid_map=invalid.sum(axis=0) / len(index),
        face_invalid=_inside_mean_face(invalid, face_count, len(index)) / per_emotion,
        clipped=(float(before / max(face, 1)), float(behind / max(face, 1))),
        nearest=nearest_faces(found.boxes[usable], index[usable], subject=faces.subject, test=test),
    )


def subject_name(faces: StoredFaces, label: int) -> str:
    """Return the name of a subject, or the label itself where the set has no names."""
    return clean(faces.subjects[label]) if 0 <= label < len(faces.subjects) else str(label)


def clean(text: object) -> str:
    """Return text that can be written as UTF-8: file names may hold bytes that are not Unicode."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def draw(faces: StoredFaces, *, seed: int) -> np.ndarray:
    """Choose the faces to measure: all, or as many of each emotion, in runs of neighbouring frames.

    Returns:
        Face numbers, ascending.
    """
    if len(faces) <= SAMPLE:
        return np.arange(len(faces))
    rng = np.random.default_rng([seed, 0xDA7A])
    order = np.lexsort((faces.frame, faces.subject, faces.emotion))  # a clip's frames stand together
    chosen = []
    for label in range(len(faces.emotions)):
        members = order[faces.emotion[order] == label]
        runs = -(-len(members) // RUN)
        wanted = rng.permutation(runs)[: SAMPLE // len(faces.emotions) // RUN]
        chosen += [members[run * RUN : (run + 1) * RUN] for run in wanted]
    return np.sort(np.concatenate(chosen))


def _measure_batch(depth: np.ndarray, settings: configs.Data) -> tuple[_Measured, np.ndarray]:
    """Measure (b, height, width) uint16 mm; also return which pixels are face."""
    nose = nose_distance(depth)
    constant = (depth == depth[:, :1, :1]).all(axis=(1, 2))
    relief = depth.astype(np.float32) - nose[:, None, None]
    usable = (nose > 0) & ~constant
    face = (depth > 0) & (relief > FACE_MM[0]) & (relief < FACE_MM[1]) & usable[:, None, None]

    bins = int((FACE_MM[1] - FACE_MM[0]) / BIN_MM)
    histogram = [np.histogram(mm[own], bins, FACE_MM)[0] for mm, own in zip(relief, face, strict=True)]

    # Clipping is counted in the part of the image that the networks see.
    rows, columns = face_square(depth.shape[1:]) if settings.crop == "face" else (slice(None), slice(None))
    inside, mm = face[:, rows, columns], relief[:, rows, columns]
    parts = (inside, inside & (mm < settings.near_mm), inside & (mm > settings.far_mm))
    pixels = np.stack([part.sum(axis=(1, 2)) for part in parts], axis=1)

    noise = noise_mm(relief, face, settings.width_mm / depth.shape[2])
    return _Measured(nose, constant, noise, np.stack(histogram), pixels, relief_boxes(depth)), face


def _inside_mean_face(invalid: np.ndarray, face: np.ndarray, count: int) -> np.ndarray:
    """Mean of (emotions, height, width) counts over the pixels where most faces have a face."""
    valid = count - invalid.sum(axis=0)
    outline = (face >= FACE_SHARE * valid) & (valid >= VALID_SHARE * count)
    return invalid[:, outline if outline.any() else np.ones_like(outline)].mean(axis=1)


def nearest_faces(boxes: np.ndarray, index: np.ndarray, *, subject: np.ndarray, test: np.ndarray) -> Nearest:
    """Find each face's nearest neighbours, a block of rows at a time.

    Args:
        boxes: (m, boxes) of `relief_boxes`.
        index: (m,) number of each face in its set.
        subject, test: (n,) of the set.
    """
    boxes = boxes.astype(np.float64)  # near-duplicates are what cancels
    subject, test = subject[index], test[index]
    square = (boxes**2).sum(axis=1)
    same, other = (np.full(len(boxes), np.inf, np.float32) for _ in range(2))
    across, pairs = [], []
    for start in range(0, len(boxes), BATCH):
        rows = np.arange(start, min(start + BATCH, len(boxes)))
        squared = square[rows, None] + square[None] - 2 * boxes[rows] @ boxes.T
        distance = np.sqrt(np.maximum(squared, 0))
        distance[np.arange(len(rows)), rows] = np.inf
        own = subject[rows, None] == subject[None]
        same[rows] = np.where(own, distance, np.inf).min(axis=1)
        other[rows] = np.where(own, np.inf, distance).min(axis=1)
        for row in np.flatnonzero(test[rows]) if not test.all() else ():
            to_train = np.where(test, np.inf, distance[row])
            at = int(to_train.argmin())
            across.append(to_train[at])
            pairs.append((int(index[at]), int(index[rows[row]]), float(to_train[at])))
    close = sorted((pair for pair in pairs if pair[2] < DUPLICATE_MM), key=lambda pair: pair[2])
    return Nearest(same, other, np.array(across), close[:8])


def noise_mm(relief: np.ndarray, face: np.ndarray, pitch_mm: float) -> np.ndarray:
    """Estimate the noise on each surface (Immerkaer 1996, "Fast noise variance estimation").

    The mask [1 -2 1; -2 4 -2; 1 -2 1] ignores a surface that bends evenly. It is spread to NOISE_LAG_MM, for
    neighbouring pixels of a resampled crop share their noise.

    Args:
        relief: (n, height, width) mm.
        face: same shape, which pixels are face.
        pitch_mm: the side of a pixel.
    Returns:
        (n,) standard deviation in mm; NaN where fewer than 100 pixels have all nine.
    """
    lag = max(1, round(NOISE_LAG_MM / pitch_mm))
    if min(relief.shape[1:]) <= 2 * lag:
        return np.full(len(relief), np.nan)
    answer, inside = relief, face
    for axis in (1, 2):
        size = answer.shape[axis]
        # Every second row answers for its neighbour too: half of the work.
        step = 2 if axis == 1 else 1
        starts = [slice(s, size - 2 * lag + s, step) for s in (0, lag, 2 * lag)]
        parts = [(slice(None), s) if axis == 1 else (slice(None), slice(None), s) for s in starts]
        answer = answer[parts[0]] - 2 * answer[parts[1]] + answer[parts[2]]
        inside = inside[parts[0]] & inside[parts[1]] & inside[parts[2]]
    sizes = [np.abs(a[i]) for a, i in zip(answer, inside, strict=True)]
    return np.array([_sigma(s) if len(s) >= 100 else np.nan for s in sizes])


def _sigma(sizes: np.ndarray) -> float:
    """Standard deviation of one pixel's noise, from the mask's answers without edges (above four medians)."""
    kept = sizes[sizes <= 4 * np.median(sizes)]
    # Of a normal distribution cut at 4 x 0.6745 sigma, the mean size is 0.7825 sigma; the mask multiplies by six.
    return float(kept.mean() / 0.7825 / 6)
