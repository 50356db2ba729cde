"""One set of faces to one folder, whole or not at all, in memory that does not grow with their number."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from depthjax.errors import UserError
from depthjax.export import labels
from depthjax.export.images import stack, write_png8, write_png16
from depthjax.export.names import safe_names, stems
from depthjax.export.points import write_mesh, write_points
from depthjax.export.sets import Face, FaceSet
from depthjax.files import replacing_folder

PIXELS_AT_ONCE = 2**21
# Formats of one file a face; npz is one an emotion.
FILES: dict[str, tuple[str, Callable[[Path, Face], None]]] = {
    "png8": (".png", write_png8),
    "png16": (".png", write_png16),
    "points": (".ply", write_points),
    "mesh": (".ply", write_mesh),
}


def write_set(faces: FaceSet, folder: Path, formats: Sequence[str], *, progress: Callable[[str], None]) -> Path:
    """Write `folder/SET/FORMAT/EMOTION/SUBJECT_FRAME.ext`, `folder/SET/labels.csv` and `README.txt`.

    Args:
        formats: of png8, png16, npz, points and mesh.
    Returns:
        The set's folder, which takes the place of an earlier one when all is written.
    Raises:
        UserError: the set is empty, or a face has no nose to measure from.
    """
    if not len(faces):
        raise UserError(f"export.sets: {faces.name} holds no faces")
    target = folder / faces.name
    with replacing_folder(target) as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        (temporary / "README.txt").write_text(labels.readme(faces, faces.read(np.array([0]))[0]), encoding="utf-8")
        with (temporary / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(labels.COLUMNS)
            for rows in _write_faces(faces, temporary, formats, pool):
                table.writerows(rows)
    progress(f"{faces.name}: {len(faces)} faces as {', '.join(formats)} in {target}")
    return target


def _write_faces(faces: FaceSet, folder: Path, formats: Sequence[str], pool: Executor) -> Iterator[list[list[object]]]:
    """Write every file; yields rows of labels, emotion by emotion."""
    names = stems(faces.emotion, faces.subject, faces.frame, faces.subjects)
    at_once = max(1, min(64, PIXELS_AT_ONCE // (faces.shape[0] * faces.shape[1])))
    for label, emotion in enumerate(safe_names(faces.emotions)):
        members = np.flatnonzero(faces.emotion == label)
        if not len(members):
            continue
        for name in formats:
            (folder / name / emotion).mkdir(parents=True)
        files = [f"{emotion}/{names[i]}" for i in members]
        with _stack(faces, folder, members, files, emotion) if "npz" in formats else nullcontext() as arrays:
            for start in range(0, len(members), at_once):
                index, part = members[start : start + at_once], files[start : start + at_once]
                read = faces.read(index)
                _write_files(folder, formats, part, read, pool)
                if arrays:
                    arrays.add(read)
                yield labels.rows(faces, index.tolist(), part, read)


def _write_files(folder: Path, formats: Sequence[str], files: list[str], read: list[Face], pool: Executor) -> None:
    for name in (f for f in formats if f in FILES):
        suffix, write = FILES[name]
        paths = [folder / name / f"{file}{suffix}" for file in files]
        list(pool.map(write, paths, read))  # Pillow compresses without Python's lock


def _stack(faces: FaceSet, folder: Path, members: np.ndarray, files: list[str], emotion: str) -> Any:
    return stack(
        folder / "npz" / emotion / "faces.npz",
        (len(members), *faces.shape),
        emotion=faces.emotion[members],
        subject=faces.subject[members],
        frame=faces.frame[members],
        file=np.array(files),
        emotions=np.array(faces.emotions),
        subjects=np.array(faces.subjects),
    )
