"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from depthjax.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the place of `path` only when the block ends without an error.

    Stopped between the two renames, the earlier one waits beside it and is put back by the next call.
    """
    temporary, old = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)
    for left_over in (temporary, old):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with two-space indent; NaN and infinity are refused, for no other reader takes them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, or raise a UserError that names the file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that writes it") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable JSON ({error}): delete it and run its stage again") from None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed `.npz` of plain arrays (no pickled objects)."""
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an `.npz`, never unpickling, or raise a UserError that names the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that writes it") from None
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged archive
        raise UserError(f"{path} is damaged ({error}): delete it and run its stage again") from None


def cached_arrays(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays stored at `path`, made and stored first if they are not there."""
    if not path.exists():
        write_arrays(path, **make())
    return read_arrays(path)


def digest(*parts: Any) -> str:
    """A sha256 (hex) of arrays by dtype, shape and bytes, and of anything else by its sorted JSON."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype.str}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)  # no copy: it may be a mapped file
        else:
            sha.update(json.dumps(part, sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()


def tree_digest(folder: Path) -> str:
    """A sha256 of the names, sizes and times of all files under a folder: it changes when any of them does.

    Links are followed, and no folder is entered twice. A folder that is not there counts as empty.
    """
    lines: list[bytes] = []
    seen: set[tuple[int, int]] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(here)  # noqa: PTH116 (plain text, not Path: of a hundred thousand files it is seconds less)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()  # which of two ways to a folder comes first must not depend on the file system
        within = os.fsencode(Path(here).relative_to(folder))
        lines += [within + b"/" + os.fsencode(name) + _state(f"{here}/{name}") for name in names]
    return hashlib.sha256(b"\0".join(sorted(lines))).hexdigest()


def _state(path: str) -> bytes:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:  # a link to nothing, or in a circle
        return f"\0{error.errno}".encode()
    return f"\0{status.st_size}\0{status.st_mtime_ns}".encode()
