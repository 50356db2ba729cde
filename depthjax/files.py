"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from depthjax.errors import UserError

if TYPE_CHECKING:  # its import is half of the time to a config error
    import numpy as np

BOMB_BYTES, BOMB_RATIO = 64 * 2**20, 100  # a larger archive member that was packed tighter is refused


def user_path(text: str | Path) -> Path:
    """Return a path as the user means it: `~` is a home folder, which a shell leaves alone in `--workdir=~/x`."""
    path = os.path.expanduser(text)  # noqa: PTH111 (Path raises where there is no home)
    if path.startswith("~"):
        raise UserError(f"{text}: there is no such home folder here: give the whole path, or ./{text}", exit_code=2)
    return Path(path)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that appears at `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `path` only when the block ends without an error.

    If the process ends between the two renames, the next call puts the earlier folder back.
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
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_half_written(folder: Path) -> None:
    """Remove what `replacing` and `replacing_folder` began, and were killed in, anywhere under a folder.

    Only where no other process is at work. Links are not followed.
    """
    for path in [*folder.rglob(".*.tmp")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with two-space indent; NaN and infinity are refused: other readers do not accept them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, or raise a UserError that names the file."""
    try:
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that writes it") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable JSON ({error}): delete it and run its stage again") from None


def parse_json(text: bytes | str) -> Any:
    """Return the value of JSON text; NaN and endless nesting are a ValueError too."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def file_digest(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed `.npz` of plain arrays (no pickled objects)."""
    import numpy as np

    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an `.npz`, never unpickling, or raise a UserError that names the file."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds more than arrays")
        return arrays
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the stage that writes it") from None
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged archive
        raise UserError(f"{path} is damaged ({error}): delete it and run its stage again") from None


def check_archive(archive: zipfile.ZipFile) -> None:
    """Raise a ValueError for a member that leads out of the archive, is a link, or would grow beyond measure."""
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise ValueError(f"its member {ascii(member.filename)[:60]} leads out of the archive: refused")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"its member {ascii(member.filename)[:60]} is a link: refused")
        if member.file_size > max(BOMB_BYTES, BOMB_RATIO * member.compress_size):
            raise ValueError(
                f"its member {ascii(member.filename)[:60]} would grow to {member.file_size} bytes: refused"
            )


def cached_arrays(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays stored at `path`; make and store them first if they are absent."""
    if not path.exists():
        write_arrays(path, **make())
    return read_arrays(path)


def digest(*parts: Any) -> str:
    """Return a sha256 (hex) of arrays by dtype, shape and bytes, and of anything else by its sorted JSON."""
    import numpy as np

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
    """Return a sha256 of the names, sizes and times of all files under a folder: it changes when any of them does.

    Links are followed, and no folder is entered twice. A missing folder counts as empty.
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
