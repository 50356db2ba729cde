"""`report.html` and `model_card.md`: made from the stored files of a run only, and the templates of all pages."""

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from depthjax import files
from depthjax.data.crop import CROP_WIDTH_MM
from depthjax.errors import counted
from depthjax.report.croissant import USES, source_of
from depthjax.report.faces_image import gallery
from depthjax.report.figure_style import Drawn
from depthjax.report.figures import VIEWS, draw_figures
from depthjax.report.figures_faces import COLUMNS, face_figure_name
from depthjax.report.formats import Number
from depthjax.report.scorecard import RULES, Row, answer_text, as_table, as_text, extent, scorecard
from depthjax.report.stored import Run, method_name, read_run
from depthjax.report.table import Table, write_tables
from depthjax.report.tables import all_tables

# A larger chart goes into the page as pixels.
INLINE_SVG_BYTES = 400_000
# Of all figures as base64: beyond it the grey sheets are left out, since the gallery shows those faces.
PICTURE_BYTES = 7_500_000
FACE_FIGURES = ("normals", "difference", "interpolation")
SETS = {"train": "Training faces", "test": "Held-out faces"}
# Settings that differ most between recipes.
RECIPE = ("batch_size", "epochs", "generator_lr", "discriminator_lr", "ema_decay", "generator_kd_weight",
          "discriminator_kd_weight")  # fmt: skip
NEW_NOISE = "of generated faces: random noise like that of the training faces replaces the method's own (sample.noise)"


@dataclass(frozen=True)
class Section:
    """A part of the page that shows stored results."""

    anchor: str  # its id
    title: str  # a heading
    short: str  # the same in the list of contents
    parts: tuple[str, ...]  # "figure NAME" and "table NAME" in the order of the page
    missing: str = ""  # what to say where none of them is there
    stages: str = "evaluate,report"  # that would make them
    intro: str = ""  # a paragraph, shown with results


SECTIONS = (
    Section("recognition", "Do generated faces help a classifier to recognise emotions?", "Recognition",
            ("figure recognition", "table table_1", "figure violins", "figure added", "table table_4"),
            "Recognition has not been measured yet.",
            intro="Classifiers are trained on training faces, on generated faces, or on both, and tested on held-out "
            "subjects: neither the classifier nor the generator saw a frame of them. Augmented copies of the training "
            "faces are the rival that added faces have to beat."),
    Section("distances", "How far are they from training faces?", "Distances",
            ("figure distances", "table table_2", "figure coverage", "figure tsne", "figure lda",
             "figure correlations"),
            "Distances have not been measured yet."),
    Section("copies", "Are they copies, and are they varied?", "Copies and variety",
            ("figure nearest", "table table_3"),
            "Copies have not been measured yet.",
            intro="A generator trained on few subjects can copy them, or repeat one good face. Neither shows in the "
            "tables above."),
    Section("published", "The published protocol", "Published protocol",
            ("figure table_1", "table table_1_published", "figure annex_1", "figure table_2",
             "table table_2_published"),
            "The published protocol has not run yet.",
            intro="As in the paper's released scripts: random splits, so frames of one subject are on both sides, and "
            "generated faces are tested on generated faces. It measures how consistent faces are among themselves, "
            "not whether they help to recognise emotions of other subjects."),
    Section("training", "Training", "Training", ("figure losses",),
            "There are no training metrics yet.", "train,report"),
    Section("evolution", "Evolution", "Evolution", ("figure evolution", "figure variety"),
            "No latents have been evolved yet.", "evolve,sample,report"),
)  # fmt: skip


def write_report(workdir: Path) -> Path:
    """Draw the figures, write the tables, the card and the page of a work folder, and return the page's path."""
    run = read_run(workdir)
    drawn = draw_figures(run, workdir / "figures")
    rows = scorecard_of(run)
    card = {"scorecard": as_table(run.evaluation, rows)} if run.evaluation and rows else {}
    written = {path.stem for path in write_tables(card | _tables(run), workdir / "tables")}
    path = workdir / "report.html"
    files.write_text(path, render_page(run, drawn, table_files=written))
    files.write_text(workdir / "model_card.md", card_text(run, workdir.name))
    return path


def _tables(run: Run) -> dict[str, Table]:
    return {} if run.evaluation is None else all_tables(run.evaluation)


