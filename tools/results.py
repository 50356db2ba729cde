"""Write the tables of stored runs into docs/results/, with machine, sizes, seeds and date.

    python tools/results.py --workdir runs/quick
    python tools/results.py --evolution runs/quick/evolve/table
    python tools/results.py --ablation runs/ablation
    python tools/results.py --trainings runs/trainings
    python tools/results.py --few embedded=runs/few --few ict=runs/few_ict --levers runs/other --generators runs/few_ict

The first writes docs/results/NAME.md, where NAME is that of the run's config; the second evolution.md from the files
of experiments/evolution_table.py; the third recipes.md from the tables of experiments/ablation.py; the fourth the block
`NAME trainings` of NAME.md from the tables of experiments/trainings.py; the fifth the blocks `few DOMAIN` of
few-people.md from the tables of the stage `few`, and `few levers` and `few generators` from those of
experiments/few_levers.py and experiments/few_generators.py.
The first four write docs/images/PAGE.png, too (of several trainings, the first).
Each replaces what stands between the marks `<!-- results NAME -->` and `<!-- /results NAME -->`; a page that does not
exist is made. With --print the tables are only printed.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax.errors import UserError  # noqa: E402
from depthjax.files import read_json, replacing, write_text  # noqa: E402
from depthjax.report.formats import ACCURACY, AS_PUBLISHED, Number  # noqa: E402
from depthjax.report.paper import printed  # noqa: E402
from depthjax.report.scorecard import as_table, extent, scorecard  # noqa: E402
from depthjax.report.stored import Run, StoredEvaluation, method_name, read_run  # noqa: E402
from depthjax.report.table import NONE, Cell, Column, Line, cell_text, heads, pivot, reference  # noqa: E402
from depthjax.report.tables import MEASURES, classifier_name, set_sizes  # noqa: E402
from depthjax.scores import Score  # noqa: E402

# Pixels of the picture's width.
WIDTH = 1400
# Measures of the short Table 2; the fused space takes room and ranks nothing.
KEPT = ("kid", "frechet", "coverage", "score", "agreement", "inception_score", "ssim", "psnr")


class Quantity(NamedTuple):
    """A number of the comparison of selections.

    Attributes:
        key: its column.
        head: its heading.
        decimals: after the point; a number of 10 and more has none.
        percent: whether a stored share is shown in percent.
        interval: whether its interval is shown.
    """

    key: str
    head: str
    decimals: int = 2
    percent: bool = False
    interval: bool = False


# What chooses does not judge: depthnet and held-out subjects first, then the space that selections are near to.
SPACES = {"depthnet": "depthnet", "relief": "relief (chooses)"}
EVOLUTION = (
    Quantity("TSTR, XGBoost", "XGBoost on held-out subjects, % ↑", 1, percent=True, interval=True),
    Quantity("TSTR, random forest", "Random forest on held-out subjects, % ↑", 1, percent=True, interval=True),
    Quantity("emotion as requested", "emotion as requested, depthnet, % ≈", 1, percent=True),
    *(
        quantity
        for space, name in SPACES.items()
        for quantity in (
            Quantity(f"distinct, {space}", f"distinct faces, {name}, % ↑", 0, percent=True),
            Quantity(f"Vendi, {space}", f"Vendi, {name} ↑", 1),
            Quantity(f"KID to training faces, {space}", f"KID to training faces, {name} ↓"),
            Quantity(f"KID to held-out faces, {space}", f"KID to held-out faces, {name} ↓"),
            Quantity(f"coverage of training faces, {space}", f"Coverage of training faces, {name} ↑"),
            Quantity(f"coverage of held-out faces, {space}", f"Coverage of held-out faces, {name} ↑"),
            Quantity(f"near a training face, {space}", f"near a training face, {name}, %", 1, percent=True),
        )
    ),
)
SELECTIONS = {
    "best_of": "best of",
    "k_centre": "k-centre",
    "k_centre_feasible": "k-centre, feasible",
    "k_dpp": "k-DPP",
    "facility_location": "facility location",
    "herding": "kernel herding",
    "gradient": "gradient ascent",
    "paper": "paper's GA",
    "paper_realism": "GA, realism",
    "accumulated": "k-DPP, generations of random latents",
    "evolved_wide": "evolved, small steps",
    "held_out": "held-out faces",
    "copies": "copies",
    "gaussian": "Gaussians",
}


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def run_text(workdir: Path) -> str:
    """Return the scorecard and short Tables 1 and 2 of a run, the paper's numbers beside, and how they were made."""
    run = read_run(workdir)
    if run.evaluation is None or run.environment is None:
        raise UserError(f"{workdir} has no evaluation: run --stages=evaluate,report")
    tables = (
        _table(run.evaluation, ("accuracy, % ↑", "trained on"), "training faces", _accuracy_lines(run.evaluation)),
        _table(run.evaluation, ("measure", "features", "to"), "reference", _distance_lines()),
    )
    one, two = tables
    card = as_table(run.evaluation, scorecard(run.evaluation))
    answers = markdown([card.columns, *(tuple(map(_cell, row)) for row in card.rows)])
    parts = [f"**Scorecard.** {extent(run.evaluation)}", answers]
    parts += ["**Table 1.**", one, "**Table 2.**", two, _conditions(run, run.evaluation, run.environment)]
    return "\n\n".join(parts)


