"""The pictures of the dataset page: faces, depth, holes, differences between emotions, near-duplicates."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from depthjax import config as configs
from depthjax import files
from depthjax.data.crop import nose_distance
from depthjax.data.depth_range import DepthRange
from depthjax.data.stored import StoredFaces
from depthjax.report.dataset_alike import DUPLICATE_MM
from depthjax.report.dataset_numbers import FACE_MM, Numbers
from depthjax.report.faces_image import shade
from depthjax.report.figure_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    Drawn,
    sheet,
)

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
DASHES = ("-", "--", "-.", ":")
EXAMPLES, TILE_WIDTH, GAP = 8, 112, 6  # people, and pixels of a picture on the sheet
NAMED_PEOPLE = 48  # more names would not be legible under the map of counts
DPI = 144


def draw_dataset(numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path) -> dict[str, Drawn]:
    """Draw the figures that the numbers allow, into `folder` as NAME.png.

    Returns:
        the figures by name: examples, counts (unless all alike), depth, holes, differences, nearest.
    """
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name, draw in _wanted(numbers, faces, settings).items():
            drawn[name] = _png(name, draw())
            with files.replacing(folder / f"{name}.png") as file:
                file.write(drawn[name].png)
    return drawn


def reference_emotion(emotions: tuple[str, ...]) -> int | None:
    """The label of the emotion that others are compared with: neutral, or None if there is none."""
    names = [name.lower() for name in emotions]
    return names.index("neutral") if "neutral" in names else None


def differences_mm(numbers: Numbers) -> dict[str, np.ndarray]:
    """By how many mm the mean face of each emotion stands nearer the camera than the reference's (or than the mean).

    Returns:
        (height, width) by emotion, NaN where there is rarely a face; without the reference itself.
    """
    reference = reference_emotion(numbers.emotions)
    present = [label for label in range(len(numbers.emotions)) if numbers.per_emotion[label]]
    if len(present) < 2 or (reference is not None and reference not in present):
        return {}
    means = numbers.relief_mean
    base = means[present].mean(axis=0) if reference is None else means[reference]
    return {numbers.emotions[label]: base - means[label] for label in present if label != reference}


def _wanted(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> dict[str, Callable[[], Figure]]:
    wanted: dict[str, Callable[[], Figure]] = {"examples": partial(_examples, numbers, faces, settings)}
    if numbers.counts.min() != numbers.counts.max():
        wanted["counts"] = partial(_counts, numbers)
    if len(numbers.distance):
        wanted["depth"] = partial(_depth, numbers, settings)
    wanted["holes"] = partial(_holes, numbers, settings)
    if any(np.isfinite(difference).any() for difference in differences_mm(numbers).values()):
        wanted["differences"] = partial(_differences, numbers, settings)
    if np.isfinite(numbers.nearest.same).any() or np.isfinite(numbers.nearest.other).any():
        wanted["nearest"] = partial(_nearest, numbers)
    return wanted


def chosen_people(numbers: Numbers) -> np.ndarray:
    """Columns of `numbers.people` for the examples: the first who show the most emotions; nobody is picked."""
    shown = (numbers.counts > 0).sum(axis=0)
    return np.sort(np.argsort(-shown, kind="stable")[:EXAMPLES])


def _examples(numbers: Numbers, faces: StoredFaces, settings: configs.Data) -> Figure:
    """A column a person, a row an emotion: the middle frame of each clip, all at one scale and under one light."""
    high = round(TILE_WIDTH * numbers.shape[0] / numbers.shape[1])
    people = chosen_people(numbers)
    rows = len(numbers.emotions)
    picture = np.full((rows * (high + GAP) - GAP, len(people) * (TILE_WIDTH + GAP) - GAP), 255, np.uint8)
    for row in range(rows):
        for column, person in enumerate(people):
            members = np.flatnonzero((faces.emotion == row) & (faces.subject == numbers.people[person]))
            if len(members):
                middle = members[np.argsort(faces.frame[members], kind="stable")[len(members) // 2]]
                top, left = row * (high + GAP), column * (TILE_WIDTH + GAP)
                picture[top : top + high, left : left + TILE_WIDTH] = _tile(faces, int(middle), settings, high)
    figure, axes = sheet(picture, left=104, top=26)
    for row, emotion in enumerate(numbers.emotions):
        axes.text(-10, row * (high + GAP) + high / 2, _short(emotion, 12), ha="right", va="center", size=9.5)
    for column, person in enumerate(people):
        x = column * (TILE_WIDTH + GAP) + TILE_WIDTH / 2
        name = numbers.names[person]
        axes.text(x, -8, _short(f"person {name}" if name.isdigit() else name, 14), ha="center", size=8.5, color=GREY)
    return figure


def _tile(faces: StoredFaces, number: int, settings: configs.Data, high: int) -> np.ndarray:
    depth = np.asarray(faces.depth[np.array([number])])
    nose = nose_distance(depth)
    images = DepthRange(*FACE_MM).from_mm(depth, nose) if nose[0] > 0 else np.ones(depth.shape, np.float32)
    lit = shade(images, FACE_MM, settings.width_mm / depth.shape[2])[0]
    return np.asarray(Image.fromarray(lit).resize((TILE_WIDTH, high), Image.Resampling.BICUBIC))


def _counts(numbers: Numbers) -> Figure:
    """Faces of each person (columns) in each emotion (rows); nobody's are white and crossed."""
    emotions, people = numbers.counts.shape
    named = people <= NAMED_PEOPLE
    order = np.arange(people) if named else np.argsort(-numbers.counts.sum(axis=0), kind="stable")
    counts = numbers.counts[:, order]
    high, below = 0.32 * emotions, 0.25 + (0.075 * min(12, max(map(len, numbers.names))) if named else 0.25)
    height = high + below + 0.1
    figure = Figure(figsize=(11, height))
    axes = figure.add_axes((0.1, below / height, 0.82, high / height))
    levels = _levels(numbers.counts[numbers.counts > 0])
    norm = BoundaryNorm(levels, 256)
    shown = np.ma.masked_equal(counts, 0)
    image = axes.imshow(shown, aspect="auto", cmap="cividis_r", norm=norm, interpolation="nearest")
    if people <= 400:
        empty = np.argwhere(counts == 0)
        axes.plot(empty[:, 1], empty[:, 0], "x", color=VERMILION, markersize=min(6, 300 / people), linestyle="")
    axes.set_yticks(range(emotions), [_short(name, 12) for name in numbers.emotions])
    if named:
        axes.set_xticks(range(people), [_short(name, 12) for name in numbers.names], rotation=90, size=7.5)
    else:
        axes.set_xlabel(f"{people:,} people, those with most faces first")
    axes.grid(False)
    axes.tick_params(length=0)
    place = axes.get_position()
    _bar(figure, image, (0.935, place.y0, 0.012, place.height), "faces")
    return figure


