"""`report.html`: one file that opens anywhere, made from the stored files of a run only."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthjax import files
from depthjax.report import html
from depthjax.report.faces_image import gallery
from depthjax.report.figure_style import Drawn
from depthjax.report.figures import VIEWS, draw_figures
from depthjax.report.figures_faces import COLUMNS, face_figure_name
from depthjax.report.model_card import card_text
from depthjax.report.stored import Run, face_kind, method_name, read_run
from depthjax.report.table import Table
from depthjax.report.table_files import write_tables
from depthjax.report.tables import all_tables
from depthjax.report.verdicts import Verdict, verdicts

# A larger chart goes into the page as pixels.
INLINE_SVG_BYTES = 400_000
# Of all figures as base64: beyond it the grey sheets are left out, since the gallery shows those faces.
PICTURE_BYTES = 7_500_000
ANSWER = re.compile(r"[^.:]+[.:](?=\s|$)")
FACE_FIGURES = ("normals", "difference", "interpolation")
SETS = {"train": "Training faces", "test": "Held-out faces"}
NEW_NOISE = "of KD-cDCGAN's faces: random noise like that of the training faces replaces the generator's (sample.noise)"


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: its bytes as a URI, size in pixels, alternative text and caption."""

    source: str
    width: int
    height: int
    alt: str
    caption: str = ""
    name: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page that shows stored results.

    Attributes:
        anchor: its id.
        title: a heading.
        short: the same in the list of contents.
        parts: names of figures ("figure NAME") and tables ("table NAME") in the order of the page.
        missing: what to say where none of them is there.
        stages: that would make them.
        intro: a paragraph, shown with results.
    """

    anchor: str
    title: str
    short: str
    parts: tuple[str, ...]
    missing: str = ""
    stages: str = "evaluate,report"
    intro: str = ""


SECTIONS = (
    Section(
        "recognition",
        "Do generated faces help a classifier to recognise emotions?",
        "Recognition",
        ("figure recognition", "table table_1", "figure violins", "figure scarcity", "table table_4"),
        "Recognition has not been measured yet.",
        intro="Classifiers are trained on training faces or on generated faces, and tested on held-out subjects: "
        "neither the classifier nor the generator saw a frame of them.",
    ),
    Section(
        "distances",
        "How far are they from held-out faces?",
        "Distances",
        ("figure distances", "table table_2", "figure coverage", "figure tsne", "figure lda", "figure correlations"),
        "Distances have not been measured yet.",
    ),
    Section(
        "copies",
        "Are they copies, and are they varied?",
        "Copies and variety",
        ("figure nearest", "table table_3"),
        "Copies have not been measured yet.",
        intro="A generator trained on few subjects can copy them, or repeat one good face. Neither shows in the tables "
        "above.",
    ),
    Section(
        "published",
        "The published protocol",
        "Published protocol",
        ("figure table_1", "table table_1_published", "figure annex_1", "figure table_2", "table table_2_published"),
        "The published protocol has not run yet.",
        intro="As in the paper's released scripts: random splits, so frames of one subject are on both sides, and "
        "generated faces are tested on generated faces. It measures how consistent faces are among themselves, not "
        "whether they help to recognise emotions of other subjects.",
    ),
    Section(
        "training", "Training", "Training", ("figure losses",), "There are no training metrics yet.", "train,report"
    ),
    Section(
        "evolution",
        "Evolution",
        "Evolution",
        ("figure evolution",),
        "No latents have been evolved yet.",
        "evolve,sample,report",
    ),
)


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
    written = {path.stem for path in write_tables(tables_of(run), workdir / "tables")}
    path = workdir / "report.html"
    files.write_text(path, render_page(run, drawn, table_files=written))
    files.write_text(workdir / "model_card.md", card_text(run, facts(run), verdicts_of(run), workdir.name))
    return path


def tables_of(run: Run) -> dict[str, Table]:
    """Return every table that the evaluation allows, by name."""
    return {} if run.evaluation is None else all_tables(run.evaluation)


def verdicts_of(run: Run) -> list[Verdict]:
    """Return the summary of the evaluation; empty without one."""
    return [] if run.evaluation is None else verdicts(run.evaluation)


def render_page(run: Run, drawn: dict[str, Drawn], *, table_files: Collection[str] = ()) -> str:
    """Return the page as text. It loads nothing from elsewhere, and its content policy forbids it.

    Args:
        drawn: the figures.
        table_files: names of the tables that stand in tables/ beside the page.
    """
    page = html.environment(autoescape=True).get_template("page.html.j2").render(
        name=run.config.get("name", "run"),
        facts=facts(run),
        minutes=run.minutes,
        verdicts=[_answer(verdict) for verdict in verdicts_of(run)],
        overview=picture(drawn["overview"]) if "overview" in drawn else None,
        sections=_sections(drawn, tables_of(run)),
        face_figures=[picture(drawn[name]) for name in FACE_FIGURES if name in drawn],
        columns=COLUMNS,
        settings=flat(run.config),
        environment=run.environment,
        table_files=table_files,
        style=html.own("page.css"),
        **_sheets(run, drawn),
        **_gallery(run),
        **html.script("surface.js", "gallery.js"),
    )  # fmt: skip
    return page.strip() + "\n"


def _sections(drawn: dict[str, Drawn], made: dict[str, Table]) -> list[tuple[Section, list[Picture | Table]]]:
    """Every section with its figures and tables; those that no section names come at the end."""
    parts: dict[str, Picture | Table] = {f"figure {name}": picture(figure) for name, figure in drawn.items()}
    parts |= {f"table {name}": table for name, table in made.items()}
    found = [(section, [parts[name] for name in section.parts if name in parts]) for section in SECTIONS]
    placed = {name for section in SECTIONS for name in section.parts}
    placed |= {f"figure {name}" for name in ("overview", *FACE_FIGURES)}
    more = [part for name, part in parts.items() if name not in placed and not name.startswith("figure faces_")]
    return [*found, (Section("more", "More figures and tables", "More", ()), more)] if more else found


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


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what was run, as terms and facts."""
    environment = run.environment or {}
    unknown = "not recorded"
    devices = environment.get("devices")
    data, settings = (run.evaluation.data, run.evaluation.settings) if run.evaluation else ({}, {})
    source = str(data.get("source", run.config["data"].get("source", unknown)))
    return [
        ("Config", str(run.config.get("name", unknown))),
        ("Date", str(environment.get("date", unknown))[:16].replace("T", " ")),
        ("Device", ", ".join(map(str, devices)) if devices else unknown),
        ("Revision", str(environment.get("git_revision") or unknown)[:12]),
        ("Faces", f"{face_kind(source)} ({source}), {_pixels(run)}"),
        ("Emotions", ", ".join(run.emotions)),
        *((term, _count(data[part])) for part, term in SETS.items() if part in data),
        ("Generated", _generated(run)),
        *([("Finest detail", NEW_NOISE)] if run.config.get("sample", {}).get("noise") else []),
        ("Seeds", _seeds(run, environment, settings)),
    ]


def _pixels(run: Run) -> str:
    side, (near, far) = run.config["data"]["resolution"], run.window_mm
    window = f"{near:g} to {far:g}\u202fmm from the nose tip".replace("-", "\u2212")
    return f"{side}\u202f×\u202f{side}, {window}"


def _count(part: dict[str, Any]) -> str:
    return f"{part.get('images', '?')} images of {part.get('subjects', '?')} subjects"


def _generated(run: Run) -> str:
    if not run.samples:
        return "none yet"
    return ", ".join(f"{len(stored['images'])} by {method_name(m)}" for m, stored in run.samples.items())


def _seeds(run: Run, environment: dict[str, Any], settings: dict[str, Any]) -> str:
    seeds = dict(environment.get("seeds") or {})
    listed = [f"{name} {value}" for name, value in seeds.items()]
    if isinstance(settings.get("seeds"), list):
        listed += [f"classifiers {_listed(settings['seeds'])}"]
    return " · ".join(listed) or "not recorded"


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
