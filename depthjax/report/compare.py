"""`compare.html`: several runs side by side, from their work folders only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from depthjax import files
from depthjax.errors import UserError
from depthjax.report import html
from depthjax.report.figure_style import Drawn, method_colour
from depthjax.report.figures import OVERVIEW
from depthjax.report.numbers import DISTANCE, PERCENT, SCORE, SHARE, Number, Style, find, number_if_any, reason
from depthjax.report.page import Picture, flat, picture
from depthjax.report.stored import STAGES, Run, method_name, read_run
from depthjax.report.verdicts import headline_classifier

# Head, the keys after methods/METHOD, how it is written. "CLASSIFIER" stands for the one that the verdicts speak of.
MEASURES: tuple[tuple[str, tuple[str, ...], Style], ...] = (
    ("Accuracy on unseen people, %\u00a0↑", ("tstr", "CLASSIFIER", "accuracy"), PERCENT),
    ("KID, relief\u00a0↓", ("kid", "relief"), DISTANCE),
    ("KID, depthnet\u00a0↓", ("kid", "depthnet"), DISTANCE),
    ("Coverage, relief\u00a0↑", ("coverage", "relief"), SHARE),
    ("Diversity (Vendi), relief\u00a0≈", ("vendi", "relief"), SCORE),
    ("AuthPct, relief, %\u00a0↑", ("auth_pct", "relief"), PERCENT),
)
OWN_SETTINGS = ("name",)  # differ by what they are
Line = tuple[str, tuple[str, ...]]  # its head, and a value for each run


@dataclass(frozen=True)
class Cell:
    """A number of one run, and where it lies on the scale that its column shares, in per cent of the width."""

    number: Number | None
    low: float
    middle: float
    high: float
    why: str


@dataclass(frozen=True)
class Row:
    """A method of a run: its name, its colour in every run, and a cell a measure."""

    run: str
    method: str
    colour: str
    cells: tuple[Cell, ...]


def write_comparison(workdirs: Sequence[Path], path: Path) -> Path:
    """Write the page that sets the runs side by side.

    Args:
        workdirs: at least two work folders; each needs its config.json and is shown with what else it has.
        path: of the page.
    Raises:
        UserError: fewer than two folders, one of them twice, or a stored file is missing or damaged.
    """
    runs = _read(workdirs)
    overviews = {name: _overview(folder) for name, folder in zip(runs, workdirs, strict=True)}
    files.write_text(path, render_comparison(runs, overviews))
    return path


def render_comparison(runs: dict[str, Run], overviews: dict[str, Picture | None]) -> str:
    """The page as text. Nothing in it loads from elsewhere, and its policy forbids that it should.

    Args:
        runs: by the name that the page shows.
        overviews: figures/overview.png of each run, if it was drawn.
    """
    environment = html.environment(autoescape=True)
    environment.tests["number"] = lambda value: isinstance(value, Number)
    page = environment.get_template("compare.html.j2").render(
        runs=runs,
        heads=[head for head, _, _ in MEASURES],
        rows=_rows(runs),
        unjudged=[name for name, run in runs.items() if not _methods(run)],
        warnings=_warnings(runs),
        minutes=_minutes(runs),
        settings=differing({name: dict(flat(run.config)) for name, run in runs.items()}, without=OWN_SETTINGS),
        environments=differing({name: _environment(run) for name, run in runs.items()}),
        overviews=overviews,
        style=html.own("page.css"),
        **html.script(),
    )
    return page.strip() + "\n"


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
    """As much of the end of each path as tells them apart."""
    for depth in range(1, max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _overview(folder: Path) -> Picture | None:
    path = folder / "figures" / "overview.png"
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            size = image.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run --stages=report") from None
    return picture(Drawn("overview", content, b"", *size, OVERVIEW.caption, f"{folder.name}: {OVERVIEW.alt}"))


def _methods(run: Run) -> list[str]:
    found = find(run.evaluation or {}, ("methods",))
    return list(found) if isinstance(found, dict) else []


def _rows(runs: dict[str, Run]) -> list[Row]:
    places = [(name, method) for name, run in runs.items() for method in _methods(run)]
    columns = [
        _column([_number(runs[name], method, keys, style) for name, method in places]) for _, keys, style in MEASURES
    ]
    return [
        Row(name, method_name(method), method_colour(method), cells)
        for (name, method), cells in zip(places, zip(*columns, strict=True), strict=True)
    ]


def _number(run: Run, method: str, keys: tuple[str, ...], style: Style) -> tuple[Number | None, str]:
    """The number, or None and why it is not there."""
    evaluation = run.evaluation or {}
    full = ("methods", method, *(headline_classifier(evaluation) if key == "CLASSIFIER" else key for key in keys))
    return number_if_any(evaluation, full, style), reason(evaluation, full) or "not measured in this run"


def _column(found: Sequence[tuple[Number | None, str]]) -> tuple[Cell, ...]:
    """A measure of every run on one scale, from the least end of any interval to the greatest."""
    ends = [end for x, _ in found if x and x.value is not None for end in (x.value, *(x.interval or ()))]
    least, most = (min(ends), max(ends)) if ends else (0.0, 1.0)

    def place(value: float) -> float:
        return 4 + 92 * (value - least) / (most - least) if most > least else 50.0

    cells = []
    for x, why in found:
        if x is None or x.value is None:
            cells += [Cell(None, 0, 0, 0, why)]
        else:
            low, high = x.interval or (x.value, x.value)
            cells += [Cell(x, place(low), place(x.value), place(high), "")]
    return tuple(cells)


def _warnings(runs: dict[str, Run]) -> list[str]:
    """What makes numbers of these runs hard to compare."""
    found = []
    if len({run.emotions for run in runs.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(run.emotions)}" for name, run in runs.items())
        found += [f"The runs know different emotions ({listed}): their accuracies cannot be compared."]
    judged = {name: run.evaluation or {} for name, run in runs.items() if _methods(run)}
    if len({files.digest(evaluation.get("data")) for evaluation in judged.values()}) > 1:
        found += ["They were judged on different faces (source, people, resolution or window): see the settings."]
    if len({evaluation.get("schema") for evaluation in judged.values()}) > 1:
        found += ["They were judged by different versions of the evaluation: run --stages=evaluate,report on each."]
    if len({headline_classifier(evaluation) for evaluation in judged.values()}) > 1:
        found += ["The accuracies come from different classifiers, since not all ran in every run."]
    return found


def _minutes(runs: dict[str, Run]) -> list[Line]:
    known = [stage for stage in STAGES if any(stage in run.minutes for run in runs.values())]
    others = dict.fromkeys(stage for run in runs.values() for stage in run.minutes if stage not in STAGES)
    lines = [
        (stage, tuple(f"{run.minutes[stage]:.1f}" if stage in run.minutes else "\u2013" for run in runs.values()))
        for stage in (*known, *others)
    ]
    return [*lines, ("all", tuple(f"{sum(run.minutes.values()):.1f}" for run in runs.values()))]


def differing(by_run: dict[str, dict[str, str]], *, without: Sequence[str] = ()) -> list[Line]:
    """The names whose values are not the same in every run, with the value in each (a dash where it has none)."""
    every = dict.fromkeys(name for values in by_run.values() for name in values if name not in without)
    lines = [(name, tuple(values.get(name, "\u2013") for values in by_run.values())) for name in every]
    return [(name, values) for name, values in lines if len(set(values)) > 1]


def _environment(run: Run) -> dict[str, str]:
    stored: dict[str, Any] = run.environment or {}
    plain = {k: str(v) for k, v in stored.items() if k not in ("packages", "devices", "seeds")}
    devices = {"devices": ", ".join(map(str, stored["devices"]))} if stored.get("devices") else {}
    return plain | devices | {name: str(version) for name, version in (stored.get("packages") or {}).items()}
