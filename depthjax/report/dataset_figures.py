"""The three figures of the dataset card: example faces, counts by subject and emotion, distributions of depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from depthjax import config as configs
from depthjax.data.crop import CROP_WIDTH_MM, nose_distance
from depthjax.data.depth_range import DepthRange
from depthjax.data.stored import StoredFaces
from depthjax.report.dataset_numbers import FACE_MM, Numbers
from depthjax.report.faces_image import shade
from depthjax.report.figure_style import BLUE, GREY, Drawn, drawing, emotion_look, render, save, wrapped

EXAMPLES, TILE, GAP = 8, 112, 6  # subjects, and pixels of a picture
NAMED_SUBJECTS = 48  # more names would not be legible
DPI = 110


def draw_dataset(numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path) -> list[Drawn]:
    """Draw the figures into `folder` and return them in reading order."""
    with drawing((*numbers.emotions, *numbers.names)):
        drawn = [
            render("examples", _examples(numbers, faces, settings), dpi=DPI,
                   caption="The middle frame of each clip, of the first subjects that show the most emotions. Dark "
                   "specks are invalid depth.",
                   alt="Shaded depth faces: a row an emotion, a column a subject."),
            render("counts", _counts(numbers), dpi=DPI,
                   caption="Faces of each subject in each emotion; white: none.",
                   alt="Map of the number of faces by emotion and subject."),
            render("depth", _depth(numbers, settings), dpi=DPI,
                   caption="Depth behind the nose tip, noise of a pixel on each surface (Immerkaer 1996), and where "
                   "depth is invalid.",
                   alt="Depth behind the nose tip by emotion, pixel noise, and a map of invalid depth."),
        ]  # fmt: skip
    for figure in drawn:
        save(figure, folder)
    return drawn


def _examples(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> Figure:
    high = round(TILE * numbers.shape[0] / numbers.shape[1])
    # The first subjects that show the most emotions.
    subjects = np.sort(np.argsort(-(numbers.counts > 0).sum(axis=0), kind="stable")[:EXAMPLES])
    size = (len(numbers.emotions) * (high + GAP), len(subjects) * (TILE + GAP))
    picture = np.full(size, 255, np.uint8)
    for row, column in np.argwhere(numbers.counts[:, subjects]):
        members = np.flatnonzero((faces.emotion == row) & (faces.subject == numbers.subjects[subjects[column]]))
        middle = members[np.argsort(faces.frame[members], kind="stable")[len(members) // 2]]
        top, left = row * (high + GAP), column * (TILE + GAP)
        picture[top : top + high, left : left + TILE] = _tile(faces, int(middle), settings, high)

    figure = Figure(figsize=(size[1] / 100 + 1, size[0] / 100 + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    rows = np.arange(len(numbers.emotions)) * (high + GAP) + high / 2
    columns = np.arange(len(subjects)) * (TILE + GAP) + TILE / 2
    axes.set_yticks(rows, [_short(name) for name in numbers.emotions])
    axes.set_xticks(columns, [_short(numbers.names[i]) for i in subjects])
    axes.xaxis.tick_top()
    return _bare(figure)


def _tile(faces: StoredFaces, number: int, settings: configs.Data, high: int) -> np.ndarray:
    depth = np.asarray(faces.depth[np.array([number])])
    nose = nose_distance(depth)
    images = DepthRange(*FACE_MM).from_mm(depth, nose) if nose[0] > 0 else np.ones(depth.shape, np.float32)
    lit = shade(images, FACE_MM, CROP_WIDTH_MM / depth.shape[2])[0]
    return np.asarray(Image.fromarray(lit).resize((TILE, high), Image.Resampling.BICUBIC))


def _counts(numbers: Numbers) -> Figure:
    named = len(numbers.subjects) <= NAMED_SUBJECTS
    order = np.arange(len(numbers.subjects)) if named else np.argsort(-numbers.counts.sum(axis=0), kind="stable")
    figure = Figure(figsize=(9, 0.35 * len(numbers.emotions) + 1.3), layout="constrained")
    axes = figure.subplots()
    shown = np.ma.masked_equal(numbers.counts[:, order], 0)
    top = max(1, int(numbers.counts.max()))
    edges: Any = {"edgecolors": "white", "linewidth": 1.0} if named else {}
    image = axes.pcolormesh(shown, cmap="Blues", vmin=-0.3 * top, vmax=1.3 * top, **edges)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(numbers.emotions)) + 0.5, [_short(name) for name in numbers.emotions])
    if named:
        axes.set_xticks(order + 0.5, [_short(name) for name in numbers.names], rotation=90, size=7.5)
    axes.set_xlabel("subject" if named else f"{len(order):,} subjects, those with most faces first")
    figure.colorbar(image, label="faces", ticks=[0, top])
    return _bare(figure)


def _depth(numbers: Numbers, settings: configs.Data) -> Figure:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    depth, noise, invalid = figure.subplots(1, 3, width_ratios=(2, 1.2, 1))
    middles = (numbers.edges[:-1] + numbers.edges[1:]) / 2
    depth.axvspan(settings.near_mm, settings.far_mm, color="#eef3f7", linewidth=0)
    for label, emotion in enumerate(numbers.emotions):
        colour, _, dashes = emotion_look(label)
        depth.plot(middles, 100 * numbers.relief[label], color=colour, linestyle=dashes, label=_short(emotion))
    depth.set(title="Depth (shaded: depth range)", xlabel="mm behind the nose tip", ylabel="% of pixels in 2 mm")
    depth.set(xlim=FACE_MM, ylim=(0, None))
    depth.legend()

    if len(numbers.noise):
        noise.hist(numbers.noise, bins=40, range=(0, float(numbers.noise.max())), color=BLUE)
    noise.set(title="Noise of a pixel", xlabel="mm, standard deviation", ylabel="faces")

    # The scale ends at the 99.5th percentile, so that a few pixels do not hide the others.
    top = max(5.0, float(np.ceil(np.percentile(100 * numbers.invalid_map, 99.5))))
    shown = invalid.imshow(100 * numbers.invalid_map, cmap="Blues", vmin=0, vmax=top)
    invalid.set(title="Invalid depth", xticks=[], yticks=[])
    invalid.grid(False)
    figure.colorbar(shown, ax=invalid, label="% of faces")
    return figure


def _bare(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.grid(False)
        axes.tick_params(length=0, colors=GREY)
        axes.spines[:].set_visible(False)
    return figure


def _short(name: str) -> str:
    return wrapped("".join(c if c.isprintable() else " " for c in name), 14, lines=1)
