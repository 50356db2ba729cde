"""The table of recipes: CSV, markdown and a figure with intervals, and a sheet of faces for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from depthjax import config as configs
from depthjax.data.crop import pixel_pitch
from depthjax.data.faces import DepthFaces
from depthjax.files import replacing, write_text
from depthjax.report.faces_image import mosaic, real_faces, shade
from depthjax.report.figure_style import BLUE, FLOOR, GREY, INK, STYLE, VERMILION, write_figure
from depthjax.report.figures_sheets import blocks_figure

Row = dict[str, Any]
SHEET_COLUMNS = 10
BLOCK_COLUMNS = 4
COLOURS = {"reference": INK, "minus": VERMILION, "plus": BLUE}


class Column(NamedTuple):
    """A yardstick: its place in a row's numbers, heading, factor, decimals, and what is wished for."""

    key: str
    head: str
    field: str = "value"
    factor: float = 1.0
    decimals: int = 2
    wished: str = ""


COLUMNS = (
    Column("frechet_relief", "Fréchet relief, above floor", "excess", decimals=3, wished="low"),
    Column("frechet_depthnet", "Fréchet depthnet, above floor", "excess", decimals=3, wished="low"),
    Column("kid_relief", "KID relief, above floor", "excess", decimals=3, wished="low"),
    Column("kid_depthnet", "KID depthnet, above floor", "excess", decimals=3, wished="low"),
    Column("vendi", "Vendi, real = 1", wished="0.9 to 1.1"),
    Column("spread", "mean distance, real = 1", wished="0.9 to 1.1"),
    Column("tstr_random_forest", "TSTR forest, %", factor=100, decimals=1, wished="high"),
    Column("tstr_xgboost", "TSTR XGBoost, %", factor=100, decimals=1, wished="high"),
    Column("agreement", "emotion agrees, %", factor=100, decimals=1, wished="high"),
    Column("nearest_ratio", "nearest-train ratio", wished="0.9 or more"),
    Column("residual", "residual, real = 1", wished="1"),
    Column("checkerboard", "checkerboard, real = 1", wished="1 or less"),
    Column("holes", "holes, real = 1", wished="1"),
)


class Cell(NamedTuple):
    """A number over seeds: the mean, the interval, and how many seeds. One seed has the bootstrap's interval."""

    value: float
    low: float
    high: float
    seeds: int


def write_ablation(rows: Sequence[Row], ceiling: dict[str, Any], folder: Path) -> list[Path]:
    """Write `ablation.csv` (a line a run), `ablation.md` (a line a recipe) and `ablation.png` and `.svg`.

    Args:
        rows: finished runs, in the order to show recipes in: `name`, `kind`, `seed`, `steps`, `flops`, `seconds`,
            `numbers` as `depthjax.evaluate.recipe.judge_recipe` gives them.
        ceiling: `trtr_CLASSIFIER`, what real faces teach.
    """
    paths = [folder / f"ablation.{suffix}" for suffix in ("csv", "md", "png", "svg")]
    write_text(paths[0], csv_text(rows))
    write_text(paths[1], markdown_text(rows, ceiling))
    draw_ablation(rows, ceiling, paths[2:])
    return paths


