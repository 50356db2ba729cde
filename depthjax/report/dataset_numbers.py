"""What a dataset page counts and measures, in one pass over a bounded, seeded draw of the stored faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import face_square, nose_distance
from depthjax.data.stored import StoredFaces
from depthjax.report.dataset_alike import Nearest, box_count, box_means, nearest_faces

SAMPLE = 3000  # faces that are read at most
RUN = 4  # neighbouring frames drawn together: the near-duplicates of one clip stand side by side
BATCH = 64
FACE_MM = (-60.0, 160.0)  # about the nose tip: returns that are taken for the face, its hair and neck
BIN_MM = 2.0
NOISE_LAG_MM = 4.2  # three pixels of a 128-pixel crop: resampling ties nearer ones together
SIDES = ("", "train", "test", "either")  # either: the person stands on both sides, and no one told which face does
FACE_SHARE, SEEN_SHARE = 0.5, 0.3  # of the returns, and of the faces: which pixels count as face in mean maps


@dataclass(frozen=True)
class Side:
    """One side of the split: its people's labels, and how many faces it has (None: a split by image, not told)."""

    people: np.ndarray
    faces: int | None


@dataclass(frozen=True)
class Numbers:
    """Everything that the page, its figures and the card say of a set.

    Attributes:
        faces: how many are stored.
        shape: of one, height and width in pixels.
        emotions: the names of the classes.
        people: (p,) labels that occur, and `names` of each.
        counts: (emotions, people) faces.
        train, test: the sides, and `side` of each face, (n,) an index into SIDES.
        sampled: how many faces the rest was measured on.
        per_emotion: (emotions,) how many of those.
        constant: sampled faces that hold a single value.
        noseless: sampled faces without depth around the nose; they are left out of all that is about relief.
        relief: (emotions, bins) share of pixels by mm behind the nose tip; `edges` of the bins.
        distance: (m,) mm from camera to nose tip.
        noise: (m,) standard deviation in mm of what varies from pixel to pixel.
        holes: (emotions,) share of pixels without return; `face_holes` the same inside the mean face outline.
        hole_map: (height, width) share of faces without return there.
        outline: (height, width) bool, the mean face.
        clipped: shares of face pixels before and behind the networks' window.
        relief_mean: (emotions, height, width) mean mm behind the nose tip, every person weighing the same; NaN where
            there is rarely a face.
        nearest: near-duplicates.
    """

    faces: int
    shape: tuple[int, int]
    emotions: tuple[str, ...]
    people: np.ndarray
    names: tuple[str, ...]
    counts: np.ndarray
    train: Side
    test: Side
    side: np.ndarray
    sampled: int
    per_emotion: np.ndarray
    constant: int
    noseless: int
    relief: np.ndarray
    edges: np.ndarray
    distance: np.ndarray
    noise: np.ndarray
    holes: np.ndarray
    face_holes: np.ndarray
    hole_map: np.ndarray
    outline: np.ndarray
    clipped: tuple[float, float]
    relief_mean: np.ndarray
    nearest: Nearest

    @property
    def whole(self) -> bool:
        """Whether every face was measured."""
        return self.sampled == self.faces


def measure(
    faces: StoredFaces,
    settings: configs.Data,
    *,
    train: np.ndarray,
    test: np.ndarray,
    held_out: np.ndarray | None = None,
) -> Numbers:
    """Count all labels and measure up to SAMPLE faces, drawn by `settings.seed`.

    Args:
        train, test: subject labels of both sides, one a face or one a person.
        held_out: (n,) bool, which faces are test faces; only needed where a person stands on both sides.
    """
    index = draw(faces, seed=settings.seed)
    people, column = np.unique(faces.subject, return_inverse=True)
    counts = np.zeros((len(faces.emotions), len(people)), int)
    np.add.at(counts, (faces.emotion, column), 1)
    side = _side_of_each(faces, train, test, held_out)
    sums = _measure_sample(faces, settings, index)
    return Numbers(
        faces=len(faces),
        shape=(int(faces.shape[0]), int(faces.shape[1])),
        emotions=tuple(clean(name) for name in faces.emotions),
        people=people,
        names=tuple(person_name(faces, label) for label in people),
        counts=counts,
        train=_side(faces, side, "train", train),
        test=_side(faces, side, "test", test),
        side=side,
        sampled=len(index),
        per_emotion=np.bincount(faces.emotion[index], minlength=len(faces.emotions)),
        **sums.results(),
        nearest=_nearest(faces, index[sums.usable], sums.boxes[sums.usable], side),
    )


