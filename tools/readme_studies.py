"""Put the tables and pictures of the two studies into the README: which recipe, and does evolution earn its place.

    python tools/ablation.py --config configs/ablation.py --workdir runs/ablation
    python tools/readme_studies.py --ablation runs/ablation
    python experiments/evolution_table.py --config configs/quick.py --workdir runs/quick
    python tools/readme_studies.py --evolution runs/quick/evolve/table

Replaces what stands between the marks `results recipes`, `results ingredients` and `results evolution` in README.md,
and docs/images/recipes.png and evolution.png. With --print it only prints the tables.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.errors import UserError  # noqa: E402
from depthjax.files import read_json, replacing, write_text  # noqa: E402
from tools.readme_results import markdown, with_block  # noqa: E402

Row = dict[str, Any]
ABSENT = "–"


class Yardstick(NamedTuple):
    """A number of a recipe: where it is, what it is called in either table, and how it is told."""

    key: str
    field: str
    head: str
    short: str
    percent: bool = False
    wished: str = ""


YARDSTICKS = (
    Yardstick("kid_relief", "excess", "KID, relief, above its floor ↓", "KID relief, above floor", wished="0 or below"),
    Yardstick("kid_depthnet", "excess", "KID, depthnet, above its floor ↓", "KID depthnet", wished="0 or below"),
    Yardstick("vendi", "value", "Vendi, real = 1", "Vendi", wished="0.9 to 1.1"),
    Yardstick("tstr_xgboost", "value", "XGBoost on unseen people, % ↑", "XGBoost, %", percent=True),
    Yardstick("tstr_random_forest", "value", "Random forest on unseen people, % ↑", "forest, %", percent=True),
    Yardstick("agreement", "value", "read as intended, % ↑", "read, %", percent=True),
    Yardstick("nearest_ratio", "value", "nearest train / unseen people ≈ 1, relief", "nearest", wished="0.9 or more"),
    Yardstick("residual", "value", "noise and detail, real = 1", "detail", wished="1"),
    Yardstick("checkerboard", "value", "checkerboard, real = 1", "checkerboard", wished="1 or less"),
    Yardstick("holes", "value", "holes in the face, real = 1", "holes", wished="1"),
)
# Of `table.csv`: column, name in the README, decimals, whether a share is told in percent, whether with its interval.
CHOSEN = (
    ("distinct", "distinct faces, % ↑", 0, True, False),
    ("Vendi, relief", "Vendi, relief ↑", 1, False, False),
    ("coverage, relief", "Coverage, relief ↑", 2, False, False),
    ("KID, relief", "KID, relief ↓", 2, False, False),
    ("KID, depthnet", "KID, depthnet ↓", 2, False, False),
    ("read as intended", "read as intended, % ↑", 1, True, False),
    ("nearest train, relief", "nearest train / unseen people ≈ 1, relief", 2, False, False),
    ("TSTR, XGBoost", "XGBoost on unseen people, % ↑", 0, True, True),
    ("TSTR, random forest", "Random forest on unseen people, % ↑", 0, True, True),
)
NAMES = {
    "best_of": "best of",
    "k_centre": "k-centre",
    "no_generations": "novelty, no generations",
    "paper": "paper's GA",
    "paper_realism": "GA, realism",
    "novelty_wide": "novelty, wide",
}


def told(value: float, decimals: int) -> str:
    """A number with a true minus; one of ten and more without its decimals."""
    return f"{value:,.{0 if abs(value) >= 10 else decimals}f}".replace("-", "−")


def finished(folder: Path) -> list[Row]:
    """Every finished row of the ablation, in the order of its config."""
    from configs import ablation

    rows = [read_json(path) for path in (folder / "rows").glob("*/row.json")]
    order = {recipe.name: i for i, recipe in enumerate(ablation.get_recipes())}
    known = [row for row in rows if row["name"] in order]
    if strange := {row["name"] for row in rows} - set(order):
        print(f"left out, as configs/ablation.py no longer has them: {', '.join(sorted(strange))}", file=sys.stderr)
    if not known or not (folder / "recipes.png").exists():
        raise UserError(f"{folder} has no finished row: run tools/ablation.py first")
    return sorted(known, key=lambda row: (order[row["name"]], row["seed"]))


def of_references(rows: Sequence[Row], ceiling: dict[str, Any]) -> str:
    """A column a reference recipe: means over its seeds, least and greatest."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == "reference":
            groups.setdefault(row["name"], []).append(row)
    names = {"ours": "ours (`quick`)"}
    lines = [["", *(names.get(name, name) for name in groups), "wished"]]
    lines.append(["trainings", *(str(len(runs)) for runs in groups.values()), ""])
    lines.append(["steps", *(f"{runs[0]['steps']:,}" for runs in groups.values()), ""])
    for yardstick in YARDSTICKS:
        real = ceiling.get(yardstick.key.replace("tstr", "trtr"), {}).get("value")
        head = yardstick.head + ("" if real is None else f" (real: {100 * real:.1f})")
        cells = [_over_seeds([_number(run, yardstick) for run in runs], yardstick) for runs in groups.values()]
        lines.append([head, *cells, yardstick.wished])
    return markdown(lines)


