"""`report.html`: one file that opens anywhere, made from a run's stored files only."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthjax import files
from depthjax.report import html, tables
from depthjax.report.figure_style import Drawn
from depthjax.report.figures import VIEWS, draw_figures
from depthjax.report.figures_faces import COLUMNS, face_figure_name
from depthjax.report.gallery import gallery
from depthjax.report.model_card import card_text
from depthjax.report.numbers import Number, lookup
from depthjax.report.sections import FACE_FIGURES, SECTIONS
from depthjax.report.stored import Run, method_name, read_run
from depthjax.report.table_files import write_tables
from depthjax.report.tables import Table
from depthjax.report.verdicts import Verdict, verdicts

INLINE_SVG_BYTES = 400_000  # a chart larger than this goes into the page as pixels
ANSWER = re.compile(r"[^.:]+[.:](?=\s|$)")
PICTURE_BYTES = (
    7_500_000  # of all figures as base64: beyond it the grey sheets are left out, since the gallery has them
)


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: where its bytes are, its size, and words for those who do not see it."""

    source: str
    width: int
    height: int
    alt: str
    caption: str = ""
    name: str = ""


@dataclass(frozen=True)
class Shown:
    """A section with what there is to show: ("figure", Picture) and ("table", Table); nothing: what to run."""

    anchor: str
    title: str
    short: str
    intro: str
    parts: tuple[tuple[str, Picture | Table], ...]
    missing: str
    stages: str


def write_report(workdir: Path) -> Path:
    """Draw the figures, write the tables, the card and the page; stages that have not run are named in their place.

    Args:
        workdir: a run's work folder; only its config.json must be there.
    Returns:
        the path of report.html.
    Raises:
        UserError: config.json is missing, or a stored file is damaged.
    """
    run = read_run(workdir)
    drawn = draw_figures(run, workdir / "figures")
    made = evaluated_tables(run)
    written = {path.stem for path in write_tables(made, workdir / "tables")}
    path = workdir / "report.html"
    files.write_text(path, render_page(run, drawn, table_files=written))
    files.write_text(workdir / "model_card.md", card_text(run, _facts(run), _verdicts(run), workdir.name))
    return path


def evaluated_tables(run: Run) -> dict[str, Table]:
    """Every table that the evaluation allows, by name."""
    if run.evaluation is None or not lookup(run.evaluation, ("methods",)):
        return {}
    return tables.all_tables(run.evaluation, len(run.emotions))


def render_page(run: Run, drawn: dict[str, Drawn], *, table_files: Collection[str] = ()) -> str:
    """The page as text. Nothing in it loads from elsewhere, and its policy forbids that it should.

    Args:
        drawn: the figures.
        table_files: names of the tables that stand in tables/ beside the page.
    """
    environment = html.environment(autoescape=True)
    environment.tests["number"] = lambda value: isinstance(value, Number)
    page = environment.get_template("page.html.j2").render(
        name=run.config.get("name", "run"),
        facts=_facts(run),
        minutes=run.minutes,
        verdicts=[_answer(verdict) for verdict in _verdicts(run)],
        overview=picture(drawn["overview"]) if "overview" in drawn else None,
        sections=shown_sections(drawn, evaluated_tables(run)),
        face_figures=[picture(drawn[name]) for name in FACE_FIGURES if name in drawn],
        columns=COLUMNS,
        settings=flat(run.config),
        environment=run.environment,
        table_files=table_files,
        style=html.own("page.css"),
        **_sheets(run, drawn),
        **_gallery(run),
        **html.script("surface.js", "gallery.js"),
    )
    return page.strip() + "\n"


def shown_sections(drawn: dict[str, Drawn], made: dict[str, Table]) -> list[Shown]:
    """Every section with the figures and tables that there are; what no section names comes at the end."""
    found = []
    for section in SECTIONS:
        parts = [_part(part, drawn, made) for part in section.parts]
        there = tuple(part for part in parts if part is not None)
        found += [Shown(section.anchor, section.title, section.short, section.intro, there, section.missing,
                        section.stages)]  # fmt: skip
    more = _unnamed(drawn, made)
    if more:
        found += [Shown("more", "More figures and tables", "More", "", tuple(more), "", "")]
    return found


def _part(part: str, drawn: dict[str, Drawn], made: dict[str, Table]) -> tuple[str, Picture | Table] | None:
    kind, name = part.split()
    if kind == "figure":
        return (kind, picture(drawn[name])) if name in drawn else None
    return (kind, made[name]) if name in made else None


def _unnamed(drawn: dict[str, Drawn], made: dict[str, Table]) -> list[tuple[str, Picture | Table]]:
    placed = {part for section in SECTIONS for part in section.parts}
    figures = [name for name in drawn if f"figure {name}" not in placed and name not in ("overview", *FACE_FIGURES)]
    left = [("figure", picture(drawn[name])) for name in figures if not name.startswith("faces_")]
    return [*left, *(("table", table) for name, table in made.items() if f"table {name}" not in placed)]


def _verdicts(run: Run) -> list[Verdict]:
    if run.evaluation is None or not lookup(run.evaluation, ("methods",)):
        return []
    return verdicts(run.evaluation, len(run.emotions))


