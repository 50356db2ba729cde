"""A fit of a baseline: done once for its settings, key and faces, and sampled only if it is finished and undamaged."""

from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from depthjax import artifact
from depthjax.config import Config, to_dict
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest
from depthjax.progress import Log

RECORD = "fit.json"
# Settings of the data that change no face: where they lie, and how they are read or drawn.
NOT_OF_THE_FACES = ("path", "on_error", "device_budget")

Settings = dict[str, Any]


class Baseline(Protocol):
    """What each module of this package provides.

    Attributes:
        LONGER: a setting that may be above the value of a finished fit, which then goes on; empty: none.
    """

    LONGER: str

    def settings(self, config: Config) -> Settings:
        """Return the settings that a fit depends on, as `settings_of` gives them."""

    def fit(self, key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
        """Learn from the faces, write `*.npz` or `checkpoints/` into the folder, and return what was chosen."""

    def sample(self, key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
        """Return (n, h, w) float32 faces in [-1, 1] of (n,) int32 emotions; the same key gives the same faces."""


def settings_of(config: Config, *names: str) -> Settings:
    """Return {"section.field": value} of all that the faces depend on, and of `names`, such as "train.mirror"."""
    plain = to_dict(config)
    faces = [f"data.{field}" for field in plain["data"] if field not in NOT_OF_THE_FACES]
    parts = [name.split(".") for name in (*faces, *names)]
    return {f"{section}.{field}": plain[section][field] for section, field in parts}


def fit_once(module: Baseline, key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> None:
    """Fit, unless the folder holds the finished fit of the same settings, key and faces; another one is a UserError."""
    settings = module.settings(config) | {
        "the seed (baselines.seed)": digest(np.asarray(jax.random.key_data(key)))[:16],
        "the faces (their fingerprint)": digest(faces.images, faces.emotion, faces.subject, list(faces.emotions))[:16],
    }
    record = artifact.read_record(folder / RECORD)
    if record is not None and _is_finished(folder, record, settings, module.LONGER, log):
        return
    (folder / RECORD).unlink(missing_ok=True)
    chosen = module.fit(key, config, faces, folder, log=log)
    files = [*folder.glob("*.npz"), folder / "checkpoints"]  # not pictures and curves
    artifact.finish(folder / RECORD, folder, files, settings, {"chosen": chosen})


def _is_finished(folder: Path, record: artifact.Record, settings: Settings, longer: str, log: Log) -> bool:
    held, stated = record.settings, record.settings.get(longer)
    if isinstance(stated, int) and stated < settings[longer]:
        _check_same_fit(folder, held | {longer: settings[longer]}, settings)
        return False
    _check_same_fit(folder, held, settings)
    if bad := artifact.first_damaged(folder, record.sha256):
        log(f"{bad} is damaged: fitting again")
        return False
    log("fitted before, unchanged")
    return True


def sample_fit(module: Baseline, key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Return faces of a finished fit of these settings; raise a UserError without one, or for a damaged file."""
    record = artifact.read_record(folder / RECORD)
    if record is None:
        raise UserError(f"{folder} holds no finished fit: run the baselines stage first")
    _check_same_fit(folder, record.settings, module.settings(config))
    own = {name: sha256 for name, sha256 in record.sha256.items() if not name.startswith("checkpoints/")}
    if bad := artifact.first_damaged(folder, own):
        raise UserError(f"{bad} is damaged (not what was written): run --stages=baselines to fit again")
    return module.sample(key, config, folder, emotion)


def _check_same_fit(folder: Path, held: Settings, wanted: Settings) -> None:
    if difference := artifact.first_difference(held, wanted):
        raise UserError(
            f"{folder} belongs to another fit: {difference}; set it back, delete that folder or take another --workdir"
        )
