"""`dataset_card.md`, `dataset.html`, `croissant.json` and `faces.csv`: what a run was given, written by prepare."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from depthjax import config as configs
from depthjax import files
from depthjax.data.crop import CROP_WIDTH_MM, nose_distance
from depthjax.data.cut_page import PAGE
from depthjax.data.depth_files import GREY_MM
from depthjax.data.depth_range import DepthRange
from depthjax.data.stored import StoredFaces
from depthjax.errors import counted
from depthjax.report.croissant import USES, croissant, source_of
from depthjax.report.dataset_numbers import DUPLICATE_MM, FACE_MM, SAMPLE, Numbers, clean, measure, subject_name
from depthjax.report.faces_image import shade
from depthjax.report.figure_style import BLUE, GREY, Drawn, drawing, emotion_look, render, save, wrapped
from depthjax.report.page import own_file, templates
from depthjax.scores import csv_text

COLUMNS = ("face", "label", "emotion", "subject", "subject_name", "frame", "source", "side")
MAX_IMBALANCE = 1.5  # largest class to smallest
MAX_INVALID = 0.20  # of the pixels inside the mean face
MAX_CLIPPED = 0.05  # of face pixels
MIN_SUBJECTS, MIN_TEST_SUBJECTS = 10, 4
MAX_ALIKE = 0.5  # of faces with a near-duplicate of the same subject
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")
EXAMPLES, TILE, GAP = 8, 112, 6  # subjects, and pixels of a picture
NAMED_SUBJECTS = 48  # more names would not be legible
DPI = 110


class Finding(NamedTuple):
    """What to know before training: how bad ("alarm" or "warning"), about what, and what to do."""

    level: str
    topic: str
    text: str


def write_dataset_card(
    faces: StoredFaces, settings: configs.Data, *, test: np.ndarray, folder: Path, stored: Path
) -> list[Path]:
    """Write a card, a page, Croissant metadata and a table of labels, and return their paths and the figures' folder.

    `test` (n,) bool are the test faces, `folder` is the work folder, `stored` the folder of the set inside it.
    """
    numbers = measure(faces, settings, test=test)
    figures = folder / "figures" / "dataset"
    drawn = draw_dataset(numbers, faces, settings, figures)
    card = card_content(numbers, faces, settings)
    page = templates(autoescape=True).get_template("dataset.html.j2")
    cut = PAGE if (folder / "data" / PAGE).exists() else ""
    texts = {
        folder / "dataset_card.md": render_card(card),
        folder / "dataset.html": page.render(**card, cut=cut, pictures=drawn, style=own_file("page.css")).strip()
        + "\n",
        folder / "faces.csv": labels_csv(faces, numbers),
    }
    for path, text in texts.items():
        files.write_text(path, text)
    # Last, since it takes the checksum of faces.csv.
    files.write_json(folder / "croissant.json", croissant(numbers, faces, settings, folder, stored=stored))
    return [*texts, folder / "croissant.json", figures]


def render_card(card: dict[str, Any]) -> str:
    """Return the card as Markdown; every name and sentence is escaped, so that none becomes markup."""
    environment = templates(autoescape=False)
    environment.finalize = markdown
    return environment.get_template("dataset_card.md.j2").render(**card).strip() + "\n"


def markdown(text: object) -> str:
    """Return text on one line that Markdown shows as it stands."""
    return MARKDOWN.sub(r"\\\1", " ".join(str(text).split())) if isinstance(text, str) else str(text)


def labels_csv(faces: StoredFaces, numbers: Numbers) -> str:
    """Return a row a face in stored order, under COLUMNS; names as text, labels as numbers."""
    rows = []
    for i, (emotion, subject, frame) in enumerate(zip(faces.emotion, faces.subject, faces.frame, strict=True)):
        name, side = subject_name(faces, int(subject)), "test" if numbers.test[i] else "train"
        row = (i, emotion, numbers.emotions[emotion], subject, name, frame, clean(faces.sources[i]), side)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    return csv_text(COLUMNS, rows)


def card_content(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> dict[str, Any]:
    """Return all that the card says: text, and tables as rows of text."""
    source = source_of(settings.source, settings.path)
    facts = [
        ("Source", settings.source),
        ("Licence", source.licence),
        ("Faces", f"{numbers.faces:,}"),
        ("Subjects", f"{len(numbers.subjects):,}"),
        ("Emotions", ", ".join(numbers.emotions)),
        ("A face", f"{numbers.shape[1]} × {numbers.shape[0]} pixels, whole millimetres"),
        ("Network inputs", f"{settings.resolution} × {settings.resolution}, {_range(settings)} about the nose tip"),
        ("Seed", str(settings.seed)),
    ]
    if cut := faces.framing:
        facts.append(("Framing", str(cut)))
    alike = ("compared with", f"nearer than {DUPLICATE_MM:g} mm", "mm: median (minimum)")
    return {
        "source": source,
        "uses": USES,
        "facts": facts,
        "findings": findings(numbers, settings),
        "measured": _measured(numbers, settings),
        "tables": {
            "Faces by emotion": (("emotion", "faces", "share", "subjects"), _classes(numbers)),
            "Split": (("side", "subjects", "faces", "share"), _split(numbers)),
            "Depth": (("measure", "value"), _pixels(numbers)),
            "Nearest other face": (alike, _alike(numbers)),
        },
        "pairs": [(_which(a, faces), _which(b, faces), f"{mm:.2f}") for a, b, mm in numbers.nearest.pairs],
    }


def _range(settings: configs.Data) -> str:
    return f"{settings.near_mm:g} to {settings.far_mm:g} mm"


def _measured(numbers: Numbers, settings: configs.Data) -> str:
    partly = (
        f"Labels are counted on all {numbers.faces:,} faces. Depth is measured on {numbers.sampled:,} of them "
        f"(at most {SAMPLE:,}, drawn by the run's seed), so the true rates of near-duplicates are higher."
    )
    levels = "grey levels" if settings.polarity != "auto" else "8-bit grey levels"
    grey = (
        f" Where the files hold {levels}, every millimetre here rests on data.scale_mm = "
        f"{settings.scale_mm or GREY_MM:g} mm a grey level."
    )
    text = partly if numbers.sampled < numbers.faces else f"Measured on all {numbers.faces:,} faces."
    return text + ("" if settings.source == "depth_heads" else grey)


def _classes(numbers: Numbers) -> list[tuple[str, ...]]:
    return [
        (name, f"{own.sum():,}", percent(own.sum() / numbers.faces), f"{(own > 0).sum():,}")
        for name, own in zip(numbers.emotions, numbers.counts, strict=True)
    ]


def _split(numbers: Numbers) -> list[tuple[str, ...]]:
    count = int(numbers.test.sum())
    sides = (("train", numbers.train_subjects, numbers.faces - count), ("test", numbers.test_subjects, count))
    return [(name, f"{len(who):,}", f"{n:,}", percent(n / numbers.faces)) for name, who, n in sides]


def _pixels(numbers: Numbers) -> list[tuple[str, str]]:
    return [
        ("Distance of the nose tip", _spread(numbers.distance, 0)),
        ("Noise of a pixel", _spread(numbers.noise, 1)),
        ("Invalid depth, whole image", percent(float(numbers.invalid_map.mean()))),
        ("Invalid depth, inside the mean face", percent(float(numbers.face_invalid.mean()))),
        ("Face pixels before the depth range", percent(numbers.clipped[0])),
        ("Face pixels behind the depth range", percent(numbers.clipped[1])),
        ("Constant faces", f"{numbers.constant:,}"),
        ("Faces without depth around the nose", f"{numbers.noseless:,}"),
    ]


def _spread(values: np.ndarray, decimals: int) -> str:
    if not len(values):
        return "not measurable"
    low, middle, high = (f"{x:.{decimals}f}" for x in np.percentile(values, [10, 50, 90]))
    return f"{middle} mm (middle 80 %: {low} to {high})"


def _alike(numbers: Numbers) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    kinds = {"same": "same subject", "other": "other subjects", "across": "test faces to training faces"}
    for kind, title in kinds.items():
        values = getattr(numbers.nearest, kind)
        values = values[np.isfinite(values)]
        spread = f"{np.median(values):.1f} ({values.min():.1f})" if len(values) else "not comparable"
        rows.append((title, percent(numbers.nearest.rate(kind)), spread))
    return rows


def _which(number: int, faces: StoredFaces) -> str:
    return f"{number}: {subject_name(faces, int(faces.subject[number]))}, {clean(faces.sources[number])}"


def percent(share: float | None) -> str:
    """Return a share in percent with one decimal; never 0.0 for something, nor 100.0 for less than all."""
    if share is None:
        return "not comparable"
    if 0 < share < 0.0005:
        return "under 0.1 %"
    return "over 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def findings(numbers: Numbers, settings: configs.Data) -> list[Finding]:
    """Return alarms, then warnings; empty if nothing stands out."""
    checks = (*_label_checks(numbers, settings), *_depth_checks(numbers, settings))
    found = [Finding(*finding) for is_found, *finding in checks if is_found]
    return sorted(found, key=lambda finding: finding.level)


def _label_checks(numbers: Numbers, settings: configs.Data) -> list[tuple[bool, str, str, str]]:
    shared = np.intersect1d(numbers.train_subjects, numbers.test_subjects)
    totals = numbers.counts.sum(axis=1)
    there = totals > 0
    missing = ", ".join(numbers.emotions[i] for i in np.flatnonzero(~there))
    low, high = int(totals[there].min()), int(totals.max())
    small, large = (numbers.emotions[totals.tolist().index(n)] for n in (low, high))
    partial = int((numbers.counts[there] == 0).any(axis=0).sum())
    own = len(numbers.subjects) - (settings.extra_test_subjects if settings.source == "depth_heads" else 0)
    tested = len(numbers.test_subjects)
    return [
        (len(shared) > 0, "alarm", "Same subjects on both sides",
         f"In the training and in the test faces: {counted(len(shared), 'subject')}. Set data.split = subject."),
        (not there.all(), "alarm", "Emotions without a face", f"{missing}: nothing to learn from."),
        (high / low > MAX_IMBALANCE, "warning", "Imbalanced emotions",
         f"{large} has {high:,} faces, {small} {low:,}: generators and classifiers will favour the first."),
        (partial > 0, "warning", "Emotions missing for some subjects",
         f"{partial:,} of {len(numbers.subjects):,} subjects: identity and emotion are confounded."),
        (own < MIN_SUBJECTS, "warning", "Few subjects",
         f"{own} in all: a generator may memorise them, and intervals over subjects will be wide."),
        (tested < MIN_TEST_SUBJECTS and own >= MIN_SUBJECTS, "warning", "Few test subjects",
         f"{tested}: intervals over subjects will be wide. Raise data.test_fraction."),
    ]  # fmt: skip


def _depth_checks(numbers: Numbers, settings: configs.Data) -> list[tuple[bool, str, str, str]]:
    same, other, across = (numbers.nearest.rate(kind) or 0 for kind in ("same", "other", "across"))
    worst = int(np.argmax(numbers.face_invalid))
    invalid = float(numbers.face_invalid[worst])
    before, behind = numbers.clipped
    return [
        (across > 0, "alarm", "Near-duplicates across the split",
         f"{percent(across)} of the test faces have a training face nearer than {DUPLICATE_MM:g} mm: the same "
         "recording, or a subject under two names. Scores on them are not valid; correct the pairs listed below."),
        (other > 0 and not across, "warning", "Near-duplicates across subjects",
         f"{percent(other)} of the faces have a near-duplicate of another name. Is a subject there twice?"),
        (same > MAX_ALIKE, "warning", "Many frames alike",
         f"{percent(same)} of the faces have a near-duplicate of the same subject: frames of one clip. The set "
         "holds less variety than its size suggests; every second or third frame would do."),
        (numbers.constant > 0, "alarm", "Constant faces",
         f"{numbers.constant:,} of {numbers.sampled:,} measured hold a single value: remove them."),
        (numbers.noseless > 0, "alarm", "Faces without a nose",
         f"{numbers.noseless:,} of {numbers.sampled:,} measured have no depth where the nose should be."),
        (invalid > MAX_INVALID, "warning", "Much invalid depth",
         f"{percent(invalid)} of the pixels inside the mean face are invalid in {numbers.emotions[worst]}. "
         "They become the far end of the depth range: networks will learn it as shape."),
        (before + behind > MAX_CLIPPED, "warning", "Depth clipped by the depth range",
         f"{percent(before)} of the face pixels lie before and {percent(behind)} behind {_range(settings)}, and "
         "are clipped. Beyond ears and neck that costs expression: widen data.near_mm and data.far_mm."),
    ]  # fmt: skip


def draw_dataset(numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path) -> list[Drawn]:
    """Draw the figures into `folder` and return them in reading order."""
    with drawing((*numbers.emotions, *numbers.names)):
        drawn = [
            render("examples", _examples(numbers, faces, settings), dpi=DPI,
                   caption="The middle frame of each clip, of the first subjects that show the most emotions. Dark "
                   "specks are invalid depth.",
                   alt="Shaded depth faces: a row an emotion, a column a subject."),
            render("counts", _counts(numbers), dpi=DPI,
                   caption="Faces of each subject in each emotion; white: none.",
                   alt="Map of the number of faces by emotion and subject."),
            render("depth", _depth(numbers, settings), dpi=DPI,
                   caption="Depth behind the nose tip, noise of a pixel on each surface (Immerkaer 1996), and where "
                   "depth is invalid.",
                   alt="Depth behind the nose tip by emotion, pixel noise, and a map of invalid depth."),
        ]  # fmt: skip
    for figure in drawn:
        save(figure, folder)
    return drawn


def _examples(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> Figure:
    high = round(TILE * numbers.shape[0] / numbers.shape[1])
    # The first subjects that show the most emotions.
    subjects = np.sort(np.argsort(-(numbers.counts > 0).sum(axis=0), kind="stable")[:EXAMPLES])
    size = (len(numbers.emotions) * (high + GAP), len(subjects) * (TILE + GAP))
    picture = np.full(size, 255, np.uint8)
    for row, column in np.argwhere(numbers.counts[:, subjects]):
        members = np.flatnonzero((faces.emotion == row) & (faces.subject == numbers.subjects[subjects[column]]))
        middle = members[np.argsort(faces.frame[members], kind="stable")[len(members) // 2]]
        top, left = row * (high + GAP), column * (TILE + GAP)
        picture[top : top + high, left : left + TILE] = _tile(faces, int(middle), settings, high)

    figure = Figure(figsize=(size[1] / 100 + 1, size[0] / 100 + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    rows = np.arange(len(numbers.emotions)) * (high + GAP) + high / 2
    columns = np.arange(len(subjects)) * (TILE + GAP) + TILE / 2
    axes.set_yticks(rows, [_short(name) for name in numbers.emotions])
    axes.set_xticks(columns, [_short(numbers.names[i]) for i in subjects])
    axes.xaxis.tick_top()
    return _bare(figure)


def _tile(faces: StoredFaces, number: int, settings: configs.Data, high: int) -> np.ndarray:
    depth = np.asarray(faces.depth[np.array([number])])
    nose = nose_distance(depth)
    images = DepthRange(*FACE_MM).from_mm(depth, nose) if nose[0] > 0 else np.ones(depth.shape, np.float32)
    lit = shade(images, FACE_MM, CROP_WIDTH_MM / depth.shape[2])[0]
    return np.asarray(Image.fromarray(lit).resize((TILE, high), Image.Resampling.BICUBIC))


def _counts(numbers: Numbers) -> Figure:
    named = len(numbers.subjects) <= NAMED_SUBJECTS
    order = np.arange(len(numbers.subjects)) if named else np.argsort(-numbers.counts.sum(axis=0), kind="stable")
    figure = Figure(figsize=(9, 0.35 * len(numbers.emotions) + 1.3), layout="constrained")
    axes = figure.subplots()
    shown = np.ma.masked_equal(numbers.counts[:, order], 0)
    top = max(1, int(numbers.counts.max()))
    edges: Any = {"edgecolors": "white", "linewidth": 1.0} if named else {}
    image = axes.pcolormesh(shown, cmap="Blues", vmin=-0.3 * top, vmax=1.3 * top, **edges)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(numbers.emotions)) + 0.5, [_short(name) for name in numbers.emotions])
    if named:
        axes.set_xticks(order + 0.5, [_short(name) for name in numbers.names], rotation=90, size=7.5)
    axes.set_xlabel("subject" if named else f"{len(order):,} subjects, those with most faces first")
    figure.colorbar(image, label="faces", ticks=[0, top])
    return _bare(figure)


def _depth(numbers: Numbers, settings: configs.Data) -> Figure:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    depth, noise, invalid = figure.subplots(1, 3, width_ratios=(2, 1.2, 1))
    middles = (numbers.edges[:-1] + numbers.edges[1:]) / 2
    depth.axvspan(settings.near_mm, settings.far_mm, color="#eef3f7", linewidth=0)
    for label, emotion in enumerate(numbers.emotions):
        colour, _, dashes = emotion_look(label)
        depth.plot(middles, 100 * numbers.relief[label], color=colour, linestyle=dashes, label=_short(emotion))
    depth.set(title="Depth (shaded: depth range)", xlabel="mm behind the nose tip", ylabel="% of pixels in 2 mm")
    depth.set(xlim=FACE_MM, ylim=(0, None))
    depth.legend()

    if len(numbers.noise):
        noise.hist(numbers.noise, bins=40, range=(0, float(numbers.noise.max())), color=BLUE)
    noise.set(title="Noise of a pixel", xlabel="mm, standard deviation", ylabel="faces")

    # The scale ends at the 99.5th percentile, so that a few pixels do not hide the others.
    top = max(5.0, float(np.ceil(np.percentile(100 * numbers.invalid_map, 99.5))))
    shown = invalid.imshow(100 * numbers.invalid_map, cmap="Blues", vmin=0, vmax=top)
    invalid.set(title="Invalid depth", xticks=[], yticks=[])
    invalid.grid(False)
    figure.colorbar(shown, ax=invalid, label="% of faces")
    return figure


def _bare(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.grid(False)
        axes.tick_params(length=0, colors=GREY)
        axes.spines[:].set_visible(False)
    return figure


def _short(name: str) -> str:
    return wrapped("".join(c if c.isprintable() else " " for c in name), 14, lines=1)
