"""`report.html`: one file that opens anywhere, made from a run's stored files only."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthjax import files
from depthjax.report import html
from depthjax.report.figures import COLUMNS, Drawn, draw_figures, face_figure_name
from depthjax.report.numbers import Number, lookup
from depthjax.report.stored import Run, method_name, read_run
from depthjax.report.tables import Table, distance_table, likeness_table, published_table, recognition_table
from depthjax.report.verdicts import Verdict, verdicts

INLINE_SVG_BYTES = 400_000  # a chart larger than this goes into the page as pixels


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: where its bytes are, its size, and words for those who do not see it."""

    source: str
    width: int
    height: int
    alt: str


def write_report(workdir: Path) -> Path:
    """Draw the figures and write the page; stages that have not run are named in their place.

    Args:
        workdir: a run's work folder; only its config.json must be there.
    Returns:
        the path of report.html.
    Raises:
        UserError: config.json is missing, or a stored file is damaged.
    """
    run = read_run(workdir)
    drawn = draw_figures(run, workdir / "figures")
    path = workdir / "report.html"
    files.write_text(path, render_page(run, drawn))
    return path


def render_page(run: Run, drawn: dict[str, Drawn]) -> str:
    """The page as text. Nothing in it loads from elsewhere, and its policy forbids that it should."""
    environment = html.environment(autoescape=True)
    environment.tests["number"] = lambda value: isinstance(value, Number)
    page = environment.get_template("page.html.j2").render(
        name=run.config.get("name", "run"),
        facts=_facts(run),
        minutes=run.minutes,
        emotions=run.emotions,
        pictures=_pictures(run, drawn),
        face_pictures=_face_pictures(run, drawn),
        columns=COLUMNS,
        field_mm=f"{run.config['data']['width_mm']:.0f}",
        settings=_flat(run.config),
        environment=run.environment,
        islands=None if run.history is None else run.history["best"].shape[1],
        **_evaluated(run),
        style=html.own("page.css"),
        **html.script(),
    )
    return page.strip() + "\n"


def _evaluated(run: Run) -> dict[str, Any]:
    """The verdicts and tables, or None for each where there is no evaluation."""
    evaluation, classes = run.evaluation, len(run.emotions)
    if evaluation is None or not lookup(evaluation, ("methods",)):
        return {"verdicts": None, "recognition": None, "published": None, "distances": None, "likeness": None}
    made: dict[str, Callable[[], list[Verdict] | Table]] = {
        "verdicts": lambda: verdicts(evaluation, classes),
        "recognition": lambda: recognition_table(evaluation, classes),
        "published": lambda: published_table(evaluation),
        "distances": lambda: distance_table(evaluation),
        "likeness": lambda: likeness_table(evaluation),
    }
    return {name: make() for name, make in made.items()}


def _facts(run: Run) -> list[tuple[str, str]]:
    environment, evaluation = run.environment or {}, run.evaluation or {}
    unknown = "not recorded"
    devices = environment.get("devices")
    data, settings = evaluation.get("data", {}), evaluation.get("settings", {})
    facts = [
        ("Config", str(run.config.get("name", unknown))),
        ("Date", str(environment.get("date", unknown))),
        ("Device", ", ".join(map(str, devices)) if devices else unknown),
        ("Revision", str(environment.get("git_revision") or unknown)),
        ("Faces", f"{data.get('source', run.config['data'].get('source', unknown))}, {_pixels(run)}"),
        ("Emotions", ", ".join(run.emotions)),
        *((f"Real, {part}", _people(data[part])) for part in ("train", "test") if part in data),
        ("Generated", _generated(run)),
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
    words = [f"{name} {value}" for name, value in seeds.items()]
    if isinstance(settings.get("seeds"), list):
        words += [f"classifiers {', '.join(map(str, settings['seeds']))}"]
    return " · ".join(words) or "not recorded"


def _flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows += [(prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
    return rows


def _pictures(run: Run, drawn: dict[str, Drawn]) -> dict[str, Picture]:
    sources = ", ".join(["real people"] * (run.train is not None) + [method_name(m) for m in run.samples])
    alts = {
        "overview": f"Lit relief of faces, a row for each of {', '.join(run.emotions)}; blocks: {sources}.",
        "losses": "Three line charts over the epochs: adversarial losses, distillation losses, discriminator accuracy.",
        "evolution": f"Best and mean fitness over the generations for {', '.join(run.emotions)}.",
        "recognition": "Accuracy on unseen people with intervals: the numbers are in the table below.",
        "distances": "Distances to real faces by method, with intervals and floors: the table below has the numbers.",
    }
    return {name: _picture(drawn[name], alt) for name, alt in alts.items() if name in drawn}


def _face_pictures(run: Run, drawn: dict[str, Drawn]) -> list[tuple[str, list[tuple[str, Picture]]]]:
    views = {"depth": "grey depth", "shaded": "lit relief"}
    found = []
    for emotion, title in enumerate(run.emotions):
        names = {view: face_figure_name(run, emotion, view) for view in views}
        found += [
            (
                title,
                [
                    (view, _picture(drawn[name], f"{title}, {views[view]}: a row of real people, then a row a method."))
                    for view, name in names.items()
                    if name in drawn
                ],
            )
        ]
    return [(title, pictures) for title, pictures in found if pictures]


def _picture(drawn: Drawn, alt: str) -> Picture:
    chart = not drawn.name.startswith(("faces_", "overview")) and len(drawn.svg) <= INLINE_SVG_BYTES
    kind, content = ("svg+xml", drawn.svg) if chart else ("png", drawn.png)
    return Picture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", drawn.width, drawn.height, alt)
