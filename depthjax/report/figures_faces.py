"""Figures made of faces: the closest real ones, the way between two, differences in mm, and surface normals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from depthjax.data.window import DepthWindow
from depthjax.errors import UserError
from depthjax.report.faces_image import (
    first_samples,
    mosaic,
    normal_colours,
    real_faces,
    shade,
    surface,
)
from depthjax.report.faces_image import (
    normals as normal_pictures,
)
from depthjax.report.stored import Run, method_name

GAP = 6  # pixels between two faces
LEFT = 132  # pixels for the names of rows
MASK = (232, 232, 232)  # where a difference means nothing
APART, SIGNED = "YlOrRd", "PuOr_r"  # colours of |difference|, and of a difference: purple nearer, orange farther
CHUNK = 512  # faces at a time: all of a large set in millimetres would fill the memory


class Pairs(NamedTuple):
    """Generated faces with the real training face closest to each, closest pair first.

    Attributes:
        real, generated: (k, h, w) in [-1, 1].
        relative: (k,) distance over the median distance of held-out real people to the training faces.
    """

    real: np.ndarray
    generated: np.ndarray
    relative: np.ndarray


def nearest(run: Run) -> Figure | None:
    """For each method, the generated faces that lie closest to a real training face, and how far apart they are.

    None without `evaluation/nearest.npz`, the real faces it points to, or a method that it holds.
    """
    methods = [m for m in run.samples if run.nearest is not None and f"index/{m}" in run.nearest]
    if run.train is None or not methods:
        return None
    count, columns, tile = (8, 1, 112) if len(methods) < 3 else (6, 2, 88)
    pairs = [closest_pairs(run, method, count) for method in methods]
    apart = [depth_apart(p.real, p.generated, run.window_mm) for p in pairs]
    limit = _limit(apart)
    step = (count * (tile + GAP) - GAP + 30, 3 * (tile + GAP) - GAP + 58)
    lines = -(-len(methods) // columns)
    picture = np.full((lines * step[1] - 16, min(columns, len(methods)) * step[0] - 30, 3), 255, np.uint8)
    corners = [(i % columns * step[0], i // columns * step[1] + 42) for i in range(len(methods))]
    for (x, y), pair, differences in zip(corners, pairs, apart, strict=True):
        block = mosaic(_pair_rows(run, pair, differences, limit), count, tile=tile, gap=GAP)
        picture[y:, x:][: block.shape[0], : block.shape[1]] = block
    figure, axes = _sheet(picture, top=58, bottom=52)
    for (x, y), method, pair in zip(corners, methods, pairs, strict=True):
        _name_pairs(axes, (x, y), method_name(method), pair.relative, tile)
        for row, words in enumerate(("closest real\ntraining face", "generated face", "difference")) if x == 0 else ():
            _row_name(axes, y + row * (tile + GAP) + tile / 2, words)
    _heading(figure, "The generated faces closest to a real training face, closest pairs first",
             "Number: distance to that face, as a multiple of how far people who were held out lie from the training "
             "faces\n(their median): 1 is as far as a stranger, 0 is a copy.")  # fmt: skip
    beyond = "max" if _most(apart) > limit else "neither"
    _bar(figure, APART, (0, limit), beyond, "mm apart in depth (grey: only one of the two has a surface there)")
    return figure


def closest_pairs(run: Run, method: str, count: int) -> Pairs:
    """The `count` faces of a method that lie closest to a training face.

    Raises:
        UserError: `evaluation/nearest.npz` speaks of other faces than those stored.
    """
    assert run.nearest is not None and run.train is not None
    index, distance = run.nearest[f"index/{method}"], run.nearest[f"distance/{method}"]
    generated, real = run.samples[method]["images"], run.train["images"]
    if not len(index) == len(distance) == len(generated) or (len(index) and index.max() >= len(real)):
        raise UserError(f"evaluation/nearest.npz is of other faces than samples/{method}: run --stages=evaluate again")
    order = np.argsort(distance, kind="stable")[:count]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = distance[order] / np.float64(run.nearest["reference"])
    return Pairs(real[index[order]], generated[order], relative)


def depth_apart(a: np.ndarray, b: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Millimetres between two images in [-1, 1], NaN where not both have a surface."""
    window = DepthWindow(*window_mm)
    both = surface(a, window_mm) & surface(b, window_mm)
    return np.where(both, np.abs(window.to_mm(a) - window.to_mm(b)), np.float32(np.nan))


