"""The picture of few people: each row's gain over augmented copies, with its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthjax.few.cell import ALONE, AUGMENTED
from depthjax.few.results import Table, row_label
from depthjax.few.run import Found
from depthjax.report import figure_style as style

COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)


def draw_few(folder: Path, found: Found, table: Table) -> list[Path]:
    """Write `folder/few.png` and `.svg`: a panel for each number of people, a line of points for each row."""
    with style.drawing():
        height = 1.2 + 0.16 * len(found.rows) * (1 + len(found.classifiers))
        figure = Figure(figsize=(2.4 + 2.8 * len(found.accuracy), height), layout="constrained")
        panels = figure.subplots(1, len(found.accuracy), sharey=True, squeeze=False)[0]
        for axes, people in zip(panels, found.accuracy, strict=True):
            _draw_panel(axes, found, table, people)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        return style.save(style.render("few", figure, dpi=150), folder)


def _draw_panel(axes: Axes, found: Found, table: Table, people: int) -> None:
    rows = [row for row in found.rows if row != AUGMENTED]
    for number, classifier in enumerate(found.classifiers):
        scores = [_gain(table, people, row, classifier) for row in rows]
        where = np.arange(len(rows)) + (number - (len(found.classifiers) - 1) / 2) * 0.7 / len(found.classifiers)
        values, low, high = 100 * np.array(scores).T
        errors = np.stack([values - low, high - values])
        axes.errorbar(values, where, xerr=errors, fmt="o", markersize=3.5, linewidth=1.2,
                      color=COLOURS[number % len(COLOURS)], label=classifier.replace("_", " "))  # fmt: skip
    axes.axvline(0, color=style.INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row_label(row) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(f"{people} people known")
    axes.set_xlabel("points above augmented copies")


def _gain(table: Table, people: int, row: str, classifier: str) -> tuple[float, float, float]:
    """Return value, low and high of a row's difference to augmented copies; without an interval, the value thrice."""
    # For the faces alone there is the difference the other way round.
    score = table.at(people, *((AUGMENTED, classifier, ALONE) if row == ALONE else (row, classifier, AUGMENTED)))
    value = score.value or 0.0
    low, high = (value if score.low is None else score.low), (value if score.high is None else score.high)
    return (-value, -high, -low) if row == ALONE else (value, low, high)
