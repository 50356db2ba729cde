"""Figures made of faces: the closest real ones, the way between two, and differences in mm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from depthjax.data.depth_range import DepthRange
from depthjax.errors import UserError
from depthjax.report.faces_image import mosaic, surface
from depthjax.report.figure_style import plain, wrapped
from depthjax.report.figures_sheets import GAP, LEFT, face_sets, framed, heading, lit, name_row
from depthjax.report.stored import Run, method_name

MASK = (232, 232, 232)  # where a difference means nothing
APART, SIGNED = "YlOrRd", "PuOr_r"  # colours of |difference|, and of a difference: purple nearer, orange farther
CHUNK = 128  # faces at a time: all of a large set in millimetres would fill the memory


class Pairs(NamedTuple):
    """Generated faces with the real training face closest to each, closest pair first.

    Attributes:
        real, generated: (k, h, w) in [-1, 1].
        relative: (k,) distance over the median distance of held-out real people to the training faces.
        median: of all faces of the method, relative too.
    """

    real: np.ndarray
    generated: np.ndarray
    relative: np.ndarray
    median: float


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
    limit = _limit(apart, 95)
    step = (count * (tile + GAP) - GAP + 30, 3 * (tile + GAP) - GAP + 58)
    lines = -(-len(methods) // columns)
    picture = np.full((lines * step[1] - 16, min(columns, len(methods)) * step[0] - 30, 3), 255, np.uint8)
    corners = [(i % columns * step[0], i // columns * step[1] + 42) for i in range(len(methods))]
    for (x, y), pair, differences in zip(corners, pairs, apart, strict=True):
        block = mosaic(_pair_rows(run, pair, differences, limit), count, tile=tile, gap=GAP)
        picture[y:, x:][: block.shape[0], : block.shape[1]] = block
    figure, axes = framed(picture, top=72, bottom=52, width=760)
    for (x, y), method, pair in zip(corners, methods, pairs, strict=True):
        _name_pairs(axes, (x, y), method_name(method), pair, tile, step[0] - 30)
        for row, words in enumerate(("closest real\ntraining face", "generated face", "difference")) if x == 0 else ():
            name_row(axes, y + row * (tile + GAP) + tile / 2, words)
    heading(figure, "The generated faces closest to a real training face, closest pairs first",
             "Number: distance to that face, as a multiple of how far people who were held out lie from the training "
             "faces\n(their median): 1 is as far as a stranger, 0 is the same shape.")  # fmt: skip
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
        relative = distance / np.float64(run.nearest["reference"])
    return Pairs(
        real[index[order]], generated[order], relative[order], float(np.median(relative)) if len(relative) else np.nan
    )


def depth_apart(a: np.ndarray, b: np.ndarray, window_mm: tuple[float, float]) -> np.ndarray:
    """Millimetres between two images in [-1, 1], NaN where not both have a surface."""
    window = DepthRange(*window_mm)
    both = surface(a, window_mm) & surface(b, window_mm)
    return np.where(both, np.abs(window.to_mm(a) - window.to_mm(b)), np.float32(np.nan))


def _pair_rows(run: Run, pair: Pairs, apart: np.ndarray, limit: float) -> list[np.ndarray]:
    coloured = _coloured(apart, APART, (0, limit))
    coloured[~(surface(pair.real, run.window_mm) | surface(pair.generated, run.window_mm))] = 255
    return [_in_colour(lit(run, pair.real)), _in_colour(lit(run, pair.generated)), coloured]


def _name_pairs(axes: Axes, corner: tuple[int, int], name: str, pair: Pairs, tile: int, width: int) -> None:
    x, y = corner
    axes.text(x, y - 24, wrapped(name, 34, lines=1), size=10, weight="bold", va="bottom")
    axes.text(x + width, y - 24, f"median of all its faces: {_ratio(pair.median)}", size=9, ha="right", va="bottom")
    for column, value in enumerate(pair.relative):
        place = x + column * (tile + GAP) + tile / 2
        axes.text(place, y - 5, _ratio(value), size=9, ha="center", va="bottom")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "n/a"


def interpolation(run: Run) -> Figure | None:
    """Faces on the way from one latent to another of the same emotion, a row an emotion; None if none are stored."""
    if run.interpolation is None:
        return None
    images, names, tile = run.interpolation["images"], _interpolated(run), 112
    steps = images.shape[1]
    picture = mosaic([lit(run, row) for row in images], steps, tile=tile, gap=GAP)
    figure, axes = framed(picture, top=76, bottom=8)
    for row, name in enumerate(names):
        name_row(axes, row * (tile + GAP) + tile / 2, name)
    for place, words in ((0, "first latent"), (steps // 2, "halfway"), (steps - 1, "second latent")):
        axes.text(place * (tile + GAP) + tile / 2, -8, words, size=9, ha="center", va="bottom")
    told = "Spherical interpolation in even steps between the first two latents drawn for each emotion"
    told += ", before new noise" if run.config.get("sample", {}).get("noise") else ""
    told += "; holes are drawn anew at each step." if run.config.get("model", {}).get("validity_mask") else "."
    heading(figure, f"{plain(method_name('cdcgan_kd'))}: from one latent to another of the same emotion", told)
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
    sets, tile = face_sets(run), 128
    if len(run.emotions) < 2 or not sets:
        return None
    reference = reference_label(run.emotions)
    others = [label for label in range(len(run.emotions)) if label != reference]
    maps = [differences_mm(images, emotion, others, reference, run.window_mm) for _, images, emotion in sets]
    limit = _limit(maps, 99)
    rows = [np.stack([_coloured(m[row], SIGNED, (-limit, limit)) for m in maps]) for row in range(len(others))]
    titles = [wrapped(name, 16, lines=3) for name, _, _ in sets]
    top = 40 + 15 * max(title.count("\n") + 1 for title in titles)
    figure, axes = framed(mosaic(rows, len(sets), tile=tile, gap=GAP), top=top, bottom=64, width=560)
    for row, label in enumerate(others):
        name_row(axes, row * (tile + GAP) + tile / 2, run.emotions[label])
    for column, title in enumerate(titles):
        axes.text(column * (tile + GAP), -8, title, size=9.5, weight="bold", va="bottom")
        for row in np.flatnonzero(np.isnan(maps[column]).all(axis=(1, 2))).tolist():
            place = column * (tile + GAP) + tile / 2, row * (tile + GAP) + tile / 2
            axes.text(*place, "no faces", size=9, ha="center", va="center")
    heading(figure, f"Mean face of each emotion minus the mean face of {wrapped(run.emotions[reference], 30, lines=1)}")
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
        total += np.where(there, DepthRange(*window_mm).to_mm(faces), 0).sum(axis=0, dtype=np.float64)
        seen += there.sum(axis=0)
    return np.where(2 * seen >= max(1, len(rows)), total / np.maximum(seen, 1), np.nan)


def _in_colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _coloured(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """(..., 3) uint8 of millimetres between two ends; MASK where they are NaN."""
    palette: Colormap = matplotlib.colormaps[colours]
    shown = palette(Normalize(*ends, clip=True)(np.nan_to_num(values)), bytes=True)[..., :3]
    return np.where(np.isnan(values)[..., None], np.array(MASK, np.uint8), shown)


def _limit(values: Sequence[np.ndarray], share: float) -> float:
    """A round number of mm that `share` percent of the differences do not pass, at least 1."""
    known = np.concatenate([np.abs(v[np.isfinite(v)]) for v in values])
    top = float(np.percentile(known, share)) if len(known) else 1.0
    step = 1.0 if top <= 10 else 5.0
    return max(1.0, step * float(np.ceil(top / step)))


def _most(values: Sequence[np.ndarray]) -> float:
    return max((float(np.abs(v[np.isfinite(v)]).max(initial=0)) for v in values), default=0.0)


def _bar(figure: Figure, colours: str, ends: tuple[float, float], beyond: str, words: str) -> None:
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 28 / height, 240 / width, 11 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*ends), colours), axes, orientation="horizontal", extend=beyond)
    bar.set_ticks([ends[0], ends[0] / 2 + ends[1] / 2, ends[1]])
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.tick_params(labelsize=9, length=2, pad=2)
    bar.ax.grid(False)
    figure.text((LEFT + 258) / width, 33 / height, words, size=9, va="center")
