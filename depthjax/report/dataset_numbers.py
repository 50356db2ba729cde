"""Count the labels of a stored set and measure its depth, in one pass over a bounded, seeded sample of its faces."""

from dataclasses import dataclass

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import CROP_WIDTH_MM, face_square, nose_distance
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
    """Distance of each sampled face to the nearest other one: RMS millimetres over `relief_boxes`."""

    same: np.ndarray  # (m,) to faces of the same subject; infinite where there is none
    other: np.ndarray  # (m,) to faces of other subjects
    across: np.ndarray  # (sampled test faces,) to the training faces
    pairs: list[tuple[int, int, float]]  # up to 8 (train, test, distance) of faces below DUPLICATE_MM, nearest first

    def rate(self, kind: str) -> float | None:
        """Return the share of faces below DUPLICATE_MM; None where nothing could be compared."""
        distance = getattr(self, kind)
        return float((distance < DUPLICATE_MM).mean()) if np.isfinite(distance).any() else None


@dataclass(frozen=True)
class Numbers:
    """What the card and its figures show."""

    faces: int  # how many are stored
    shape: tuple[int, int]  # height and width of one in pixels
    emotions: tuple[str, ...]  # names of the classes
    subjects: np.ndarray  # (p,) labels that occur, and `names` of each
    names: tuple[str, ...]
    counts: np.ndarray  # (emotions, p) faces
    test: np.ndarray  # (n,) bool, the test faces
    train_subjects: np.ndarray  # labels on each side
    test_subjects: np.ndarray
    sampled: int  # how many faces were measured
    constant: int  # sampled faces that hold a single value
    noseless: int  # sampled faces without depth around the nose
    relief: np.ndarray  # (emotions, bins) share of pixels by millimetres behind the nose tip
    edges: np.ndarray  # of these bins
    distance: np.ndarray  # (m,) mm from the camera to the nose tip
    noise: np.ndarray  # (m,) standard deviation of pixel noise in mm
    invalid_map: np.ndarray  # (height, width) share of faces with invalid depth there
    face_invalid: np.ndarray  # (emotions,) share of invalid pixels inside the mean face
    clipped: tuple[float, float]  # shares of face pixels before and behind the depth range of the network inputs
    nearest: Nearest  # near-duplicates


def measure(faces: StoredFaces, settings: configs.Data, *, test: np.ndarray) -> Numbers:
    """Count all labels and measure up to SAMPLE faces, drawn by `settings.seed`; `test` (n,) bool are test faces."""
    index = draw(faces, seed=settings.seed)
    subjects, column = np.unique(faces.subject, return_inverse=True)
    counts = np.zeros((len(faces.emotions), len(subjects)), int)
    np.add.at(counts, (faces.emotion, column), 1)

    invalid = np.zeros((len(faces.emotions), *faces.shape))
    face_count, batches = np.zeros(faces.shape), []
    for rows in np.split(index, range(BATCH, len(index), BATCH)):
        depth = np.asarray(faces.depth[rows])
        face, *measured = _measure_batch(depth, settings)
        np.add.at(invalid, faces.emotion[rows], depth == 0)
        face_count += face.sum(axis=0)
        batches.append(measured)
    nose, constant, noise, histograms, pixels, boxes = map(np.concatenate, zip(*batches, strict=True))

    emotion, usable = faces.emotion[index], (nose > 0) & ~constant
    per_emotion = np.maximum(np.bincount(emotion, minlength=len(faces.emotions)), 1)
    histogram = np.zeros((len(faces.emotions), histograms.shape[1]))
    np.add.at(histogram, emotion, histograms)
    # The mean face: the pixels where most faces have a face.
    valid = len(index) - invalid.sum(axis=0)
    outline = (face_count >= FACE_SHARE * valid) & (valid >= VALID_SHARE * len(index))
    inside = invalid[:, outline if outline.any() else np.ones_like(outline)]
    of_face, before, behind = pixels.sum(axis=0)
    return Numbers(
        faces=len(faces),
        shape=faces.shape,
        emotions=tuple(clean(name) for name in faces.emotions),
        subjects=subjects,
        names=tuple(subject_name(faces, label) for label in subjects),
        counts=counts,
        test=test,
        train_subjects=np.unique(faces.subject[~test]),
        test_subjects=np.unique(faces.subject[test]),
        sampled=len(index),
        constant=int(constant.sum()),
        noseless=int((~usable).sum() - constant.sum()),
        relief=histogram / (per_emotion * np.prod(faces.shape))[:, None],
        edges=np.arange(FACE_MM[0], FACE_MM[1] + BIN_MM, BIN_MM),
        distance=nose[usable],
        noise=noise[usable & np.isfinite(noise)],
        invalid_map=invalid.sum(axis=0) / len(index),
        face_invalid=inside.mean(axis=1) / per_emotion,
        clipped=(float(before / max(of_face, 1)), float(behind / max(of_face, 1))),
        nearest=_nearest_faces(boxes[usable], index[usable], subject=faces.subject, test=test),
    )


