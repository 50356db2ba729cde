"""Figures made of faces: sheets, surface normals, mean differences, closest pairs and interpolation."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from depthjax.config import OWN_METHODS
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.errors import UserError
from depthjax.report import faces_image
from depthjax.report.faces_image import face_sets, mosaic, pitch_mm, shade, surface
from depthjax.report.figure_style import wrapped
from depthjax.report.stored import Run, method_name

COLUMNS, TILE, GAP = 8, 128, 6  # of a sheet of faces; pixels
LEFT = 132  # pixels for the names of rows of faces
MASK = (232, 232, 232)  # where a difference means nothing
DISTANCE_COLOURS, SIGNED_COLOURS = "YlOrRd", "PuOr_r"
CHUNK = 128  # faces at a time: all of a large set in millimetres would fill the memory
INTERPOLATED = OWN_METHODS[0]  # the method whose interpolation is stored
NORMALS_KEY = """The same colours on a ball, seen from the camera.
red: x, to the right of the picture; green: y, up; blue: z, towards the camera
(each component of the unit normal from -1 to 1 as 0 to 255)"""
NEAREST_NOTE = """\
Number: distance to that face, divided by the median distance of held-out faces to their closest training face.
1: as far as an unseen subject; 0: the same shape."""


def _sheet(
    blocks: Sequence[Sequence[np.ndarray]],
    names: Sequence[str],
    columns: int,
    *,
    tile: int = TILE,
    across: int = 1,  # blocks side by side
    space: tuple[int, int] = (0, 0),  # pixels above and to the right of each block, for its title
    margins: tuple[int, int] = (0, 8),  # pixels above and below all blocks
    width: int = 0,  # pixels that words need, right of the names
    title: str = "",
    note: str = "",
) -> tuple[Figure, Axes, list[tuple[int, int]]]:
    """Return a figure of blocks of rows of pictures, its axes (in pixels of the PNG), and the blocks' upper left."""
    parts = [mosaic(rows, columns, tile=tile, gap=GAP) for rows in blocks]
    high, wide = parts[0].shape[0] + space[0], parts[0].shape[1] + space[1]
    size = (-(-len(parts) // across) * high, min(across, len(parts)) * wide - space[1])
    picture = np.full((*size, *parts[0].shape[2:]), 255, np.uint8)
    corners = [(i % across * wide, i // across * high + space[0]) for i in range(len(parts))]
    for (x, y), part in zip(corners, parts, strict=True):
        picture[y:, x:][: part.shape[0], : part.shape[1]] = part
    full = np.array([max(size[1], width) + LEFT + 8, size[0] + sum(margins)])
    figure = Figure(figsize=tuple(full / 100), dpi=100)
    axes = figure.add_axes((LEFT / full[0], margins[1] / full[1], size[1] / full[0], size[0] / full[1]))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    figure.text(6 / full[0], 1 - 6 / full[1], title, va="top", size=11, weight="bold")
    figure.text(6 / full[0], 1 - 27 / full[1], note, va="top", size=9)
    for y in sorted({y for _, y in corners}):
        for row, name in enumerate(names):
            middle = y + row * (tile + GAP) + tile / 2
            axes.text(-10, middle, wrapped(name, 16, lines=4), ha="right", va="center", size=9.5)
    return figure, axes, corners


def _colour_bar(figure: Figure, colours: str, ends: tuple[float, float], words: str, extend: str = "neither") -> None:
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 28 / height, 240 / width, 11 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*ends), colours), axes, orientation="horizontal", extend=extend)
    bar.set_ticks([ends[0], (ends[0] + ends[1]) / 2, ends[1]])
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.grid(False)
    figure.text((LEFT + 258) / width, 33 / height, words, size=9, va="center")


def face_figure_name(run: Run, emotion: int, view: str) -> str:
    """Return the file name of a sheet of faces; odd characters of an emotion's name are left out."""
    slug = re.sub(r"[^a-z0-9]+", "-", run.emotions[emotion].lower()).strip("-")
    return f"faces_{emotion}_{slug}_{view}"


def faces(run: Run, emotion: int, view: str) -> Figure | None:
    """Draw training faces and each method's of one emotion, a row each, as grey `depth` or `shaded` relief."""
    sets = face_sets(run)
    if not sets:
        return None
    shown = [one.shown(emotion, COLUMNS) for one in sets]
    rows = [quantise(images) if view == "depth" else _lit(run, images) for images in shown]
    margins, title = (36, 56 if view == "depth" else 8), wrapped(run.emotions[emotion], 60, lines=1)
    figure, _, _ = _sheet([rows], [one.name for one in sets], COLUMNS, margins=margins, title=title)
    if view == "depth":
        _colour_bar(figure, "gray", run.window_mm, "mm behind the nose tip (darker is closer)")
    return figure


def _lit(run: Run, images: np.ndarray) -> np.ndarray:
    return shade(images, run.window_mm, pitch_mm(run))


def overview(run: Run) -> Figure | None:
    """Draw every emotion (rows) of the training faces and each method (blocks), as lit relief (paper: figure 16)."""
    return _every_emotion(run, lambda images: _lit(run, images), margins=(0, 6))


def normals(run: Run) -> Figure | None:
    """Draw surface normals of each emotion (rows) and set (blocks) as colours, and a ball in the same colours."""
    place: Any = {"margins": (22, 104), "width": 620, "title": "Surface normals: which way each part of the face looks"}
    figure = _every_emotion(run, lambda faces: faces_image.normals(faces, run.window_mm, pitch_mm(run)), **place)
    if figure is None:
        return None
    y, x = np.mgrid[1:-1:152j, -1:1:152j]
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    colours = faces_image.normal_colours(np.stack([x, y, z + 1e-9], axis=-1))
    ball = np.where((z > 0)[..., None], colours, 255).astype(np.uint8)
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 10 / height, 76 / width, 76 / height))
    axes.imshow(ball, aspect="auto")
    axes.set_axis_off()
    figure.text((LEFT + 92) / width, 48 / height, NORMALS_KEY, size=9, va="center", linespacing=1.5)
    return figure


