"""The list of all figures, how they are written, and those of the training, the evolution and a sweep."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from depthjax.report import figure_style as style
from depthjax.report import figures_faces, figures_scores, figures_spaces
from depthjax.report.figures_faces import face_figure_name
from depthjax.report.stored import Run, StoredEvaluation

# Outcomes of a sweep, and their labels.
OUTCOMES = {
    "mean_fitness": "mean fitness",
    "log_probability": "log-probability\nof the emotion",
    "inside": "share like\ntraining faces",
    "apart": "distance to the\nnext winner",
}
VIEWS = {"depth": "Depth: darker is closer.", "shaded": "The same faces as surfaces lit from the upper left."}
# Panels of the losses: title, unit, and of each line its metric, label, colour and dashes.
LOSSES = (
    ("Adversarial loss", "binary cross-entropy (nats)", (
        ("g_adv", "generator", style.BLUE, "-"), ("d_adv_real", "discriminator, training", style.INK, "-"),
        ("d_adv_fake", "discriminator, generated", style.GREY, "--"))),
    ("Distillation loss", "distance to the EMA teacher", (
        ("g_kd", "generator", style.BLUE, "-"), ("d_kd", "discriminator", style.INK, "-"))),
    ("Discriminator accuracy", "accuracy (%)", (
        ("d_acc_real", "on training faces", style.INK, "-"), ("d_acc_fake", "on generated faces", style.GREY, "--"))),
)  # fmt: skip


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report."""

    name: str  # of its files, without ending
    draw: Callable[[Run], Figure | None]  # None if a run's stored files do not hold what it shows
    caption: str  # what it shows, for the page
    alt: str  # what it is, for readers who do not see it


def draw_figures(run: Run, folder: Path) -> dict[str, style.Drawn]:
    """Draw every figure that the stored files allow as NAME.png and NAME.svg, and return them by name."""
    drawn: dict[str, style.Drawn] = {}
    for spec in all_figures(run):
        with style.drawing(run.emotions):
            figure = spec.draw(run)
            if figure is not None:
                drawn[spec.name] = style.render(spec.name, figure, caption=spec.caption, alt=spec.alt)
                style.save(drawn[spec.name], folder)
    return drawn


def all_figures(run: Run) -> list[FigureSpec]:
    """Return every figure of a run: those of FIGURES, and two sheets of faces for each emotion."""
    sheets = []
    for (label, emotion), (view, caption) in itertools.product(enumerate(run.emotions), VIEWS.items()):
        name, draw = face_figure_name(run, label, view), partial(figures_faces.faces, emotion=label, view=view)
        alt = f"{emotion}: a row of training faces, then a row for each method. {caption}"
        sheets.append(FigureSpec(name, draw, caption, alt))
    return [*FIGURES, *sheets]


def losses(run: Run) -> Figure | None:
    """Draw both losses and the discriminator's accuracy over the epochs (paper: figure 12)."""
    if run.metrics is None:
        return None
    epochs, metrics = run.metrics["epoch"], run.metrics
    figure = Figure(figsize=(11, 4.1), layout="constrained")
    panels = figure.subplots(1, len(LOSSES))
    for axes, (title, unit, lines) in zip(panels, LOSSES, strict=True):
        for name, label, colour, dashes in lines:
            values = metrics[name] * (100 if unit.endswith("(%)") else 1)
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, values, marker=marker, color=colour, linestyle=dashes, label=label)
        axes.set(title=title, ylabel=unit, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16))  # below the panel, where no line passes
    if min(metrics["g_kd"].min(), metrics["d_kd"].min()) > 0:
        panels[1].set_yscale("log")  # the two differ by an order of magnitude
    panels[2].axhline(50, color=style.GREY, linewidth=1, linestyle=":")
    panels[2].set_ylim(-2, 102)
    return figure


def evolution(run: Run) -> Figure | None:
    """Draw best and mean fitness over the generations (paper: figure 15)."""
    unit = f"fitness ({run.config.get('evolve', {}).get('fitness', 'as configured')})"
    lines = {"best": ("best", style.VERMILION, "-"), "mean": ("mean of the population", style.INK, "--")}
    return _generations(run, lines, unit)


