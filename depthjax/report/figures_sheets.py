"""Sheets of faces: real people beside each method, as depth, as lit relief and as surface normals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthjax.data.depth_range import quantise
from depthjax.report.faces_image import mosaic, normal_colours, real_faces, shade, spaced_samples
from depthjax.report.faces_image import normals as normal_pictures
from depthjax.report.figure_style import wrapped
from depthjax.report.stored import Run, method_name

COLUMNS, TILE, GAP = 8, 128, 6  # of a sheet of faces
LEFT = 132  # pixels for the names of rows


def face_figure_name(run: Run, emotion: int, view: str) -> str:
    """The file name of a sheet of faces; what is odd in an emotion's name is left out of it."""
    slug = re.sub(r"[^a-z0-9]+", "-", run.emotions[emotion].lower()).strip("-")
    return f"faces_{emotion}_{slug}_{view}"


def faces(run: Run, emotion: int, view: str) -> Figure:
    """Real people and each method's first samples of one emotion, a row each.

    Args:
        emotion: its label.
        view: `depth` (grey) or `shaded` (lit relief); both hold the same faces.
    """
    sources = _sources(run, emotion, COLUMNS)
    picture = mosaic([_view(run, images, view) for _, images in sources], COLUMNS, tile=TILE, gap=GAP)
    bottom = 46 if view == "depth" else 8
    figure, axes = sheet(picture, left=132, top=36, bottom=bottom)
    figure.text(
        0.5 / 100,
        1 - 8 / figure.bbox.height,
        wrapped(run.emotions[emotion], 60, lines=1),
        va="top",
        size=11,
        weight="bold",
    )
    for row, (name, _) in enumerate(sources):
        axes.text(-10, row * (TILE + GAP) + TILE / 2, wrapped(name, 16, lines=4), ha="right", va="center", size=9.5)
    if view == "depth":
        _depth_scale(figure, run.window_mm, left=132)
    return figure


def overview(run: Run) -> Figure:
    """Every emotion (rows) of real people and each method (blocks), as lit relief (paper: figure 16)."""
    return _blocks(run, lambda images: lit(run, images), top=12, bottom=6)


def normals(run: Run) -> Figure | None:
    """Surface normals as colours, of some faces of each emotion (rows) and set (blocks); None without faces."""
    if not face_sets(run):
        return None
    figure = _blocks(run, lambda images: _directions(run, images), top=34, bottom=104, width=620)
    heading(figure, "Surface normals: which way each part of the face looks")
    _sphere(figure)
    return figure


def _blocks(
    run: Run, view: Callable[[np.ndarray], np.ndarray], *, top: int, bottom: int, width: int = 0, count: int = 4
) -> Figure:
    """Some faces of each emotion (rows) and set (blocks), the same ones for every view."""
    rows = [_some_faces(run, label, count) for label in range(len(run.emotions))]
    names = [name for name, _, _ in face_sets(run)]
    blocks = {name: [view(row[i]) for row in rows] for i, name in enumerate(names)}
    return blocks_figure(blocks, run.emotions, count=count, top=top, bottom=bottom, width=width)


