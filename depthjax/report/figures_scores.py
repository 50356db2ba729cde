"""Figures of what classifiers score: recognition, scarcity, the paper's tables 1 and 2, and every seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthjax.report.figure_style import (
    GREY,
    INK,
    intervals,
    key,
    method_colour,
    method_look,
    name_rows,
    spaced,
    wrapped,
)
from depthjax.report.formats import AS_PUBLISHED, CLASSIFIER_NAMES, RECOGNITION
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.tables import TABLE_1, TABLE_2, published_column
from depthjax.scores import Score

# Tol's "high-contrast" colours: classifiers look like neither methods nor emotions, and differ in print.
CLASSIFIER_LOOKS = {
    "random_forest": ("#004488", "o", "-"),
    "decision_tree": ("#BB5566", "s", "--"),
    "xgboost": ("#997700", "^", "-."),
}
OTHER_CLASSIFIER = (GREY, "D", ":")
MIXES = {"synthetic": "Generated faces", "synthetic_real": "Generated + training faces"}
# Measure: title, and what it is not.
PUBLISHED = {
    "frechet": ("Fréchet, as published ↓", "not the FID"),
    "score": ("Score, as published ↑", "not the IS"),
    "ssim": ("SSIM, paired by order ↑", "pairs by order: no fidelity"),
    "psnr": ("PSNR, as published ↑", "1.5 times the PSNR in dB"),
}
# Rows of panels of the violins: protocols of training faces and of generated faces.
SEED_GROUPS = {
    "Unseen subjects": ("trtr", "tstr"),
    "Published protocol,\ngenerated": ("published_real", "published_synthetic"),
    "Published protocol,\ngenerated + training": ("published_real", "published_synthetic_real"),
}
ANNEX_CLASSIFIER = "random_forest"
ANNEX_GROUPS = {
    "Training": "published_real",
    "Generated": "published_synthetic",
    "Generated +\ntraining": "published_synthetic_real",
}
MIN_RUNS = 5  # of a violin; fewer are points alone


def recognition(evaluation: StoredEvaluation) -> Figure | None:
    """Accuracy on unseen subjects after training on training or on generated faces, a classifier a panel."""
    classifiers = _classifiers(evaluation, "tstr")
    if not classifiers:
        return None
    rows = [("trtr", "real"), *(("tstr", method) for method in evaluation.methods)]
    figure = Figure(figsize=(11, 1.3 + 0.36 * len(rows)), layout=spaced())
    panels = figure.subplots(1, len(classifiers), sharex=True, sharey=True, squeeze=False)[0]
    for axes, classifier in zip(panels, classifiers, strict=True):
        columns = {"classifier": classifier, "measure": "accuracy"}
        found = [evaluation.scores.find(protocol=p, method=m, **columns) for p, m in rows]
        intervals(axes, found, [method_look(m) for _, m in rows], scale=100)
        axes.axvline(_chance(evaluation), color=GREY, linewidth=1, linestyle=":")
        axes.set(title=classifier_name(classifier), xlabel="accuracy (%)", xlim=(0, 100), xticks=range(0, 101, 25))
    _name_chance(panels[0], (_chance(evaluation), 0.0), ("data", "axes fraction"))
    name_rows(panels[0], ["training faces", *map(method_name, evaluation.methods)])
    return figure


def scarcity(evaluation: StoredEvaluation) -> Figure | None:
    """Accuracy on unseen subjects by the share of training subjects, and what generated faces add."""
    methods, classifiers = evaluation.methods, _classifiers(evaluation, "scarcity")
    if not classifiers:
        return None
    shares = sorted(evaluation.scores.where(protocol="scarcity").values("share"))
    figure = Figure(figsize=(11, 6.4), layout=spaced())
    grid = figure.subplots(2, len(classifiers), sharex=True, sharey="row", squeeze=False)
    for (upper, lower), classifier in zip(grid.T, classifiers, strict=True):
        upper.set_title(classifier_name(classifier))
        upper.axhline(_chance(evaluation), color=GREY, linewidth=1, linestyle=":")
        lower.axhline(0, color=INK, linewidth=1.2)
        for place, method in enumerate(["real", *methods]):
            columns = {"method": method, "classifier": classifier, "measure": "accuracy"}
            cells = [columns | {"share": share} for share in shares]
            accuracy = [evaluation.scores.find(protocol="scarcity", **cell) for cell in cells]
            gains = [evaluation.scores.find(protocol="paired_scarcity", against="real", **cell) for cell in cells]
            _over_shares(upper, accuracy, method, bars=method == "real")
            # Gains stand side by side, so that their intervals can be read.
            aside = 0.6 * ((place - 0.5) / len(methods) - 0.5)
            _over_shares(lower, gains, method, aside=aside, bars=True, joined=False)
        lower.set_xticks(range(len(shares)), [_share_name(evaluation, share) for share in shares])
        lower.grid(False, axis="x")
    _name_chance(grid[0, 0], (0.0, _chance(evaluation)), ("axes fraction", "data"))
    grid[0, 0].set_ylabel("accuracy on unseen subjects (%)")
    grid[1, 0].set_ylabel("gain from generated faces\n(percentage points)")
    figure.supxlabel("training subjects seen by the classifier; bars: 95 % intervals over the unseen subjects", size=9)
    keys = [key("training faces alone", *method_look("real"))]
    keys += [key(wrapped(f"training + {method_name(m)}", 34, lines=1), *method_look(m)) for m in methods]
    figure.legend(handles=keys, loc="outside upper left", ncols=4)
    return figure


def _share_name(evaluation: StoredEvaluation, share: float) -> str:
    stored = evaluation.settings.get("scarcity", {}).get("shares", {})
    subjects = {float(key): count for key, count in stored.items()}
    return f"{100 * share:g} %\n" + (f"{subjects[share]} subjects" if share in subjects else "")


def _over_shares(
    axes: Axes,
    scores: Sequence[Score | None],
    method: str,
    *,
    aside: float = 0.0,
    bars: bool = False,
    joined: bool = True,
) -> None:
    """Draw a method's scores over the shares; those that were not computed are left out."""
    known = [(x + aside, s) for x, s in enumerate(scores) if s is not None and s.value is not None]
    colour, marker = method_look(method)
    first = method == "real"
    look: dict[str, Any] = {"markersize": 5, "linewidth": 2.2 if first else 1.4, "zorder": 3 if first else 2}
    if not joined:
        look |= {"markersize": 4, "linestyle": "none"}
    axes.plot([x for x, _ in known], [_percent(s) for _, s in known], color=colour, marker=marker, **look)
    for x, score in known if bars else ():
        _bar_over(axes, x, score, colour)


