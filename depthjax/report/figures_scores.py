"""Figures of what classifiers and the published formulas say, from evaluation.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from depthjax.report.figure_style import (
    GREY,
    INK,
    METHOD_LOOKS,
    OTHER_METHOD,
    intervals,
    method_colour,
    method_marker,
    name_rows,
    spaced,
    wrapped,
)
from depthjax.report.numbers import PERCENT, POINTS, SCORE, Number, Style, find, number_if_any
from depthjax.report.published import TABLE_1, TABLE_2, published_column
from depthjax.report.stored import method_name
from depthjax.report.table import CLASSIFIER_NAMES, SCORE_NAMES, classifiers_of

# Tol's "high-contrast" colours: classifiers look like neither methods nor emotions, and differ in print.
CLASSIFIER_LOOKS = {
    "random_forest": ("#004488", "o", "-"),
    "decision_tree": ("#BB5566", "s", "--"),
    "xgboost": ("#997700", "^", "-."),
}
OTHER_CLASSIFIER = (GREY, "D", ":")
MIXES = {"synthetic": "Generated faces", "synthetic_real": "Generated + real faces"}
PUBLISHED = {
    "frechet": ("Fréchet, as published ↓", "not the FID"),
    "score": ("Score, as published ↑", "not the IS"),
    "ssim": ("SSIM, paired by order ↑", "pairs by order: no fidelity"),
    "psnr": ("PSNR, as published ↑", "1.5 times the PSNR in dB"),
}


def recognition(evaluation: dict[str, Any], classes: int) -> Figure | None:
    """Accuracy on unseen people after training on real or on generated faces, a classifier a panel; None if not run."""
    methods, classifiers = list(evaluation["methods"]), classifiers_of(evaluation, "tstr")
    if not classifiers:
        return None
    figure = Figure(figsize=(11, 1.3 + 0.36 * (len(methods) + 1)), layout=spaced())
    panels = figure.subplots(1, len(classifiers), sharex=True, sharey=True, squeeze=False)[0]
    for axes, classifier in zip(panels, classifiers, strict=True):
        real = _of_first(evaluation, ("trtr", classifier, "accuracy"), PERCENT)
        ours = [number_if_any(evaluation, ("methods", m, "tstr", classifier, "accuracy"), PERCENT) for m in methods]
        intervals(axes, [real, *ours], _looks(["real", *methods]))
        _guessing(axes, classes)
        axes.set(title=classifier_name(classifier), xlabel="accuracy (%)", xlim=(0, 100), xticks=range(0, 101, 25))
    panels[0].annotate("guessing", (100 / classes, 0.0), (3, 3), xycoords=("data", "axes fraction"),
                       textcoords="offset points", size=8, color=GREY)  # fmt: skip
    name_rows(panels[0], ["trained on real", *map(method_name, methods)])
    return figure


def scarcity(evaluation: dict[str, Any], classes: int) -> Figure | None:
    """Accuracy on unseen people against the share of real people, and what generated faces add; None if not run."""
    methods, classifiers = list(evaluation["methods"]), list(CLASSIFIER_NAMES)
    people = find(evaluation, ("scarcity", "people")) or {}
    shares = sorted(people, key=float)
    kept = [c for c in classifiers if any(find(evaluation, (*k, "accuracy")) for k in _scarce(methods, c, shares))]
    if not kept:
        return None
    figure = Figure(figsize=(11, 6.4), layout=spaced())
    grid = figure.subplots(2, len(kept), sharex=True, sharey="row", squeeze=False)
    for (upper, lower), classifier in zip(grid.T, kept, strict=True):
        real = [number_if_any(evaluation, (*k, "accuracy"), PERCENT) for k in _scarce([None], classifier, shares)]
        _guessing(upper, classes, vertical=False)
        _over_shares(upper, real, "real", 0.0, bars=True)
        lower.axhline(0, color=INK, linewidth=1.2)
        for place, method in enumerate(methods):
            keys = _scarce([method], classifier, shares)
            aside = 0.6 * ((place + 0.5) / len(methods) - 0.5)
            _over_shares(upper, [number_if_any(evaluation, (*k, "accuracy"), PERCENT) for k in keys], method, 0.0)
            gains = [number_if_any(evaluation, (*k, "paired"), POINTS, value_key="difference") for k in keys]
            _over_shares(lower, gains, method, aside, bars=True, joined=False)
        upper.set_title(classifier_name(classifier))
        ticks = [f"{100 * float(s):g} %\n{people[s]} people" for s in shares]
        lower.set_xticks(range(len(shares)), ticks)
        lower.grid(False, axis="x")
    grid[0, 0].annotate("guessing", (0.0, 100 / classes), (3, 3), xycoords=("axes fraction", "data"),
                        textcoords="offset points", size=8, color=GREY)  # fmt: skip
    grid[0, 0].set_ylabel("accuracy on unseen people (%)")
    grid[1, 0].set_ylabel("gain from generated faces (points)")
    figure.supxlabel("real people that the classifier learnt from; bars: 95 % intervals over the unseen people", size=9)
    first = Line2D([], [], color=INK, marker="o", markersize=5, label="real faces alone")
    figure.legend(handles=[first, *_method_keys(methods, "real + ")], loc="outside upper left", ncols=4)
    return figure


def _scarce(methods: Sequence[str | None], classifier: str, shares: Sequence[str]) -> list[tuple[str, ...]]:
    """Where the scores of a classifier are stored by share, of real faces alone where the method is None."""
    starts = [("scarcity", "real") if m is None else ("methods", m, "scarcity") for m in methods]
    return [(*start, classifier, share) for start in starts for share in shares]


def _over_shares(
    axes: Axes, values: Sequence[Number | None], method: str, aside: float, *, bars: bool = False, joined: bool = True
) -> None:
    """A method's numbers over the shares, those that were not computed left out."""
    known = [(x + aside, v) for x, v in enumerate(values) if v is not None and v.value is not None]
    colour = method_colour(method)
    axes.plot(
        [x for x, _ in known], [100 * (v.value or 0) for _, v in known], color=colour, marker=method_marker(method),
        markersize=5 if joined else 4, linestyle="-" if joined else "none", linewidth=2.2 if method == "real" else 1.4,
        zorder=3 if method == "real" else 2,
    )  # fmt: skip
    for x, v in known if bars else ():
        if v.interval is not None:
            axes.plot([x, x], [100 * end for end in v.interval], color=colour, linewidth=1.4, alpha=0.6)


