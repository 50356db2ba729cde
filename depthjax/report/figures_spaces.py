"""Figures of where generated faces lie among real ones, in the feature spaces of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import gaussian_kde

from depthjax.report.figure_style import (
    FLOOR,
    GREY,
    INK,
    METHOD_LOOKS,
    OTHER_METHOD,
    emotion_keys,
    emotion_look,
    intervals,
    name_rows,
    spaced,
    wrapped,
)
from depthjax.report.numbers import DISTANCE, SHARE, Number, Style, find, number_if_any
from depthjax.report.stored import method_name
from depthjax.report.table import DISTANCE_NAMES, Cells

Arrays = dict[str, np.ndarray]
REAL_NAMES = {"train": "Real people", "test": "Other real people"}
GROUPS = ("HOG", "LBP", "Sobel", "intensity")
COLUMNS = 4  # of panels side by side
FAR_APART = 30.0  # times the median: beyond it, one value would press the others together
TINY = 1e-3  # of the axis: a set that varies less is a line, not a density


def distances(evaluation: dict[str, Any]) -> Figure | None:
    """Each distance to real faces with its interval, and the range between real people as a band; None if not run."""
    methods, spaces = list(evaluation["methods"]), Cells(evaluation).spaces
    if not spaces:
        return None
    figure = Figure(figsize=(11, 1.2 + 2 * (0.55 + 0.3 * len(methods))), layout=spaced())
    grid = figure.subplots(len(DISTANCE_NAMES), len(spaces), sharey=True, squeeze=False)
    for line, (kind, name) in zip(grid, DISTANCE_NAMES.items(), strict=True):
        for axes, space in zip(line, spaces, strict=True):
            values = _beside_floor(axes, evaluation, methods, kind, space, DISTANCE)
            _squeeze(axes, values)
            axes.set_title(f"{'FID' if (kind, space) == ('frechet', 'inception') else name}, {space}")
    figure.supxlabel("distance to real faces; grey band: real people against other real people", size=9)
    name_rows(grid[0, 0], list(map(method_name, methods)))
    return figure


def coverage(evaluation: dict[str, Any], emotions: Sequence[str]) -> Figure | None:
    """The share of real faces that have a generated one near, by method and emotion, a space a panel; None if not run.

    Emotions are small marks beside the method's own where they are stored (`by_emotion`, a list in label order).
    """
    methods = list(evaluation["methods"])
    spaces = [s for s in Cells(evaluation).spaces if any(find(evaluation, _at(m, s)) for m in methods)]
    if not spaces:
        return None
    parted = any(find(evaluation, (*_at(m, s), "by_emotion")) for m in methods for s in spaces)
    each = 0.34 + (0.1 * len(emotions) if parted else 0)
    figure = Figure(figsize=(11, 1.4 + each * len(methods)), layout=spaced())
    panels = figure.subplots(1, len(spaces), sharex=True, sharey=True, squeeze=False)[0]
    for axes, space in zip(panels, spaces, strict=True):
        _beside_floor(axes, evaluation, methods, "coverage", space, SHARE, aside=-0.36 if parted else 0.0)
        for row, method in enumerate(methods) if parted else ():
            _emotion_marks(axes, evaluation, (*_at(method, space), "by_emotion"), row, len(emotions))
        axes.set(title=space, xlim=(-0.02, 1.02), xlabel="coverage")
    name_rows(panels[0], list(map(method_name, methods)))
    keys = [Line2D([], [], color=INK, marker="o", markersize=6, alpha=0.7, label="all emotions")] if parted else []
    keys += [Line2D([], [], color=FLOOR, linewidth=8, label="real people by other real people"),
             *(emotion_keys(emotions, points=True) if parted else [])]  # fmt: skip
    figure.legend(handles=keys, loc="outside upper left", ncols=min(len(keys), 5))
    return figure


def _at(method: str, space: str) -> tuple[str, ...]:
    return ("methods", method, "coverage", space)


def _emotion_marks(axes: Axes, evaluation: dict[str, Any], keys: tuple[str, ...], row: int, count: int) -> None:
    for label in range(count):
        value = number_if_any(evaluation, (*keys, str(label)), SHARE)
        colour, marker, _ = emotion_look(label)
        place = row - 0.2 + 0.6 * (label + 0.5) / count
        if value is not None and value.value is not None:
            if value.interval is not None:
                axes.plot(value.interval, [place] * 2, color=colour, linewidth=1.2, alpha=0.5)
            axes.plot(value.value, place, marker, color=colour, markersize=4)


def _beside_floor(
    axes: Axes,
    evaluation: dict[str, Any],
    methods: Sequence[str],
    kind: str,
    space: str,
    style: Style,
    aside: float = 0.0,
) -> list[Number | None]:
    values = [number_if_any(evaluation, ("methods", m, kind, space), style) for m in methods]
    floor = number_if_any(evaluation, ("floor", kind, space), style)
    if floor is not None and floor.interval is not None:
        axes.axvspan(*floor.interval, color=FLOOR, linewidth=0)
    if floor is not None and floor.value is not None:
        axes.axvline(floor.value, color=INK, linewidth=1, linestyle=":")
    looks = [METHOD_LOOKS.get(m, OTHER_METHOD) for m in methods]
    intervals(axes, values, looks, rows=[row + aside for row in range(len(methods))])
    return [*values, floor]


def _squeeze(axes: Axes, values: Sequence[Number | None]) -> None:
    """Room beside the ends; where one value lies far beyond the others, a scale that is logarithmic away from zero."""
    known = [abs(v.value) for v in values if v is not None and v.value]
    axes.margins(x=0.12)
    if known and max(known) > FAR_APART * np.median(known):
        axes.set_xscale("symlog", linthresh=float(np.median(known)))
        axes.set_xlabel("(logarithmic)", size=7.5)
    else:
        axes.locator_params(axis="x", nbins=4)


def lda(arrays: Arrays, emotions: Sequence[str], methods: Sequence[str]) -> Figure:
    """Densities of each set on the first linear discriminant of real emotions (paper: figure 9), a set a panel."""
    names = set_names(arrays, methods)
    known = [arrays[f"lda/{name}"] for name in names]
    ends = np.percentile(np.concatenate([np.percentile(v, (1, 99)) for v in known if len(v)]), (0, 100))
    pad = 0.2 * max(1e-6, float(np.ptp(ends)))
    x = np.linspace(ends[0] - pad, ends[1] + pad, 121)
    curves = {name: _densities(arrays, name, x, len(emotions)) for name in names}
    real = max((c.max() for name in REAL_NAMES if name in names for c in curves[name] if c is not None), default=0.0)
    highest = max((c.max() for of in curves.values() for c in of if c is not None), default=1.0)
    top = 1.08 * (min(highest, 2.2 * real) or highest)
    figure, grid = _panels(len(names), 1.9, 0.9)
    for axes, name in zip(grid.flat, names, strict=False):
        for label, density in enumerate(curves[name]):
            _density(axes, x, density, arrays[f"lda/{name}"][arrays[f"emotion/{name}"] == label], label)
        for label, density in enumerate(curves["train"] if name != "train" else ()):
            if density is not None:
                axes.plot(x, density, color=emotion_look(label)[0], linewidth=0.8, linestyle=(0, (1, 1.5)))
        axes.set(title=wrapped(_set_name(name), 26, lines=1), xlim=(x[0], x[-1]), ylim=(0, top))
    for axes in grid[:, 0]:
        axes.set_ylabel("density")
    note = "first linear discriminant of the emotions of real people (unit: spread within an emotion)"
    figure.supxlabel(note + ("; peaks that leave the panel are cut" if highest > top else ""), size=9)
    dotted = Line2D([], [], color=GREY, linewidth=0.9, linestyle=(0, (1, 1.5)), label="the same emotion in real people")
    figure.legend(handles=[*emotion_keys(emotions, points=False), dotted], loc="outside upper left", ncols=4)
    return figure


def _densities(arrays: Arrays, name: str, x: np.ndarray, classes: int) -> list[np.ndarray | None]:
    """A density an emotion over x, None where there are no two values that differ."""
    found: list[np.ndarray | None] = []
    for label in range(classes):
        values = arrays[f"lda/{name}"][arrays[f"emotion/{name}"] == label].astype(float)
        spread = len(values) > 1 and np.std(values) > TINY * (x[-1] - x[0])
        found += [gaussian_kde(values)(x) if spread else None]
    return found


def _density(axes: Axes, x: np.ndarray, density: np.ndarray | None, values: np.ndarray, label: int) -> None:
    colour, _, dashes = emotion_look(label)
    if density is not None:
        axes.fill_between(x, density, color=colour, alpha=0.22, linewidth=0)
        axes.plot(x, density, color=colour, linestyle=dashes)
    elif len(values):
        axes.axvline(float(np.median(values)), color=colour, linestyle=dashes, linewidth=2.4)


def tsne(arrays: Arrays, emotions: Sequence[str], methods: Sequence[str]) -> Figure:
    """One t-SNE of all sets (paper: figure 10), a set a panel in colour over all others in grey."""
    names = set_names(arrays, methods)
    everyone = np.concatenate([arrays[f"tsne/{name}"] for name in names])
    low, high = everyone.min(axis=0), everyone.max(axis=0)
    wide, tall = 1.08 * np.maximum(high - low, 1e-6)
    ratio = float(np.clip(tall / wide, 0.5, 1.2))
    middle, half = (low + high) / 2, 0.5 * max(wide, tall / ratio) * np.array([1, ratio])
    figure, grid = _panels(len(names), 0.2 + 2.62 * ratio, 0.45)
    for axes, name in zip(grid.flat, names, strict=False):
        axes.scatter(*everyone.T, s=5, color="#dcdcdc", linewidth=0, rasterized=True)
        for label in range(len(emotions)):
            points = arrays[f"tsne/{name}"][arrays[f"emotion/{name}"] == label]
            colour, marker, _ = emotion_look(label)
            axes.scatter(*points.T, s=11, color=colour, marker=marker, linewidth=0, alpha=0.75)
        axes.set(title=wrapped(_set_name(name), 26, lines=1), xticks=[], yticks=[], aspect="equal")
        axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))
        axes.spines[:].set(visible=True, color="#cccccc")
    every = Line2D([], [], color="#c8c8c8", marker="o", linestyle="none", markersize=4, label="all other sets")
    figure.legend(handles=[*emotion_keys(emotions, points=True), every], loc="outside upper left", ncols=4)
    return figure


def correlations(arrays: Arrays, methods: Sequence[str]) -> Figure:
    """Correlations of the four groups of features (paper: figure 11): each set, and each with real people beneath."""
    generated = [name for name in set_names(arrays, methods) if name not in REAL_NAMES]
    both = [f"both/{name}" for name in generated]
    pairs = [("train", "test"), *zip(generated, both, strict=True)]
    lines = -(-len(pairs) // COLUMNS)
    across = min(COLUMNS, len(pairs))
    figure = Figure(figsize=(1.4 + 2.2 * across, 4.6 * lines), layout=spaced())
    grid = figure.subplots(2 * lines, across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, pair in enumerate(pairs):
        for below, name in enumerate(pair):
            if f"correlation/{name}" in arrays:
                axes = grid[2 * (place // across) + below, place % across]
                _heatmap(axes, arrays[f"correlation/{name}"], _set_name(name), first=place % across == 0)
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), "RdBu_r"), ax=grid, shrink=0.6 / lines, aspect=24, pad=0.02)
    bar.set_label("correlation between faces' first principal scores")
    bar.ax.grid(False)
    return figure


def _heatmap(axes: Axes, values: np.ndarray, name: str, *, first: bool) -> None:
    axes.set_axis_on()
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")  # nearly square, and laid out in half the time
    for row, column in np.ndindex(*values.shape):
        strength = round(float(values[row, column]), 2) + 0.0  # no minus before zero
        axes.text(column, row, f"{strength:.2f}".replace("-", "\u2212"), ha="center", va="center", size=8.5,
                  color="white" if abs(strength) > 0.6 else INK)  # fmt: skip
    axes.set_title(wrapped(name, 26, lines=2), size=9.5)
    axes.set_xticks(range(len(GROUPS)), GROUPS, size=8)
    axes.set_yticks(range(len(GROUPS)), GROUPS if first else [""] * len(GROUPS), size=8)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def set_names(arrays: Arrays, methods: Sequence[str]) -> list[str]:
    """The sets that are stored: real people first, then methods in the order given, then those not named there."""
    stored = [name.removeprefix("emotion/") for name in arrays if name.startswith("emotion/")]
    order = [*REAL_NAMES, *methods]
    return [n for n in order if n in stored] + [n for n in stored if n not in order]


def _set_name(name: str) -> str:
    if name.startswith("both/"):
        return f"{method_name(name.removeprefix('both/'))} with real"
    return REAL_NAMES.get(name) or method_name(name)


def _panels(count: int, height: float, more: float) -> tuple[Figure, np.ndarray]:
    """A grid of panels on shared axes; those beyond `count` are left blank."""
    across = min(COLUMNS, count)
    lines = -(-count // across)
    figure = Figure(figsize=(2.75 * across, more + height * lines), layout=spaced())
    grid = figure.subplots(lines, across, sharex=True, sharey=True, squeeze=False)
    for place in range(count, lines * across):
        grid.flat[place].set_axis_off()
        grid.flat[place - across].tick_params(labelbottom=True)  # it has become the lowest of its column
    return figure, grid
