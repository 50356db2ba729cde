"""What all figures share: type, colours, and how a number with its interval is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from depthjax.files import replacing
from depthjax.report.numbers import Number

# Okabe and Ito's palette, told apart under every common colour blindness.
INK, GREY, FLOOR = "#1a1a1a", "#767676", "#d4d4d4"
BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
METHOD_LOOKS = {  # one colour and one marker a method, in every figure
    "real": (INK, "o"),
    "gan": (GREEN, "s"),
    "vae": (PURPLE, "^"),
    "gmm": (SKY, "D"),
    "kde": (ORANGE, "v"),
    "cdcgan_kd": (BLUE, "o"),
    "cdcgan_kd_ga": (VERMILION, "P"),
}
OTHER_METHOD = ("#8a6d3b", "X")
# Paul Tol's "muted" scheme: emotions never look like methods.
EMOTION_LOOKS = (
    ("#332288", "o"),
    ("#CC6677", "s"),
    ("#44AA99", "^"),
    ("#999933", "D"),
    ("#AA4499", "v"),
    ("#88CCEE", "P"),
    ("#882255", "X"),
    ("#117733", "<"),
    ("#DDCC77", ">"),
)
DASHES = ("-", "--", "-.", ":")
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


def spaced() -> ConstrainedLayoutEngine:
    """Panels laid out with some room between them."""
    return ConstrainedLayoutEngine(wspace=0.06, hspace=0.06)


def method_colour(method: str) -> str:
    """The colour of a method, or of `real`, by its name."""
    return METHOD_LOOKS.get(method, OTHER_METHOD)[0]


def method_marker(method: str) -> str:
    """The marker of a method, or of `real`, by its name."""
    return METHOD_LOOKS.get(method, OTHER_METHOD)[1]


def emotion_look(label: int) -> tuple[str, str, str]:
    """Colour, marker and dashes of an emotion by its label."""
    return (*EMOTION_LOOKS[label % len(EMOTION_LOOKS)], DASHES[label % len(DASHES)])


def emotion_keys(emotions: Iterable[str], *, points: bool) -> list[Line2D]:
    """Entries of a legend: a point or a line an emotion."""
    keys = []
    for label, name in enumerate(emotions):
        colour, marker, dashes = emotion_look(label)
        look: dict[str, Any] = (
            {"marker": marker, "linestyle": "none", "markersize": 5} if points else {"linestyle": dashes}
        )
        keys += [Line2D([], [], color=colour, label=wrapped(name, 26, lines=1), **look)]
    return keys


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
    values: Sequence[Number | None],
    looks: Sequence[tuple[str, str]],
    *,
    rows: Sequence[float] | None = None,
) -> None:
    """A row a number: a marker at its value and a bar over its interval, in the number's unit; words if there is none.

    Args:
        looks: colour and marker of each.
        rows: their places on the y axis; 0, 1, ... if left out.
    """
    for row, value, (colour, marker) in zip(rows or range(len(values)), values, looks, strict=True):
        if value is None or value.value is None:
            place: Any = {"xycoords": ("axes fraction", "data"), "va": "center"}
            axes.annotate("not computed", (0.02, row), size=7.5, color=GREY, **place)
            continue
        scale = value.style.factor
        if value.interval is not None:
            axes.plot([scale * end for end in value.interval], [row, row], color=colour, linewidth=2.4, alpha=0.55)
        axes.plot(scale * value.value, row, marker, color=colour, markersize=6)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names on the y axis, from the top down."""
    axes.set_yticks(range(len(names)), [wrapped(name, 22, lines=2) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def write_figure(figure: Figure, paths: Iterable[Path], *, dpi: int) -> None:
    """Write a figure under each path, whole or not at all; a path's ending is its format, and no file has a date."""
    for path in paths:
        with replacing(path) as file:
            dateless = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(file, format=path.suffix[1:], dpi=dpi, metadata=dateless)
