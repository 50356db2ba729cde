"""Figures made of faces: sheets, surface normals, mean differences, closest pairs and interpolation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from depthjax.config import OWN_METHODS
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.errors import UserError
from depthjax.report import faces_image
from depthjax.report.faces_image import mosaic, one_per_subject, shade, spaced_samples, surface
from depthjax.report.figure_style import LEFT, colour_bar, heading, plain, sheet, wrapped
from depthjax.report.stored import Run, method_name

COLUMNS, TILE, GAP = 8, 128, 6  # of a sheet of faces
MASK = (232, 232, 232)  # where a difference means nothing
DISTANCE_COLOURS, SIGNED_COLOURS = "YlOrRd", "PuOr_r"
CHUNK = 128  # faces at a time: all of a large set in millimetres would fill the memory
INTERPOLATED = OWN_METHODS[0]  # the method whose interpolation is stored


@dataclass(frozen=True)
class FaceSet:
    """The faces of one source.

    Attributes:
        key: `real` for the training faces, or a method.
        name: for labels.
        arrays: images (n, h, w) in [-1, 1] and emotion (n,); of training faces subject and frame besides.
    """

    key: str
    name: str
    arrays: dict[str, np.ndarray]

    def shown(self, emotion: int, count: int) -> np.ndarray:
        """Up to `count` faces of an emotion, the same ones in every figure: no subject twice, none picked."""
        choose = one_per_subject if self.key == "real" else spaced_samples
        return choose(self.arrays, emotion, count)


def face_sets(run: Run) -> list[FaceSet]:
    """The training faces, then each method's."""
    train = [] if run.train is None else [FaceSet("real", "Training faces", run.train)]
    return train + [FaceSet(m, method_name(m), arrays) for m, arrays in run.samples.items()]


def pitch_mm(run: Run) -> tuple[float, float]:
    """Millimetres a pixel on the face, down and across."""
    sets = face_sets(run)
    height, width = sets[0].arrays["images"].shape[1:]
    wide = float(run.config["data"]["width_mm"])
    # A whole crop of 128x200 pixels is squeezed into a square; any other crop is square already.
    high = wide * 200 / 128 if run.config["data"].get("crop") == "full" else wide
    return high / height, wide / width


def lit(run: Run, images: np.ndarray) -> np.ndarray:
    """Faces as lit relief: (n, h, w) in [-1, 1] to uint8."""
    return shade(images, run.window_mm, pitch_mm(run))


def face_figure_name(run: Run, emotion: int, view: str) -> str:
    """The file name of a sheet of faces; odd characters of an emotion's name are left out."""
    slug = re.sub(r"[^a-z0-9]+", "-", run.emotions[emotion].lower()).strip("-")
    return f"faces_{emotion}_{slug}_{view}"


def faces(run: Run, emotion: int, view: str) -> Figure | None:
    """Training faces and each method's faces of one emotion, a row each; None without faces.

    Args:
        emotion: its label.
        view: `depth` (grey) or `shaded` (lit relief); both hold the same faces.
    """
    sets = face_sets(run)
    if not sets:
        return None
    rows = [one.shown(emotion, COLUMNS) for one in sets]
    pictures = [quantise(row) if view == "depth" else lit(run, row) for row in rows]
    figure, axes = sheet(mosaic(pictures, COLUMNS, tile=TILE, gap=GAP), top=36, bottom=56 if view == "depth" else 8)
    heading(figure, wrapped(run.emotions[emotion], 60, lines=1))
    _name_rows(axes, [one.name for one in sets], TILE)
    if view == "depth":
        colour_bar(figure, "gray", run.window_mm, "mm behind the nose tip (darker is closer)")
    return figure


def overview(run: Run) -> Figure | None:
    """Every emotion (rows) of the training faces and each method (blocks), as lit relief (paper: figure 16)."""
    return _blocks(run, lambda images: lit(run, images), top=0, bottom=6)


def normals(run: Run) -> Figure | None:
    """Surface normals as colours, of some faces of each emotion (rows) and set (blocks); None without faces."""
    figure = _blocks(run, lambda images: _directions(run, images), top=22, bottom=104, width=620)
    if figure is not None:
        heading(figure, "Surface normals: which way each part of the face looks")
        _sphere(figure)
    return figure


def _directions(run: Run, images: np.ndarray) -> np.ndarray:
    return faces_image.normals(images, run.window_mm, pitch_mm(run))


