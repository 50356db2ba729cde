"""What all figures share: colours, names, intervals, and how a figure becomes PNG and SVG."""

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from PIL import Image

from depthjax import files
from depthjax.config import METHODS
from depthjax.fonts import DEFAULT, families, legible
from depthjax.scores import Score

# Okabe and Ito's palette: distinct under every common colour blindness.
INK, GREY, BAND = "#1a1a1a", "#767676", "#d4d4d4"
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
OLIVE = "#6b6b00"  # their yellow, dark enough on white
# One colour and one marker a method in every figure: the training faces, then the methods in their usual order.
_COLOURS = (INK, GREEN, PURPLE, SKY, ORANGE, OLIVE, BLUE, VERMILION)
METHOD_LOOKS = dict(zip(("real", *METHODS), zip(_COLOURS, "os^DvhoP", strict=True), strict=True))
# Paul Tol's "muted" scheme: emotions never look like methods.
EMOTION_COLOURS = ("#332288", "#CC6677", "#44AA99", "#999933", "#AA4499",
                   "#88CCEE", "#882255", "#117733", "#DDCC77")  # fmt: skip
EMOTION_MARKERS, DASHES = "os^DvPX<>", ("-", "--", "-.", ":")
ACROSS = 4  # panels side by side
DPI = 180  # of a chart; a sheet of faces has as many pixels as its faces
STYLE: Any = {
    "svg.hashsalt": "depthjax", "font.family": [DEFAULT], "font.size": 9, "text.color": INK,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.labelcolor": INK,
    "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.7, "lines.linewidth": 1.6,
    "figure.constrained_layout.wspace": 0.06, "figure.constrained_layout.hspace": 0.06,
    "legend.frameon": False, "legend.fontsize": 8.5, "figure.facecolor": "white",
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A finished figure: its files' name without ending, both files (faces in the SVG stay pixels) and words."""

    name: str
    png: bytes
    svg: bytes
    width: int  # of the PNG, in pixels
    height: int
    caption: str = ""
    alt: str = ""  # what it is, for readers who do not see it


def drawing(names: Iterable[str] = ()) -> AbstractContextManager[None]:
    """Within the block, figures have our style, and fonts for the user's names that stand in them."""
    return matplotlib.rc_context(STYLE | {"font.family": families(names)})


def render(name: str, figure: Figure, *, dpi: int = DPI, caption: str = "", alt: str = "") -> Drawn:
    """Draw a figure as PNG and SVG, the same bytes every time; one without a layout engine keeps its own dpi."""
    canvas, layout = FigureCanvasAgg(figure), figure.get_layout_engine()
    if layout is not None:
        figure.set_dpi(dpi)
        layout.execute(figure)  # once for both files: it is half the work
        figure.set_layout_engine(None)
        # The last digits of the layout may differ from run to run: a hundredth of a pixel is enough.
        for axes in figure.axes:
            axes.set_position(Bbox(np.round(axes.get_position(original=True).get_points(), 5)))
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    # A sheet of faces is grey as a rule: one channel is a third of the bytes.
    picture = Image.fromarray(pixels if np.ptp(pixels, axis=-1).any() else pixels[..., 0])
    png, svg = io.BytesIO(), io.BytesIO()
    picture.save(png, format="PNG", optimize=True)
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, dpi=figure.dpi)
    return Drawn(name, png.getvalue(), svg.getvalue(), *picture.size, caption, alt)


def save(drawn: Drawn, folder: Path) -> list[Path]:
    """Write NAME.png and NAME.svg into `folder`, each whole or not at all."""
    paths = [folder / f"{drawn.name}.{ending}" for ending in ("png", "svg")]
    for path, content in zip(paths, (drawn.png, drawn.svg), strict=True):
        with files.replacing(path) as file:
            file.write(content)
    return paths


def small_multiples(titles: Sequence[str], *, height: float, more: float, unit: str) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, one a title, ACROSS side by side, of `height` inches, with `more` around all."""
    across = min(ACROSS, len(titles))
    lines = -(-len(titles) // across)
    width = 2.75 * max(3, across)  # room for the legend
    figure = Figure(figsize=(width, more + height * lines), layout="constrained")
    grid = figure.subplots(lines, across, sharex=True, sharey=True, squeeze=False)
    for place in range(len(titles), grid.size):
        grid.flat[place].set_axis_off()
        grid.flat[place - across].tick_params(labelbottom=True)  # it has become the lowest of its column
    for axes in grid[:, 0]:
        axes.set_ylabel(unit, parse_math=False)
    panels = list(grid.flat[: len(titles)])
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(wrapped(title, 24, lines=2))
    return figure, panels


def method_look(method: str) -> tuple[str, str]:
    """Return the colour and marker of a method, or of `real`."""
    return METHOD_LOOKS.get(method, ("#8a6d3b", "X"))


def method_colour(method: str) -> str:
    """Return the colour of a method, or of `real`."""
    return method_look(method)[0]


def emotion_look(label: int) -> tuple[str, str, str]:
    """Return the colour, marker and dashes of an emotion by its label."""
    place = label % len(EMOTION_COLOURS)
    return EMOTION_COLOURS[place], EMOTION_MARKERS[place], DASHES[label % len(DASHES)]


def emotion_keys(emotions: Iterable[str], *, points: bool) -> list[Line2D]:
    """Return entries of a legend: a point or a line an emotion."""
    looks = [(wrapped(name, 26, lines=1), *emotion_look(label)) for label, name in enumerate(emotions)]
    return [key(w, c, marker, "none") if points else key(w, c, "", dashes) for w, c, marker, dashes in looks]


def key(words: str, colour: str, marker: str = "", dashes: Any = "-", **look: Any) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=words, **{"markersize": 5, **look})


def wrapped(name: str, width: int, *, lines: int) -> str:
    """Break a name, legible, into at most `lines` lines of `width` characters; what is longer ends in an ellipsis."""
    parts = textwrap.wrap(legible(name), width) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1][: width - 1].rstrip() + "…"]
    return "\n".join(parts).replace("$", r"\$")  # a dollar would start mathematics


def intervals(axes: Axes, scores: Mapping[str, Score | None], *, aside: float = 0.0, scale: float = 1.0) -> None:
    """Draw a row a method, `aside` from 0, 1, ... on the y axis: its score in its interval, or "not computed"."""
    for row, (method, score) in enumerate(scores.items()):
        if score is None or score.value is None:
            not_computed(axes, row + aside)
        else:
            colour, marker = method_look(method)
            bar(axes, score, row + aside, colour, scale=scale, linewidth=2.4)
            axes.plot(scale * score.value, row + aside, marker, color=colour, markersize=6)


def not_computed(axes: Axes, row: float) -> None:
    """Write that a row has no value."""
    axes.annotate("not computed", (0.02, row), xycoords=("axes fraction", "data"), va="center", size=7.5, color=GREY)


def bar(axes: Axes, score: Score | None, place: float, colour: str, *, upright: bool = False,
        scale: float = 1.0, linewidth: float = 1.4) -> None:  # fmt: skip
    """Draw the interval of a score at a place on the y axis, or on the x axis if upright; nothing if it has none."""
    if score is not None and score.low is not None and score.high is not None:
        ends, places = [scale * score.low, scale * score.high], [place, place]
        x, y = (places, ends) if upright else (ends, places)
        axes.plot(x, y, color=colour, linewidth=linewidth, alpha=0.55)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write names on the y axis, from the top down."""
    axes.set_yticks(range(len(names)), [wrapped(name, 22, lines=2) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