def _table(evaluation: StoredEvaluation, text: tuple[str, ...], first: str, lines: Iterator[Line]) -> str:
    columns = [Column(first, {}, key=reference)]
    columns += [Column("augmented copies", {"method": "augmented"})] if "trained on" in text else []
    columns += [Column(method_name(method), {"method": method}) for method in evaluation.methods]
    rows = [tuple(map(_cell, row)) for row in pivot(evaluation.scores, lines, columns)]
    # Without weights for it, nothing is of the Inception network.
    return markdown([heads(text, columns), *(row for row in rows if set(row[len(text) :]) != {"not computed"})])


def _cell(cell: Cell) -> str:
    """A number with its interval; one of the published protocol with the paper's: `91.2 / 91.67`."""
    if isinstance(cell, Number) and "published" in cell.score.protocol:
        return f"{cell.digits} / {printed(cell.score)}"
    return cell_text(cell).replace("\u00a0", " ").replace("\u202f", " ")


def _accuracy_lines(evaluation: StoredEvaluation) -> Iterator[Line]:
    for c in evaluation.classifiers:
        held_out = f"{classifier_name(c)}, held-out subjects"
        yield Line((held_out, "generated only"), Score("", "tstr", c, "accuracy"), ACCURACY, "trtr")
        yield Line((held_out, "with training faces"), Score("", "added", c, "accuracy"), ACCURACY, "trtr")
        with_both = (held_out, "with training faces + augmented copies")
        yield Line(with_both, Score("", "added_augmented", c, "accuracy"), ACCURACY)
        as_published = f"{classifier_name(c)}, published protocol, here / paper"
        for mix, words in (("synthetic", "generated"), ("synthetic_real", "generated + training faces")):
            key = Score("", f"published_{mix}", c, "accuracy")
            yield Line((as_published, words), key, ACCURACY, "published_real")


def _distance_lines() -> Iterator[Line]:
    for (measure, space), line in MEASURES.items():
        if measure in KEPT and space != "fused":
            yield replace(line, words=(*line.words, NONE)[:3])
    for measure, format in AS_PUBLISHED.items():
        for space in ("depthnet", "inception", "pixels"):
            key = Score("", "as_published", "", measure, space)
            yield Line((f"{format.head}, here / paper", space, NONE), key, format)


def _conditions(run: Run, evaluation: StoredEvaluation, environment: dict[str, Any]) -> str:
    """Machine, time, date, sizes, seeds."""
    settings = evaluation.settings
    commit = str(environment.get("git_revision") or "unknown")[:7]
    bins = f", features rounded to {settings['bins']} quantiles" if settings.get("bins") else ""
    return (
        f"{environment['processor']}, {environment['cpu_count']} cores, {sum(run.minutes.values()):.1f} minutes, "
        f"{environment['date'][:10]}, commit {commit}; one training seed "
        f"({environment['seeds']['train']}), {len(settings['seeds'])} classifier seeds{bins}. {set_sizes(evaluation)}. "
        "In parentheses: 95 % intervals, by resampling subjects (accuracy) or half-sets (distances). The paper's "
        "numbers (IKFDB, 400 and 800 images per class) are for orientation: its protocol tests on subjects it trained "
        "on, and its formulas are not what they are called."
    )


def _digits(value: float, quantity: Quantity) -> str:
    value *= 100 if quantity.percent else 1
    decimals = 0 if abs(value) >= 10 and not quantity.percent else quantity.decimals
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def evolution_text(folder: Path) -> str:
    """Return a column for each way to select faces, of which `table.csv` has a line."""
    path = folder / "table.csv"
    for needed in (path, folder / "real.json"):
        if not needed.exists():
            raise UserError(f"{needed} is not there: run python -m experiments.evolution_table first")
    real = read_json(folder / "real.json")
    with path.open(newline="", encoding="utf-8") as file:
        ways = list(csv.DictReader(file))
    lines = [["", *(SELECTIONS.get(way["faces by"], way["faces by"]) for way in ways)]]
    for quantity in (quantity for quantity in EVOLUTION if quantity.key in ways[0]):
        given = real.get(quantity.key)
        beside = "" if given is None else f" (reference: {_digits(float(given), quantity)})"
        lines += [[quantity.head + beside, *(_selection(way[quantity.key], quantity) for way in ways)]]
    return markdown(lines)


def _selection(text: str, quantity: Quantity) -> str:
    """`0.814 [0.78, 0.85]` as `81 (78–85)`; a dash stays."""
    if text == "–":
        return text
    value, *ends = (_digits(float(part.strip("[],")), quantity) for part in text.split())
    return f"{value} ({ends[0]}\u2013{ends[1]})" if quantity.interval and ends else value


