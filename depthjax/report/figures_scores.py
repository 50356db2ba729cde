"""Figures of what classifiers score: recognition, added faces, the paper's tables 1 and 2, and every seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthjax.report import figure_style as style
from depthjax.report.formats import AS_PUBLISHED, CLASSIFIER_NAMES, RECOGNITION
from depthjax.report.paper import TABLE_1, TABLE_2, published_column
from depthjax.report.stored import StoredEvaluation, method_name
from depthjax.report.tables import added_sets, classifier_name
from depthjax.scores import Score

# Tol's "high-contrast" colours: classifiers look like neither methods nor emotions, and differ in print.
CLASSIFIER_LOOKS = {"random_forest": ("#004488", "o", "-"), "decision_tree": ("#BB5566", "s", "--"),
                    "xgboost": ("#997700", "^", "-."), "depthnet": ("#228833", "v", (0, (1, 1))),
                    "network": ("#AA3377", "D", (0, (5, 1)))}  # fmt: skip
OTHER_CLASSIFIER = (style.GREY, "D", ":")
MIXES = {"synthetic": "Generated faces", "synthetic_real": "Generated + prepared faces"}
# Measure: title, and what it is not.
PUBLISHED = {
    "frechet": ("Fréchet, as published ↓", "not the FID"),
    "score": ("Score, as published ↑", "not the IS"),
    "ssim": ("SSIM, paired by order ↑", "pairs by order: no fidelity"),
    "psnr": ("PSNR, as published ↑", "1.5 times the PSNR in dB"),
}
# Rows of panels of the violins, and their protocols.
SEED_GROUPS = {
    "Unseen subjects": ("trtr", "tstr"),
    "Published protocol,\ngenerated": ("published_real", "published_synthetic"),
    "Published protocol,\ngenerated + prepared": ("published_real", "published_synthetic_real"),
}
ANNEX_GROUPS = {"Prepared": ("published_real",), "Generated": ("published_synthetic",),
                "Generated +\nprepared": ("published_synthetic_real",)}  # fmt: skip
# Protocols whose only method is `real`, and the label of its row. Prepared faces: training and held-out ones.
ALONE = {"trtr": "training only", "published_real": "prepared only"}
MIN_RUNS = 5  # of a violin; fewer are points alone


def recognition(evaluation: StoredEvaluation) -> Figure | None:
    """Draw accuracy on unseen subjects after training on training or generated faces, a classifier a panel."""
    classifiers = _classifiers(evaluation, "tstr")
    if not classifiers:
        return None
    rows, chance = 1 + len(evaluation.methods), 100 / len(evaluation.emotions)
    figure = Figure(figsize=(11, 1.3 + 0.36 * rows), layout="constrained")
    panels = figure.subplots(1, len(classifiers), sharex=True, sharey=True, squeeze=False)[0]
    for axes, classifier in zip(panels, classifiers, strict=True):
        columns = {"classifier": classifier, "measure": "accuracy"}
        protocols = {"real": "trtr"} | dict.fromkeys(evaluation.methods, "tstr")
        found = {m: evaluation.scores.find(protocol=p, method=m, **columns) for m, p in protocols.items()}
        style.intervals(axes, found, scale=100)
        axes.axvline(chance, color=style.GREY, linewidth=1, linestyle=":")
        name = style.wrapped(classifier_name(classifier), 20, lines=2)
        axes.set(title=name, xlabel="accuracy (%)", xlim=(0, 100), xticks=range(0, 101, 25))
    panels[0].text(chance, rows - 0.5, " chance", size=8, color=style.GREY)
    style.name_rows(panels[0], ["training faces", *map(method_name, evaluation.methods)])
    return figure


def added(evaluation: StoredEvaluation) -> Figure | None:
    """Draw accuracy on unseen subjects by what was added to the training faces, a classifier a panel."""
    classifiers, sets = _classifiers(evaluation, "added"), added_sets(evaluation)
    if not classifiers:
        return None
    figure = Figure(figsize=(11, 1.3 + 0.3 * len(sets)), layout="constrained")
    panels = figure.subplots(1, len(classifiers), sharey=True, squeeze=False)[0]
    for axes, classifier in zip(panels, classifiers, strict=True):
        columns = {"classifier": classifier, "measure": "accuracy"}
        rival = evaluation.scores.find(protocol="added", method="augmented", **columns)
        axes.axvline(_percent(rival), color=style.INK, linewidth=1.2)
        for row, (protocol, method) in enumerate(sets):
            score = evaluation.scores.find(protocol=protocol, method=method, **columns)
            if score is None or score.value is None:
                style.not_computed(axes, row)
                continue
            colour, marker = style.method_look(method)
            style.bar(axes, score, row, colour, scale=100, linewidth=2.4)
            face = "white" if protocol == "added_augmented" else colour
            axes.plot(_percent(score), row, marker, color=colour, markerfacecolor=face, markersize=6)
        axes.set(title=style.wrapped(classifier_name(classifier), 20, lines=2), xlabel="accuracy (%)")
    style.name_rows(panels[0], list(sets.values()))
    return figure


def table_1(evaluation: StoredEvaluation) -> Figure | None:
    """Draw table 1 with the released protocol as lines (paper: figure 13), the paper's values hollow."""
    classifiers = _classifiers(evaluation, *(f"published_{mix}" for mix in MIXES))
    if not classifiers:
        return None
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    grid = figure.subplots(len(MIXES), len(RECOGNITION), sharex=True, sharey=True)
    for line, (mix, words) in zip(grid, MIXES.items(), strict=True):
        for axes, (measure, measured) in zip(line, RECOGNITION.items(), strict=True):
            for place, classifier in enumerate(classifiers):
                aside = 0.36 * ((place + 0.5) / len(classifiers) - 0.5)
                _lines(axes, evaluation, mix, classifier, measure, aside)
            axes.axvline(0.5, color=style.GREY, linewidth=0.8)
            axes.set_title(measured.name)
        line[0].set_ylabel(f"{words} (%)")
    ticks = [ALONE["published_real"], *(style.wrapped(method_name(m), 18, lines=1) for m in evaluation.methods)]
    for axes in grid[-1]:
        axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", size=8)
    keys = [style.key(classifier_name(c), *CLASSIFIER_LOOKS.get(c, OTHER_CLASSIFIER)) for c in classifiers]
    keys.append(style.key("the same in the paper (IKFDB)", style.GREY, "o", ":", markerfacecolor="white"))
    figure.legend(handles=keys, loc="outside upper left", ncols=5)
    return figure


