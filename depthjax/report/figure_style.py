"""What all figures share: colours, type, names, intervals, and how a figure becomes PNG and SVG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from PIL import Image

from depthjax import files
from depthjax.config import METHODS
from depthjax.scores import Score

# Okabe and Ito's palette: distinct under every common colour blindness.
INK, GREY, BAND = "#1a1a1a", "#767676", "#d4d4d4"
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
# One colour and one marker a method in every figure: the training faces, then the methods in their usual order.
_COLOURS = (INK, GREEN, PURPLE, SKY, ORANGE, BLUE, VERMILION)
METHOD_LOOKS = dict(zip(("real", *METHODS), zip(_COLOURS, "os^DvoP", strict=True), strict=True))
OTHER_METHOD = ("#8a6d3b", "X")
# Paul Tol's "muted" scheme: emotions never look like methods.
EMOTION_COLOURS = (
    "#332288", "#CC6677", "#44AA99", "#999933", "#AA4499", "#88CCEE", "#882255", "#117733", "#DDCC77"
)  # fmt: skip
EMOTION_MARKERS, DASHES = "os^DvPX<>", ("-", "--", "-.", ":")
LEFT = 132  # pixels for the names of rows of faces
DPI = 180  # of a chart; a sheet of faces has as many pixels as its faces
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


@dataclass(frozen=True)
class Drawn:
    """A finished figure.

    Attributes:
        name: of its files in figures/, without ending.
        png: the picture.
        svg: the same as vectors (faces stay pixels).
        width, height: of the PNG, in pixels.
        caption: what it shows.
        alt: what it is, for readers who do not see it.
    """

    name: str
    png: bytes
    svg: bytes
    width: int
    height: int
    caption: str = ""
    alt: str = ""


def render(name: str, figure: Figure, *, dpi: int = DPI, caption: str = "", alt: str = "") -> Drawn:
    """Draw a figure as PNG and as SVG; the same figure gives the same bytes.

    Args:
        dpi: of a chart; a figure without a layout engine, such as a sheet of faces, keeps its own.
    """
    canvas, layout = FigureCanvasAgg(figure), figure.get_layout_engine()
    if layout is not None:
        figure.set_dpi(dpi)
        layout.execute(figure)  # once for both files: it is half the work
        figure.set_layout_engine(None)
        # The last digits of the layout may differ from run to run: a hundredth of a pixel is enough.
        for axes in figure.axes:
            box = axes.get_position(original=True)
            axes.set_position(Bbox(np.round(box.get_points(), 5)))
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    red, green, blue = (channel.tobytes() for channel in picture.split())
    # A sheet of faces is grey as a rule: one channel is a third of the bytes.
    if red == green == blue:
        picture = picture.convert("L")
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


def spaced() -> ConstrainedLayoutEngine:
    """A layout with some room between panels."""
    return ConstrainedLayoutEngine(wspace=0.06, hspace=0.06)


def panel_grid(figure: Figure, count: int, across: int) -> list[Axes]:
    """`count` panels on shared axes, `across` in a line; places beyond them stay blank."""
    grid = figure.subplots(-(-count // across), across, sharex=True, sharey=True, squeeze=False)
    for place in range(count, grid.size):
        grid.flat[place].set_axis_off()
        grid.flat[place - across].tick_params(labelbottom=True)  # it has become the lowest of its column
    return list(grid.flat[:count])


def method_look(method: str) -> tuple[str, str]:
    """Colour and marker of a method, or of `real`."""
    return METHOD_LOOKS.get(method, OTHER_METHOD)


def method_colour(method: str) -> str:
    """The colour of a method, or of `real`."""
    return method_look(method)[0]


def emotion_look(label: int) -> tuple[str, str, str]:
    """Colour, marker and dashes of an emotion by its label."""
    place = label % len(EMOTION_COLOURS)
    return EMOTION_COLOURS[place], EMOTION_MARKERS[place], DASHES[label % len(DASHES)]


def emotion_keys(emotions: Iterable[str], *, points: bool) -> list[Line2D]:
    """Entries of a legend: a point or a line an emotion."""
    keys = []
    for label, name in enumerate(emotions):
        colour, marker, dashes = emotion_look(label)
        words = wrapped(name, 26, lines=1)
        keys.append(key(words, colour, marker, "none") if points else key(words, colour, "", dashes))
    return keys


def key(words: str, colour: str, marker: str = "", dashes: Any = "-", **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=words, **{"markersize": 5, **look})


def plain(text: str) -> str:
    """Text that matplotlib sets as it stands: a dollar would start mathematics."""
    return text.replace("$", r"\$")


def wrapped(name: str, width: int, *, lines: int) -> str:
    """A name in at most `lines` lines of `width` characters, what is longer cut with an ellipsis, set as it stands."""
    parts = textwrap.wrap(name, width) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1][: width - 1].rstrip() + "…"]
    return plain("\n".join(parts))


def intervals(
    axes: Axes,
    scores: Sequence[Score | None],
    looks: Sequence[tuple[str, str]],
    *,
    rows: Sequence[float] | None = None,
    scale: float = 1.0,
) -> None:
    """Draw a row a score: a marker at its value and a bar over its interval, or "not computed".

    Args:
        looks: colour and marker of each.
        rows: their places on the y axis; 0, 1, ... if left out.
        scale: what values are multiplied by, such as 100 for percent.
    """
    for row, score, (colour, marker) in zip(rows or range(len(scores)), scores, looks, strict=True):
        if score is None or score.value is None:
            place: Any = {"xycoords": ("axes fraction", "data"), "va": "center"}
            axes.annotate("not computed", (0.02, row), size=7.5, color=GREY, **place)
            continue
        if score.low is not None and score.high is not None:
            ends = [scale * score.low, scale * score.high]
            axes.plot(ends, [row, row], color=colour, linewidth=2.4, alpha=0.55)
        axes.plot(scale * score.value, row, marker, color=colour, markersize=6)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names on the y axis, from the top down."""
    axes.set_yticks(range(len(names)), [wrapped(name, 22, lines=2) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def sheet(picture: np.ndarray, *, top: int, bottom: int = 0, left: int = LEFT, width: int = 0) -> tuple[Figure, Axes]:
    """A figure in which each pixel of `picture` is one pixel of the PNG, with margins for words.

    Args:
        picture: (h, w) or (h, w, 3) uint8.
        top, bottom, left: margins in pixels.
        width: pixels that words need, right of the left margin.
    """
    high, wide = picture.shape[:2]
    full = (max(wide, width) + left + 8, high + top + bottom)
    figure = Figure(figsize=(full[0] / 100, full[1] / 100), dpi=100)
    axes = figure.add_axes((left / full[0], bottom / full[1], wide / full[0], high / full[1]))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return figure, axes


def heading(figure: Figure, title: str, words: str = "") -> None:
    """A title at the top left, and a line or two beneath it."""
    width, height = figure.bbox.width, figure.bbox.height
    figure.text(6 / width, 1 - 6 / height, title, va="top", size=11, weight="bold")
    figure.text(6 / width, 1 - 27 / height, words, va="top", size=9)


def colour_bar(figure: Figure, colours: str, ends: tuple[float, float], words: str, extend: str = "neither") -> None:
    """A horizontal scale of colours below a sheet, its ends and middle named, with words beside it."""
    width, height = figure.bbox.width, figure.bbox.height
    axes = figure.add_axes((LEFT / width, 28 / height, 240 / width, 11 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*ends), colours), axes, orientation="horizontal", extend=extend)
    bar.set_ticks([ends[0], ends[0] / 2 + ends[1] / 2, ends[1]])
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.tick_params(labelsize=9, length=2, pad=2)
    bar.ax.grid(False)
    figure.text((LEFT + 258) / width, 33 / height, words, size=9, va="center")
