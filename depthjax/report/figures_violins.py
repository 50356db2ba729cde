"""Violins of what every seed of a classifier scored, from evaluation.json."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthjax.report.figure_style import method_colour, name_rows, spaced
from depthjax.report.figures_scores import classifier_name
from depthjax.report.numbers import find
from depthjax.report.stored import method_name
from depthjax.report.table import CLASSIFIER_NAMES, SCORE_NAMES

FEWEST_RUNS = 5  # of which a violin is drawn; fewer are points alone
ANNEX = "random_forest"  # whose scores the paper's annex shows
SCENARIOS = {"real": "Real only", "synthetic": "Generated", "synthetic_real": "Generated + real"}


def violins(evaluation: dict[str, Any]) -> Figure | None:
    """Accuracy of every seed of each classifier, by what it was trained and tested on; None if unrun.

    The rows of panels: unseen people, then the released protocol with generated faces and with both.
    """
    methods = list(evaluation["methods"])
    groups = {
        "Unseen people": (("trtr",), ("tstr",)),
        "Published protocol,\ngenerated": (("published", "real"), ("published", "synthetic")),
        "Published protocol,\ngenerated + real": (("published", "real"), ("published", "synthetic_real")),
    }
    names = ["real", *methods]
    runs = {
        (group, c): [_runs(evaluation, methods[0] if m == "real" else m, (*keys[m != "real"], c)) for m in names]
        for group, keys in groups.items()
        for c in CLASSIFIER_NAMES
    }
    classifiers = [c for c in CLASSIFIER_NAMES if any(len(r) for group in groups for r in runs[group, c])]
    if not classifiers:
        return None
    height = 0.9 + len(groups) * (0.6 + 0.27 * len(names))
    figure = Figure(figsize=(11, height), layout=spaced())
    grid = figure.subplots(len(groups), len(classifiers), sharex=True, sharey=True, squeeze=False)
    for line, group in zip(grid, groups, strict=True):
        for axes, classifier in zip(line, classifiers, strict=True):
            for row, (name, values) in enumerate(zip(names, runs[group, classifier], strict=True)):
                _violin(axes, row, 100 * values, method_colour(name))
        line[0].set_ylabel(group, weight="bold")
    for axes, classifier in zip(grid[0], classifiers, strict=True):
        counts = {len(r) for group in groups for r in runs[group, classifier] if len(r)}
        axes.set_title(f"{classifier_name(classifier)}, {_span(counts)}")
    figure.align_ylabels(grid[:, 0])
    name_rows(grid[0, 0], ["real only", *map(method_name, methods)])
    figure.supxlabel("accuracy (%); a dot a seed, bar: median", size=9)
    return figure


def annex_1(evaluation: dict[str, Any]) -> Figure | None:
    """Four scores of every seed of the random forest by the released protocol (paper: annex 1); None if not run.

    The rows of panels: what it was trained on.
    """
    methods = list(evaluation["methods"])
    runs = {
        (scenario, score): [_runs(evaluation, m, ("published", scenario, ANNEX), score) for m in methods]
        for scenario in SCENARIOS
        for score in SCORE_NAMES
    }
    counts = {len(values) for group in runs.values() for values in group if len(values)}
    if not counts:
        return None
    # Real faces alone are the same whatever the method.
    rows = {scenario: ["real"] if scenario == "real" else methods for scenario in SCENARIOS}
    heights = [0.5 + 0.27 * len(names) for names in rows.values()]
    figure = Figure(figsize=(11, 0.9 + sum(heights)), layout=spaced())
    grid = figure.subplots(len(rows), len(SCORE_NAMES), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
    for line, (scenario, names) in zip(grid, rows.items(), strict=True):
        for axes, score in zip(line, SCORE_NAMES, strict=True):
            for row, (name, values) in enumerate(zip(names, runs[scenario, score], strict=False)):
                _violin(axes, row, 100 * values, method_colour(name))
        line[0].set_ylabel(SCENARIOS[scenario], weight="bold")
        name_rows(line[0], ["" if name == "real" else method_name(name) for name in names])
    for axes, name in zip(grid[0], SCORE_NAMES.values(), strict=True):
        axes.set_title(name[:1].upper() + name[1:])
    figure.align_ylabels(grid[:, 0])
    figure.supxlabel(f"random forest, published protocol, {_span(counts)} (%); a dot a seed, bar: median", size=9)
    return figure


def _violin(axes: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """A violin where there are enough values, and each of them as a dot, those in dense places fanned out."""
    if len(values) >= FEWEST_RUNS and np.ptp(values) > 1e-6:
        bodies: Any = axes.violinplot(values, [row], orientation="horizontal", widths=0.85, showextrema=False)["bodies"]
        bodies[0].set(facecolor=colour, alpha=0.3, linewidth=0)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    aside = 0.13 * (ranks % 3 - 1) if len(values) >= FEWEST_RUNS else np.zeros(len(values))
    size = 3.5 if len(values) >= FEWEST_RUNS else 7
    axes.plot(values, row + aside, ".", color=colour, markersize=size, markeredgewidth=0)
    if len(values):
        axes.plot([np.median(values)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=1.8)


def _runs(evaluation: dict[str, Any], method: str, keys: tuple[str, ...], score: str = "accuracy") -> np.ndarray:
    """The score of each seed, empty where none are stored."""
    stored = find(evaluation, ("methods", method, *keys, "runs", score)) or []
    return np.array([value for value in stored if isinstance(value, int | float)], float)


def _span(counts: set[int]) -> str:
    low, high = min(counts), max(counts)
    return "1 seed" if high == 1 else f"{low} seeds" if low == high else f"{low}–{high} seeds"