def _levels(counts: np.ndarray) -> np.ndarray:
    """Whole-number edges of at most eight colours, from the least count to the largest."""
    low, high = int(counts.min()), int(counts.max()) + 1
    return np.unique(np.linspace(low, high, min(9, high - low + 1)).astype(int))


def _depth(numbers: Numbers, settings: configs.Data) -> Figure:
    """Share of pixels by depth behind the nose tip, and distances from the camera."""
    figure = Figure(figsize=(11, 3.4))
    left, right = (figure.add_axes(box) for box in ((0.065, 0.16, 0.58, 0.72), (0.71, 0.16, 0.275, 0.72)))
    middles = (numbers.edges[:-1] + numbers.edges[1:]) / 2
    left.axvspan(settings.near_mm, settings.far_mm, color="#eef3f7", linewidth=0)
    for label, emotion in enumerate(numbers.emotions):
        if numbers.per_emotion[label]:
            colour, dashes = COLOURS[label % len(COLOURS)], DASHES[label % len(DASHES)]
            left.plot(middles, 100 * numbers.relief[label], color=colour, linestyle=dashes, label=_short(emotion, 18))
    left.axvline(0, color=GREY, linewidth=1)
    left.set(title="Depth behind the nose tip", xlabel="mm behind the nose tip", ylabel="% of pixels a 2 mm step")
    left.set(xlim=FACE_MM, ylim=(0, None))
    left.text(settings.far_mm, 1.015, "the networks' window", size=8, color=GREY, ha="right",
              transform=left.get_xaxis_transform())  # fmt: skip
    left.legend(loc="upper right", ncols=1 + len(numbers.emotions) // 8)
    right.hist(numbers.distance, bins=_distance_bins(numbers.distance).tolist(), color=BLUE)
    right.set(title="Distance of the nose tip", xlabel="mm from the camera", ylabel="faces measured")
    return figure


def _distance_bins(distance: np.ndarray) -> np.ndarray:
    low, high = 20 * np.floor(distance.min() / 20), 20 * np.ceil(distance.max() / 20 + 1e-6)
    return np.linspace(low, max(high, low + 20), int(min(40, max(1, (high - low) / 20))) + 1)


def _holes(numbers: Numbers, settings: configs.Data) -> Figure:
    """Share of pixels without return by emotion, and where they are."""
    emotions, aspect = len(numbers.emotions), numbers.shape[0] / numbers.shape[1]
    width, height = 11.0, 4.3
    figure = Figure(figsize=(width, height))
    left = figure.add_axes((0.12, 0.13, 0.47, 0.72))
    rows = np.arange(emotions)
    left.barh(rows - 0.19, 100 * numbers.face_holes, height=0.34, color=BLUE, label="inside the mean face")
    left.barh(rows + 0.19, 100 * numbers.holes, height=0.34, color="#b9bec4", label="whole picture")
    left.set_yticks(rows, [_short(name, 16) for name in numbers.emotions])
    left.set(ylim=(emotions - 0.4, -0.6), xlabel="% of pixels")
    left.set_title("Pixels without a return", pad=22)
    left.set_xlim(0, max(2.0, 110 * float(max(numbers.holes.max(), numbers.face_holes.max()))))
    left.grid(False, axis="y")
    left.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, borderaxespad=0.1, borderpad=0)
    wide = min(0.27, 0.72 * height / aspect / width)
    tall = wide * width * aspect / height
    axes = figure.add_axes((0.68, 0.13 + 0.72 - tall, wide, tall))
    top = max(0.05, float(np.ceil(20 * np.percentile(numbers.hole_map, 99.5)) / 20))
    extent = _extent(numbers, settings)
    shown = axes.imshow(100 * numbers.hole_map, cmap="Blues", vmin=0, vmax=100 * top, extent=extent, aspect="auto")
    if numbers.outline.any() and not numbers.outline.all():
        axes.contour(numbers.outline.astype(float), [0.5], colors=INK, linewidths=0.8, extent=extent, origin="upper")
    axes.set_title("Where (line: the mean face)")
    axes.set(xlabel="mm", ylabel="mm")
    axes.grid(False)
    _bar(figure, shown, (0.68 + wide + 0.015, 0.13 + 0.72 - tall, 0.012, tall), "% of faces without a return there")
    return figure