def blocks_figure(
    blocks: Mapping[str, Sequence[np.ndarray]],
    emotions: Sequence[str],
    *,
    count: int,
    top: int,
    bottom: int,
    width: int = 0,
) -> Figure:
    """Sets of faces side by side, at most four in a line, each with a row for every emotion.

    Args:
        blocks: for each set, by its name, an array of pictures for each emotion: (n, h, w) or (n, h, w, 3) uint8.
        emotions: their names.
        count: faces a row.
        top, bottom, width: pixels, as of `framed`.
    """
    lines = -(-len(blocks) // 4)
    across = -(-len(blocks) // lines)
    tile = 96 if across < 4 else 76
    pictures = [mosaic(rows, count, tile=tile, gap=GAP) for rows in blocks.values()]
    high, wide = pictures[0].shape[0] + 44, pictures[0].shape[1] + 22
    whole = np.full((lines * high - 20, across * wide - 22, *pictures[0].shape[2:]), 255, np.uint8)
    corners = [(i % across * wide, i // across * high + 24) for i in range(len(blocks))]
    for (x, y), picture in zip(corners, pictures, strict=True):
        whole[y:, x:][: picture.shape[0], : picture.shape[1]] = picture
    figure, axes = framed(whole, top=top, bottom=bottom, width=width)
    for (x, y), name in zip(corners, blocks, strict=True):
        axes.text(x, y - 7, wrapped(name, wide // 15, lines=1), size=9.5, weight="bold", va="bottom")
        for row, emotion in enumerate(emotions) if x == 0 else ():
            name_row(axes, y + row * (tile + GAP) + tile / 2, emotion)
    return figure


def _some_faces(run: Run, emotion: int, count: int) -> list[np.ndarray]:
    """As in the overview: the same faces of real people, then of each method."""
    real = [] if run.train is None else [real_faces(run.train, emotion, count)]
    return real + [spaced_samples(stored, emotion, count) for stored in run.samples.values()]


def _sources(run: Run, emotion: int, count: int) -> list[tuple[str, np.ndarray]]:
    names = [name for name, _, _ in face_sets(run)]
    return list(zip(names, _some_faces(run, emotion, count), strict=True))


def _view(run: Run, images: np.ndarray, view: str) -> np.ndarray:
    return lit(run, images) if view == "shaded" else quantise(images)


def face_sets(run: Run) -> list[tuple[str, np.ndarray, np.ndarray]]:
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


def _depth_scale(figure: Figure, window_mm: tuple[float, float], *, left: int) -> None:
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((left / width, 26 / height, 260 / width, 10 / height))
    axes.imshow(np.arange(256)[None], cmap="gray", aspect="auto", extent=(*window_mm, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([window_mm[0], 0, window_mm[1]])
    axes.tick_params(labelsize=8, length=2, pad=2)
    axes.grid(False)
    figure.text((left + 272) / width, 31 / height, "mm behind the nose tip (darker is closer)", size=8, va="center")


def _pitch(run: Run, images: np.ndarray) -> tuple[float, float]:
    """Millimetres a pixel, down and across."""
    wide = run.config["data"]["width_mm"]  # its height too, unless all of a 128x200 crop is squeezed in
    high = wide * 200 / 128 if run.config["data"].get("crop") == "full" else wide
    return high / images.shape[1], wide / images.shape[2]


def lit(run: Run, images: np.ndarray) -> np.ndarray:
    """Faces as lit relief, by the millimetres of a pixel that the run says."""
    return shade(images, run.window_mm, _pitch(run, images))


def _directions(run: Run, images: np.ndarray) -> np.ndarray:
    return normal_pictures(images, run.window_mm, _pitch(run, images))


def sheet(picture: np.ndarray, *, left: int, top: int, bottom: int = 0) -> tuple[Figure, Axes]:
    """A figure in which each pixel of `picture` is one pixel of the PNG, with margins for words."""
    height, width = picture.shape[:2]
    full_width, full_height = width + left, height + top + bottom
    figure = Figure(figsize=(full_width / 100, full_height / 100), dpi=100)
    axes = figure.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure, axes


def framed(picture: np.ndarray, *, top: int, bottom: int, width: int = 0) -> tuple[Figure, Axes]:
    """A figure in which each pixel of `picture` is one of the PNG, with margins; at least `width` beside the names."""
    high, wide = picture.shape[:2]
    full = (max(wide, width) + LEFT + 8, high + top + bottom)
    figure = Figure(figsize=(full[0] / 100, full[1] / 100), dpi=100)
    axes = figure.add_axes((LEFT / full[0], bottom / full[1], wide / full[0], high / full[1]))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure, axes


def heading(figure: Figure, title: str, words: str = "") -> None:
    """A title at the top left, and a line or two beneath it."""
    width, height = figure.bbox.width, figure.bbox.height
    figure.text(6 / width, 1 - 6 / height, title, va="top", size=11, weight="bold")
    figure.text(6 / width, 1 - 27 / height, words, va="top", size=9)


def name_row(axes: Axes, middle: float, name: str) -> None:
    """The name of a row of faces, left of it."""
    axes.text(-10, middle, wrapped(name, 16, lines=4), ha="right", va="center", size=9.5)