def _lines(axes: Axes, evaluation: StoredEvaluation, mix: str, classifier: str, measure: str, aside: float) -> None:
    """Draw a classifier's lines over the methods, ours and the paper's; prepared faces alone stand at the left."""
    colour, marker, dashes = CLASSIFIER_LOOKS.get(classifier, OTHER_CLASSIFIER)
    rows = [("real", "real"), *((mix, method) for method in evaluation.methods)]
    ours, paper = [], []
    for place, (part, method) in enumerate(rows):
        columns = {"method": method, "classifier": classifier, "measure": measure}
        score = evaluation.scores.find(protocol=f"published_{part}", **columns)
        ours.append(_percent(score))
        style.bar(axes, score, place + aside, colour, scale=100, upright=True)
        paper.append(TABLE_1.get((classifier, part, published_column(method) or "", measure), np.nan))
    x = np.arange(len(rows)) + aside
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4.5}
    hollow = look | {"markerfacecolor": "white", "linestyle": ":", "linewidth": 0.9, "alpha": 0.8}
    solid = look | {"linestyle": dashes, "linewidth": 1.4}
    for values, of_line in ((paper, hollow), (ours, solid)):
        for span in (slice(1, None), slice(1)):
            axes.plot(x[span], values[span], **of_line)


def table_2(evaluation: StoredEvaluation) -> Figure | None:
    """Draw table 2 with the released formulas as bars (paper: figure 14), the paper's values hollow."""
    methods, scores = evaluation.methods, evaluation.scores.where(protocol="as_published")
    if not any(score.value is not None for score in scores):
        return None
    figure = Figure(figsize=(11, 1.6 + 0.36 * len(methods)), layout="constrained")
    panels = figure.subplots(1, len(PUBLISHED), sharey=True)
    for axes, (measure, (title, words)) in zip(panels, PUBLISHED.items(), strict=True):
        of_measure = scores.where(measure=measure)
        values = {score.method: score.value for score in of_measure if score.value is not None}
        for row, method in enumerate(methods):
            if method in values:
                axes.barh(row, values[method], 0.62, color=style.method_colour(method))
                text = AS_PUBLISHED[measure].write(values[method])
                axes.annotate(text, (1.0, row), xycoords=("axes fraction", "data"), ha="right", va="center", size=8.5)
            else:
                style.not_computed(axes, row)
            paper = TABLE_2.get((measure, published_column(method) or ""))
            if paper is not None:
                axes.plot(paper, row, "D", color=style.INK, markerfacecolor="white", markersize=5)
        axes.axvline(0, color=style.GREY, linewidth=0.8)
        spaces = [space for space in of_measure.values("space") if space not in ("", "pixels")]
        axes.set(title=title, xlabel=words + (f"; on {spaces[0]}" if spaces else ""))
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.28 * (high - low))  # room for the numbers at the right
        axes.locator_params(axis="x", nbins=5)
    style.name_rows(panels[0], list(map(method_name, methods)))
    paper_key = style.key("the paper (IKFDB, other features)", style.INK, "D", "none", markerfacecolor="white")
    figure.legend(handles=[style.key("here", style.GREY, linewidth=6), paper_key], loc="outside upper left", ncols=2)
    return figure


