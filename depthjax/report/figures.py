"""One function a figure, each drawn from stored files only."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from depthjax import files
from depthjax.data.window import quantise
from depthjax.report.faces_image import first_samples, mosaic, real_faces, shade
from depthjax.report.numbers import DISTANCE, PERCENT, Number, number
from depthjax.report.stored import Run, method_name
from depthjax.report.tables import CLASSIFIER_NAMES, DISTANCE_NAMES, SPACE_NAMES, classifiers_of

# Okabe and Ito's palette, told apart under every common colour blindness.
INK, GREY = "#1a1a1a", "#767676"
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
METHOD_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
STYLE: Any = {
    "svg.hashsalt": "depthjax",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
}
COLUMNS, TILE, GAP = 8, 128, 6  # of a sheet of faces


@dataclass(frozen=True)
class Drawn:
    """A finished figure.

    Attributes:
        name: of its files in figures/, without ending.
        png: the picture.
        svg: the same as vectors (faces stay pixels).
        width, height: of the PNG, in pixels.
    """

    name: str
    png: bytes
    svg: bytes
    width: int
    height: int


def draw_figures(run: Run, folder: Path) -> dict[str, Drawn]:
    """Draw every figure that the stored files allow, into `folder` as NAME.png and NAME.svg.

    Returns:
        the figures by name.
    """
    drawn: dict[str, Drawn] = {}
    for name, draw in _wanted(run).items():
        with matplotlib.rc_context(STYLE):
            figure = draw()
            drawn[name] = _render(name, figure)
        for ending, content in (("png", drawn[name].png), ("svg", drawn[name].svg)):
            with files.replacing(folder / f"{name}.{ending}") as file:
                file.write(content)
    return drawn


def face_figure_name(run: Run, emotion: int, view: str) -> str:
    """The file name of a sheet of faces; what is odd in an emotion's name is left out of it."""
    slug = re.sub(r"[^a-z0-9]+", "-", run.emotions[emotion].lower()).strip("-")
    return f"faces_{emotion}_{slug}_{view}"


def _wanted(run: Run) -> dict[str, Callable[[], Figure]]:
    wanted: dict[str, Callable[[], Figure]] = {}
    if run.train is not None or run.samples:
        wanted["overview"] = partial(overview, run)
        for emotion, view in itertools.product(range(len(run.emotions)), ("depth", "shaded")):
            wanted[face_figure_name(run, emotion, view)] = partial(faces, run, emotion, view)
    if run.metrics is not None:
        wanted["losses"] = partial(losses, run.metrics)
    if run.history is not None:
        fitness = str(run.config.get("evolve", {}).get("fitness", "as configured"))
        wanted["evolution"] = partial(evolution, run.history, run.emotions, fitness)
    if run.evaluation is not None and run.evaluation.get("methods"):
        wanted["recognition"] = partial(recognition, run.evaluation, len(run.emotions))
        wanted["distances"] = partial(distances, run.evaluation)
    return wanted


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
    figure.text(0.5 / 100, 1 - 8 / figure.bbox.height, _plain(run.emotions[emotion]), va="top", size=11, weight="bold")
    for row, (name, _) in enumerate(sources):
        axes.text(-10, row * (TILE + GAP) + TILE / 2, _plain(name), ha="right", va="center", size=9.5, wrap=False)
    if view == "depth":
        _depth_scale(figure, run.window_mm, left=132)
    return figure


def overview(run: Run) -> Figure:
    """Every emotion (rows) of real people and each method (blocks), as lit relief."""
    columns, tile, gap, between = 4, 96, 6, 18
    names = [name for name, _ in _sources(run, 0, columns)]
    blocks = []
    for block in range(len(names)):
        rows = [_view(run, _sources(run, e, columns)[block][1], "shaded") for e in range(len(run.emotions))]
        blocks += [mosaic(rows, columns, tile=tile, gap=gap)]
        blocks += [np.full((len(blocks[0]), between), 255, np.uint8)]
    figure, axes = sheet(np.concatenate(blocks[:-1], axis=1), left=92, top=34, bottom=6)
    width = columns * (tile + gap) - gap + between
    for block, name in enumerate(names):
        axes.text(block * width, -14, _plain(name), size=9.5, weight="bold")
    for row, emotion in enumerate(run.emotions):
        axes.text(-10, row * (tile + gap) + tile / 2, _plain(emotion), ha="right", va="center", size=9.5)
    return figure