def table_1(evaluation: StoredEvaluation) -> Figure | None:
    """Table 1 with the released protocol as lines (paper: figure 13), the paper's values hollow."""
    classifiers = _classifiers(evaluation, *(f"published_{mix}" for mix in MIXES))
    if not classifiers:
        return None
    figure = Figure(figsize=(11, 6.2), layout=spaced())
    grid = figure.subplots(len(MIXES), len(RECOGNITION), sharex=True, sharey=True)
    for line, mix in zip(grid, MIXES, strict=True):
        for axes, (measure, style) in zip(line, RECOGNITION.items(), strict=True):
            for place, classifier in enumerate(classifiers):
                aside = 0.36 * ((place + 0.5) / len(classifiers) - 0.5)
                _table_1_line(axes, evaluation, mix, classifier, measure, aside)
            axes.axvline(0.5, color=GREY, linewidth=0.8)
            axes.set_title(style.name)
        line[0].set_ylabel(f"{MIXES[mix]} (%)")
    ticks = ["training only", *(wrapped(method_name(m), 18, lines=1) for m in evaluation.methods)]
    for axes in grid[-1]:
        axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", size=8)
    keys = [key(classifier_name(c), *CLASSIFIER_LOOKS.get(c, OTHER_CLASSIFIER)) for c in classifiers]
    keys.append(key("the same in the paper (IKFDB)", GREY, "o", ":", markerfacecolor="white"))
    figure.legend(handles=keys, loc="outside upper left", ncols=5)
    return figure