def table_1(evaluation: dict[str, Any]) -> Figure | None:
    """Table 1 with the released protocol as lines (paper: figure 13), the paper's values hollow; None if not run."""
    methods = list(evaluation["methods"])
    names = {mix: [("real", "real"), *((mix, m) for m in methods)] for mix in MIXES}
    keys = [("methods", m, "published", mix) for m in methods for mix in MIXES]
    classifiers = [c for c in CLASSIFIER_NAMES if any(isinstance(find(evaluation, (*k, c)), dict) for k in keys)]
    if not classifiers:
        return None
    figure = Figure(figsize=(11, 6.2), layout=spaced())
    grid = figure.subplots(len(MIXES), len(SCORE_NAMES), sharex=True, sharey=True)
    for line, mix in zip(grid, MIXES, strict=True):
        for axes, (score, name) in zip(line, SCORE_NAMES.items(), strict=True):
            for place, classifier in enumerate(classifiers):
                aside = 0.36 * ((place + 0.5) / len(classifiers) - 0.5)
                _table_1_line(axes, evaluation, names[mix], classifier, score, aside)
            axes.axvline(0.5, color=GREY, linewidth=0.8)
            axes.set_title(name[:1].upper() + name[1:])
        line[0].set_ylabel(f"{MIXES[mix]} (%)")
    ticks = ["real", *(wrapped(method_name(m), 18, lines=1) for m in methods)]
    for axes in grid[-1]:
        axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", size=8)
    figure.legend(handles=[*_classifier_keys(classifiers), *_paper_keys()], loc="outside upper left", ncols=5)
    return figure


def _table_1_line(
    axes: Axes, evaluation: dict[str, Any], names: Sequence[tuple[str, str]], classifier: str, score: str, aside: float
) -> None:
    """A classifier's line over the methods; real faces stand apart at the left."""
    colour, marker, dashes = CLASSIFIER_LOOKS.get(classifier, OTHER_CLASSIFIER)
    methods = list(evaluation["methods"])
    ours: list[float] = []
    for place, (mix, method) in enumerate(names):
        owner = methods[0] if method == "real" else method
        value = number_if_any(evaluation, ("methods", owner, "published", mix, classifier, score), PERCENT)
        ours += [np.nan if value is None or value.value is None else 100 * value.value]
        if value is not None and value.interval is not None:
            axes.plot(
                [place + aside] * 2, [100 * end for end in value.interval], color=colour, linewidth=1.4, alpha=0.6
            )
    columns = [(mix, "real" if method == "real" else published_column(method)) for mix, method in names]
    paper = [TABLE_1.get((classifier, mix, column or "", score), np.nan) for mix, column in columns]
    x = np.arange(len(names)) + aside
    looks: list[tuple[list[float], Any]] = [
        (paper, {"markerfacecolor": "white", "linestyle": ":", "linewidth": 0.9, "alpha": 0.8}),
        (ours, {"linestyle": dashes, "linewidth": 1.4}),
    ]
    for values, look in looks:
        axes.plot(x[1:], values[1:], color=colour, marker=marker, markersize=4.5, **look)
        axes.plot(x[:1], values[:1], color=colour, marker=marker, markersize=4.5, **look)