def subject_name(faces: StoredFaces, label: int) -> str:
    """Return the name of a subject, or the label itself where the set has no names."""
    return clean(faces.subjects[label]) if 0 <= label < len(faces.subjects) else str(label)


def clean(text: object) -> str:
    """Return text that can be written as UTF-8: file names may hold bytes that are not Unicode."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def draw(faces: StoredFaces, *, seed: int) -> np.ndarray:
    """Return the numbers of the faces to measure: all, or as many of each emotion, in runs of neighbouring frames."""
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


def _measure_batch(depth: np.ndarray, settings: configs.Data) -> tuple[np.ndarray, ...]:
    """Return which pixels of (b, height, width) uint16 mm are face, then for each face what `measure` combines."""
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

    noise = noise_mm(relief, face, CROP_WIDTH_MM / depth.shape[2])
    return face, nose, constant, noise, np.stack(histogram), pixels, relief_boxes(depth)


def _nearest_faces(boxes: np.ndarray, index: np.ndarray, *, subject: np.ndarray, test: np.ndarray) -> Nearest:
    """Find the nearest neighbours of faces `index` by their (m, boxes) of `relief_boxes`, a block of rows at a time."""
    boxes = boxes.astype(np.float64)  # near-duplicates are what cancels
    subject, test = subject[index], test[index]
    square = (boxes**2).sum(axis=1)
    same, other = (np.full(len(boxes), np.inf, np.float32) for _ in range(2))
    pairs = []
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
            pairs.append((int(index[at]), int(index[rows[row]]), float(to_train[at])))
    close = sorted((pair for pair in pairs if pair[2] < DUPLICATE_MM), key=lambda pair: pair[2])
    return Nearest(same, other, np.array([distance for *_, distance in pairs]), close[:8])


def noise_mm(relief: np.ndarray, face: np.ndarray, pitch_mm: float) -> np.ndarray:
    """Return the noise (n,) on each surface in mm (Immerkaer 1996, "Fast noise variance estimation").

    Of relief (n, height, width) mm and which pixels are face; NaN where fewer than 100 pixels have all nine.
    """
    # The mask [1 -2 1; -2 4 -2; 1 -2 1] ignores a surface that bends evenly. It is spread to NOISE_LAG_MM, for
    # neighbouring pixels of a resampled crop share their noise.
    lag = max(1, round(NOISE_LAG_MM / pitch_mm))
    height, width = (size - 2 * lag for size in relief.shape[1:])
    if min(height, width) <= 0:
        return np.full(len(relief), np.nan)
    # Every second row answers for its neighbour too: half of the work.
    rows = [np.s_[:, start : start + height : 2] for start in (0, lag, 2 * lag)]
    columns = [np.s_[:, :, start : start + width] for start in (0, lag, 2 * lag)]
    answer, inside = relief, face
    for before, centre, after in (rows, columns):
        answer = answer[before] - 2 * answer[centre] + answer[after]
        inside = inside[before] & inside[centre] & inside[after]
    sizes = [np.abs(a[i]) for a, i in zip(answer, inside, strict=True)]
    return np.array([_sigma(s) if len(s) >= 100 else np.nan for s in sizes])


def _sigma(sizes: np.ndarray) -> float:
    # Edges are above four medians.
    kept = sizes[sizes <= 4 * np.median(sizes)]
    # Of a normal distribution cut at 4 x 0.6745 sigma, the mean size is 0.7825 sigma; the mask multiplies by six.
    return float(kept.mean() / 0.7825 / 6)
