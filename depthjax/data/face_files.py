"""Read files into faces in millimetres, which wait in a spool file until they are stored; runs in worker processes."""

from __future__ import annotations

import hashlib
import itertools
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from depthjax import config as configs
from depthjax.data.depth_files import Unfit, meaning, read_images, to_millimetres
from depthjax.data.find_face import Nose
from depthjax.data.frames import STORED, WHOLE, Framing
from depthjax.data.listing import DepthFile, Problem
from depthjax.data.near_duplicates import relief_boxes
from depthjax.data.plausible import border_hole, check_plausible


class Face(NamedTuple):
    """An image that can be used by itself."""

    file: DepthFile
    row: int
    stack: bool  # whether the file holds several images
    shape: tuple[int, int]
    stored: str  # the type and meaning of the values in the file
    nose_mm: float  # from the camera
    nose_at: tuple[float, float] | None  # column and row; None: no face was recognised, and this is the whole image
    hole: int | None  # a level that is likely one
    digest: bytes  # of the millimetres, to find copies
    boxes: np.ndarray | None  # to find near-duplicates, if that was asked for
    spool: Path
    offset: int  # of the millimetres in the spool

    @property
    def shown(self) -> str:
        """Where it comes from, for messages and for provenance."""
        return f"{self.file.shown}, row {self.row}" if self.stack else self.file.shown


Found = tuple[list[Face], list[Problem]]  # of one file


def read_files(
    files: Sequence[DepthFile], *, settings: configs.Data, framing: Framing, compare: bool, spool: Path
) -> list[Found]:
    """Read some files, and put the millimetres of what can be used into a new file of bare uint16 in `spool`.

    Every file is decoded once: what is stored later is what was checked. If `compare`, boxes are measured.
    """
    number, path = tempfile.mkstemp(dir=spool)
    with open(number, "wb") as aside:  # noqa: PTH123 (mkstemp gives a number)
        return [_read_file(file, settings, framing, compare, aside, Path(path)) for file in files]


def _read_file(
    file: DepthFile, settings: configs.Data, framing: Framing, compare: bool, aside: IO[bytes], path: Path
) -> Found:
    faces: list[Face] = []
    problems: list[Problem] = []
    rows = 0
    try:
        for row, raw in enumerate(read_images(file.path)):
            rows += 1
            try:
                depth, nose, distance = _face_of(raw, settings, framing)
            except Unfit as fault:
                problems.append(Problem(f"{file.shown}, row {row}", fault.kind, fault.what, fault.todo))
                continue
            digest = hashlib.sha256(np.ascontiguousarray(depth).data).digest()[:16]  # in hardware on most machines
            usable = nose is not None or framing.kind == STORED
            boxes = relief_boxes(depth[None])[0] if compare and usable else None
            means = meaning(raw.dtype, settings)
            kind = "grey levels" if means.grey else "distances"
            number = "floats" if raw.dtype.kind == "f" else "integers"
            stored = f"{8 * raw.dtype.itemsize}-bit {number}: {kind}, a unit is {means.scale_mm:g} mm"
            at = None if nose is None else (nose.x, nose.y)
            seen = (stored, distance, at, border_hole(raw, settings), digest, boxes)
            faces.append(Face(file, row, False, depth.shape, *seen, path, aside.tell()))
            aside.write(depth.tobytes())
    except Unfit as fault:  # of the file: rows before the fault are not trusted either
        return [], [Problem(file.shown, fault.kind, fault.what, fault.todo)]
    if rows == 1:
        problems = [p._replace(path=file.shown) for p in problems]
    return [face._replace(stack=rows > 1) for face in faces], problems


def _check_empty(depth: np.ndarray) -> None:
    farthest = depth.max()
    if farthest == 0:
        raise Unfit("all invalid", "no pixel has valid depth", "remove it; or see --config.data.invalid_value")
    if ((depth == 0) | (depth == farthest)).all():
        raise Unfit("constant", "every pixel has the same value", "remove it")


def _face_of(raw: np.ndarray, settings: configs.Data, framing: Framing) -> tuple[np.ndarray, Nose | None, float]:
    """Camera millimetres of the face, where its nose is in them, and the nose's distance."""
    image = to_millimetres(raw, settings)
    _check_empty(image)
    depth, nose = framing.cut(image)
    if nose is None and framing.kind == WHOLE:
        return depth, None, float(np.median(depth[depth > 0]))
    return depth, nose, check_plausible(depth, settings, raw.dtype)


def read_spooled(faces: Iterable[Face]) -> Iterator[np.ndarray]:
    """Yield the millimetres that `read_files` put aside, (h, w) uint16 each."""
    for path, together in itertools.groupby(faces, key=lambda face: face.spool):
        with path.open("rb") as file:
            for face in together:
                file.seek(face.offset)
                yield np.frombuffer(file.read(2 * math.prod(face.shape)), np.uint16).reshape(face.shape)