def _bar(figure: Figure, shown: AxesImage, box: tuple[float, float, float, float], label: str) -> None:
    bar = figure.colorbar(shown, cax=figure.add_axes(box))
    bar.set_label(label, size=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)


def _differences(numbers: Numbers, settings: configs.Data) -> Figure:
    """The reference's mean face, lit, and each other emotion's against it in mm towards the camera."""
    maps = differences_mm(numbers)
    values = np.abs(np.concatenate([m[np.isfinite(m)] for m in maps.values()]))
    limit = max(1.0, float(np.ceil(np.percentile(values, 99))))
    columns = min(4, len(maps) + 1)
    lines = -(-(len(maps) + 1) // columns)
    wide, aspect = min(2.35, 9.6 / columns), numbers.shape[0] / numbers.shape[1]
    width, height = 11.0, lines * (wide * aspect + 0.42) + 0.08
    figure, shown = Figure(figsize=(width, height)), None
    for i, (title, values) in enumerate([(_reference_name(numbers), _mean_face(numbers, settings)), *maps.items()]):
        line, column = divmod(i, columns)
        bottom = 1 - (line + 1) * (wide * aspect + 0.42) / height
        box = ((0.1 + column * (wide + 0.15)) / width, bottom, wide / width, wide * aspect / height)
        axes = figure.add_axes(box)
        if i == 0:
            axes.imshow(values, cmap="gray", vmin=0, vmax=255, aspect="auto")
        else:
            axes.set_facecolor("#ededed")
            shown = axes.imshow(values, cmap="PuOr", vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto")
        axes.set_title(title if i == 0 else _short(title, 24))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    assert shown is not None
    side, tall = (0.1 + columns * (wide + 0.15) + 0.05) / width, min(wide * aspect, 3.2) / height
    _bar(figure, shown, (side, 1 - 0.42 / height - tall, 0.14 / width, tall), "mm nearer the camera")
    return figure


def _reference_name(numbers: Numbers) -> str:
    label = reference_emotion(numbers.emotions)
    return "mean of all" if label is None else f"{_short(numbers.emotions[label], 16)} (mean face)"


def _mean_face(numbers: Numbers, settings: configs.Data) -> np.ndarray:
    label = reference_emotion(numbers.emotions)
    measured = numbers.relief_mean[numbers.per_emotion > 0]
    relief = measured.mean(axis=0) if label is None else numbers.relief_mean[label]
    images = DepthRange(*FACE_MM).from_relief(np.where(np.isfinite(relief), relief, np.inf))
    return shade(images[None], FACE_MM, settings.width_mm / numbers.shape[1])[0]


def _nearest(numbers: Numbers) -> Figure:
    """How far each face is from the most similar other one, of three kinds, with the threshold."""
    kinds = {
        "same": ("the same person", GREY, "-"),
        "other": ("another person", BLUE, "-"),
        "across": ("test face to training faces", VERMILION, "--"),
    }
    found = {kind: getattr(numbers.nearest, kind) for kind in kinds}
    found = {kind: values[np.isfinite(values)] for kind, values in found.items()}
    top = max(float(np.percentile(values, 99)) for values in found.values() if len(values))
    bins = np.linspace(0, max(top, 2 * DUPLICATE_MM), 61)
    figure = Figure(figsize=(11, 2.9))
    axes = figure.add_axes((0.065, 0.19, 0.915, 0.69))
    axes.axvspan(0, DUPLICATE_MM, color="#f9e2d5", linewidth=0)
    for kind, values in found.items():
        if len(values):
            label, colour, dashes = kinds[kind]
            share = 100 * np.histogram(np.minimum(values, bins[-1]), bins)[0] / len(values)
            axes.stairs(share, bins, color=colour, linestyle=dashes, linewidth=1.6, label=label)
    axes.set(xlim=(0, bins[-1]), ylim=(0, None), ylabel="% of faces", xlabel="RMS difference of box means (mm)")
    axes.set_title("Nearest other face")
    axes.text(0.06, axes.get_ylim()[1] * 0.95, "near-\nduplicates", size=8, color=VERMILION, va="top")
    axes.legend(loc="upper right")
    return figure


def _extent(numbers: Numbers, settings: configs.Data) -> tuple[float, float, float, float]:
    """mm to the left and right of the middle, and down from the top."""
    pitch = settings.width_mm / numbers.shape[1]
    return (-settings.width_mm / 2, settings.width_mm / 2, numbers.shape[0] * pitch, 0.0)


def _short(text: str, most: int) -> str:
    """A name as matplotlib sets it: no mathematics, no controls, not longer than its place."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    cut = plain if len(plain) <= most else plain[: most - 1] + "…"
    return cut.replace("$", r"\$")


def _png(name: str, figure: Figure) -> Drawn:
    pixels = name == "examples"
    figure.set_dpi(100 if pixels else DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).convert("L" if pixels else "RGB")
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return Drawn(name, content.getvalue(), b"", *picture.size)
