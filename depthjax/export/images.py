"""Faces as PNG: 8 bits as the authors release theirs, and 16 bits in millimetres; and as stacks in NPZ."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from depthjax.data.depth_range import quantise
from depthjax.export.sets import Face


def write_png8(path: Path, face: Face) -> None:
    """Grey levels of the depth window, 0 nearest, 255 far or no return: darker is closer."""
    Image.fromarray(quantise(face.image)).save(path)


def write_png16(path: Path, face: Face) -> None:
    """Camera millimetres, 0 is no return."""
    Image.fromarray(face.depth).save(path, compress_level=3)  # noise does not compress: the default is thrice as slow


class Stack:
    """An `.npz` whose array `depth` is written face by face, so that memory does not grow with their number."""

    def __init__(self, member: IO[bytes]) -> None:
        self._member = member

    def add(self, faces: Sequence[Face]) -> None:
        """Append faces; all have the shape that the stack was opened with."""
        for face in faces:
            self._member.write(np.ascontiguousarray(face.depth, "<u2").tobytes())


@contextmanager
def stack(path: Path, shape: tuple[int, int, int], **labels: np.ndarray) -> Iterator[Stack]:
    """Open an `.npz` with `depth` (n, h, w) uint16, to which the block must add n faces, and with arrays of labels."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("depth.npy", "w", force_zip64=True) as member:
            header = {"descr": "<u2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            yield Stack(member)
        for name, values in labels.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