def scorecard_of(run: Run) -> list[Row]:
    """Return the scorecard of the evaluation; empty without one."""
    return [] if run.evaluation is None else scorecard(run.evaluation)


def render_page(run: Run, drawn: dict[str, Drawn], *, table_files: Collection[str] = ()) -> str:
    """Return the page, which loads nothing from elsewhere; `table_files` are names of the tables in tables/."""
    page = templates(autoescape=True).get_template("page.html.j2").render(
        name=run.config.get("name", "run"),
        facts=facts(run),
        minutes=run.minutes,
        scorecard_rows=scorecard_of(run),
        methods={m: method_name(m) for m in run.evaluation.methods} if run.evaluation else {},
        extent=extent(run.evaluation) if run.evaluation else "",
        rules=RULES,
        tables={name: table.caption.partition(".")[0] for name, table in _tables(run).items()},
        overview=drawn.get("overview"),
        sections=_sections(drawn, _tables(run)),
        face_figures=[drawn[name] for name in FACE_FIGURES if name in drawn],
        columns=COLUMNS,
        settings=flat(run.config),
        environment=run.environment,
        table_files=table_files,
        style=own_file("page.css"),
        **_sheets(run, drawn),
        **_gallery(run),
        **script("surface.js", "gallery.js"),
    )  # fmt: skip
    return page.strip() + "\n"


def _sections(drawn: dict[str, Drawn], made: dict[str, Table]) -> list[tuple[Section, list[Drawn | Table]]]:
    """Every section with its figures and tables; those that no section names come at the end."""
    parts: dict[str, Drawn | Table] = {f"figure {name}": figure for name, figure in drawn.items()}
    parts |= {f"table {name}": table for name, table in made.items()}
    found = [(section, [parts[name] for name in section.parts if name in parts]) for section in SECTIONS]
    placed = {name for section in SECTIONS for name in section.parts}
    placed |= {f"figure {name}" for name in ("overview", *FACE_FIGURES)}
    more = [part for name, part in parts.items() if name not in placed and not name.startswith("figure faces_")]
    return [*found, (Section("more", "More figures and tables", "More", ()), more)] if more else found


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
        "field_mm": f"{CROP_WIDTH_MM:.0f}",
        "depth_mm": f"{far - near:g}",
    }


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what was run, as terms and facts."""
    environment, config = run.environment or {}, run.config
    unknown = "not recorded"
    data = run.evaluation.data if run.evaluation else {}
    source = str(data.get("source", config["data"].get("source", unknown)))
    side, (near, far) = config["data"]["resolution"], run.window_mm
    window = f"{near:g} to {far:g}\u202fmm from the nose tip".replace("-", "\u2212")
    # Only of IKFDB is it known that a sensor recorded the faces.
    kind = {"ikfdb": "real", "folder": "the user's own"}.get(source, "rendered")
    generated = ", ".join(f"{len(stored['images'])} by {method_name(m)}" for m, stored in run.samples.items())
    return [
        ("Config", str(config.get("name", unknown))),
        ("Date", str(environment.get("date", unknown))[:16].replace("T", " ")),
        ("Device", ", ".join(map(str, environment.get("devices") or [unknown]))),
        ("Revision", str(environment.get("git_revision") or unknown)[:12]),
        ("Faces", f"{kind} ({source}), {side}\u202f×\u202f{side}, {window}"),
        ("Emotions", ", ".join(run.emotions)),
        *((term, f"{counted(data[part]['images'], 'image')} of {counted(data[part]['subjects'], 'subject')}")
          for part, term in SETS.items() if part in data),
        ("Generated", generated or "none yet"),
        *([("Finest detail", NEW_NOISE)] if config.get("sample", {}).get("noise") else []),
        ("Seeds", _seeds(run) or unknown),
    ]  # fmt: skip


def _seeds(run: Run) -> str:
    """`train 0 · classifiers 0, 1, 2`, and `0 to 29` for many in a row."""
    seeds = (run.environment or {}).get("seeds") or {}
    listed = [f"{name} {value}" for name, value in dict(seeds).items()]
    own = run.evaluation.settings.get("seeds") if run.evaluation else None
    if isinstance(own, list):
        in_a_row = len(own) > 5 and isinstance(own[0], int) and own == list(range(own[0], own[0] + len(own)))
        listed += [f"classifiers {own[0]} to {own[-1]}" if in_a_row else f"classifiers {', '.join(map(str, own))}"]
    return " · ".join(listed)


def flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested config as (dotted name, value as text), in its order."""
    rows: list[tuple[str, str]] = []
    for key, value in config.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, text)]
    return rows