def of_ingredients(rows: Sequence[Row]) -> str:
    """A line a recipe, by its first seed."""
    seed = min(row["seed"] for row in rows)
    lines = [[f"seed {seed}", "steps", *(yardstick.short for yardstick in YARDSTICKS)]]
    for row in (row for row in rows if row["seed"] == seed):
        numbers = [_of_one(_number(row, yardstick), yardstick) for yardstick in YARDSTICKS]
        lines.append([row["name"], f"{row['steps']:,}", *numbers])
    return markdown(lines)


def _number(row: Row, yardstick: Yardstick) -> float:
    return float(row["numbers"].get(yardstick.key, {}).get(yardstick.field, np.nan))


def _of_one(value: float, yardstick: Yardstick) -> str:
    if np.isnan(value):
        return ABSENT
    return told(100 * value, 1) if yardstick.percent else told(value, 2)


def _over_seeds(values: Sequence[float], yardstick: Yardstick) -> str:
    mean, *ends = (_of_one(f(values), yardstick) for f in (np.mean, np.min, np.max))
    return mean if len(values) == 1 or mean == ABSENT else f"{mean} ({ends[0]} to {ends[1]})"


def of_evolution(folder: Path) -> str:
    """A column a way to choose, of what `table.csv` has a line a way."""
    path = folder / "table.csv"
    for needed in (path, folder / "real.json", folder / "faces.png"):
        if not needed.exists():
            raise UserError(f"{needed} is not there: run experiments/evolution_table.py first")
    real = read_json(folder / "real.json")
    with path.open(newline="", encoding="utf-8") as file:
        ways = list(csv.DictReader(file))
    lines = [["", *(NAMES.get(way["faces by"], way["faces by"]) for way in ways)]]
    for key, head, decimals, percent, interval in CHOSEN:
        told_of_real = f" (real people: {_cell(str(real[key]), decimals, percent, False)})" if key in real else ""
        lines.append([head + told_of_real, *(_cell(way[key], decimals, percent, interval) for way in ways)])
    return markdown(lines)


def _cell(text: str, decimals: int, percent: bool, interval: bool) -> str:
    """`0.814 [0.78, 0.85]` as `81 (78–85)`."""
    factor = 100 if percent else 1
    value, *ends = (factor * float(part.strip("[],")) for part in text.split())
    shown = f"{value:,.{decimals}f}" if percent else told(value, decimals)
    return f"{shown} ({told(ends[0], 0)}–{told(ends[1], 0)})" if interval else shown


def main() -> None:
    """Write the tables and pictures of what is given, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ablation", type=Path, help="a work folder of tools/ablation.py")
    parser.add_argument("--evolution", type=Path, help="a folder of experiments/evolution_table.py")
    parser.add_argument("--print", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    blocks: dict[str, str] = {}
    pictures: dict[str, Path] = {}
    try:
        if options.ablation is None and options.evolution is None:
            raise UserError("nothing to do: give --ablation, --evolution or both")
        if options.ablation is not None:
            rows = finished(options.ablation)
            blocks["recipes"] = of_references(rows, read_json(options.ablation / "ceiling.json")["numbers"])
            blocks["ingredients"] = of_ingredients(rows)
            pictures["recipes"] = options.ablation / "recipes.png"
        if options.evolution is not None:
            blocks["evolution"] = of_evolution(options.evolution)
            pictures["evolution"] = options.evolution / "faces.png"
        if options.print:
            print("\n\n".join(blocks.values()))
            return
        readme = (ROOT / "README.md").read_text("utf-8")
        for name, text in blocks.items():
            readme = with_block(readme, name, text)
    except UserError as error:
        sys.exit(f"error: {error}")
    for name, path in pictures.items():
        with replacing(ROOT / "docs" / "images" / f"{name}.png") as file, path.open("rb") as picture:
            shutil.copyfileobj(picture, file)
    write_text(ROOT / "README.md", readme)


if __name__ == "__main__":
    main()
