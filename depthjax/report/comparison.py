"""`compare.html`: several runs side by side, from their work folders only."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from depthjax import files, stages
from depthjax.errors import UserError
from depthjax.report import formats
from depthjax.report.figure_style import Drawn, method_colour
from depthjax.report.figures import OVERVIEW
from depthjax.report.page import flat, own_file, script, templates
from depthjax.report.scorecard import best_classifier
from depthjax.report.stored import Run, StoredEvaluation, method_name, read_run
from depthjax.report.table import NONE, Cell, Column, Line, Table, heads, pivot, reasons
from depthjax.scores import Score

# Heading, format, and the key of the scores less method and classifier.
MEASURES = (
    (f"Beyond augmented copies, {formats.POINTS.unit}\u00a0↑", formats.POINTS,
     Score("", "paired_added_augmented", measure="accuracy", against="augmented")),
    ("Accuracy alone, %\u00a0↑", formats.ACCURACY, Score("", "tstr", measure="accuracy")),
    ("Told from held-out faces, depthnet, %\u00a0↓", formats.C2ST,
     Score("", "c2st", measure="accuracy", space="depthnet", against="test")),
    ("KID, depthnet\u00a0↓", formats.KID, Score("", "distance", measure="kid", space="depthnet", against="test")),
    ("Variety (Vendi), relief\u00a0≈", formats.VENDI, Score("", "diversity", measure="vendi", space="relief")),
    ("Near a training face, depthnet, %\u00a0↓", formats.NEAR_SHARE,
     Score("", "memorisation", measure="near_share", space="depthnet")),
)  # fmt: skip
RECOGNISED = ("tstr", "paired_added_augmented")  # protocols that train a classifier
Values = tuple[str, ...]  # a heading, then a value for each run


def write_comparison(workdirs: Sequence[Path], path: Path) -> Path:
    """Write the page that sets at least two runs side by side; folders that cannot be compared are a UserError."""
    runs = _read(workdirs)
    overviews = {name: _overview(folder) for name, folder in zip(runs, workdirs, strict=True)}
    files.write_text(path, render_comparison(runs, overviews))
    return path


def render_comparison(runs: dict[str, Run], overviews: dict[str, Drawn | None]) -> str:
    """Return the page as text; runs and their overviews, if drawn, by the name that it shows."""
    page = templates(autoescape=True).get_template("compare.html.j2").render(
        runs=runs,
        main=main_table(runs),
        unevaluated=[name for name, run in runs.items() if run.evaluation is None],
        warnings=_warnings(runs),
        minutes=_minutes(runs),
        settings=differing({name: dict(flat({**run.config, "name": ""})) for name, run in runs.items()}),
        environments=differing({name: _environment(run) for name, run in runs.items()}),
        overviews=overviews,
        style=own_file("page.css"),
        **script(),
    )  # fmt: skip
    return page.strip() + "\n"


def main_table(runs: dict[str, Run]) -> Table:
    """Return the main numbers: a row for each method of each run, whose marks share the scale of their column."""
    rows: list[tuple[Cell, ...]] = []
    colours: list[str] = []
    columns: list[Column] = []
    for name, evaluation in _evaluations(runs).items():
        best = best_classifier(evaluation)
        keys = [replace(key, classifier=best if key.protocol in RECOGNISED else "") for _, _, key in MEASURES]
        columns = [
            Column(head, {}, format, key=partial(_of_method, key))
            for (head, format, _), key in zip(MEASURES, keys, strict=True)
        ]
        for method in evaluation.methods:
            line = Line((name, method_name(method)), Score(method, ""), formats.ACCURACY)
            rows += pivot(evaluation.scores, [line], columns)
            colours += [method_colour(method)] * (len(rows) - len(colours))
    return Table(
        "main", "By run and method, with 95\u202f% intervals; each column's marks share one scale",
        heads(("Run", "Method"), columns), 2, tuple(rows),
        (
            ("Accuracy", "of the classifier of each run's scorecard, on held-out subjects: alone, trained on generated "
             "faces only; beyond augmented copies, the change by generated faces added to training faces and augmented "
             "copies."),
            ("KID", "distance to held-out faces; what it is compared with stands in each run's own page."),
            *((f.name, f.meaning) for f in (formats.C2ST, formats.VENDI, formats.NEAR_SHARE)),
            ("Intervals", "are of one training each. Runs with the same held-out subjects are paired, so overlapping "
             "intervals do not prove equality; one training per setting does not separate a better setting from "
             "chance."),
            *reasons(rows),
        ),
        tuple(colours),
    )  # fmt: skip


def _of_method(key: Score, line: Line) -> Score:
    return replace(key, method=line.key.method)


def _evaluations(runs: dict[str, Run]) -> dict[str, StoredEvaluation]:
    return {name: run.evaluation for name, run in runs.items() if run.evaluation is not None}


def _read(workdirs: Sequence[Path]) -> dict[str, Run]:
    if len(workdirs) < 2:
        raise UserError("compare needs at least two runs: --stages=compare --workdirs=runs/a,runs/b", exit_code=2)
    resolved = [folder.resolve() for folder in workdirs]
    for folder, path in zip(workdirs, resolved, strict=True):
        if resolved.count(path) > 1:
            raise UserError(f"--workdirs: {folder} is named twice: name each run once", exit_code=2)
        if not path.is_dir():
            raise UserError(f"--workdirs: {folder} is no folder: name the work folders of runs, such as runs/quick")
        if not (path / "config.json").exists():
            raise UserError(f"--workdirs: {folder} holds no run (no config.json): name a run's work folder")
    return {name: read_run(folder) for name, folder in zip(_names(resolved), workdirs, strict=True)}


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that are all different."""
    for depth in range(1, max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _overview(folder: Path) -> Drawn | None:
    path = folder / "figures" / "overview.png"
    if not path.exists():
        return None
    try:
        with Image.open(path) as image:
            image.load()
            size = image.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run --stages=report") from None
    return Drawn("", path.read_bytes(), b"", *size, OVERVIEW.caption, f"{folder.name}: {OVERVIEW.alt}")


def _warnings(runs: dict[str, Run]) -> list[str]:
    """What makes numbers of these runs hard to compare."""
    found = []
    if len({run.emotions for run in runs.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(run.emotions)}" for name, run in runs.items())
        found += [f"The runs have different emotions ({listed}): their accuracies cannot be compared."]
    evaluations = _evaluations(runs).values()
    # The number of generated faces may differ: it is a property of the run.
    faces = {files.digest({**e.data, "generated": None}) for e in evaluations}
    if len(faces) > 1:
        found += ["They were evaluated on different faces (source, subjects, resolution or depth range)."]
    if len({best_classifier(e) for e in evaluations}) > 1:
        found += ["The accuracies are of different classifiers, since another one is best in each run."]
    return found


def _minutes(runs: dict[str, Run]) -> list[Values]:
    every = {stage for run in runs.values() for stage in run.minutes}
    known = [stage for stage in stages.KNOWN if stage in every]
    by_run = [{stage: f"{value:.1f}" for stage, value in run.minutes.items()} for run in runs.values()]
    lines = [(s, *(own.get(s, NONE) for own in by_run)) for s in (*known, *sorted(every - set(known)))]
    return [*lines, ("all", *(f"{sum(run.minutes.values()):.1f}" for run in runs.values()))]


def differing(by_run: dict[str, dict[str, str]]) -> list[Values]:
    """Return the names whose values are not the same in every run, with the value in each; a dash where it has none."""
    every = dict.fromkeys(name for values in by_run.values() for name in values)
    lines = [(name, *(values.get(name, NONE) for values in by_run.values())) for name in every]
    return [line for line in lines if len(set(line[1:])) > 1]


def _environment(run: Run) -> dict[str, str]:
    stored = dict(run.environment or {})
    devices, packages = stored.pop("devices", []), stored.pop("packages", None) or {}
    stored |= {"devices": ", ".join(map(str, devices))} if devices else {}
    return {name: str(value) for name, value in (stored | packages).items() if name != "seeds"}