def variety(run: Run) -> Figure | None:
    """Draw the effective number of different faces of the population over the generations, if it was measured."""
    return _generations(run, {"variety": ("population", style.BLUE, "-")}, "different faces (RKE)")


def _generations(run: Run, lines: dict[str, tuple[str, str, str]], unit: str) -> Figure | None:
    """Draw parts of the history, if they were measured, a panel an emotion: median and range of the islands."""
    history = run.history
    if history is None or not all(np.isfinite(history[name]).all() for name in lines):
        return None
    figure, panels = style.small_multiples(run.emotions, height=3.0, more=0.4, unit=unit)
    for label, axes in enumerate(panels):
        for name, (words, colour, dashes) in lines.items():
            values = history[name][label]  # (islands, generations + 1)
            generations = np.arange(values.shape[1])
            if len(values) > 1:
                words += f" (median of {len(values)} islands; shaded: their range)"
                axes.fill_between(generations, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
            axes.plot(generations, np.median(values, 0), color=colour, linestyle=dashes, label=words)
        axes.set_xlabel("generation")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def draw_sweep(folder: Path, settings: Mapping[str, np.ndarray], outcomes: Mapping[str, np.ndarray]) -> list[Path]:
    """Write `folder/sweep.png` and `.svg`: means of (experiments,) outcomes by setting, with 95 % intervals."""
    with style.drawing():
        figure = Figure(figsize=(1.2 + 2.3 * len(settings), 1.7 * len(OUTCOMES)), layout="constrained")
        grid = figure.subplots(len(OUTCOMES), len(settings), sharey="row", squeeze=False)
        for row, (name, words) in zip(grid, OUTCOMES.items(), strict=True):
            row[0].set_ylabel(words)
            for axes, values in zip(row, settings.values(), strict=True):
                points = np.unique(values)
                cells = [mean_with_error(outcomes[name][values == point]) for point in points]
                axes.errorbar(range(len(points)), *zip(*cells, strict=True), color=style.BLUE, marker="o", capsize=3)
                axes.set_xticks(range(len(points)), [f"{point:g}" for point in points])
                axes.set_xlim(-0.5, len(points) - 0.5)
                share = 100 * explained(values, outcomes[name])
                axes.set_title(f"explains {share:.0f} % of the variance", fontsize=8, weight="normal")
        for axes, field in zip(grid[-1], settings, strict=True):
            axes.set_xlabel(field)
        return style.save(style.render("sweep", figure, dpi=150), folder)


def explained(setting: np.ndarray, outcome: np.ndarray) -> float:
    """Return the share of an outcome's variance between the means at a setting's values (eta squared)."""
    groups = [outcome[setting == value] for value in np.unique(setting)]
    between = sum(len(group) * (group.mean() - outcome.mean()) ** 2 for group in groups)
    return float(between / (outcome.size * outcome.var())) if np.ptp(outcome) > 0 else 0.0


def mean_with_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of (n,) values, and 1.96 standard errors of it (0 for one value)."""
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(error)


def _evaluated(draw: Callable[[StoredEvaluation], Figure | None]) -> Callable[[Run], Figure | None]:
    return lambda run: None if run.evaluation is None else draw(run.evaluation)


FIGURES = (
    FigureSpec("overview", figures_faces.overview,
        "Every emotion, training faces beside each method, as surfaces lit from the upper left.",
        "Lit relief of faces: a row for each emotion, a block for each source."),
    FigureSpec("normals", figures_faces.normals,
        "The same faces as surface normals: the colour is the way the surface faces. Noise and flattened features "
        "show that depth alone hides.",
        "Surface normals of some training faces and of some faces of each method, in colours."),
    FigureSpec("difference", figures_faces.difference,
        "What an emotion does to the mean face, in millimetres nearer or farther than in the reference emotion. A "
        "method that has learnt an emotion changes what the emotion changes in training faces.",
        "Maps of the mean depth of each emotion less the reference emotion's, a column for each source."),
    FigureSpec("interpolation", figures_faces.interpolation,
        "From one latent to another along the sphere, one emotion a row. Faces should change gradually; a jump means "
        "that the generator holds separate faces and little between them.",
        "Rows of generated faces that turn step by step from one into another."),
    FigureSpec("recognition", _evaluated(figures_scores.recognition),
        "Accuracy on unseen subjects with 95\u202f% intervals; higher is better.",
        "Accuracy on unseen subjects with intervals: the numbers are in the table below."),
    FigureSpec("violins", _evaluated(figures_scores.violins),
        "The same accuracy over the seeds of each classifier: how much is chance.",
        "Violins of the accuracy of every seed, by classifier and source of the faces."),
    FigureSpec("added", _evaluated(figures_scores.added),
        "Accuracy on unseen subjects with faces added to the training faces; the line is at augmented copies, the "
        "simplest rival. Hollow: beside augmented copies.",
        "Accuracy with intervals by what was added: the numbers are in the table below."),
    FigureSpec("distances", _evaluated(figures_spaces.distances),
        "To held-out faces; lower is better, down to the grey band: one half of their subjects to the other half.",
        "Distances by method, with intervals and references: the table below has the numbers."),
    FigureSpec("coverage", _evaluated(figures_spaces.coverage),
        "How much of the variety of faces is reached, emotion by emotion; higher is better.",
        "Coverage by emotion and method."),
    FigureSpec("tsne", figures_spaces.tsne,
        "Faces of each source among all others (t-SNE of the features). Nearness means likeness; the size of a gap, "
        "and distances between clusters, mean nothing.",
        "Scatter plots of t-SNE coordinates by emotion, a panel for each source."),
    FigureSpec("lda", figures_spaces.lda,
        "Emotions along the direction that best separates them in training faces. Generated faces should fall where "
        "the training faces of their emotion do.",
        "Densities along the first linear discriminant, by emotion and source."),
    FigureSpec("correlations", figures_spaces.correlations,
        "How the groups of handcrafted features move together, in training faces, generated faces and both.",
        "Correlation matrices of four groups of features, by source."),
    FigureSpec("nearest", figures_faces.nearest,
        "The generated faces closest to any training face, each below it, closest pair first: look for the same "
        "subject.",
        "Pairs of a generated face and the training face nearest to it."),
    FigureSpec("table_1", _evaluated(figures_scores.table_1),
        "Table 1 of the paper as lines, with the published protocol. Prepared faces: training and held-out faces "
        "together.",
        "Lines of accuracy, precision, recall and F1 by method: the numbers are in the table below."),
    FigureSpec("annex_1", _evaluated(figures_scores.annex_1),
        "All four scores of the random forest's seeds by the released protocol, which tests on subjects it trained on "
        "(paper: annex 1). Prepared faces: training and held-out faces together.",
        "Violins of accuracy, precision, recall and F1 of every seed, by what the forest was trained on."),
    FigureSpec("table_2", _evaluated(figures_scores.table_2),
        "Table 2 of the paper as bars, with the released formulas.",
        "Bars of the distances and scores by method: the numbers are in the table below."),
    FigureSpec("losses", losses,
        "At 50\u202f% a discriminator does not separate training from generated faces; at 100\u202f% it separates all "
        "of them; between, a lower loss is not better. Distillation losses ↓ compare each network with its teacher.",
        "Three line charts over the epochs: adversarial losses, distillation losses, discriminator accuracy."),
    FigureSpec("evolution", evolution,
        "Fitness ↑ is what the search maximises; it says nothing by itself about quality.",
        "Best and mean fitness over the generations, a panel for each emotion."),
    FigureSpec("variety", variety,
        "How many different faces the population is worth (RKE by the kernel that selects) ↑. It is measured in the "
        "features that the search selects by: the tables of diversity judge in others.",
        "Effective number of different faces over the generations, a panel for each emotion."),
)  # fmt: skip
OVERVIEW = FIGURES[0]
