"""`dataset.html`, `dataset_card.md`, `croissant.json` and `faces.csv`: what a run was given, written by prepare."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from depthjax import config as configs
from depthjax import files
from depthjax.data.stored import StoredFaces
from depthjax.report.croissant import croissant, stored_set
from depthjax.report.dataset_figures import draw_dataset
from depthjax.report.dataset_numbers import SIDES, Numbers, clean, measure, person_name
from depthjax.report.dataset_page import render_card, render_page

COLUMNS = ("face", "label", "emotion", "subject", "person", "frame", "source", "side")


def write_dataset_page(
    faces: StoredFaces,
    settings: configs.Data,
    *,
    train: np.ndarray,
    test: np.ndarray,
    folder: Path,
    held_out: np.ndarray | None = None,
    stored: Path | None = None,
) -> list[Path]:
    """Describe the stored faces for people (a page, a card) and for programs (Croissant, a table of labels).

    Reads at most `dataset_numbers.SAMPLE` faces, a batch at a time; the same set and settings give the same bytes.

    Args:
        faces: the stored set.
        settings: that it was made with.
        train, test: subject labels of both sides, one a face or one a person.
        folder: the work folder; its `data/` and `faces/` are described as they are.
        held_out: (n,) bool, which faces are test faces; needed only for a split by image.
        stored: the folder of the stored set inside `folder`; left out, the newest one with as many faces.
    Returns:
        what was written: dataset.html, dataset_card.md, croissant.json, faces.csv, and the folder of the figures.
    """
    numbers = measure(faces, settings, train=train, test=test, held_out=held_out)
    figures = folder / "figures" / "dataset"
    drawn = draw_dataset(numbers, faces, settings, figures)
    paths = [folder / name for name in ("dataset.html", "dataset_card.md", "croissant.json", "faces.csv")]
    files.write_text(paths[0], render_page(numbers, faces, settings, drawn))
    files.write_text(paths[1], render_card(numbers, faces, settings))
    files.write_text(paths[3], labels_csv(faces, numbers))  # before Croissant, which takes its checksum
    files.write_json(
        paths[2], croissant(numbers, faces, settings, folder, stored=stored or stored_set(folder, len(faces)))
    )
    return [*paths, figures]


def labels_csv(faces: StoredFaces, numbers: Numbers) -> str:
    """A row a face in stored order, under COLUMNS; names as text, labels as numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    people = {int(label): person_name(faces, int(label)) for label in numbers.people}
    labels = zip(faces.emotion.tolist(), faces.subject.tolist(), faces.frame.tolist(), strict=True)
    for i, (emotion, subject, frame) in enumerate(labels):
        side, source = SIDES[numbers.side[i]], clean(faces.sources[i])
        writer.writerow((i, emotion, numbers.emotions[emotion], subject, people[subject], frame, source, side))
    return text.getvalue()