def person_name(faces: StoredFaces, label: int) -> str:
    """The name of a person, or the label itself where the set names nobody."""
    return clean(faces.subjects[label]) if 0 <= label < len(faces.subjects) else str(label)


def clean(text: object) -> str:
    """Text that can be written as UTF-8: what a file system holds that is not Unicode is spelt out."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def draw(faces: StoredFaces, *, seed: int) -> np.ndarray:
    """Face numbers to measure, ascending: all of them, or as many of each emotion, in runs of neighbouring frames."""
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


def _nearest(faces: StoredFaces, index: np.ndarray, boxes: np.ndarray, side: np.ndarray) -> Nearest:
    in_train, in_test = (side[index] == SIDES.index(name) for name in ("train", "test"))
    return nearest_faces(boxes, index, person=faces.subject[index], in_train=in_train, in_test=in_test)


def in_runs(index: np.ndarray) -> Iterator[np.ndarray]:
    """Batches of at most BATCH face numbers."""
    for start in range(0, len(index), BATCH):
        yield index[start : start + BATCH]


def _side_of_each(faces: StoredFaces, train: np.ndarray, test: np.ndarray, held_out: np.ndarray | None) -> np.ndarray:
    """(n,) indices into SIDES: by the mask if there is one, else by the person."""
    if held_out is not None:
        return np.where(held_out, SIDES.index("test"), SIDES.index("train")).astype(np.int8)
    in_train, in_test = (np.isin(faces.subject, labels) for labels in (train, test))
    return (in_train * SIDES.index("train") + in_test * SIDES.index("test")).astype(np.int8)


def _side(faces: StoredFaces, side: np.ndarray, name: str, labels: np.ndarray) -> Side:
    told = not (side == SIDES.index("either")).any()
    return Side(np.unique(labels), int((side == SIDES.index(name)).sum()) if told else None)


class _Sums:
    """What one pass over the sample adds up; arrays of (emotions, height, width) and one row a sampled face."""

    def __init__(self, emotions: int, shape: tuple[int, int], sampled: int) -> None:
        self.edges = np.arange(FACE_MM[0], FACE_MM[1] + BIN_MM, BIN_MM)
        self.relief = np.zeros((emotions, len(self.edges) - 1))
        self.count = np.zeros(emotions, int)
        self.hole, self.face = (np.zeros((emotions, *shape)) for _ in range(2))
        self.total, self.weight = (np.zeros((emotions, *shape)) for _ in range(2))
        self.weights = np.zeros(emotions)
        self.distance, self.noise = np.zeros(sampled), np.zeros(sampled)
        self.usable = np.zeros(sampled, bool)
        self.boxes = np.zeros((sampled, box_count(shape)), np.float32)
        self.constant = 0
        self.pixels = np.zeros(3)  # of the networks' crop: face, before the window, behind it

    def results(self) -> dict:
        """The fields of `Numbers` that come from the sample."""
        seen = self.count.sum() - self.hole.sum(axis=0)
        outline = (self.face.sum(axis=0) >= FACE_SHARE * seen) & (seen >= SEEN_SHARE * self.count.sum())
        each = np.maximum(self.count, 1)
        hole = self.hole / each[:, None, None]
        pixels = outline.size
        often = self.weight >= FACE_SHARE * np.maximum(self.weights, 1e-9)[:, None, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(often, self.total / self.weight, np.nan)
        face, before, behind = self.pixels
        return {
            "constant": self.constant,
            "noseless": int((~self.usable).sum()) - self.constant,
            "relief": self.relief / (each * pixels)[:, None],
            "edges": self.edges,
            "distance": self.distance[self.usable],
            "noise": self.noise[self.usable & np.isfinite(self.noise)],
            "holes": hole.mean(axis=(1, 2)),
            "face_holes": hole[:, outline].mean(axis=1) if outline.any() else hole.mean(axis=(1, 2)),
            "hole_map": self.hole.sum(axis=0) / max(1, self.count.sum()),
            "outline": outline,
            "clipped": (before / max(face, 1), behind / max(face, 1)),
            "relief_mean": mean,
        }


def _measure_sample(faces: StoredFaces, settings: configs.Data, index: np.ndarray) -> _Sums:
    shape = (int(faces.shape[0]), int(faces.shape[1]))
    sums = _Sums(len(faces.emotions), shape, len(index))
    share = _shares(faces, index)
    for rows in in_runs(np.arange(len(index))):
        depth = np.asarray(faces.depth[index[rows]])
        _add(sums, rows, depth, faces.emotion[index[rows]], share[rows], settings)
    return sums


def _shares(faces: StoredFaces, index: np.ndarray) -> np.ndarray:
    """(m,) weights with which every person counts once in the mean face of each emotion."""
    clip = faces.subject[index].astype(np.int64) * len(faces.emotions) + faces.emotion[index]
    _, inverse, count = np.unique(clip, return_inverse=True, return_counts=True)
    return 1 / count[inverse]


def _add(
    sums: _Sums, rows: np.ndarray, depth: np.ndarray, emotion: np.ndarray, share: np.ndarray, settings: configs.Data
) -> None:
    """Add a batch of (b, height, width) uint16 mm to the sums."""
    nose = nose_distance(depth)
    constant = (depth == depth[:, :1, :1]).all(axis=(1, 2))
    usable = (nose > 0) & ~constant
    relief = depth.astype(np.float32) - nose[:, None, None]
    seen = depth > 0
    face = seen & (relief > FACE_MM[0]) & (relief < FACE_MM[1]) & usable[:, None, None]
    sums.constant += int(constant.sum())
    sums.usable[rows], sums.distance[rows] = usable, nose
    sums.noise[rows] = noise_mm(relief, face, settings.width_mm / depth.shape[2])
    sums.boxes[rows] = box_means(relief, seen)
    for label in np.unique(emotion):
        own = emotion == label
        sums.count[label] += own.sum()
        sums.hole[label] += (~seen[own]).sum(axis=0)
        sums.face[label] += face[own].sum(axis=0)
        bins = ((relief[own][face[own]] - sums.edges[0]) / BIN_MM).astype(np.int32)
        sums.relief[label] += np.bincount(bins, minlength=sums.relief.shape[1])[: sums.relief.shape[1]]
        weight = share[own, None, None].astype(np.float32) * face[own]
        sums.total[label] += (weight * relief[own]).sum(axis=0)
        sums.weight[label] += weight.sum(axis=0)
        sums.weights[label] += share[own & usable].sum()
    rows_used, columns = face_square(depth.shape[1:]) if settings.crop == "face" else (slice(None), slice(None))
    inside, mm = face[:, rows_used, columns], relief[:, rows_used, columns]
    sums.pixels += [
        inside.sum(),
        (inside & (mm < settings.near_mm)).sum(),
        (inside & (mm > settings.far_mm)).sum(),
    ]


def noise_mm(relief: np.ndarray, face: np.ndarray, pitch_mm: float) -> np.ndarray:
    """Standard deviation of the noise on each surface (Immerkaer 1996, "Fast noise variance estimation").

    The mask [1 -2 1; -2 4 -2; 1 -2 1] sees nothing of a surface that bends evenly; of the sizes of its answers inside
    the face the mean is taken, those above four medians left out, so that edges do not count (a median alone would be
    a whole millimetre). It is spread to NOISE_LAG_MM, for neighbouring pixels of a resampled crop share their noise.

    Args:
        relief: (n, height, width) mm.
        face: same shape, which pixels are face.
        pitch_mm: the side of a pixel.
    Returns:
        (n,) mm; NaN where fewer than 100 pixels have all nine.
    """
    lag = max(1, round(NOISE_LAG_MM / pitch_mm))
    answer, inside = relief, face
    for axis in (1, 2):
        size = answer.shape[axis]
        if size <= 2 * lag:
            return np.full(len(relief), np.nan)
        # Every second row answers for its neighbour too: half of the work.
        parts = [np.s_[:, s : size - 2 * lag + s : 2] if axis == 1 else np.s_[:, :, s : size - 2 * lag + s]
                 for s in (0, lag, 2 * lag)]  # fmt: skip
        answer = answer[parts[0]] - 2 * answer[parts[1]] + answer[parts[2]]
        inside = inside[parts[0]] & inside[parts[1]] & inside[parts[2]]
    sizes = [np.abs(a[i]) for a, i in zip(answer, inside, strict=True)]
    return np.array([_sigma(s) if len(s) >= 100 else np.nan for s in sizes])


def _sigma(sizes: np.ndarray) -> float:
    """Standard deviation of one pixel's noise, from the sizes of the mask's answers (whose own is six times that)."""
    limit = 4 * np.median(sizes)
    # Of a normal distribution cut at 4 x 0.6745 sigma, the mean size is 0.7825 sigma.
    return float(sizes[sizes <= limit].mean() / 0.7825 / 6)
