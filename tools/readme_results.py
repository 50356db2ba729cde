"""Put a run's own picture and its Tables 1 and 2, the paper's beside, into the README.

    python launch.py --config configs/quick.py --workdir runs/quick
    python tools/readme_results.py --workdir runs/quick

Replaces what stands between the marks `results NAME` (of the run's config; else plain `results`) in README.md, and
docs/images/NAME.png. With --print it only prints the block.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.errors import UserError  # noqa: E402
from depthjax.files import read_json, replacing, write_text  # noqa: E402
from depthjax.report.table import ABSENT, NONE, Cell, Table  # noqa: E402
from depthjax.report.table_files import cell_text  # noqa: E402
from depthjax.report.tables import all_tables  # noqa: E402

WIDTH = 1400  # pixels of the picture
LEFT_OUT = {"fused", "handcrafted"}  # features that take room, and the first of them ranks nothing
KEPT = ("KID", "Fréchet", "FID", "Coverage", "Nearest", "Read as intended", "Emotion score", "IS")
PUBLISHED = "published protocol, here / paper"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def short(cell: Cell) -> str:
    """As in the tables, without the signs that keep words together."""
    return cell_text(cell).replace("\u00a0", " ").replace("\u202f", " ")


def accuracy_rows(tables: dict[str, Table]) -> list[list[str]]:
    """Table 1: on unseen people, then by the published protocol beside the paper's, a column a method."""
    honest, published, methods = tables["table_1"], tables["table_1_published"], _methods(tables)
    rows = [["accuracy, % ↑", "trained on", "real only", *methods]]
    for classifier in dict.fromkeys(str(row[0]) for row in honest.rows):
        mine = {(row[1], row[2]): short(row[3]) for row in honest.rows if row[0] == classifier}
        ceiling = next((value for (trained_on, _), value in mine.items() if trained_on == "real only"), NONE)
        for trained_on in ("generated only", "generated + all real"):
            values = [mine.get((trained_on, m), NONE) for m in methods]
            rows += [[f"{classifier}, unseen people", trained_on, ceiling, *values]]
        theirs = {(row[1], row[2]): _pair(row[3], row[4]) for row in published.rows if row[0] == classifier}
        for trained_on in ("generated", "generated + real"):
            values = [theirs.get((trained_on, m), NONE) for m in methods]
            rows += [[f"{classifier}, {PUBLISHED}", trained_on, theirs.get(("real", NONE), NONE), *values]]
    return [rows[0], *(row for row in rows[1:] if set(row[3:]) - {ABSENT, NONE})]


def _pair(here: Cell, paper: Cell) -> str:
    """`91.2 / 91.67`."""
    return f"{here if isinstance(here, str) else here.digits} / {short(paper)}"


def _methods(tables: dict[str, Table]) -> tuple[str, ...]:
    return tables["table_2"].columns[3:-2]


def distance_rows(tables: dict[str, Table]) -> list[list[str]]:
    """Table 2: the measures as they should be, then the released formulas beside the paper's, a column a method."""
    honest, published, methods = tables["table_2"], tables["table_2_published"], _methods(tables)
    rows = [["measure", "real people", *methods]]
    for measure, features, *values, _, _ in honest.rows:
        if features in LEFT_OUT or not str(measure).startswith(KEPT) or set(values[1:]) <= {ABSENT}:
            continue
        rows += [[f"{short(measure)}, {features}", *map(short, values)]]
    for measure in dict.fromkeys(row[0] for row in published.rows):
        mine = {row[2]: row for row in published.rows if row[0] == measure}
        if any(row[3] != ABSENT for row in mine.values()):
            features = next(iter(mine.values()))[1]
            name = f"{short(measure)}, {features}, here / paper"
            rows += [[name, NONE, *(_pair(mine[m][3], mine[m][4]) if m in mine else NONE for m in methods)]]
    return rows


def _bins(settings: dict[str, Any]) -> str:
    return "" if settings["bins"] is None else f", features rounded to {settings['bins']} quantiles"


def caption(workdir: Path, evaluation: dict[str, Any]) -> str:
    """Machine, n, seeds, date, minutes."""
    environment, data = read_json(workdir / "environment.json"), evaluation["data"]
    minutes = sum(read_json(path)["seconds"] for path in (workdir / "stages").glob("*.json")) / 60
    n = next(iter(evaluation["methods"].values()))["n"]
    return (
        f"{environment['processor']}, {environment['cpu_count']} cores, {minutes:.1f} minutes, "
        f"{environment['date'][:10]}; one training seed ({environment['seeds']['train']}), "
        f"{len(evaluation['settings']['seeds'])} classifier seeds{_bins(evaluation['settings'])}. "
        f"Trained on {data['train']['images']} faces of {data['train']['subjects']} people, tested on "
        f"{data['test']['images']} of {data['test']['subjects']} others; {n} generated faces a method. In parentheses: "
        "95 % intervals, by resampling people (accuracy) or half-sets (distances). The paper's numbers (IKFDB, other "
        "faces, 400 and 800 images a class) are for orientation: its protocol tests on people it trained on, and its "
        "formulas are not what they are called."
    )


def block(workdir: Path) -> str:
    """Both tables and the caption, as Markdown."""
    evaluation = read_json(workdir / "evaluation.json")
    tables = all_tables(evaluation, len(evaluation["data"]["emotions"]))
    parts = ["**Table 1.**", markdown(accuracy_rows(tables)), "**Table 2.**", markdown(distance_rows(tables))]
    return "\n\n".join([*parts, caption(workdir, evaluation)])


def with_block(readme: str, name: str, text: str) -> str:
    """The README with the text between the marks of this name, or between the plain ones."""
    for mark in (f"results {name}", "results"):
        pattern = rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- /{re.escape(mark)} -->)"
        if re.search(pattern, readme, flags=re.S):
            return re.sub(pattern, lambda m: m.group(1) + text + "\n" + m.group(2), readme, flags=re.S)
    raise UserError(f"README.md has no marks '<!-- results {name} -->' and '<!-- /results {name} -->': add them")


def main() -> None:
    """Write the picture and the block, or print the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    parser.add_argument("--print", action="store_true", help="print the block and write nothing")
    options = parser.parse_args()
    try:
        text = block(options.workdir)
        if options.print:
            print(text)
            return
        name = read_json(options.workdir / "config.json")["name"]
        readme = with_block((ROOT / "README.md").read_text("utf-8"), name, text)
    except UserError as error:
        sys.exit(f"error: {error}")
    picture = Image.open(options.workdir / "figures" / "overview.png").convert("L")
    picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    with replacing(ROOT / "docs" / "images" / f"{name}.png") as file:
        picture.save(file, format="PNG", optimize=True)
    write_text(ROOT / "README.md", readme)


if __name__ == "__main__":
    main()
