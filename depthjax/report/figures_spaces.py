"""Figures of feature spaces: distances, coverage, the paper's LDA and t-SNE, and correlations of features."""

from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from depthjax.report import figure_style as style
from depthjax.report.formats import FRECHET, KID
from depthjax.report.stored import Run, StoredEvaluation, method_name

DISTANCES = {"kid": KID.name, "frechet": FRECHET.name}
TO_HELD_OUT = {"against": "test"}
SET_NAMES = {"train": "Training faces", "test": "Held-out faces"}
GROUPS = ("HOG", "LBP", "Sobel", "intensity")
FAR_APART = 30.0  # times the median: one value beyond it would press the others together
MIN_SPREAD = 1e-3  # of the axis: a set that varies less is a line, not a density
DOTTED = (0, (1, 1.5))


def distances(evaluation: StoredEvaluation) -> Figure | None:
    """Draw each distance to held-out faces with its interval, and theirs as a band, a space a column."""
    methods, spaces = evaluation.methods, _spaces(evaluation, *DISTANCES)
    if not spaces:
        return None
    figure = Figure(figsize=(11, 1.2 + 2 * (0.55 + 0.3 * len(methods))), layout="constrained")
    grid = figure.subplots(len(DISTANCES), len(spaces), sharey=True, squeeze=False)
    for line, (measure, name) in zip(grid, DISTANCES.items(), strict=True):
        for axes, space in zip(line, spaces, strict=True):
            sizes = [abs(value) for value in _draw_scores(axes, evaluation, measure, space) if value]
            axes.margins(x=0.12)
            # Where one value lies far beyond the others, scale logarithmically away from zero.
            if sizes and max(sizes) > FAR_APART * np.median(sizes):
                axes.set_xscale("symlog", linthresh=float(np.median(sizes)))
                axes.set_xlabel("(logarithmic)", size=7.5)
            else:
                axes.locator_params(axis="x", nbins=4)
            axes.set_title(f"{'FID' if (measure, space) == ('frechet', 'inception') else name}, {space}")
        style.name_rows(line[0], list(map(method_name, methods)))
    figure.supxlabel(
        "distance to held-out faces (no unit); grey band: half of their subjects to the other half", size=9
    )
    return figure


def coverage(evaluation: StoredEvaluation) -> Figure | None:
    """Draw the share of faces that have a generated one near, by method and emotion, a space a panel."""
    methods, emotions, spaces = evaluation.methods, evaluation.emotions, _spaces(evaluation, "coverage")
    if not spaces:
        return None
    parted = any(row.emotion for row in evaluation.scores.where(measure="coverage") if row.value is not None)
    height = 0.34 + (0.1 * len(emotions) if parted else 0)
    figure = Figure(figsize=(11, 1.4 + height * len(methods)), layout="constrained")
    panels = figure.subplots(1, len(spaces), sharex=True, sharey=True, squeeze=False)[0]
    for axes, space in zip(panels, spaces, strict=True):
        _draw_scores(axes, evaluation, "coverage", space, aside=-0.36 if parted else 0.0)
        for (place, method), (label, emotion) in product(enumerate(methods), enumerate(emotions)):
            columns = {"protocol": "distance", "measure": "coverage", "method": method, "space": space} | TO_HELD_OUT
            score = evaluation.scores.find(emotion=emotion, **columns)
            if score is not None and score.value is not None:
                colour, marker, _ = style.emotion_look(label)
                y = place - 0.2 + 0.6 * (label + 0.5) / len(emotions)
                style.bar(axes, score, y, colour)
                axes.plot(score.value, y, marker, color=colour, markersize=4)
        axes.set(title=space, xlim=(-0.02, 1.02), xlabel="coverage (share of held-out faces)")
    style.name_rows(panels[0], list(map(method_name, methods)))
    keys = [style.key("one half of the held-out subjects by the other half", style.BAND, linewidth=8)]
    if parted:
        keys = [style.key("all emotions", style.INK, "o", alpha=0.7), *keys, *style.emotion_keys(emotions, points=True)]
    figure.legend(handles=keys, loc="outside upper left", ncols=min(len(keys), 5))
    return figure


def _draw_scores(axes: Axes, evaluation: StoredEvaluation, measure: str, space: str, aside: float = 0.0) -> list[float]:
    """Draw each method's score over the band of the reference; returns the values that there are."""
    columns = {"protocol": "distance", "measure": measure, "space": space} | TO_HELD_OUT
    found = {method: evaluation.scores.find(method=method, **columns) for method in evaluation.methods}
    reference = evaluation.scores.find(method="held_out", **columns)
    if reference is not None and reference.low is not None and reference.high is not None:
        axes.axvspan(reference.low, reference.high, color=style.BAND, linewidth=0)
    if reference is not None and reference.value is not None:
        axes.axvline(reference.value, color=style.INK, linewidth=1, linestyle=":")
    style.intervals(axes, found, aside=aside)
    return [score.value for score in (*found.values(), reference) if score is not None and score.value is not None]


def _spaces(evaluation: StoredEvaluation, *measures: str) -> list[str]:
    rows = [row for row in evaluation.scores.where(protocol="distance") if row.measure in measures]
    known = {row.space for row in rows if row.method in evaluation.methods and row.value is not None}
    return [space for space in evaluation.spaces if space in known]