def _blocks(
    run: Run, view: Callable[[np.ndarray], np.ndarray], *, top: int, bottom: int, width: int = 0, count: int = 4
) -> Figure | None:
    """Sets of faces side by side, at most four in a line, each with a row for every emotion.

    Args:
        view: (n, h, w) faces to pictures, (n, h, w) or (n, h, w, 3) uint8.
        top, bottom, width: pixels, as of `sheet`.
        count: faces a row.
    """
    sets = face_sets(run)
    if not sets:
        return None
    lines = -(-len(sets) // 4)
    across = -(-len(sets) // lines)
    tile = 96 if across < 4 else 76
    labels = range(len(run.emotions))
    rows = [[view(one.shown(label, count)) for label in labels] for one in sets]
    pictures = [mosaic(row, count, tile=tile, gap=GAP) for row in rows]
    whole, corners = _assembled(pictures, across, right=22, above=36)
    figure, axes = sheet(whole, top=top, bottom=bottom, width=width)
    for (x, y), one in zip(corners, sets, strict=True):
        short = wrapped(one.name, pictures[0].shape[1] // 15, lines=1)
        axes.text(x, y - 7, short, size=9.5, weight="bold", va="bottom")
        if x == 0:
            _name_rows(axes, run.emotions, tile, first=y)
    return figure


def _assembled(
    pictures: Sequence[np.ndarray], across: int, *, right: int, above: int
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Pictures of one size in lines on white, with room for a title above each; and their corners (x, y)."""
    high, wide = pictures[0].shape[0] + above, pictures[0].shape[1] + right
    lines = -(-len(pictures) // across)
    size = (lines * high, min(across, len(pictures)) * wide - right)
    whole = np.full((*size, *pictures[0].shape[2:]), 255, np.uint8)
    corners = [(i % across * wide, i // across * high + above) for i in range(len(pictures))]
    for (x, y), picture in zip(corners, pictures, strict=True):
        whole[y:, x:][: picture.shape[0], : picture.shape[1]] = picture
    return whole, corners


def _sphere(figure: Figure, *, size: int = 76) -> None:
    """The key: a ball in the colours of its own normals."""
    y, x = np.mgrid[1 : -1 : size * 2j, -1 : 1 : size * 2j]
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    colours = faces_image.normal_colours(np.stack([x, y, z + 1e-9], axis=-1))
    picture = np.where(inside[..., None], colours, 255)
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 10 / height, size / width, size / height))
    axes.imshow(np.rint(picture).astype(np.uint8), interpolation="bilinear", aspect="auto")
    axes.set_axis_off()
    words = (
        "The same colours on a ball, seen from the camera.\n"
        "red: x, to the right of the picture; green: y, up; blue: z, towards the camera\n"
        "(each component of the unit normal from -1 to 1 as 0 to 255)"
    )
    figure.text((LEFT + size + 16) / width, (10 + size / 2) / height, words, size=9, va="center", linespacing=1.5)


class Pairs(NamedTuple):
    """Generated faces with the training face closest to each, closest pair first.

    Attributes:
        train, generated: (k, h, w) in [-1, 1].
        relative: (k,) distance over the median distance of held-out faces to their closest training face.
        median: of all faces of the method, relative too.
    """

    train: np.ndarray
    generated: np.ndarray
    relative: np.ndarray
    median: float


def nearest(run: Run) -> Figure | None:
    """For each method, the generated faces closest to a training face, that face, and the difference in mm.

    None without `evaluation/nearest.npz`, the training faces it points to, or a method that it holds.
    """
    if run.train is None or run.nearest is None:
        return None
    methods = [m for m in run.samples if f"index/{m}" in run.nearest]
    if not methods:
        return None
    count, across, tile = (8, 1, 112) if len(methods) < 3 else (6, 2, 88)
    pairs = [closest_pairs(run, method, count) for method in methods]
    apart = [depth_apart(p.train, p.generated, run.window_mm) for p in pairs]
    limit = _limit(apart, 95)
    rows = [_pair_rows(run, p, differences, limit) for p, differences in zip(pairs, apart, strict=True)]
    blocks = [mosaic(row, count, tile=tile, gap=GAP) for row in rows]
    picture, corners = _assembled(blocks, across, right=30, above=56)
    figure, axes = sheet(picture, top=58, bottom=64, width=760)
    for (x, y), method, pair in zip(corners, methods, pairs, strict=True):
        _name_pairs(axes, (x, y), method_name(method), pair, tile, blocks[0].shape[1])
        if x == 0:
            _name_rows(axes, ["closest\ntraining face", "generated face", "difference"], tile, first=y)
    words = (
        "Number: distance to that face, divided by the median distance of held-out faces to their closest training "
        "face.\n1: as far as an unseen subject; 0: the same shape."
    )
    heading(figure, "The generated faces closest to a training face, closest pairs first", words)
    extend = "max" if _largest(apart) > limit else "neither"
    colour_bar(figure, DISTANCE_COLOURS, (0, limit),
                "mm apart in depth (grey: only one of the two has a surface there)", extend)  # fmt: skip
    return figure


def closest_pairs(run: Run, method: str, count: int) -> Pairs:
    """The `count` faces of a method that lie closest to a training face.

    Raises:
        UserError: `evaluation/nearest.npz` is of other faces than those stored.
    """
    assert run.nearest is not None and run.train is not None
    index, distance = run.nearest[f"index/{method}"], run.nearest[f"distance/{method}"]
    generated, train = run.samples[method]["images"], run.train["images"]
    if not len(index) == len(distance) == len(generated) or (len(index) and index.max() >= len(train)):
        raise UserError(f"evaluation/nearest.npz is of other faces than samples/{method}: run --stages=evaluate again")
    order = np.argsort(distance, kind="stable")[:count]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = distance / np.float64(run.nearest["reference"])
    median = float(np.median(relative)) if len(relative) else np.nan
    return Pairs(train[index[order]], generated[order], relative[order], median)


def depth_apart(a: np.ndarray, b: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Millimetres between two images in [-1, 1], NaN where not both have a surface."""
    window = DepthRange(*window_mm)
    both = surface(a, window_mm) & surface(b, window_mm)
    return np.where(both, np.abs(window.to_mm(a) - window.to_mm(b)), np.float32(np.nan))


def _pair_rows(run: Run, pair: Pairs, apart: np.ndarray, limit: float) -> list[np.ndarray]:
    coloured = _coloured(apart, DISTANCE_COLOURS, (0, limit))
    neither = ~(surface(pair.train, run.window_mm) | surface(pair.generated, run.window_mm))
    coloured[neither] = 255
    grey = (lit(run, pair.train), lit(run, pair.generated))
    return [*(np.repeat(images[..., None], 3, axis=-1) for images in grey), coloured]


def _name_pairs(axes: Axes, corner: tuple[int, int], name: str, pair: Pairs, tile: int, width: int) -> None:
    x, y = corner
    axes.text(x, y - 24, wrapped(name, 34, lines=1), size=10, weight="bold", va="bottom")
    axes.text(x + width, y - 24, f"median of all its faces: {_ratio(pair.median)}", size=9, ha="right", va="bottom")
    for column, value in enumerate(pair.relative):
        middle = x + column * (tile + GAP) + tile / 2
        axes.text(middle, y - 5, _ratio(value), size=9, ha="center", va="bottom")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "n/a"


def interpolation(run: Run) -> Figure | None:
    """Faces on the way from one latent to another of the same emotion, a row an emotion; None if none are stored."""
    if run.interpolation is None:
        return None
    images, tile = run.interpolation["images"], 112
    steps = images.shape[1]
    figure, axes = sheet(mosaic([lit(run, row) for row in images], steps, tile=tile, gap=GAP), top=76, bottom=8)
    _name_rows(axes, _interpolated(run), tile)
    for place, words in ((0, "first latent"), (steps // 2, "halfway"), (steps - 1, "second latent")):
        axes.text(place * (tile + GAP) + tile / 2, -8, words, size=9, ha="center", va="bottom")
    note = "Spherical interpolation in even steps between the first two latents drawn for each emotion"
    note += ", before new noise" if run.config.get("sample", {}).get("noise") else ""
    note += "; invalid pixels are drawn anew at each step." if run.config.get("model", {}).get("validity_mask") else "."
    heading(figure, f"{plain(method_name(INTERPOLATED))}: from one latent to another of the same emotion", note)
    return figure


def _interpolated(run: Run) -> list[str]:
    """The emotions of the rows: those that were sampled."""
    assert run.interpolation is not None
    rows, sampled = len(run.interpolation["images"]), run.samples.get(INTERPOLATED)
    labels = range(len(run.emotions)) if sampled is None else np.unique(sampled["emotion"]).tolist()
    if rows != len(labels):
        raise UserError(
            f"samples/{INTERPOLATED}/interpolation.npz holds {rows} emotions, its samples {len(labels)}: "
            "run --stages=sample again"
        )
    return [run.emotions[label] for label in labels]


def difference(run: Run) -> Figure | None:
    """Mean depth of each emotion minus that of neutral, in mm; a row an emotion, a column a set.

    None with a single emotion or without faces.
    """
    sets = face_sets(run)
    if len(run.emotions) < 2 or not sets:
        return None
    reference = reference_label(run.emotions)
    others = [label for label in range(len(run.emotions)) if label != reference]
    maps = [
        differences_mm(one.arrays["images"], one.arrays["emotion"], others, reference, run.window_mm) for one in sets
    ]
    limit = _limit(maps, 99)
    rows = [np.stack([_coloured(m[row], SIGNED_COLOURS, (-limit, limit)) for m in maps]) for row in range(len(others))]
    titles = [wrapped(one.name, 16, lines=3) for one in sets]
    top = 40 + 15 * max(title.count("\n") + 1 for title in titles)
    figure, axes = sheet(mosaic(rows, len(sets), tile=TILE, gap=GAP), top=top, bottom=64, width=560)
    _name_rows(axes, [run.emotions[label] for label in others], TILE)
    for column, title in enumerate(titles):
        axes.text(column * (TILE + GAP), -8, title, size=9.5, weight="bold", va="bottom")
        for row in np.flatnonzero(np.isnan(maps[column]).all(axis=(1, 2))).tolist():
            middle = column * (TILE + GAP) + TILE / 2, row * (TILE + GAP) + TILE / 2
            axes.text(*middle, "no faces", size=9, ha="center", va="center")
    heading(figure, f"Mean face of each emotion minus the mean face of {wrapped(run.emotions[reference], 30, lines=1)}")
    extend = "both" if _largest(maps) > limit else "neither"
    words = "mm; purple: nearer to the camera\norange: farther away; grey: no face"
    colour_bar(figure, SIGNED_COLOURS, (-limit, limit), words, extend)
    return figure


def reference_label(emotions: Sequence[str]) -> int:
    """The label of `neutral`, or of the first class where there is none."""
    return next((i for i, name in enumerate(emotions) if name.strip().lower() == "neutral"), 0)


def differences_mm(
    images: np.ndarray, emotion: np.ndarray, labels: Sequence[int], reference: int, window_mm: tuple[float, float]
) -> np.ndarray:
    """(labels, h, w) mean depth of each emotion minus that of the reference, mm; positive is farther away.

    NaN where either mean face is background.
    """
    base = mean_depth(images, np.flatnonzero(emotion == reference), window_mm)
    return np.stack([mean_depth(images, np.flatnonzero(emotion == label), window_mm) - base for label in labels])


def mean_depth(images: np.ndarray, rows: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """(h, w) mean millimetres behind the nose tip over those of `rows` that have a surface there.

    NaN where fewer than half of them have one: there the mean face is background.
    """
    total, counts = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(rows), CHUNK):
        chunk = images[rows[start : start + CHUNK]]
        present = surface(chunk, window_mm)
        total += np.where(present, DepthRange(*window_mm).to_mm(chunk), 0).sum(axis=0, dtype=np.float64)
        counts += present.sum(axis=0)
    return np.where(2 * counts >= max(1, len(rows)), total / np.maximum(counts, 1), np.nan)


def _coloured(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """(..., 3) uint8 of millimetres between two ends; MASK where they are NaN."""
    palette = matplotlib.colormaps[colours]
    shown = palette(Normalize(*ends, clip=True)(np.nan_to_num(values)), bytes=True)[..., :3]
    return np.where(np.isnan(values)[..., None], np.array(MASK, np.uint8), shown)


def _limit(values: Sequence[np.ndarray], share: float) -> float:
    """A round number of mm that `share` percent of the differences do not pass, at least 1."""
    known = np.concatenate([np.abs(v[np.isfinite(v)]) for v in values])
    top = float(np.percentile(known, share)) if len(known) else 1.0
    step = 1.0 if top <= 10 else 5.0
    return max(1.0, step * float(np.ceil(top / step)))


def _largest(values: Sequence[np.ndarray]) -> float:
    return max((float(np.abs(v[np.isfinite(v)]).max(initial=0)) for v in values), default=0.0)


def _name_rows(axes: Axes, names: Sequence[str], tile: int, first: int = 0) -> None:
    """Names left of rows of faces, from `first` pixels down."""
    for row, name in enumerate(names):
        middle = first + row * (tile + GAP) + tile / 2
        lines = name if "\n" in name else wrapped(name, 16, lines=4)
        axes.text(-10, middle, lines, ha="right", va="center", size=9.5)
