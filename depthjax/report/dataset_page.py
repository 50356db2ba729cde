"""The dataset page and the card: the same numbers, once for a browser and once as Markdown."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from depthjax import config as configs
from depthjax.data.stored import StoredFaces
from depthjax.report import html
from depthjax.report.dataset_alike import BOXES, DUPLICATE_MM
from depthjax.report.dataset_figures import EXAMPLES, NAMED_PEOPLE, chosen_people, differences_mm, reference_emotion
from depthjax.report.dataset_findings import findings, percent, window
from depthjax.report.dataset_numbers import FACE_MM, SAMPLE, Numbers, clean, person_name
from depthjax.report.dataset_source import SOURCES, USES
from depthjax.report.figure_style import Drawn
from depthjax.report.page import Picture

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")
THIN = "\u202f"


def render_page(numbers: Numbers, faces: StoredFaces, settings: configs.Data, drawn: dict[str, Drawn]) -> str:
    """The page as text. Nothing in it loads from elsewhere, and its policy forbids that it should."""
    environment = html.environment(autoescape=True)
    page = environment.get_template("dataset.html.j2").render(
        **_said(numbers, faces, settings),
        pictures={name: _picture(drawn[name], text) for name, text in _alts(numbers).items() if name in drawn},
        style=html.own("page.css") + html.own("dataset.css"),
        **html.script(),
    )
    return page.strip() + "\n"


def render_card(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> str:
    """The card as Markdown; every name and sentence is escaped, so that none becomes markup."""
    environment = html.environment(autoescape=False)
    environment.finalize = markdown
    return environment.get_template("dataset_card.md.j2").render(**_said(numbers, faces, settings)).strip() + "\n"


def markdown(text: object) -> str:
    """Text on one line that Markdown shows as it stands."""
    return MARKDOWN.sub(r"\\\1", " ".join(str(text).split())) if isinstance(text, str) else str(text)


def _said(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> dict[str, Any]:
    """All that either document says, as text and rows."""
    source = SOURCES[settings.source]
    return {
        "source": source,
        "uses": USES,
        "facts": _facts(numbers, settings),
        "findings": findings(numbers, settings),
        "classes": _classes(numbers),
        "uniform": _uniform(numbers),
        "named": len(numbers.people) <= NAMED_PEOPLE,
        "split": _split(numbers),
        "pixels": _pixels(numbers),
        "alike": _alike(numbers),
        "pairs": _pairs(numbers, faces),
        "measured": _measured(numbers),
        "whole": numbers.whole,
        "grey": _grey(settings),
        "reference": _reference(numbers),
        "largest": _largest(numbers),
        "people_shown": min(EXAMPLES, len(numbers.people)),
        "threshold": f"{DUPLICATE_MM:g}{THIN}mm",
        "boxes": f"{BOXES} × {BOXES}",
        "face_range": f"{FACE_MM[0]:g} to {FACE_MM[1]:g}{THIN}mm".replace("-", "\u2212"),
        "window": window(settings),
    }


def _facts(numbers: Numbers, settings: configs.Data) -> list[tuple[str, str]]:
    low, middle, high = _spread(numbers.distance)
    return [
        ("Source", settings.source),
        ("Faces", f"{numbers.faces:,}"),
        ("People", f"{len(numbers.people):,}"),
        ("Emotions", ", ".join(numbers.emotions)),
        ("A face", f"{numbers.shape[1]} × {numbers.shape[0]} pixels, whole millimetres"),
        ("Distance of the nose", f"{middle:.0f}{THIN}mm (middle 80{THIN}%: {low:.0f} to {high:.0f})"),
        ("Networks see", f"{settings.resolution} × {settings.resolution}, {window(settings)} about the nose tip"),
        ("Seed", str(settings.seed)),
    ]


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    """The 10th, 50th and 90th percentile; NaN of nothing."""
    return tuple(np.percentile(values, [10, 50, 90])) if len(values) else (np.nan,) * 3


def _measured(numbers: Numbers) -> str:
    if numbers.whole:
        return f"Measured on all {numbers.faces:,} faces."
    return (
        f"Labels are counted on all {numbers.faces:,} faces. Depth is measured on {numbers.sampled:,} of them, drawn "
        f"by the run's seed, at most {SAMPLE:,}: as many of each emotion as it has, up to an equal share, in runs of "
        "neighbouring frames."
    )


def _grey(settings: configs.Data) -> str:
    if settings.source == "depth_heads":
        return ""
    return (
        f"Where the files hold 8-bit grey and not depth, every millimetre here rests on data.grey_mm = "
        f"{settings.grey_mm:g} mm a grey level (data.unit = {settings.unit})."
    )


def _classes(numbers: Numbers) -> list[tuple[str, ...]]:
    """A row an emotion: name, faces, share, people, faces a person."""
    rows: list[tuple[str, ...]] = []
    for name, own in zip(numbers.emotions, numbers.counts, strict=True):
        having = own[own > 0]
        spread = "none" if not len(having) else _range(int(having.min()), int(having.max()))
        rows.append((name, f"{own.sum():,}", percent(own.sum() / numbers.faces), f"{len(having):,}", spread))
    return rows


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _uniform(numbers: Numbers) -> int | None:
    """How many faces every person has of every emotion, if that is one number."""
    return int(numbers.counts.min()) if numbers.counts.min() == numbers.counts.max() else None


def _split(numbers: Numbers) -> list[tuple[str, str, str, str]]:
    """A row a side: people, faces, share of the faces."""
    rows = []
    for title, side in (("Training", numbers.train), ("Test", numbers.test)):
        share = "by image: not told apart here" if side.faces is None else percent(side.faces / numbers.faces)
        rows.append((title, f"{len(side.people):,}", "" if side.faces is None else f"{side.faces:,}", share))
    neither = int((numbers.side == 0).sum())
    if neither:
        people = np.setdiff1d(numbers.people, np.union1d(numbers.train.people, numbers.test.people))
        rows.append(("Neither", f"{len(people):,}", f"{neither:,}", percent(neither / numbers.faces)))
    return rows


def _pixels(numbers: Numbers) -> list[tuple[str, str]]:
    low, middle, high = _spread(numbers.noise)
    noise = (
        "not measurable" if np.isnan(middle) else f"{middle:.1f}{THIN}mm (middle 80{THIN}%: {low:.1f} to {high:.1f})"
    )
    before, behind = numbers.clipped
    return [
        ("Noise of a pixel", noise),
        ("No return, whole picture", percent(float(numbers.hole_map.mean()))),
        ("No return, inside the mean face", percent(float(np.average(numbers.face_holes, weights=_weights(numbers))))),
        ("Face pixels before the window", percent(before)),
        ("Face pixels behind the window", percent(behind)),
        ("Constant faces", f"{numbers.constant:,}"),
        ("Faces without depth around the nose", f"{numbers.noseless:,}"),
    ]


def _weights(numbers: Numbers) -> np.ndarray:
    return numbers.per_emotion if numbers.per_emotion.any() else np.ones(len(numbers.emotions))


def _alike(numbers: Numbers) -> list[tuple[str, str, str]]:
    """A row a kind of neighbour: rate, and the typical and least distance."""
    kinds = {
        "same": "Another face of the same person",
        "other": "A face of another person",
        "across": "Test face to training faces",
    }
    rows = []
    for kind, title in kinds.items():
        distance = getattr(numbers.nearest, kind)
        distance = distance[np.isfinite(distance)]
        spread = f"{np.median(distance):.1f} ({distance.min():.1f})" if len(distance) else "not comparable"
        rows.append((title, percent(numbers.nearest.rate(kind)), spread))
    return rows


def _pairs(numbers: Numbers, faces: StoredFaces) -> list[tuple[str, str, str]]:
    """The nearest training and test faces, where they are near-duplicates: both by name, and how far."""
    return [(_which(train, faces), _which(test, faces), f"{far:.2f}") for train, test, far in numbers.nearest.pairs]


def _which(number: int, faces: StoredFaces) -> str:
    person = person_name(faces, int(faces.subject[number]))
    return f"{number}: {person}, {clean(faces.sources[number])}"


def _reference(numbers: Numbers) -> str:
    label = reference_emotion(numbers.emotions)
    return "the mean of all emotions" if label is None else numbers.emotions[label]


def _largest(numbers: Numbers) -> list[tuple[str, str]]:
    """How strong each emotion is in the mean: the root mean square of its difference inside the mean face."""
    found = []
    for name, difference in differences_mm(numbers).items():
        inside = difference[np.isfinite(difference)]
        if len(inside):
            found.append((name, f"{np.sqrt(np.mean(inside**2)):.1f}{THIN}mm"))
    return found


def _alts(numbers: Numbers) -> dict[str, str]:
    shown = ", ".join(numbers.names[i] for i in chosen_people(numbers))
    emotions = ", ".join(numbers.emotions)
    return {
        "examples": f"Lit relief of faces: a row for each of {emotions}; a column for each of the people {shown}.",
        "counts": "Map of the number of faces by emotion and person; the table beside it has the totals.",
        "depth": f"Histograms of depth behind the nose tip for {emotions}, and of the nose's distance from the camera.",
        "holes": f"Bars of the share of pixels without return for {emotions}, and a map of where they are.",
        "differences": f"Maps of the mean difference in mm to {_reference(numbers)}, for the other emotions.",
        "nearest": "Histograms of the distance to the nearest face of the same person, another person, and across "
        "the split; the table has the rates.",
    }


def _picture(drawn: Drawn, alt: str) -> Picture:
    content = base64.b64encode(drawn.png).decode()
    return Picture(f"data:image/png;base64,{content}", drawn.width, drawn.height, alt)