def _pair_rows(run: Run, pair: Pairs, apart: np.ndarray, limit: float) -> list[np.ndarray]:
    coloured = _coloured(apart, APART, (0, limit))
    coloured[~(surface(pair.real, run.window_mm) | surface(pair.generated, run.window_mm))] = 255
    return [_in_colour(_lit(run, pair.real)), _in_colour(_lit(run, pair.generated)), coloured]


def _name_pairs(axes: Axes, corner: tuple[int, int], name: str, relative: np.ndarray, tile: int) -> None:
    x, y = corner
    axes.text(x, y - 24, _wrapped(name, 48, lines=1), size=10, weight="bold", va="bottom")
    for column, value in enumerate(relative):
        words = f"{value:.2f}" if np.isfinite(value) else "n/a"
        axes.text(x + column * (tile + GAP) + tile / 2, y - 5, words, size=9, ha="center", va="bottom")


def interpolation(run: Run) -> Figure | None:
    """Faces on the way from one latent to another of the same emotion, a row an emotion; None if none are stored."""
    if run.interpolation is None:
        return None
    images, names, tile = run.interpolation["images"], _interpolated(run), 112
    steps = images.shape[1]
    picture = mosaic([_lit(run, row) for row in images], steps, tile=tile, gap=GAP)
    figure, axes = _sheet(picture, top=76, bottom=8)
    for row, name in enumerate(names):
        _row_name(axes, row * (tile + GAP) + tile / 2, name)
    for place, words in ((0, "first latent"), (steps // 2, "halfway"), (steps - 1, "second latent")):
        axes.text(place * (tile + GAP) + tile / 2, -8, words, size=9, ha="center", va="bottom")
    _heading(figure, f"{_plain(method_name('cdcgan_kd'))}: from one latent to another of the same emotion",
             "Spherical interpolation in even steps between the first two latents drawn for each emotion.")  # fmt: skip
    return figure


def _interpolated(run: Run) -> list[str]:
    """The emotions of the rows: those that were sampled."""
    assert run.interpolation is not None
    rows, sampled = len(run.interpolation["images"]), run.samples.get("cdcgan_kd")
    labels = range(len(run.emotions)) if sampled is None else np.unique(sampled["emotion"]).tolist()
    if rows != len(labels):
        raise UserError(
            f"samples/cdcgan_kd/interpolation.npz holds {rows} emotions, its samples {len(labels)}: "
            "run --stages=sample again"
        )
    return [run.emotions[label] for label in labels]


def difference(run: Run) -> Figure | None:
    """Mean depth of each emotion minus that of neutral, in mm; a row an emotion, a column a set.

    None with a single emotion or without faces.
    """
    sets, tile = _sets(run), 128
    if len(run.emotions) < 2 or not sets:
        return None
    reference = reference_label(run.emotions)
    others = [label for label in range(len(run.emotions)) if label != reference]
    maps = [differences_mm(images, emotion, others, reference, run.window_mm) for _, images, emotion in sets]
    limit = _limit(maps)
    rows = [np.stack([_coloured(m[row], SIGNED, (-limit, limit)) for m in maps]) for row in range(len(others))]
    titles = [_wrapped(name, 18, lines=3) for name, _, _ in sets]
    top = 40 + 15 * max(title.count("\n") + 1 for title in titles)
    figure, axes = _sheet(mosaic(rows, len(sets), tile=tile, gap=GAP), top=top, bottom=64, width=560)
    for row, label in enumerate(others):
        _row_name(axes, row * (tile + GAP) + tile / 2, run.emotions[label])
    for column, title in enumerate(titles):
        axes.text(column * (tile + GAP), -8, title, size=9.5, weight="bold", va="bottom")
        for row in np.flatnonzero(np.isnan(maps[column]).all(axis=(1, 2))):
            place = column * (tile + GAP) + tile / 2, row * (tile + GAP) + tile / 2
            axes.text(*place, "no faces", size=9, ha="center", va="center")
    _heading(
        figure, f"Mean face of each emotion minus the mean face of {_wrapped(run.emotions[reference], 30, lines=1)}"
    )
    beyond = "both" if _most(maps) > limit else "neither"
    _bar(
        figure, SIGNED, (-limit, limit), beyond, "mm; purple: nearer to the camera\norange: farther away; grey: no face"
    )
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
    total, seen = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(rows), CHUNK):
        faces = images[rows[start : start + CHUNK]]
        there = surface(faces, window_mm)
        total += np.where(there, DepthWindow(*window_mm).to_mm(faces), 0).sum(axis=0, dtype=np.float64)
        seen += there.sum(axis=0)
    return np.where(2 * seen >= max(1, len(rows)), total / np.maximum(seen, 1), np.nan)


def normals(run: Run) -> Figure | None:
    """Surface normals as colours, of the first faces of each emotion (rows) and set (blocks); None without faces."""
    names = [name for name, _, _ in _sets(run)]
    if not names:
        return None
    lines = -(-len(names) // 4)
    across, count = -(-len(names) // lines), 4
    tile = 96 if across < 4 else 76
    rows = [_first_faces(run, label, count) for label in range(len(run.emotions))]
    blocks = [
        mosaic([_directions(run, row[block]) for row in rows], count, tile=tile, gap=GAP) for block in range(len(names))
    ]
    high, wide = blocks[0].shape[0] + 44, blocks[0].shape[1] + 22
    picture = np.full((lines * high - 20, across * wide - 22, 3), 255, np.uint8)
    corners = [(i % across * wide, i // across * high + 24) for i in range(len(names))]
    for (x, y), block in zip(corners, blocks, strict=True):
        picture[y:, x:][: block.shape[0], : block.shape[1]] = block
    figure, axes = _sheet(picture, top=34, bottom=104, width=620)
    for (x, y), name in zip(corners, names, strict=True):
        axes.text(x, y - 7, _wrapped(name, wide // 8, lines=1), size=9.5, weight="bold", va="bottom")
        for row, emotion in enumerate(run.emotions) if x == 0 else ():
            _row_name(axes, y + row * (tile + GAP) + tile / 2, emotion)
    _heading(figure, "Surface normals: which way each part of the face looks")
    _sphere(figure)
    return figure


def _first_faces(run: Run, emotion: int, count: int) -> list[np.ndarray]:
    """As in the overview: the same faces of real people, then of each method."""
    real = [] if run.train is None else [real_faces(run.train, emotion, count)]
    return real + [first_samples(stored, emotion, count) for stored in run.samples.values()]


def _sets(run: Run) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, images and emotion of real people and of each method."""
    stored = ([] if run.train is None else [("Real people", run.train)]) + [
        (method_name(m), arrays) for m, arrays in run.samples.items()
    ]
    return [(name, arrays["images"], arrays["emotion"]) for name, arrays in stored]


def _sphere(figure: Figure, *, size: int = 76) -> None:
    """The key: a ball in the colours of its own normals."""
    y, x = np.mgrid[1 : -1 : size * 2j, -1 : 1 : size * 2j]
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    picture = np.where(inside[..., None], normal_colours(np.stack([x, y, z + 1e-9], axis=-1)), 255)
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


def _pitch(run: Run, images: np.ndarray) -> tuple[float, float]:
    """Millimetres a pixel, down and across."""
    wide = run.config["data"]["width_mm"]  # its height too, unless all of a 128x200 crop is squeezed in
    high = wide * 200 / 128 if run.config["data"].get("crop") == "full" else wide
    return high / images.shape[1], wide / images.shape[2]


def _lit(run: Run, images: np.ndarray) -> np.ndarray:
    return shade(images, run.window_mm, _pitch(run, images))


def _directions(run: Run, images: np.ndarray) -> np.ndarray:
    return normal_pictures(images, run.window_mm, _pitch(run, images))


def _in_colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _coloured(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """(..., 3) uint8 of millimetres between two ends; MASK where they are NaN."""
    palette: Colormap = matplotlib.colormaps[colours]
    shown = palette(Normalize(*ends, clip=True)(np.nan_to_num(values)), bytes=True)[..., :3]
    return np.where(np.isnan(values)[..., None], np.array(MASK, np.uint8), shown)


def _limit(values: Sequence[np.ndarray]) -> float:
    """A round number of mm that 99 of 100 differences do not pass, at least 1."""
    known = np.concatenate([np.abs(v[np.isfinite(v)]) for v in values])
    top = float(np.percentile(known, 99)) if len(known) else 1.0
    step = 1.0 if top <= 10 else 5.0
    return max(1.0, step * float(np.ceil(top / step)))


def _most(values: Sequence[np.ndarray]) -> float:
    return max((float(np.abs(v[np.isfinite(v)]).max(initial=0)) for v in values), default=0.0)


def _sheet(picture: np.ndarray, *, top: int, bottom: int, width: int = 0) -> tuple[Figure, Axes]:
    """A figure in which each pixel of `picture` is one of the PNG, with margins; at least `width` beside the names."""
    high, wide = picture.shape[:2]
    full = (max(wide, width) + LEFT + 8, high + top + bottom)
    figure = Figure(figsize=(full[0] / 100, full[1] / 100), dpi=100)
    axes = figure.add_axes((LEFT / full[0], bottom / full[1], wide / full[0], high / full[1]))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure, axes


def _heading(figure: Figure, title: str, words: str = "") -> None:
    width, height = figure.bbox.width, figure.bbox.height
    figure.text(6 / width, 1 - 6 / height, title, va="top", size=11, weight="bold")
    figure.text(6 / width, 1 - 27 / height, words, va="top", size=9)


def _row_name(axes: Axes, middle: float, name: str) -> None:
    axes.text(-10, middle, _wrapped(name, 16, lines=4), ha="right", va="center", size=9.5)


def _bar(figure: Figure, colours: str, ends: tuple[float, float], beyond: str, words: str) -> None:
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 28 / height, 240 / width, 11 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*ends), colours), axes, orientation="horizontal", extend=beyond)
    bar.set_ticks([ends[0], ends[0] / 2 + ends[1] / 2, ends[1]])
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.tick_params(labelsize=9, length=2, pad=2)
    bar.ax.grid(False)
    figure.text((LEFT + 258) / width, 33 / height, words, size=9, va="center")


def _wrapped(name: str, width: int, *, lines: int) -> str:
    """A name in lines of at most `width` characters, cut with an ellipsis after `lines`, set as it stands."""
    parts = textwrap.wrap(name, width, max_lines=lines, placeholder="…") if " " in name.strip() else [name]
    parts = [piece for part in parts for piece in textwrap.wrap(part, width)] or [""]
    kept = parts[:lines] if len(parts) <= lines else [*parts[: lines - 1], parts[lines - 1][: width - 1] + "…"]
    return _plain("\n".join(kept))


def _plain(text: str) -> str:
    """Text that matplotlib sets as it stands: a dollar would start mathematics."""
    return text.replace("$", r"\$")