def table_2(evaluation: dict[str, Any]) -> Figure | None:
    """Table 2 with the released formulas as bars (paper: figure 14), the paper's hollow; None if not computed."""
    methods = list(evaluation["methods"])
    values = {
        measure: [number_if_any(evaluation, ("methods", m, "as_published", measure), _style(measure)) for m in methods]
        for measure in PUBLISHED
    }
    if not any(v for row in values.values() for v in row):
        return None
    figure = Figure(figsize=(11, 1.6 + 0.36 * len(methods)), layout=spaced())
    panels = figure.subplots(1, len(PUBLISHED), sharey=True)
    for axes, (measure, found) in zip(panels, values.items(), strict=True):
        for row, (method, value) in enumerate(zip(methods, found, strict=True)):
            _bar(axes, row, method, value, TABLE_2.get((measure, published_column(method) or "")))
        axes.axvline(0, color=GREY, linewidth=0.8)
        title, words = PUBLISHED[measure]
        named = (find(evaluation, ("methods", m, "as_published", measure, "features")) for m in methods)
        features = next((name for name in named if name), None)
        axes.set(title=title, xlabel=words + (f"; on {features}" if features else ""))
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.28 * (high - low))  # room for the numbers at the right
        axes.locator_params(axis="x", nbins=5)
    name_rows(panels[0], list(map(method_name, methods)))
    keys = [Line2D([], [], color=GREY, linewidth=6, label="here"), _hollow("the paper (IKFDB, other features)")]
    figure.legend(handles=keys, loc="outside upper left", ncols=2)
    return figure


def _bar(axes: Axes, row: int, method: str, value: Number | None, paper: float | None) -> None:
    if value is None or value.value is None:
        intervals(axes, [None], [("", "")], rows=[row])
    else:
        axes.barh(row, value.value, 0.62, color=method_colour(method))
        place: Any = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center"}
        axes.annotate(value.digits, (1.0, row), size=8.5, **place)
    if paper is not None:
        axes.plot(paper, row, "D", color=INK, markerfacecolor="white", markersize=5)


def _style(measure: str) -> Style:
    return {"ssim": Style(2), "psnr": Style(1), "frechet": Style(1)}.get(measure, SCORE)


def _of_first(evaluation: dict[str, Any], keys: tuple[str, ...], style: Style) -> Number | None:
    found = (number_if_any(evaluation, ("methods", m, *keys), style) for m in evaluation["methods"])
    return next((value for value in found if value is not None), None)


def _guessing(axes: Axes, classes: int, *, vertical: bool = True) -> None:
    draw = axes.axvline if vertical else axes.axhline
    draw(100 / classes, color=GREY, linewidth=1, linestyle=":")


def _looks(methods: Sequence[str]) -> list[tuple[str, str]]:
    return [METHOD_LOOKS.get(method, OTHER_METHOD) for method in methods]


def classifier_name(name: str) -> str:
    """As it is written; a name that is not known, shortened."""
    return CLASSIFIER_NAMES.get(name, wrapped(name, 24, lines=1))


def _method_keys(methods: Sequence[str], before: str) -> list[Line2D]:
    return [
        Line2D([], [], color=method_colour(m), marker=method_marker(m), markersize=5,
               label=wrapped(before + method_name(m), 30, lines=1))
        for m in methods
    ]  # fmt: skip


def _classifier_keys(classifiers: Sequence[str]) -> list[Line2D]:
    looks: list[Any] = [(classifier_name(c), *CLASSIFIER_LOOKS.get(c, OTHER_CLASSIFIER)) for c in classifiers]
    return [Line2D([], [], color=c, marker=m, linestyle=d, markersize=5, label=name) for name, c, m, d in looks]


def _paper_keys() -> list[Line2D]:
    return [Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle=":", markersize=5,
                   label="the same in the paper (IKFDB)")]  # fmt: skip


def _hollow(label: str) -> Line2D:
    return Line2D([], [], color=INK, marker="D", markerfacecolor="white", linestyle="none", markersize=5, label=label)