def _answer(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its answer set apart: the words up to the first full stop or colon, if no number is among them."""
    first, *others = verdict.parts
    found = ANSWER.match(first) if isinstance(first, str) else None
    if not isinstance(first, str) or found is None:
        return {"topic": verdict.topic, "answer": "", "parts": verdict.parts}
    return {"topic": verdict.topic, "answer": found[0], "parts": (first[found.end() :], *others)}


def _gallery(run: Run) -> dict[str, Any]:
    """The payload, and the buttons that filter it: every set and the first emotion are shown to begin with."""
    payload = gallery(run)
    near, far = run.window_mm
    sets = payload["sets"] if payload else []
    return {
        "gallery": payload,
        "gallery_faces": sum(sheet["count"] for group in sets for sheet in group["sheets"]),
        "set_choices": [(group["id"], group["name"], True) for group in sets],
        "emotion_choices": [(label, emotion, label == 0) for label, emotion in enumerate(run.emotions)],
        "field_mm": f"{run.config['data']['width_mm']:.0f}",
        "depth_mm": f"{far - near:g}",
    }


NEW_NOISE = "of KD-cDCGAN's faces: random noise as real faces have it, in the place of the generator's (sample.noise)"


def _facts(run: Run) -> list[tuple[str, str]]:
    environment, evaluation = run.environment or {}, run.evaluation or {}
    unknown = "not recorded"
    devices = environment.get("devices")
    data, settings = evaluation.get("data", {}), evaluation.get("settings", {})
    facts = [
        ("Config", str(run.config.get("name", unknown))),
        ("Date", str(environment.get("date", unknown))[:16].replace("T", " ")),
        ("Device", ", ".join(map(str, devices)) if devices else unknown),
        ("Revision", str(environment.get("git_revision") or unknown)[:12]),
        ("Faces", f"{data.get('source', run.config['data'].get('source', unknown))}, {_pixels(run)}"),
        ("Emotions", ", ".join(run.emotions)),
        *((f"Real, {part}", _people(data[part])) for part in ("train", "test") if part in data),
        ("Generated", _generated(run)),
        *([("Finest detail", NEW_NOISE)] if run.config.get("sample", {}).get("noise") else []),
        ("Seeds", _seeds(run, environment, settings)),
    ]
    return facts


def _pixels(run: Run) -> str:
    side, (near, far) = run.config["data"]["resolution"], run.window_mm
    window = f"{near:g} to {far:g}\u202fmm from the nose tip".replace("-", "\u2212")
    return f"{side}\u202f×\u202f{side}, {window}"


def _people(part: dict[str, Any]) -> str:
    return f"{part.get('images', '?')} images of {part.get('subjects', '?')} people"


def _generated(run: Run) -> str:
    if not run.samples:
        return "none yet"
    return ", ".join(f"{len(stored['images'])} by {method_name(m)}" for m, stored in run.samples.items())


def _seeds(run: Run, environment: dict[str, Any], settings: dict[str, Any]) -> str:
    seeds = dict(environment.get("seeds") or {})
    said = [f"{name} {value}" for name, value in seeds.items()]
    if isinstance(settings.get("seeds"), list):
        said += [f"classifiers {_listed(settings['seeds'])}"]
    return " · ".join(said) or "not recorded"


def _listed(seeds: list[Any]) -> str:
    """`0, 1, 2`, and `0 to 29` for many in a row."""
    in_a_row = (
        len(seeds) > 5
        and all(isinstance(seed, int) for seed in seeds)
        and seeds == [*range(seeds[0], seeds[0] + len(seeds))]
    )
    return f"{seeds[0]} to {seeds[-1]}" if in_a_row else ", ".join(map(str, seeds))


def flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested config as (dotted name, value as text), in its order."""
    rows: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows += [(prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
    return rows


def _sheets(run: Run, drawn: dict[str, Drawn]) -> dict[str, Any]:
    """Sheets of faces by emotion: where the page would grow large, first the grey ones are left out, then all."""
    names = {view: [face_figure_name(run, emotion, view) for emotion in range(len(run.emotions))] for view in VIEWS}
    total = sum(len(picture(figure).source) for figure in drawn.values())
    wanted = list(VIEWS)
    while wanted and total > PICTURE_BYTES:
        total -= sum(len(picture(drawn[name]).source) for name in names[wanted.pop(0)] if name in drawn)
    found = []
    for emotion, title in enumerate(run.emotions):
        there = [names[view][emotion] for view in wanted if names[view][emotion] in drawn]
        found += [(title, [picture(drawn[name]) for name in there])] if there else []
    return {"sheets": found, "sheets_left_out": len(VIEWS) - len(wanted)}


def picture(drawn: Drawn) -> Picture:
    """A figure as a data URI: charts as vectors, faces (and charts too large) as pixels."""
    chart = b"<image" not in drawn.svg and 0 < len(drawn.svg) <= INLINE_SVG_BYTES
    kind, content = ("svg+xml", drawn.svg) if chart else ("png", drawn.png)
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(source, drawn.width, drawn.height, drawn.alt, drawn.caption, drawn.name)
