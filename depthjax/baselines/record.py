"""`fit.json`: written last, so its presence says that a fit is finished; its content says of what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from depthjax.config import Config, to_dict
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest, file_digest, first_changed, read_json, unsealed, write_sealed

RECORD = "fit.json"
PARTS = ("settings", "marks", "sha256")
# Settings of the data that change no face: where they lie, and how they are read or drawn.
NOT_OF_THE_FACES = ("path", "on_error", "width_mm", "device_budget")

Settings = dict[str, Any]


def settings_of(config: Config, *names: str) -> Settings:
    """{"section.field": value} of all that the faces depend on, and of `names` ("model" or "train.mirror")."""
    plain = to_dict(config)
    faces = [f"data.{field}" for field in plain["data"] if field not in NOT_OF_THE_FACES]
    fields = [f"{name}.{field}" for name in names if "." not in name for field in plain[name]]
    wanted = [*faces, *fields, *(name for name in names if "." in name)]
    return {name: plain[name.split(".")[0]][name.split(".")[1]] for name in wanted}


def fingerprint(key: jax.Array, faces: DepthFaces) -> dict[str, str]:
    """What a fit depends on besides settings: its key and the faces, as the start of a sha256."""
    return {
        "the seed (baselines.seed)": digest(np.asarray(jax.random.key_data(key)))[:16],
        "the faces (their fingerprint)": digest(faces.images, faces.emotion, faces.subject, list(faces.emotions))[:16],
    }


def is_finished(
    folder: Path, settings: Settings, marks: dict[str, str], *, progress: Callable[[str], None], longer: str = ""
) -> bool:
    """Whether `folder` holds the finished fit of these settings, key and faces; if so, it is said.

    Args:
        folder: of the method.
        settings: as `settings_of` gives.
        marks: as `fingerprint` gives.
        progress: called with a line.
        longer: a setting that may be above the value of the fit there, which is then not finished but gone on with.
    Raises:
        UserError: the folder holds another fit; the first thing that differs is named.
    """
    if not (folder / RECORD).exists():
        return False
    held = _read(folder)
    before, now = held["settings"] | held["marks"], settings | marks
    stated = before.get(longer, 0)
    if longer and isinstance(stated, int) and stated < now[longer]:
        _refuse_other(folder, before | {longer: now[longer]}, now)
        return False
    _refuse_other(folder, before, now)
    if bad := _damaged(folder, held):
        progress(f"{bad} is damaged: fitting again")
        return False
    progress("fitted before, unchanged")
    return True


def finish(folder: Path, settings: Settings, marks: dict[str, str], **chosen: Any) -> None:
    """Say that the fit in `folder` is finished; `chosen` is for readers: what the fit found and decided by itself."""
    written = {name: file_digest(folder / name) for name in _files(folder)}
    write_sealed(folder / RECORD, {"settings": settings, "marks": marks, "chosen": chosen, "sha256": written})


def reopen(folder: Path) -> None:
    """The fit in `folder`, if there is one, is no longer finished: what it wrote is about to change."""
    (folder / RECORD).unlink(missing_ok=True)


def require(folder: Path, settings: Settings) -> None:
    """Raise a UserError unless `folder` holds a finished fit of these settings, undamaged.

    Checkpoints are left to their reader: they have a manifest, and only a part of them is read.
    """
    if not (folder / RECORD).exists():
        raise UserError(f"{folder} holds no finished fit: run the baselines stage first")
    held = _read(folder)
    _refuse_other(folder, held["settings"], settings)
    if bad := _damaged(folder, held, but="checkpoints/"):
        raise UserError(f"{bad} is damaged (not what was written): run --stages=baselines to fit again")


def _read(folder: Path) -> dict[str, Any]:
    held = read_json(folder / RECORD)
    empty: dict[str, Any] = {"sha256": {}}  # which earlier records do not have
    if not isinstance(held, dict) or not all(isinstance((empty | held).get(part), dict) for part in PARTS):
        raise UserError(f"{folder / RECORD} is not the record of a fit: delete {folder} and run the baselines stage")
    return empty | unsealed(held, folder / RECORD)


def _files(folder: Path) -> list[str]:
    """What a fit consists of: its arrays and checkpoints, not its pictures and curves."""
    paths = [*folder.glob("*.npz"), *(folder / "checkpoints").rglob("*")]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def _damaged(folder: Path, held: dict[str, Any], *, but: str = "\0") -> Path | None:
    """The first file that is not what the fit wrote."""
    return first_changed(folder, {name: sha256 for name, sha256 in held["sha256"].items() if not name.startswith(but)})


def _refuse_other(folder: Path, held: Settings, wanted: Settings) -> None:
    for name, value in wanted.items():
        if held.get(name) != value:
            there, here = (str(v)[:60] for v in (held.get(name), value))
            raise UserError(
                f"{folder} belongs to another fit: {name} is {there} there and {here} here; "
                "set it back, delete that folder or take another --workdir"
            )