def experiment_text(folder: Path, name: str) -> str:
    """Return the tables that experiments/NAME.py wrote into its work folder."""
    path = folder / f"{name}.md"
    if not path.exists():
        raise UserError(f"{path} is not there: run python -m experiments.{name} --workdir {folder}")
    return path.read_text("utf-8").strip()


def few_text(workdir: Path) -> str:
    """Return the sentences and tables of a run of the stage few, and how they were made."""
    path = workdir / "few.md"
    if not path.exists():
        raise UserError(f"{path} is not there: run python launch.py --config configs/few.py --workdir {workdir}")
    environment, seed = read_json(workdir / "environment.json"), read_json(workdir / "config.json")["few"]["seed"]
    commit = str(environment.get("git_revision") or "unknown")[:7]
    conditions = (
        f"{environment['processor']}, {environment['cpu_count']} cores, {environment['date'][:10]}, commit {commit}, "
        f"seed {seed}."
    )
    body = path.read_text("utf-8").strip().removeprefix("# Few people").strip()
    return f"{body.replace('## ', '### ')}\n\n{conditions}"


def with_block(page: str, name: str, text: str) -> str:
    """Return the page with the text between the marks of this name.

    Raises:
        UserError: the page has no such marks.
    """
    begin, end = f"<!-- results {name} -->\n", f"<!-- /results {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UserError(f"the page has no marks '{begin.strip()}' and '{end}': add them")
    return before + begin + text + "\n" + end + after


def write_block(name: str, text: str, folder: Path, page: str = "") -> Path:
    """Write the text between its marks into folder/PAGE.md (PAGE is NAME by default), which is made if absent."""
    path = folder / f"{page or name}.md"
    empty = f"# {page or name}\n\n<!-- results {name} -->\n<!-- /results {name} -->\n"
    write_text(path, with_block(path.read_text("utf-8") if path.exists() else empty, name, text))
    return path


def _write_picture(source: Path, name: str) -> None:
    picture, width = Image.open(source).convert("L"), WIDTH
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    with replacing(ROOT / "docs" / "images" / f"{name}.png") as file:
        picture.save(file, format="PNG", optimize=True)


def main() -> None:
    """Write the tables of what is given, or print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, help="the work folder of a finished run")
    parser.add_argument("--evolution", type=Path, help="a folder of experiments/evolution_table.py")
    parser.add_argument("--ablation", type=Path, help="a work folder of experiments/ablation.py")
    parser.add_argument("--trainings", type=Path, help="a work folder of experiments/trainings.py")
    parser.add_argument("--few", action="append", default=[], help="DOMAIN=WORKDIR of the stage few; several times")
    parser.add_argument("--levers", type=Path, help="a folder of experiments/few_levers.py: how choices were made")
    parser.add_argument("--generators", type=Path, nargs="+", help="folders of experiments/few_generators.py")
    parser.add_argument("--print", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    # Name of the marks: page and text.
    blocks: dict[str, tuple[str, str]] = {}
    pictures: dict[str, Path] = {}
    try:
        if options.workdir:
            name = read_json(options.workdir / "config.json")["name"]
            blocks[name] = (name, run_text(options.workdir))
            pictures[name] = options.workdir / "figures" / "overview.png"
        if options.evolution:
            blocks["evolution"] = ("evolution", evolution_text(options.evolution))
            pictures["evolution"] = options.evolution / "faces.png"
        if options.ablation:
            blocks["recipes"] = ("recipes", experiment_text(options.ablation, "ablation").replace("## ", "### "))
            pictures["recipes"] = options.ablation / "faces.png"
        if options.trainings:
            text = experiment_text(options.trainings, "trainings").replace("## ", "### ")
            name = read_json(options.trainings / "prepared" / "config.json")["name"]
            if drawn := sorted(options.trainings.glob("*/figures/overview.png")):
                pictures[name] = drawn[0]
            blocks[f"{name} trainings"] = (name, text)
        for domain, _, workdir in (given.partition("=") for given in options.few):
            blocks[f"few {domain}"] = ("few-people", few_text(Path(workdir)))
        if options.levers:
            blocks["few levers"] = ("few-people", experiment_text(options.levers, "few_levers"))
        if options.generators:
            text = "\n\n".join(experiment_text(folder, "few_generators") for folder in options.generators)
            blocks["few generators"] = ("few-people", text)
        if not blocks:
            raise UserError(f"nothing to do: {parser.format_usage().strip()}")
        for mark, (page, text) in blocks.items():
            print(text if options.print else write_block(mark, text, ROOT / "docs" / "results", page))
    except UserError as error:
        sys.exit(f"error: {error}")
    for name, source in ({} if options.print else pictures).items():
        if source.exists():
            _write_picture(source, name)
        else:
            print(f"{source} is not there: docs/images/{name}.png stays as it was", file=sys.stderr)


if __name__ == "__main__":
    main()