def csv_text(rows: Sequence[Row]) -> str:
    """A line a run: what it was, what it cost, every yardstick with its interval and floor."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = ("value", "low", "high", "floor", "excess")
    writer.writerow(["recipe", "kind", "seed", "steps", "flops", "seconds"]
                    + [f"{column.key}_{field}" for column in COLUMNS for field in fields])  # fmt: skip
    for row in rows:
        line = [row[name] for name in ("name", "kind", "seed", "steps", "flops", "seconds")]
        for column in COLUMNS:
            found = row["numbers"].get(column.key, {})  # a row of before has fewer
            low, high = found.get("interval", ("", ""))
            line += [found.get("value", ""), low, high, found.get("floor", ""), found.get("excess", "")]
        writer.writerow(line)
    return out.getvalue()


def cell_of(runs: Sequence[Row], column: Column) -> Cell | None:
    """A yardstick of one recipe over its runs: mean and range over seeds, or the bootstrap's interval of a single run.

    None where no run has it.
    """
    found = [run["numbers"].get(column.key, {}) for run in runs]
    found = [number for number in found if column.field in number]
    if not found:
        return None
    values = column.factor * np.array([number[column.field] for number in found])
    low, high = values.min(), values.max()
    if len(values) == 1 and "interval" in found[0]:
        below = found[0].get("floor", 0.0) if column.field == "excess" else 0.0
        low, high = (column.factor * (end - below) for end in found[0]["interval"])
    return Cell(float(values.mean()), float(low), float(high), len(values))


def by_recipe(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Runs by recipe, recipes in the order of their first run."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["name"], []).append(row)
    return groups


def markdown_text(rows: Sequence[Row], ceiling: dict[str, Any]) -> str:
    """A line a recipe; each number with its interval, and below what real faces would score."""
    heads = ["recipe", "seeds", "steps", "s a step", *(column.head for column in COLUMNS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, runs in by_recipe(rows).items():
        pace = np.mean([run["seconds"] / max(run["steps"], 1) for run in runs])
        cells = [name, str(len(runs)), f"{np.mean([run['steps'] for run in runs]):.0f}", f"{pace:.2f}"]
        lines.append("| " + " | ".join([*cells, *(_told(cell_of(runs, c), c) for c in COLUMNS)]) + " |")
    wished = ["wished", "", "", "", *(column.wished for column in COLUMNS)]
    lines.append("| " + " | ".join(wished) + " |")
    real = ", ".join(f"{name.removeprefix('trtr_').replace('_', ' ')} {100 * score['value']:.1f} %"
                     for name, score in ceiling.items())  # fmt: skip
    note = (
        f"Taught by real faces (TRTR): {real}. In brackets: least and greatest over the seeds; of a single seed, "
        "the middle 95 % of draws of faces or of people."
    )
    return "\n".join([*lines, "", note, ""])


def _told(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return "–"
    places = f".{column.decimals}f"
    return f"{cell.value:{places}} [{cell.low:{places}}, {cell.high:{places}}]"


def draw_ablation(rows: Sequence[Row], ceiling: dict[str, Any], paths: Sequence[Path]) -> None:
    """A panel a yardstick, a line a recipe: point and interval; grey lines: the repaired paper, and the wish."""
    import matplotlib.pyplot as plt

    groups, across = by_recipe(rows), 4
    down = -(-len(COLUMNS) // across)
    with plt.rc_context(STYLE):
        size = (4 + 2.3 * across, down * (1.0 + 0.19 * len(groups)))
        figure, panels = plt.subplots(down, across, figsize=size, sharey=True, layout="constrained", squeeze=False)
        for column, axes in zip(COLUMNS, panels.flat, strict=False):
            _draw_panel(axes, column, groups, ceiling)
        for axes in panels.flat[len(COLUMNS) :]:
            axes.set_axis_off()
        write_figure(figure, paths, dpi=110)
        plt.close(figure)


def _draw_panel(axes: Any, column: Column, groups: dict[str, list[Row]], ceiling: dict[str, Any]) -> None:
    axes.set_title(column.head, fontsize=8.5)
    for y, (_, runs) in enumerate(groups.items()):
        cell, colour = cell_of(runs, column), COLOURS[runs[0]["kind"]]
        if cell is None:
            axes.annotate("not computed", (0.02, y), xycoords=("axes fraction", "data"), size=7, color=GREY)
            continue
        axes.plot([cell.low, cell.high], [y, y], color=colour, linewidth=2.2, alpha=0.5)
        axes.plot(cell.value, y, "o", color=colour, markersize=4.5)
    wish = ceiling.get(column.key.replace("tstr", "trtr"), {}).get("value")
    if wish is not None:
        axes.axvline(column.factor * wish, color=GREY, linewidth=1, linestyle=":")
    elif "real = 1" in column.head:
        axes.axvline(1, color=GREY, linewidth=1, linestyle=":")
    if "repaired" in groups and (cell := cell_of(groups["repaired"], column)) is not None:
        axes.axvline(cell.value, color=FLOOR, linewidth=1.2, zorder=0)
    if column.field == "excess" and _spans_decades(groups, column):
        axes.set_xscale("symlog", linthresh=0.1)  # less would crowd the ticks about zero
    axes.set_yticks(range(len(groups)), list(groups), fontsize=7.5)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _spans_decades(groups: dict[str, list[Row]], column: Column) -> bool:
    values = [abs(cell.value) for runs in groups.values() if (cell := cell_of(runs, column)) is not None]
    return len(values) > 1 and max(values) > 20 * min(values)


def write_sheet(path: Path, faces: DepthFaces, clean: DepthFaces, settings: configs.Data) -> None:
    """The first faces of each emotion, as depth and as a lit surface; where clean ones differ, these below.

    Nothing is picked: they are in the order in which they were sampled.
    """
    rows = []
    shown = [faces] if np.array_equal(faces.images, clean.images) else [faces, clean]
    for one in shown:
        for emotion in one.emotions:
            images = one.of(emotion).images[:SHEET_COLUMNS]
            window = (one.depth_range.near_mm, one.depth_range.far_mm)
            rows.append(np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8))
            rows.append(shade(images, window, pixel_pitch(settings)))
    with replacing(path) as file:
        Image.fromarray(mosaic(rows, SHEET_COLUMNS, tile=96)).save(file, format="PNG")


def write_recipes(path: Path, real: DepthFaces, generated: Mapping[str, DepthFaces], settings: configs.Data) -> None:
    """Real people and the first faces of each recipe, a block each, as surfaces lit from the upper left.

    Args:
        real: of whom each is shown once, by the middle frame of an emotion.
        generated: by recipe, in the order of the blocks.
    """
    stored = {name: getattr(real, name) for name in ("images", "emotion", "subject", "frame")}
    emotions = range(len(real.emotions))
    blocks = {"Real people": [real_faces(stored, label, BLOCK_COLUMNS) for label in emotions]}
    blocks |= {name: [f.of(e).images[:BLOCK_COLUMNS] for e in f.emotions] for name, f in generated.items()}
    window, pitch = (real.depth_range.near_mm, real.depth_range.far_mm), pixel_pitch(settings)
    lit = {name: [shade(images, window, pitch) for images in rows] for name, rows in blocks.items()}
    figure = blocks_figure(lit, real.emotions, count=BLOCK_COLUMNS, top=12, bottom=6)
    write_figure(figure, [path], dpi=100)
