"""Finished and undamaged: one sealed record for the files of a stage, of a fit, or of a checkpoint.

The record is written last, so its presence says that the work is finished. It holds the settings that the files depend
on and the sha256 of every file; a seal, the sha256 of the record itself, shows any change of the record.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from depthjax.errors import UserError
from depthjax.files import digest, file_digest, read_json, write_json

SEAL = "seal"


class Record(NamedTuple):
    """What a record says."""

    settings: dict[str, Any]  # what the files depend on, by name
    sha256: dict[str, str]  # of every file, by its name within the folder
    facts: dict[str, Any]  # for readers; no comparison reads them


def finish(
    path: Path, folder: Path, files: Iterable[Path], settings: Mapping[str, Any], facts: Mapping[str, Any] | None = None
) -> None:
    """Write the record of finished files, or folders whose files all count, named as seen from `folder`."""
    found = (file for path in files for file in (path.rglob("*") if path.is_dir() else [path]))
    whole = sorted(file for file in found if file.is_file())
    sha256 = {file.relative_to(folder).as_posix(): _digest(file) for file in whole}
    record = dict(facts or {}) | {"settings": dict(settings), "sha256": sha256}
    write_json(path, record | {SEAL: digest(record)})


def read_record(path: Path) -> Record | None:
    """Return the record, or None if there is none or another version wrote it; a damaged one is a UserError."""
    if not path.exists():
        return None
    held = read_json(path)
    seal = held.pop(SEAL, None) if isinstance(held, dict) else None
    if seal != digest(held):
        raise UserError(f"{path} is damaged (not what was written): delete it and run its stage again")
    settings, sha256 = (held.pop(part, None) for part in ("settings", "sha256"))
    if not isinstance(settings, dict) or not isinstance(sha256, dict):
        return None
    return Record(settings, sha256, held)


def first_damaged(folder: Path, sha256: Mapping[str, str]) -> Path | None:
    """Return the first file that is missing or whose sha256 differs, or None."""
    paths = ((folder / name, expected) for name, expected in sha256.items())
    return next((path for path, expected in paths if not path.is_file() or _digest(path) != expected), None)


def first_difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return `NAME is OLD there and NEW here` for the first wanted setting that differs, or None."""
    for name, value in wanted.items():
        if held.get(name) != value:
            there, here = (str(v)[:60] for v in (held.get(name), value))
            return f"{name} is {there} there and {here} here"
    return None


def _digest(path: Path) -> str:
    status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns, status.st_ino)


@cache
def _digest_of(path: Path, *state: int) -> str:
    """Return the sha256 of a file in this state: each is read once a process, however many stages need it."""
    del state
    return file_digest(path)
