"""What a sweep found: for each setting that was varied, the mean of an outcome at each of its values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from depthjax.report.figure_style import BLUE, STYLE, write_figure

SHOWN = {
    "mean_fitness": "mean fitness",
    "log_probability": "log-probability\nof the emotion",
    "inside": "share like\nreal faces",
    "apart": "distance to the\nnext winner",
}


def explained(setting: np.ndarray, outcome: np.ndarray) -> float:
    """The share of an outcome's variance that lies between the means at a setting's values (eta squared)."""
    total = ((outcome - outcome.mean()) ** 2).sum()
    between = sum(
        (setting == v).sum() * (outcome[setting == v].mean() - outcome.mean()) ** 2 for v in np.unique(setting)
    )
    return float(between / total) if total > 0 else 0.0


def mean_with_error(values: np.ndarray) -> tuple[float, float]:
    """The mean of (n,) values, and 1.96 standard errors of it (0 for one value)."""
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(error)


def draw_sweep(folder: Path, settings: Mapping[str, np.ndarray], outcomes: Mapping[str, np.ndarray]) -> list[Path]:
    """Write `folder/sweep.png` and `.svg`.

    Args:
        folder: of figures.
        settings: of each varied field its (experiments,) values.
        outcomes: (experiments,) of each name in `SHOWN`, means over emotions.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        size = (1.2 + 2.3 * len(settings), 1.7 * len(SHOWN))
        figure, grid = plt.subplots(
            len(SHOWN), len(settings), figsize=size, sharey="row", squeeze=False, layout="constrained"
        )
        for row, (name, words) in zip(grid, SHOWN.items(), strict=True):
            row[0].set_ylabel(words)
            for axes, values in zip(row, settings.values(), strict=True):
                points = np.unique(values)
                cells = [mean_with_error(outcomes[name][values == point]) for point in points]
                axes.errorbar(range(len(points)), *zip(*cells, strict=True), color=BLUE, marker="o", capsize=3)
                axes.set_xticks(range(len(points)), [f"{point:g}" for point in points])
                axes.set_xlim(-0.5, len(points) - 0.5)
                axes.set_title(f"explains {100 * explained(values, outcomes[name]):.0f} %", fontsize=8, weight="normal")
        for axes, field in zip(grid[-1], settings, strict=True):
            axes.set_xlabel(field)
        paths = [folder / f"sweep.{kind}" for kind in ("png", "svg")]
        write_figure(figure, paths, dpi=150)
        plt.close(figure)
    return paths