def _table_1_line(
    axes: Axes, evaluation: StoredEvaluation, mix: str, classifier: str, measure: str, aside: float
) -> None:
    """A classifier's line over the methods; training faces alone stand apart at the left."""
    colour, marker, dashes = CLASSIFIER_LOOKS.get(classifier, OTHER_CLASSIFIER)
    rows = [("real", "real"), *((mix, method) for method in evaluation.methods)]
    ours, paper = [], []
    for place, (part, method) in enumerate(rows):
        columns = {"method": method, "classifier": classifier, "measure": measure}
        score = evaluation.scores.find(protocol=f"published_{part}", **columns)
        ours.append(_percent(score))
        _bar_over(axes, place + aside, score, colour)
        column = "real" if method == "real" else published_column(method) or ""
        paper.append(TABLE_1.get((classifier, part, column, measure), np.nan))
    x = np.arange(len(rows)) + aside
    hollow: dict[str, Any] = {"markerfacecolor": "white", "linestyle": ":", "linewidth": 0.9, "alpha": 0.8}
    solid: dict[str, Any] = {"linestyle": dashes, "linewidth": 1.4}
    for values, look in ((paper, hollow), (ours, solid)):
        for span in (slice(1, None), slice(1)):
            axes.plot(x[span], values[span], color=colour, marker=marker, markersize=4.5, **look)


def table_2(evaluation: StoredEvaluation) -> Figure | None:
    """Table 2 with the released formulas as bars (paper: figure 14), the paper's hollow."""
    methods, scores = evaluation.methods, evaluation.scores.where(protocol="as_published")
    if not any(score.value is not None for score in scores):
        return None
    figure = Figure(figsize=(11, 1.6 + 0.36 * len(methods)), layout=spaced())
    panels = figure.subplots(1, len(PUBLISHED), sharey=True)
    for axes, (measure, (title, words)) in zip(panels, PUBLISHED.items(), strict=True):
        of_measure = scores.where(measure=measure)
        for row, method in enumerate(methods):
            score = next(iter(of_measure.where(method=method)), None)
            paper = TABLE_2.get((measure, published_column(method) or ""))
            _bar(axes, row, score, AS_PUBLISHED[measure].write, paper)
        axes.axvline(0, color=GREY, linewidth=0.8)
        spaces = [space for space in of_measure.values("space") if space not in ("", "pixels")]
        axes.set(title=title, xlabel=words + (f"; on {spaces[0]}" if spaces else ""))
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.28 * (high - low))  # room for the numbers at the right
        axes.locator_params(axis="x", nbins=5)
    name_rows(panels[0], list(map(method_name, methods)))
    paper_key = key("the paper (IKFDB, other features)", INK, "D", "none", markerfacecolor="white")
    figure.legend(handles=[key("here", GREY, linewidth=6), paper_key], loc="outside upper left", ncols=2)
    return figure


def _bar(axes: Axes, row: int, score: Score | None, write: Callable[[float], str], paper: float | None) -> None:
    if score is None or score.value is None:
        intervals(axes, [None], [("", "")], rows=[row])
    else:
        axes.barh(row, score.value, 0.62, color=method_colour(score.method))
        place: Any = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center"}
        axes.annotate(write(score.value), (1.0, row), size=8.5, **place)
    if paper is not None:
        axes.plot(paper, row, "D", color=INK, markerfacecolor="white", markersize=5)


def violins(evaluation: StoredEvaluation) -> Figure | None:
    """Accuracy of every seed of each classifier, by what it was trained and tested on."""
    sets = ["real", *evaluation.methods]
    panels = {
        group: {
            classifier_name(c): {m: _seeds(evaluation, protocols[m != "real"], m, c) for m in sets}
            for c in CLASSIFIER_NAMES
        }
        for group, protocols in SEED_GROUPS.items()
    }
    return _seed_figure(panels, "accuracy (%)")


def annex_1(evaluation: StoredEvaluation) -> Figure | None:
    """Four scores of every seed of the random forest by the released protocol (paper: annex 1)."""
    panels = {
        group: {
            style.name: {
                m: _seeds(evaluation, protocol, m, ANNEX_CLASSIFIER, measure)
                for m in (["real"] if protocol == "published_real" else evaluation.methods)
            }
            for measure, style in RECOGNITION.items()
        }
        for group, protocol in ANNEX_GROUPS.items()
    }
    return _seed_figure(panels, "random forest, published protocol (%)")