def _every_emotion(run: Run, view: Callable[[np.ndarray], np.ndarray], **place: Any) -> Figure | None:
    """Sets of faces in blocks, at most four side by side, each with a row of four faces for every emotion."""
    sets = face_sets(run)
    if not sets:
        return None
    across = -(-len(sets) // -(-len(sets) // 4))
    count, tile = 4, 96 if across < 4 else 76
    blocks = [[view(one.shown(label, count)) for label in range(len(run.emotions))] for one in sets]
    figure, axes, corners = _sheet(blocks, run.emotions, count, tile=tile, across=across, space=(36, 22), **place)
    for (x, y), one in zip(corners, sets, strict=True):
        axes.text(x, y - 7, wrapped(one.name, count * tile // 15, lines=1), size=9.5, weight="bold", va="bottom")
    return figure


class Pairs(NamedTuple):
    """Generated faces with the training face closest to each, closest pair first."""

    train: np.ndarray  # (k, h, w) in [-1, 1]
    generated: np.ndarray
    relative: np.ndarray  # (k,) distances, divided by the median of held-out faces
    median: float  # relative distance of all faces of the method


def nearest(run: Run) -> Figure | None:
    """Draw each method's generated faces closest to a training face, that face, and the difference in mm."""
    methods = [m for m in run.samples if f"index/{m}" in (run.nearest or {})]
    if run.train is None or not methods:
        return None
    count, across, tile = (8, 1, 112) if len(methods) < 3 else (6, 2, 88)
    pairs = [closest_pairs(run, method, count) for method in methods]
    apart = [depth_apart(p.train, p.generated, run.window_mm) for p in pairs]
    limit = _limit(apart, 95)
    blocks = []
    for pair, differences in zip(pairs, apart, strict=True):
        lit = [np.repeat(_lit(run, faces)[..., None], 3, axis=-1) for faces in pair[:2]]
        coloured = _coloured(differences, DISTANCE_COLOURS, (0, limit))
        # White where neither has a surface.
        coloured[~(surface(pair.train, run.window_mm) | surface(pair.generated, run.window_mm))] = 255
        blocks.append([*lit, coloured])
    names = ("closest training face", "generated face", "difference")
    place: Any = {"tile": tile, "across": across, "space": (56, 30), "margins": (58, 64), "width": 760}
    title = "The generated faces closest to a training face, closest pairs first"
    figure, axes, corners = _sheet(blocks, names, count, title=title, note=NEAREST_NOTE, **place)
    for (x, y), method, pair in zip(corners, methods, pairs, strict=True):
        axes.text(x, y - 24, wrapped(method_name(method), 34, lines=1), size=10, weight="bold", va="bottom")
        median = f"median of all its faces: {_ratio(pair.median)}"
        axes.text(x + count * (tile + GAP) - GAP, y - 24, median, size=9, ha="right", va="bottom")
        for column, value in enumerate(pair.relative):
            middle = x + column * (tile + GAP) + tile / 2
            axes.text(middle, y - 5, _ratio(value), size=9, ha="center", va="bottom")
    words = "mm apart in depth (grey: only one of the two has a surface there)"
    _colour_bar(figure, DISTANCE_COLOURS, (0, limit), words, "max")
    return figure


def closest_pairs(run: Run, method: str, count: int) -> Pairs:
    """Return the `count` faces of a method that lie closest to a training face."""
    assert run.nearest is not None and run.train is not None
    index, distance = run.nearest[f"index/{method}"], run.nearest[f"distance/{method}"]
    generated, train = run.samples[method]["images"], run.train["images"]
    if not len(index) == len(distance) == len(generated) or (len(index) and index.max() >= len(train)):
        raise UserError(f"evaluation/nearest.npz is of other faces than samples/{method}: run --stages=evaluate again")
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = distance / np.float64(run.nearest["reference"])
    order = np.argsort(distance, kind="stable")[:count]
    median = float(np.median(relative)) if len(relative) else np.nan
    return Pairs(train[index[order]], generated[order], relative[order], median)


def depth_apart(a: np.ndarray, b: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Return millimetres between two images in [-1, 1], NaN where not both have a surface."""
    window = DepthRange(*window_mm)
    both = surface(a, window_mm) & surface(b, window_mm)
    return np.where(both, np.abs(window.to_mm(a) - window.to_mm(b)), np.float32(np.nan))


def _ratio(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "n/a"


def interpolation(run: Run) -> Figure | None:
    """Draw faces from one latent to another of the same emotion, a row an emotion; None if none are stored."""
    if run.interpolation is None:
        return None
    images, sampled, tile = run.interpolation["images"], run.samples.get(INTERPOLATED), 112
    labels = range(len(run.emotions)) if sampled is None else np.unique(sampled["emotion"]).tolist()
    if len(images) != len(labels):
        stored = f"samples/{INTERPOLATED}/interpolation.npz holds {len(images)} emotions, its samples {len(labels)}"
        raise UserError(f"{stored}: run --stages=sample again")
    names, steps = [run.emotions[label] for label in labels], images.shape[1]
    title = f"{method_name(INTERPOLATED)}: from one latent to another of the same emotion"
    note = "Spherical interpolation in even steps between the first two latents drawn for each emotion"
    note += ", before new noise" if run.config.get("sample", {}).get("noise") else ""
    note += "; invalid pixels are drawn anew at each step." if run.config.get("model", {}).get("validity_mask") else "."
    rows = [_lit(run, row) for row in images]
    figure, axes, _ = _sheet([rows], names, steps, tile=tile, margins=(76, 8), title=title, note=note)
    for place, words in ((0, "first latent"), (steps // 2, "halfway"), (steps - 1, "second latent")):
        axes.text(place * (tile + GAP) + tile / 2, -8, words, size=9, ha="center", va="bottom")
    return figure


def difference(run: Run) -> Figure | None:
    """Draw the mean depth of each emotion minus that of neutral, in mm; a row an emotion, a column a set."""
    sets = face_sets(run)
    if len(run.emotions) < 2 or not sets:
        return None
    reference = reference_label(run.emotions)
    others = [label for label in range(len(run.emotions)) if label != reference]
    arrays = [(one.arrays["images"], one.arrays["emotion"], others, reference, run.window_mm) for one in sets]
    maps = np.stack([differences_mm(*of_set) for of_set in arrays], axis=1)  # (emotions, sets, h, w)
    limit = _limit(maps, 99)
    rows = _coloured(maps, SIGNED_COLOURS, (-limit, limit))
    names = [run.emotions[label] for label in others]
    title = f"Mean face of each emotion minus the mean face of {wrapped(run.emotions[reference], 30, lines=1)}"
    figure, axes, _ = _sheet([list(rows)], names, len(sets), margins=(85, 64), width=560, title=title)
    for column, one in enumerate(sets):
        x = column * (TILE + GAP)
        axes.text(x, -8, wrapped(one.name, 16, lines=3), size=9.5, weight="bold", va="bottom")
        for row in np.flatnonzero(np.isnan(maps[:, column]).all(axis=(1, 2))).tolist():
            axes.text(x + TILE / 2, row * (TILE + GAP) + TILE / 2, "no faces", size=9, ha="center", va="center")
    words = "mm; purple: nearer to the camera\norange: farther away; grey: no face"
    _colour_bar(figure, SIGNED_COLOURS, (-limit, limit), words, "both")
    return figure


def reference_label(emotions: Sequence[str]) -> int:
    """Return the label of `neutral`, or of the first class where there is none."""
    return next((i for i, name in enumerate(emotions) if name.strip().lower() == "neutral"), 0)


def differences_mm(images: np.ndarray, emotion: np.ndarray, labels: Sequence[int], reference: int,
                   window_mm: tuple[float, float]) -> np.ndarray:  # fmt: skip
    """Return (labels, h, w) mm by which emotions' mean faces are farther than the reference's; NaN: no face."""
    means = {label: _mean_depth(images, np.flatnonzero(emotion == label), window_mm) for label in (reference, *labels)}
    return np.stack([means[label] - means[reference] for label in labels])


def _mean_depth(images: np.ndarray, rows: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """(h, w) mean millimetres of the faces that have a surface there; NaN where fewer than half of them have one."""
    total, counts = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(rows), CHUNK):
        chunk = images[rows[start : start + CHUNK]]
        present = surface(chunk, window_mm)
        total += np.where(present, DepthRange(*window_mm).to_mm(chunk), 0).sum(axis=0, dtype=np.float64)
        counts += present.sum(axis=0)
    return np.where(2 * counts >= max(1, len(rows)), total / np.maximum(counts, 1), np.nan)


def _coloured(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """(..., 3) uint8 of millimetres between two ends; MASK where they are NaN."""
    levels = Normalize(*ends, clip=True)(np.nan_to_num(values))
    shown = matplotlib.colormaps[colours](levels, bytes=True)[..., :3]
    return np.where(np.isnan(values)[..., None], np.array(MASK, np.uint8), shown)


def _limit(values: Sequence[np.ndarray] | np.ndarray, share: float) -> float:
    """Whole mm that `share` percent of the differences do not pass, at least 1."""
    known = np.concatenate([np.abs(v[np.isfinite(v)]) for v in values])
    return float(max(1.0, np.ceil(np.percentile(known, share)))) if len(known) else 1.0