def violins(evaluation: StoredEvaluation) -> Figure | None:
    """Draw the accuracy of every seed of each classifier, by what it was trained and tested on."""
    columns = {name: f"{classifier}/accuracy" for classifier, name in CLASSIFIER_NAMES.items()}
    return _seed_figure(evaluation, SEED_GROUPS, columns, "accuracy (%)")


def annex_1(evaluation: StoredEvaluation) -> Figure | None:
    """Draw four scores of every seed of the random forest by the released protocol (paper: annex 1)."""
    columns = {measured.name: f"random_forest/{measure}" for measure, measured in RECOGNITION.items()}
    return _seed_figure(evaluation, ANNEX_GROUPS, columns, "random forest, published protocol (%)")


def _seed_figure(evaluation: StoredEvaluation, groups: Mapping[str, Sequence[str]], columns: Mapping[str, str],
                 unit: str) -> Figure | None:  # fmt: skip
    """Violins of the score of each seed, a row of panels a group, a column a classifier and measure."""
    rows, runs = {}, {}
    for group, protocols in groups.items():
        sources = {p: ["real"] if p in ALONE else evaluation.methods for p in protocols}
        rows[group] = [(protocol, method) for protocol, methods in sources.items() for method in methods]
        for name, column in columns.items():
            stored = [f"{protocol}/{method}/{column}" for protocol, method in rows[group]]
            runs[group, name] = [100 * evaluation.runs.get(key, np.empty(0)) for key in stored]
    counts = {name: {len(v) for g in groups for v in runs[g, name] if len(v)} for name in columns}
    shown = [name for name in columns if counts[name]]
    if not shown:
        return None
    heights = [0.6 + 0.27 * len(row) for row in rows.values()]
    figure = Figure(figsize=(11, 0.9 + sum(heights)), layout="constrained")
    grid = figure.subplots(len(rows), len(shown), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
    for line, (group, row) in zip(grid, rows.items(), strict=True):
        for axes, name in zip(line, shown, strict=True):
            for place, ((_, method), values) in enumerate(zip(row, runs[group, name], strict=True)):
                if len(values):
                    _violin(axes, place, values, style.method_colour(method))
                else:
                    style.not_computed(axes, place)
        line[0].set_ylabel(group, weight="bold")
        style.name_rows(line[0], [ALONE.get(p) or method_name(m) for p, m in row])
    for axes, name in zip(grid[0], shown, strict=True):
        low, high = min(counts[name]), max(counts[name])
        span = f"{low}" if low == high else f"{low}–{high}"
        title = f"{name}, {span} {'seed' if high == 1 else 'seeds'}"
        axes.set_title(style.wrapped(title, min(22, 70 // len(shown)), lines=3))
    figure.align_ylabels(grid[:, 0])
    figure.supxlabel(f"{unit}; a dot a seed, bar: median", size=9)
    return figure


def _violin(axes: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """Draw every seed as a dot, and where there are enough a violin below them, on which the dots fan out."""
    many = len(values) >= MIN_RUNS
    if many and np.ptp(values) > 1e-6:
        drawn: Any = axes.violinplot(values, [row], orientation="horizontal", widths=0.85, showextrema=False)
        drawn["bodies"][0].set(facecolor=colour, alpha=0.3, linewidth=0)
    aside = (0.13 if many else 0.0) * (np.arange(len(values)) % 3 - 1)
    axes.plot(values, row + aside, ".", color=colour, markersize=3.5 if many else 7, markeredgewidth=0)
    axes.plot([np.median(values)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=1.8)


def _classifiers(evaluation: StoredEvaluation, *protocols: str) -> list[str]:
    known = {row.classifier for row in evaluation.scores if row.protocol in protocols and row.value is not None}
    return [classifier for classifier in evaluation.classifiers if classifier in known]


def _percent(score: Score | None) -> float:
    return np.nan if score is None or score.value is None else 100 * score.value