def _seed_figure(panels: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], unit: str) -> Figure | None:
    """Violins of panels[row][column][method], the score of each seed in percent; None if there are no scores."""
    rows = list(panels.values())
    columns = [c for c in rows[0] if any(len(values) for row in rows for values in row[c].values())]
    if not columns:
        return None
    heights = [0.6 + 0.27 * len(row[columns[0]]) for row in rows]
    figure = Figure(figsize=(11, 0.9 + sum(heights)), layout=spaced())
    grid = figure.subplots(len(rows), len(columns), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
    for line, (group, row) in zip(grid, panels.items(), strict=True):
        for axes, column in zip(line, columns, strict=True):
            _violins(axes, row[column])
        line[0].set_ylabel(group, weight="bold")
        name_rows(line[0], ["training only" if m == "real" else method_name(m) for m in row[columns[0]]])
    for axes, column in zip(grid[0], columns, strict=True):
        counts = {len(values) for row in rows for values in row[column].values() if len(values)}
        axes.set_title(f"{column}, {_span(counts)}")
    figure.align_ylabels(grid[:, 0])
    figure.supxlabel(f"{unit}; a dot a seed, bar: median", size=9)
    return figure


def _violins(axes: Axes, runs: Mapping[str, np.ndarray]) -> None:
    """Draw a row a set: every seed as a dot, dense ones fanned out, over a violin where there are enough."""
    for row, (name, values) in enumerate(runs.items()):
        if not len(values):
            continue
        colour, many = method_colour(name), len(values) >= MIN_RUNS
        if many and np.ptp(values) > 1e-6:
            drawn: Any = axes.violinplot(values, [row], orientation="horizontal", widths=0.85, showextrema=False)
            drawn["bodies"][0].set(facecolor=colour, alpha=0.3, linewidth=0)
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        aside = 0.13 * (ranks % 3 - 1) if many else np.zeros(len(values))
        axes.plot(values, row + aside, ".", color=colour, markersize=3.5 if many else 7, markeredgewidth=0)
        axes.plot([np.median(values)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=1.8)


def _seeds(
    evaluation: StoredEvaluation, protocol: str, method: str, classifier: str, measure: str = "accuracy"
) -> np.ndarray:
    """The score of each seed in percent, empty where none are stored."""
    return 100 * evaluation.runs.get(f"{protocol}/{method}/{classifier}/{measure}", np.empty(0))


def _span(counts: set[int]) -> str:
    low, high = min(counts), max(counts)
    return "1 seed" if high == 1 else f"{low} seeds" if low == high else f"{low}–{high} seeds"


def _classifiers(evaluation: StoredEvaluation, *protocols: str) -> list[str]:
    """The classifiers with a value in one of the protocols."""
    known = {row.classifier for row in evaluation.scores if row.protocol in protocols and row.value is not None}
    return [classifier for classifier in evaluation.classifiers if classifier in known]


def _chance(evaluation: StoredEvaluation) -> float:
    """Accuracy of guessing, in percent."""
    return 100 / len(evaluation.emotions)


def _name_chance(axes: Axes, place: tuple[float, float], coordinates: tuple[str, str]) -> None:
    look: Any = {"xycoords": coordinates, "textcoords": "offset points"}
    axes.annotate("chance", place, (3, 3), size=8, color=GREY, **look)


def _percent(score: Score | None) -> float:
    return np.nan if score is None or score.value is None else 100 * score.value


def _bar_over(axes: Axes, x: float, score: Score | None, colour: str) -> None:
    """Draw an interval in percent, upright at x; nothing if there is none."""
    if score is not None and score.low is not None and score.high is not None:
        axes.plot([x, x], [100 * score.low, 100 * score.high], color=colour, linewidth=1.4, alpha=0.6)


def classifier_name(name: str) -> str:
    """The name of a classifier for titles; one that is not known is shortened."""
    return CLASSIFIER_NAMES.get(name, wrapped(name, 24, lines=1))