def lda(run: Run) -> Figure | None:
    """Draw densities of each set on the first linear discriminant of the training emotions (paper: figure 9)."""
    sets = _by_emotion(run, "lda")
    if not sets:
        return None
    # The axis holds the middle 98 % of every set, with some room.
    ends = np.concatenate([np.percentile(np.concatenate(s), (1, 99)) for s in sets.values() if any(map(len, s))])
    pad = 0.2 * max(1e-6, np.ptp(ends))
    x = np.linspace(ends.min() - pad, ends.max() + pad, 121)
    curves = {name: [_density(values, x) for values in groups] for name, groups in sets.items()}
    # One scale for all panels, set by training and held-out faces: a generated peak may leave the panel.
    peaks = {name: max([0.0, *(float(c.max()) for c in of_set if c is not None)]) for name, of_set in curves.items()}
    highest, reference = max(peaks.values()), max(peaks.get(name, 0.0) for name in SET_NAMES)
    top = 1.08 * (min(highest, 2.2 * reference) or highest or 1.0)
    figure, panels = style.small_multiples([*_set_names(run).values()], height=1.9, more=0.9, unit="density")
    for axes, (name, groups) in zip(panels, sets.items(), strict=True):
        for label, (values, density) in enumerate(zip(groups, curves[name], strict=True)):
            colour, _, dashes = style.emotion_look(label)
            if density is not None:
                axes.fill_between(x, density, color=colour, alpha=0.22, linewidth=0)
                axes.plot(x, density, color=colour, linestyle=dashes)
            elif len(values):
                axes.axvline(float(np.median(values)), color=colour, linestyle=dashes, linewidth=2.4)
            if name != "train" and (train := curves["train"][label]) is not None:
                axes.plot(x, train, color=colour, linewidth=0.8, linestyle=DOTTED)
        axes.set(xlim=(x[0], x[-1]), ylim=(0, top))
    note = "first linear discriminant of the emotions of training faces (unit: spread within an emotion)"
    figure.supxlabel(note + ("; peaks that leave the panel are cut" if highest > top else ""), size=9)
    dotted = style.key("the same emotion in training faces", style.GREY, "", DOTTED, linewidth=0.9)
    figure.legend(handles=[*style.emotion_keys(run.emotions, points=False), dotted], loc="outside upper left", ncols=4)
    return figure


def _density(values: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    spread = len(values) > 1 and np.std(values) > MIN_SPREAD * (x[-1] - x[0])
    return gaussian_kde(values)(x) if spread else None


def tsne(run: Run) -> Figure | None:
    """Draw one t-SNE of all sets (paper: figure 10), a set a panel in colour over all others in grey."""
    sets = _by_emotion(run, "tsne")
    if not sets:
        return None
    every = np.concatenate([points for groups in sets.values() for points in groups])
    middle, half = (every.max(0) + every.min(0)) / 2, 0.54 * max(1e-6, *np.ptp(every, axis=0))
    figure, panels = style.small_multiples([*_set_names(run).values()], height=2.82, more=0.45, unit="")
    for axes, groups in zip(panels, sets.values(), strict=True):
        axes.scatter(every[:, 0], every[:, 1], s=5, color="#dcdcdc", linewidth=0, rasterized=True)
        for label, points in enumerate(groups):
            colour, marker, _ = style.emotion_look(label)
            axes.scatter(points[:, 0], points[:, 1], s=11, color=colour, marker=marker, linewidth=0, alpha=0.75)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
        axes.spines[:].set(visible=True, color="#cccccc")
    others = style.key("all other sets", "#c8c8c8", "o", "none", markersize=4)
    figure.legend(handles=[*style.emotion_keys(run.emotions, points=True), others], loc="outside upper left", ncols=4)
    return figure


def correlations(run: Run) -> Figure | None:
    """Draw correlations of the four groups of features (paper: figure 11), of each set and with training faces."""
    stored, names = run.embedding or {}, _set_names(run)
    names |= {f"both/{name}": f"{label} with training faces" for name, label in names.items()}
    names = {name: label for name, label in names.items() if f"correlation/{name}" in stored}
    if not names:
        return None
    figure, panels = style.small_multiples([*names.values()], height=2.3, more=0.3, unit="")
    for axes, name in zip(panels, names, strict=True):
        values = stored[f"correlation/{name}"]
        image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(np.round(values, 2) + 0.0):  # no minus before zero
            words, colour = f"{value:.2f}".replace("-", "\u2212"), "white" if abs(value) > 0.6 else style.INK
            # Layout takes seconds if it measures so many words.
            axes.text(column, row, words, ha="center", va="center", size=8.5, color=colour, in_layout=False)
        axes.set_xticks(range(len(GROUPS)), GROUPS, size=8)
        axes.set_yticks(range(len(GROUPS)), GROUPS, size=8)
        axes.tick_params(length=0)
        axes.grid(False)
    words = "correlation between faces' first principal scores"
    figure.colorbar(image, ax=panels, shrink=0.4, label=words).ax.grid(False)
    return figure


def _set_names(run: Run) -> dict[str, str]:
    """Labels of the sets of the embedding: training and held-out faces, methods in the run's order, any others."""
    stored = [name.removeprefix("emotion/") for name in run.embedding or () if name.startswith("emotion/")]
    order = [*SET_NAMES, *run.samples]
    names = [n for n in order if n in stored] + [n for n in stored if n not in order]
    return {name: SET_NAMES.get(name) or method_name(name) for name in names}


def _by_emotion(run: Run, kind: str) -> dict[str, list[np.ndarray]]:
    """The values of each set, an array for each emotion; empty where none are stored."""
    arrays, sets = run.embedding or {}, {}
    for name in _set_names(run):
        values, emotion = arrays[f"{kind}/{name}"].astype(float), arrays[f"emotion/{name}"]
        sets[name] = [values[emotion == label] for label in range(len(run.emotions))]
    return sets
