"""One function a figure, each drawn from stored files only."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from depthjax import files
from depthjax.report import figures_faces, figures_scores, figures_sheets, figures_spaces, figures_violins
from depthjax.report.figure_style import (
    BLUE,
    GREY,
    INK,
    STYLE,
    VERMILION,
    plain,
    wrapped,
)
from depthjax.report.figures_sheets import face_figure_name
from depthjax.report.stored import Run

DPI = 180  # of a chart; a sheet of faces has as many pixels as its faces


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
            if figure is None:
                continue
            drawn[name] = _render(name, figure)
        for ending, content in (("png", drawn[name].png), ("svg", drawn[name].svg)):
            with files.replacing(folder / f"{name}.{ending}") as file:
                file.write(content)
    return drawn


def _wanted(run: Run) -> dict[str, Callable[[], Figure | None]]:
    """What may be drawn of the stored files; a figure that comes out as None has nothing to show."""
    wanted: dict[str, Callable[[], Figure | None]] = {}
    if run.train is not None or run.samples:
        wanted["overview"] = partial(figures_sheets.overview, run)
        for emotion, view in itertools.product(range(len(run.emotions)), ("depth", "shaded")):
            wanted[face_figure_name(run, emotion, view)] = partial(figures_sheets.faces, run, emotion, view)
    for draw in (figures_sheets.normals, figures_faces.difference, figures_faces.interpolation, figures_faces.nearest):
        wanted[draw.__name__] = partial(draw, run)
    if run.metrics is not None:
        wanted["losses"] = partial(losses, run.metrics)
    if run.history is not None:
        fitness = str(run.config.get("evolve", {}).get("fitness", "as configured"))
        wanted["evolution"] = partial(evolution, run.history, run.emotions, fitness)
    return wanted | _of_embedding(run) | _of_evaluation(run)


def _of_embedding(run: Run) -> dict[str, Callable[[], Figure | None]]:
    if run.embedding is None:
        return {}
    methods = list(run.samples)
    return {
        "lda": partial(figures_spaces.lda, run.embedding, run.emotions, methods),
        "tsne": partial(figures_spaces.tsne, run.embedding, run.emotions, methods),
        "correlations": partial(figures_spaces.correlations, run.embedding, methods),
    }


def _of_evaluation(run: Run) -> dict[str, Callable[[], Figure | None]]:
    if run.evaluation is None or not run.evaluation.get("methods"):
        return {}
    found, classes = run.evaluation, len(run.emotions)
    return {
        "recognition": partial(figures_scores.recognition, found, classes),
        "scarcity": partial(figures_scores.scarcity, found, classes),
        "violins": partial(figures_violins.violins, found),
        "annex_1": partial(figures_violins.annex_1, found),
        "distances": partial(figures_spaces.distances, found),
        "coverage": partial(figures_spaces.coverage, found, run.emotions),
        "table_1": partial(figures_scores.table_1, found),
        "table_2": partial(figures_scores.table_2, found),
    }


def losses(metrics: dict[str, np.ndarray]) -> Figure:
    """Adversarial and distillation losses and the discriminator's accuracy over the epochs (paper: figure 12)."""
    figure = Figure(figsize=(11, 3.5), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, middle, right = figure.subplots(1, 3)
    _lines(
        left,
        metrics,
        {
            "g_adv": ("generator", BLUE, "-"),
            "d_adv_real": ("discriminator, real", INK, "-"),
            "d_adv_fake": ("discriminator, generated", GREY, "--"),
        },
    )
    left.set(title="Adversarial loss", ylabel="binary cross-entropy (nats)")
    _lines(middle, metrics, {"g_kd": ("generator", BLUE, "-"), "d_kd": ("discriminator", INK, "-")})
    middle.set(title="Distillation loss", ylabel="distance to the EMA teacher")
    if min(metrics["g_kd"].min(), metrics["d_kd"].min()) > 0:
        middle.set_yscale("log")  # the two differ by an order of magnitude
        middle.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        middle.yaxis.set_major_formatter("{x:g}")
        middle.yaxis.set_minor_formatter(NullFormatter())
    shares = {name: 100 * metrics[name] for name in ("d_acc_real", "d_acc_fake")} | {"epoch": metrics["epoch"]}
    right.axhline(50, color=GREY, linewidth=1, linestyle=":")
    _lines(right, shares, {"d_acc_real": ("on real", INK, "-"), "d_acc_fake": ("on generated", GREY, "--")})
    right.set(title="Discriminator accuracy", ylabel="accuracy (%)", ylim=(-2, 102))
    return figure


def evolution(history: dict[str, np.ndarray], emotions: Sequence[str], fitness: str) -> Figure:
    """Best and mean fitness over the generations, median and range of the islands (paper: figure 15)."""
    columns = min(len(emotions), 4)
    lines = -(-len(emotions) // columns)
    figure = Figure(figsize=(11, 0.4 + 3.0 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, emotion, best, mean in zip(grid.flat, emotions, history["best"], history["mean"], strict=False):
        for values, label, colour, dashes in ((best, "best", VERMILION, "-"), (mean, "mean", INK, "--")):
            generations = np.arange(values.shape[-1])
            axes.fill_between(generations, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
            axes.plot(generations, np.median(values, 0), color=colour, linestyle=dashes, label=label)
        axes.set_title(wrapped(emotion, 26, lines=1))
        axes.set_xlabel("generation")
    for place in range(len(emotions), lines * columns):
        grid.flat[place].set_axis_off()
        grid.flat[place - columns].tick_params(labelbottom=True)  # it has become the lowest of its column
    for axes in grid[:, 0]:
        axes.set_ylabel(f"fitness ({plain(fitness)})")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    about = f"lines: median of {history['best'].shape[1]} islands; shaded: their range"
    figure.legend(handles, [*labels[:1], f"{labels[1]} of the population ({about})"], loc="outside upper left", ncols=2)
    return figure


def _lines(axes: Axes, columns: dict[str, np.ndarray], lines: dict[str, tuple[str, str, str]]) -> None:
    marker = "o" if len(columns["epoch"]) == 1 else ""
    for name, (label, colour, dashes) in lines.items():
        axes.plot(columns["epoch"], columns[name], color=colour, linestyle=dashes, label=label, marker=marker)
    axes.set_xlabel("epoch")
    axes.legend(loc="best")


def _render(name: str, figure: Figure) -> Drawn:
    canvas, layout = FigureCanvasAgg(figure), figure.get_layout_engine()
    if layout is not None:
        figure.set_dpi(DPI)
        layout.execute(figure)  # once for both files: it is half the work
        figure.set_layout_engine(None)
    canvas.draw()
    colours = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    channels = [channel.tobytes() for channel in colours.split()]
    # A sheet of faces is grey as a rule: one channel is a third of the bytes.
    flat = colours.convert("L") if channels[0] == channels[1] == channels[2] else colours
    svg, png = io.BytesIO(), io.BytesIO()
    flat.save(png, format="PNG", optimize=True)
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, dpi=figure.dpi)
    return Drawn(name, png.getvalue(), svg.getvalue(), *flat.size)