def losses(metrics: dict[str, np.ndarray]) -> Figure:
    """Adversarial and distillation losses and the discriminator's accuracy over the epochs (paper: figure 12)."""
    figure = Figure(figsize=(11, 3.5), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, middle, right = figure.subplots(1, 3)
    _lines(
        left,
        metrics,
        {
            "g_adv": ("generator", BLUE, "-"),
            "d_adv_real": ("discriminator, real", VERMILION, "-"),
            "d_adv_fake": ("discriminator, generated", ORANGE, "--"),
        },
    )
    left.set(title="Adversarial loss", ylabel="binary cross-entropy (nats)")
    _lines(middle, metrics, {"g_kd": ("generator", BLUE, "-"), "d_kd": ("discriminator", VERMILION, "-")})
    middle.set(title="Distillation loss", ylabel="distance to the EMA teacher")
    if min(metrics["g_kd"].min(), metrics["d_kd"].min()) > 0:
        middle.set_yscale("log")  # the two differ by an order of magnitude
        middle.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        middle.yaxis.set_major_formatter("{x:g}")
        middle.yaxis.set_minor_formatter(NullFormatter())
    shares = {name: 100 * metrics[name] for name in ("d_acc_real", "d_acc_fake")} | {"epoch": metrics["epoch"]}
    right.axhline(50, color=GREY, linewidth=1, linestyle=":")
    _lines(right, shares, {"d_acc_real": ("on real", VERMILION, "-"), "d_acc_fake": ("on generated", ORANGE, "--")})
    right.set(title="Discriminator accuracy", ylabel="accuracy (%)", ylim=(-2, 102))
    return figure


def evolution(history: dict[str, np.ndarray], emotions: Sequence[str], fitness: str) -> Figure:
    """Best and mean fitness over the generations, median and range of the islands (paper: figure 15)."""
    columns = min(len(emotions), 4)
    lines = -(-len(emotions) // columns)
    figure = Figure(figsize=(11, 0.4 + 3.0 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, emotion, best, mean in zip(grid.flat, emotions, history["best"], history["mean"], strict=False):
        for values, label, colour, dashes in ((best, "best", BLUE, "-"), (mean, "mean", ORANGE, "--")):
            generations = np.arange(values.shape[-1])
            axes.fill_between(generations, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
            axes.plot(generations, np.median(values, 0), color=colour, linestyle=dashes, label=label)
        axes.set_title(_plain(emotion))
        axes.set_xlabel("generation")
    for axes in grid.flat[len(emotions) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(f"fitness ({_plain(fitness)})")
    grid.flat[0].legend(loc="lower right", title=f"median of {history['best'].shape[1]} islands, range shaded")
    return figure


def recognition(evaluation: dict[str, Any], classes: int) -> Figure:
    """Accuracy on unseen people after training on real or on generated faces, a classifier a panel."""
    methods, classifiers = list(evaluation["methods"]), classifiers_of(evaluation, "tstr")
    figure = Figure(figsize=(11, 1.3 + 0.36 * (len(methods) + 1)), layout=ConstrainedLayoutEngine(wspace=0.08))
    panels = figure.subplots(1, max(1, len(classifiers)), sharex=True, sharey=True, squeeze=False)[0]
    for axes, classifier in zip(panels, classifiers, strict=False):
        real = number(evaluation, ("methods", methods[0], "trtr", classifier, "accuracy"), PERCENT)
        ours = [number(evaluation, ("methods", m, "tstr", classifier, "accuracy"), PERCENT) for m in methods]
        _intervals(axes, [real, *ours], [INK, *_colours(len(methods))], scale=PERCENT.factor)
        axes.axvline(100 / classes, color=GREY, linewidth=1, linestyle=":")
        axes.set(title=CLASSIFIER_NAMES.get(classifier, _plain(classifier)), xlabel="accuracy (%)")
        axes.set(xlim=(0, 100), xticks=range(0, 101, 25))
    panels[0].annotate("guessing", (100 / classes, 0.0), (3, 3), xycoords=("data", "axes fraction"),
                       textcoords="offset points", size=8, color=GREY)  # fmt: skip
    _rows(panels[0], ["trained on real", *(method_name(m) for m in methods)])
    return figure


def distances(evaluation: dict[str, Any]) -> Figure:
    """Each distance to real faces with its interval, and the range between real people as a band."""
    methods = list(evaluation["methods"])
    figure = Figure(figsize=(11, 1.3 + 0.36 * len(methods)), layout=ConstrainedLayoutEngine(wspace=0.06))
    panels = figure.subplots(1, len(DISTANCE_NAMES) * len(SPACE_NAMES), sharey=True)
    pairs = [(distance, space) for distance in DISTANCE_NAMES for space in SPACE_NAMES]
    for axes, (distance, space) in zip(panels, pairs, strict=True):
        ours = [number(evaluation, ("methods", m, distance, space), DISTANCE) for m in methods]
        floor = number(evaluation, ("floor", distance, space), DISTANCE)
        if floor.interval is not None:
            axes.axvspan(*floor.interval, color="#cfcfcf", linewidth=0)
        if floor.value is not None:
            axes.axvline(floor.value, color=INK, linewidth=1, linestyle=":")
        _intervals(axes, ours, _colours(len(methods)), scale=1)
        axes.set(title=f"{DISTANCE_NAMES[distance]}, {SPACE_NAMES[space]}")
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=4)
    figure.supxlabel("distance to real faces; grey band: real people against other real people", size=9)
    _rows(panels[0], [method_name(m) for m in methods])
    return figure


def _sources(run: Run, emotion: int, count: int) -> list[tuple[str, np.ndarray]]:
    real = [] if run.train is None else [("Real people", real_faces(run.train, emotion, count))]
    return real + [(method_name(m), first_samples(stored, emotion, count)) for m, stored in run.samples.items()]


def _view(run: Run, images: np.ndarray, view: str) -> np.ndarray:
    if view == "depth":
        return quantise(images)
    wide = run.config["data"]["width_mm"]  # its height too, unless all of a 128x200 crop is squeezed in
    high = wide * 200 / 128 if run.config["data"].get("crop") == "full" else wide
    pitch = (high / images.shape[1], wide / images.shape[2])
    return shade(images, run.window_mm, pitch) if len(images) else quantise(images)


def sheet(picture: np.ndarray, *, left: int, top: int, bottom: int = 0) -> tuple[Figure, Axes]:
    """A figure in which each pixel of `picture` is one pixel of the PNG, with margins for words."""
    height, width = picture.shape
    full_width, full_height = width + left, height + top + bottom
    figure = Figure(figsize=(full_width / 100, full_height / 100), dpi=100)
    axes = figure.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure, axes


def _depth_scale(figure: Figure, window_mm: tuple[float, float], *, left: int) -> None:
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((left / width, 26 / height, 260 / width, 10 / height))
    axes.imshow(np.arange(256)[None], cmap="gray", aspect="auto", extent=(*window_mm, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([window_mm[0], 0, window_mm[1]])
    axes.tick_params(labelsize=8, length=2, pad=2)
    axes.grid(False)
    figure.text((left + 272) / width, 31 / height, "mm behind the nose tip (darker is closer)", size=8, va="center")


def _lines(axes: Axes, columns: dict[str, np.ndarray], lines: dict[str, tuple[str, str, str]]) -> None:
    marker = "o" if len(columns["epoch"]) == 1 else ""
    for name, (label, colour, dashes) in lines.items():
        axes.plot(columns["epoch"], columns[name], color=colour, linestyle=dashes, label=label, marker=marker)
    axes.set_xlabel("epoch")
    axes.legend(loc="best")


def _intervals(axes: Axes, values: Sequence[Number], colours: Sequence[str], *, scale: float) -> None:
    for row, (value, colour) in enumerate(zip(values, colours, strict=True)):
        if value.interval is not None:
            axes.plot([scale * end for end in value.interval], [row, row], color=colour, linewidth=2.4, alpha=0.55)
        if value.value is not None:
            axes.plot(scale * value.value, row, "o", color=colour, markersize=6)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _colours(count: int) -> list[str]:
    return [METHOD_COLOURS[i % len(METHOD_COLOURS)] for i in range(count)]


def _plain(text: str) -> str:
    """Text that matplotlib sets as it stands: a dollar would start mathematics."""
    return text.replace("$", r"\$")


def _render(name: str, figure: Figure) -> Drawn:
    FigureCanvasAgg(figure)
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=100 if figure.get_layout_engine() is None else 180)
    with Image.open(png) as picture:
        # A sheet of faces is grey: one channel is a third of the bytes.
        flat = picture.convert("L" if figure.get_layout_engine() is None else "RGB")
    small = io.BytesIO()
    flat.save(small, format="PNG", optimize=True)
    return Drawn(name, small.getvalue(), svg.getvalue(), *flat.size)
