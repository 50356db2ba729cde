"""A look into files, and their faces in millimetres: what runs in processes of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import nose_distance
from depthjax.data.depth_files import Unfit, read_images
from depthjax.data.listing import DepthFile
from depthjax.data.millimetres import to_millimetres, unit_of
from depthjax.data.near_duplicates import relief_boxes
from depthjax.data.problems import Problem
from depthjax.data.workers import in_order
from depthjax.errors import UserError

SENSOR_SHAPE = (424, 512)  # a whole frame of a Kinect v2, in which the face is still to be found
FILES_A_TASK = 32


class Seen(NamedTuple):
    """An image that can be used by itself: its row in the file, what tells it from others, what it is compared by."""

    row: int
    shape: tuple[int, int]
    stored: str
    digest: bytes
    boxes: np.ndarray | None


class Look(NamedTuple):
    """What a look into a file found."""

    seen: list[Seen]
    problems: list[Problem]
    rows: int


class Face(NamedTuple):
    """An image that is to be stored."""

    file: DepthFile
    seen: Seen
    stack: bool

    @property
    def shown(self) -> str:
        """Where it comes from, for people and for provenance."""
        return f"{self.file.shown}, row {self.seen.row}" if self.stack else self.file.shown


def look(files: Sequence[DepthFile], *, settings: configs.Data, compare: bool) -> list[Look]:
    """Look into some files; runs in a process of its own.

    Args:
        compare: also measure what near-duplicates are found by.
    """
    return [_look(file, settings, compare) for file in files]


def _look(file: DepthFile, settings: configs.Data, compare: bool) -> Look:
    seen: list[Seen] = []
    problems: list[Problem] = []
    rows = 0
    try:
        for row, raw in enumerate(read_images(file.path)):
            rows += 1
            try:
                seen.append(_see(row, raw, settings, compare))
            except Unfit as fault:
                problems.append(Problem(f"{file.shown}, row {row}", fault.kind, fault.what, fault.todo))
    except Unfit as fault:  # of the file: rows before the fault are not trusted either
        return Look([], [Problem(file.shown, fault.kind, fault.what, fault.todo)], rows)
    if rows == 1:
        problems = [p._replace(path=file.shown) for p in problems]
    return Look(seen, problems, rows)


def _see(row: int, raw: np.ndarray, settings: configs.Data, compare: bool) -> Seen:
    depth = face_of(raw, settings)
    farthest = depth.max()
    if farthest == 0:
        raise Unfit("all holes", "no pixel has a return", "remove it; or see --config.data.hole")
    if ((depth == 0) | (depth == farthest)).all():
        raise Unfit("constant", "every pixel has the same value", "remove it")
    if nose_distance(depth[None])[0] == 0:
        raise Unfit(
            "no nose", "no depth around the nose (the middle of the image)", "crop it about the face; or remove it"
        )
    digest = hashlib.blake2b(depth.tobytes(), digest_size=16).digest()
    boxes = relief_boxes(depth[None])[0] if compare else None
    unit = unit_of(raw.dtype, settings.unit)
    bits = f"{8 * raw.dtype.itemsize}-bit {'floats' if raw.dtype.kind == 'f' else 'integers'}"
    return Seen(row, depth.shape, f"{bits} ({unit})", digest, boxes)


def face_of(raw: np.ndarray, settings: configs.Data) -> np.ndarray:
    """A stored image as a face in camera millimetres: found and cropped, if it is a whole frame of IKFDB's sensor.

    Raises:
        Unfit: it is no depth in the configured unit, or a frame without a face.
    """
    depth = to_millimetres(raw, settings)
    if settings.source != "ikfdb" or depth.shape != SENSOR_SHAPE:
        return depth
    from depthjax.data.find_face import crop_from_frame

    face = crop_from_frame(depth)
    if face is None:
        raise Unfit("no face", "no face found in the sensor's frame", "crop it to 128x200 yourself, or remove it")
    return face


def depths(faces: Sequence[Face], settings: configs.Data) -> Iterator[np.ndarray]:
    """Every face in camera millimetres: single files by several processes, stacks row by row in this one."""
    for stack, run in _runs(faces):
        if stack:
            yield from _convert_file(run, settings)
        else:
            tasks = (run[start : start + FILES_A_TASK] for start in range(0, len(run), FILES_A_TASK))
            for depths in in_order(partial(convert, settings=settings), tasks):
                yield from depths


def _runs(faces: Sequence[Face]) -> Iterator[tuple[bool, list[Face]]]:
    """Consecutive faces: of one stack, or of single files."""
    run: list[Face] = []
    for face in faces:
        if run and (face.stack or run[-1].stack) and face.file.path != run[-1].file.path:
            yield run[-1].stack, run
            run = []
        run.append(face)
    if run:
        yield run[-1].stack, run


def convert(faces: Sequence[Face], *, settings: configs.Data) -> list[np.ndarray]:
    """Single files to camera millimetres; runs in a process of its own."""
    return [depth for face in faces for depth in _convert_file([face], settings)]


def _convert_file(faces: Sequence[Face], settings: configs.Data) -> Iterator[np.ndarray]:
    """The rows of one file that `faces` name, in order."""
    wanted = {face.seen.row: face for face in faces}
    found = 0
    try:
        for row, raw in enumerate(read_images(faces[0].file.path)):
            if row in wanted:
                depth = face_of(raw, settings)
                if hashlib.blake2b(depth.tobytes(), digest_size=16).digest() != wanted[row].seen.digest:
                    break
                found += 1
                yield depth
    except Unfit as fault:
        raise _changed(faces[0], fault.what) from None
    if found < len(faces):
        raise _changed(faces[0], "other pixels")


def _changed(face: Face, what: str) -> UserError:
    return UserError(f"{face.file.shown} changed while the faces were being stored ({what}): run again")