def _sheets(run: Run, drawn: dict[str, Drawn]) -> dict[str, Any]:
    """Sheets of faces by emotion: where the page would grow large, first the grey ones are left out, then all."""
    names = {view: [face_figure_name(run, emotion, view) for emotion in range(len(run.emotions))] for view in VIEWS}
    total = sum(len(data_uri(figure)) for figure in drawn.values())
    wanted = list(VIEWS)
    while wanted and total > PICTURE_BYTES:
        total -= sum(len(data_uri(drawn[name])) for name in names[wanted.pop(0)] if name in drawn)
    found = []
    for emotion, title in enumerate(run.emotions):
        sheets = [drawn[names[view][emotion]] for view in wanted if names[view][emotion] in drawn]
        found += [(title, sheets)] if sheets else []
    return {"sheets": found, "sheets_left_out": len(VIEWS) - len(wanted)}


def data_uri(drawn: Drawn) -> str:
    """Return a figure as a data URI: charts as vectors, faces (and charts too large) as pixels."""
    chart = b"<image" not in drawn.svg and 0 < len(drawn.svg) <= INLINE_SVG_BYTES
    kind, content = ("svg+xml", drawn.svg) if chart else ("png", drawn.png)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def card_text(run: Run, folder: str) -> str:
    """Return the model card (Mitchell et al. 2019) as Markdown; `folder` is the name of the run's work folder."""
    config, evaluation = run.config, run.evaluation
    methods = ", ".join(method_name(name) for name in run.samples) or "no method yet"
    train = config.get("train", {})
    recipe = " · ".join(f"{name} {train[name]}" for name in RECIPE if name in train)
    text = templates(autoescape=False).get_template("model_card.md.j2").render(
        name=_inert(str(config.get("name", "run"))),
        what=f"A conditional generator of {config['data']['resolution']}-pixel depth images of faces with the emotions "
        f"{', '.join(map(_inert, run.emotions))}; the run's faces are by {methods}.",
        facts=[(term, _inert(fact)) for term, fact in [*facts(run), ("Training", recipe)] if fact],
        extent=extent(evaluation) if evaluation else "",
        scorecard=_card_lines(run),
        uses=USES,
        source=source_of(config["data"]["source"], _inert(str(config["data"]["path"]))),
        subjects=evaluation.data["test"]["subjects"] if evaluation else "no",
        folder=_inert(folder),
    )  # fmt: skip
    return text.strip() + "\n"


def _card_lines(run: Run) -> list[tuple[str, str]]:
    """Each row of the scorecard: its question, and the answers with what they are compared with."""
    found = []
    for row in scorecard_of(run):
        answers = "; ".join(f"{method_name(m)} {answer_text(answer)}" for m, answer in row.answers.items())
        found.append((row.question, _inert(f"{row.measure}: {answers}. Compared with {as_text(row.beside)}.")))
    return found


def _inert(text: str) -> str:
    """Text of a run, which may not become a heading, a row, a tag or a link of the card."""
    flat = " ".join(text.splitlines())
    return "".join(f"\\{c}" if c in "\\`*_[]|#" else {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(c, c) for c in flat)


def templates(*, autoescape: bool) -> Environment:
    """Return the templates of this package; a name that is not given is an error."""
    made = Environment(loader=PackageLoader("depthjax.report", "."), autoescape=autoescape,
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    made.filters["data_uri"] = data_uri
    made.tests["number"] = lambda value: isinstance(value, Number)
    made.tests["table"] = lambda value: isinstance(value, Table)
    return made


def own_file(name: str) -> Markup:
    """Return a file of this package, which needs no escaping: it holds no text of a run."""
    return Markup((resources.files("depthjax.report") / name).read_text("utf-8"))


def script(*names: str) -> dict[str, str]:
    """Return the page's script (page.js, then `names`) and the hash by which its content policy allows it."""
    text = Markup("").join(own_file(name) for name in ("page.js", *names))
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}
