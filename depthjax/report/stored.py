"""Everything the report reads: the stored files of one run, each of them optional but its config."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import files, stages
from depthjax.data.inputs import read_inputs
from depthjax.errors import UserError
from depthjax.scores import Scores, read_scores

METHOD_NAMES = {
    "gan": "GAN",
    "vae": "VAE",
    "gmm": "GMM",
    "kde": "KDE",
    "cdcgan_kd": "KD-cDCGAN",
    "cdcgan_kd_ga": "KD-cDCGAN evolved",
}
NUMBER = re.compile(r"\d+(\.\d+)?")
# Sources of faces that a sensor recorded.
SENSOR_SOURCES = ("folder", "ikfdb")
METRICS = ("epoch", "g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd", "d_acc_real", "d_acc_fake")


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation of all generated sets.

    Attributes:
        data: source, emotions, resolution, window_mm; `train` and `test`, each with images and subjects;
            `generated`, the number of faces of each method.
        settings: how the scores were computed, such as seeds, spaces and scarcity.
        scores: one row for each number.
        runs: values of every seed, `PROTOCOL/METHOD/CLASSIFIER/MEASURE` to (seeds,) float64; may be empty.
    """

    data: dict[str, Any]
    settings: dict[str, Any]
    scores: Scores
    runs: dict[str, np.ndarray]

    @property
    def methods(self) -> list[str]:
        """The evaluated methods, in the order of the config."""
        return list(self.data["generated"])

    @property
    def emotions(self) -> list[str]:
        """The classes, in label order."""
        return list(self.data["emotions"])

    @property
    def classifiers(self) -> list[str]:
        """The classifiers of any protocol, in the order of the scores."""
        return [name for name in self.scores.values("classifier") if name]

    @property
    def spaces(self) -> list[str]:
        """The feature spaces of the distances, in the order of the settings."""
        return list(self.settings["spaces"])


def read_evaluation(workdir: Path) -> StoredEvaluation | None:
    """Read evaluation.json and evaluation/runs.npz; None if the run was not evaluated.

    Raises:
        UserError: a file is damaged.
    """
    path, runs = workdir / "evaluation.json", workdir / "evaluation" / "runs.npz"
    if not path.exists():
        return None
    stored = _object(path)
    data, settings = stored.get("data", {}), stored.get("settings", {})
    if not _is_data(data) or not _is_settings(settings):
        raise UserError(f"{path} lacks the data and settings of its scores: run --stages=evaluate,report")
    scores = read_scores(stored.get("scores"), str(path))
    values = _seed_values(runs) if runs.exists() else {}
    return StoredEvaluation(data, settings, scores, values)


def _is_data(data: Any) -> bool:
    if not isinstance(data, dict) or not isinstance(data.get("source"), str):
        return False
    sets = [data.get("train"), data.get("test")]
    sized = all(isinstance(part, dict) and {"images", "subjects"} <= set(part) for part in sets)
    generated = data.get("generated")
    counted = isinstance(generated, dict) and all(isinstance(n, int) for n in generated.values())
    return sized and counted and _is_names(data.get("emotions")) and bool(data["emotions"])


def _is_settings(settings: Any) -> bool:
    if not isinstance(settings, dict) or not _is_names(settings.get("spaces")):
        return False
    scarcity = settings.get("scarcity", {"shares": {}})
    shares = scarcity.get("shares") if isinstance(scarcity, dict) else None
    return isinstance(shares, dict) and all(NUMBER.fullmatch(share) for share in shares)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _seed_values(path: Path) -> dict[str, np.ndarray]:
    arrays = files.read_arrays(path)
    if not all(a.ndim == 1 and a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays.values()):
        raise UserError(f"{path} lacks a score for each seed: delete it and run --stages=evaluate,report")
    return arrays


@dataclass(frozen=True)
class Run:
    """What is stored of a run; None or empty where a stage has not run yet.

    Attributes:
        config: the resolved config, nested.
        environment: versions, devices, date, git revision and seeds.
        minutes: of each finished stage, in the order of the stages.
        metrics: a column of (rows,) float64 for each of METRICS.
        train: images (n, h, w), emotion, subject, frame of the training faces, as the networks see them.
        samples: the same arrays, less subject and frame, for each method.
        history: best and mean fitness, (classes, islands, generations + 1).
        evaluation: evaluation.json with evaluation/runs.npz.
        embedding: for each set NAME `emotion/NAME` and `lda/NAME` (m,), `tsne/NAME` (m, 2), `correlation/NAME` (4, 4).
        nearest: for each method `index/METHOD` and `distance/METHOD` (n,), and `held_out` (m,) with their median,
            `reference`.
        interpolation: images (emotions, steps, h, w).
    """

    config: dict[str, Any]
    environment: dict[str, Any] | None
    minutes: dict[str, float]
    metrics: dict[str, np.ndarray] | None
    train: dict[str, np.ndarray] | None
    samples: dict[str, dict[str, np.ndarray]]
    history: dict[str, np.ndarray] | None
    evaluation: StoredEvaluation | None
    embedding: dict[str, np.ndarray] | None = None
    nearest: dict[str, np.ndarray] | None = None
    interpolation: dict[str, np.ndarray] | None = None

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes, in label order."""
        return tuple(self.config["data"]["emotions"])

    @property
    def window_mm(self) -> tuple[float, float]:
        """Millimetres behind the nose tip that -1 and +1 stand for."""
        return float(self.config["data"]["near_mm"]), float(self.config["data"]["far_mm"])


def read_run(workdir: Path) -> Run:
    """Read a work folder.

    Raises:
        UserError: config.json is missing, or any file that is there is damaged.
    """
    for stage in stages.STAGES:
        if bad := stages.damaged(stage, workdir, partly=True):
            raise UserError(f"{bad} is damaged (not what was written): run --stages={stage},report")
    config = _object(workdir / "config.json")
    _check_config(config, workdir / "config.json")
    return Run(
        config=config,
        environment=_optional(workdir / "environment.json"),
        minutes=_minutes(workdir / "stages"),
        metrics=_metrics(workdir / "metrics.jsonl"),
        train=read_inputs(workdir / "faces" / "train") if (workdir / "faces" / "train").exists() else None,
        samples=_samples(workdir / "samples", _methods(config)),
        history=_history(workdir / "evolve" / "history.npz", len(config["data"]["emotions"])),
        evaluation=read_evaluation(workdir),
        embedding=_embedding(workdir / "evaluation" / "embedding.npz", len(config["data"]["emotions"])),
        nearest=_nearest(workdir / "evaluation" / "nearest.npz"),
        interpolation=_interpolation(workdir / "samples" / "cdcgan_kd" / "interpolation.npz"),
    )


def _check_config(config: dict[str, Any], path: Path) -> None:
    data = config.get("data")
    for key in ("emotions", "near_mm", "far_mm", "resolution"):
        value = data.get(key) if isinstance(data, dict) else None
        text = isinstance(value, list) and all(isinstance(name, str) for name in value)
        if not (text if key == "emotions" else isinstance(value, int | float)):
            raise UserError(f"{path} has no 'data.{key}': delete it and run --stages=prepare")


def _methods(config: dict[str, Any]) -> list[str]:
    section = config.get("sample")
    methods = section.get("methods") if isinstance(section, dict) else None
    return methods if isinstance(methods, list) else []


def method_name(method: str) -> str:
    """Return the label of a method."""
    return METHOD_NAMES.get(method, method)


def face_kind(source: str) -> str:
    """Return whether the faces of a source (`data.source`) are real or rendered."""
    return "real" if source in SENSOR_SOURCES else "rendered"


def _object(path: Path) -> dict[str, Any]:
    value = files.read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object: delete it and run its stage again")
    return value


def _optional(path: Path) -> dict[str, Any] | None:
    return _object(path) if path.exists() else None


def _minutes(folder: Path) -> dict[str, float]:
    stamps = {path.stem: _object(path) for path in sorted(folder.glob("*.json"))}
    for name, stamp in stamps.items():
        if not isinstance(stamp.get("seconds"), int | float):
            raise UserError(f"{folder / name}.json has no 'seconds': delete it and run --stages={name}")
    order = [name for name in stages.KNOWN if name in stamps]
    return {name: stamps[name]["seconds"] / 60 for name in (*order, *(n for n in stamps if n not in stages.KNOWN))}


def _metrics(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    columns: dict[str, list[float]] = {name: [] for name in METRICS}
    for line, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = files.parse_json(text)
            for name in METRICS:
                columns[name].append(float(row[name]))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise UserError(
                f"{path}, line {line}: not a row of training metrics: remove the line or run --stages=train again"
            ) from None
    return {name: np.array(values) for name, values in columns.items()} if columns["epoch"] else None


def _faces(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    shapes = [arrays[name].shape for name in names if name in arrays]
    whole = len(shapes) == len(names) and len(shapes[0]) == 3 and all(s[:1] == shapes[0][:1] for s in shapes)
    if not whole:
        raise UserError(f"{path} lacks {', '.join(names)} of one length: delete it and run its stage again")
    return arrays


def _samples(folder: Path, order: list[str]) -> dict[str, dict[str, np.ndarray]]:
    found = sorted(path.parent.name for path in folder.glob("*/samples.npz"))
    methods = [m for m in order if m in found] + [m for m in found if m not in order]
    arrays = {method: _faces(folder / method / "samples.npz", ("images", "emotion")) for method in methods}
    return {method: stored for method, stored in arrays.items() if stored is not None}


def _history(path: Path, classes: int) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    whole = all(name in arrays and arrays[name].ndim == 3 and len(arrays[name]) == classes for name in ("best", "mean"))
    if not whole:
        raise UserError(f"{path} lacks best and mean of {classes} emotions: delete it and run --stages=evolve")
    return arrays


def _embedding(path: Path, classes: int) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    names = [name.removeprefix("emotion/") for name in arrays if name.startswith("emotion/")]
    whole = "train" in names and all(np.isfinite(array).all() for array in arrays.values())
    if not (whole and all(_points_fit(arrays, name, classes) for name in names)):
        raise UserError(f"{path} lacks points and correlations of its sets: delete it and run --stages=evaluate")
    return arrays


def _points_fit(arrays: dict[str, np.ndarray], name: str, classes: int) -> bool:
    emotion = arrays[f"emotion/{name}"]
    count = (len(emotion),) if emotion.ndim == 1 and emotion.dtype.kind in "iu" else (-1,)
    shapes = {"lda": count, "tsne": (*count, 2), "correlation": (4, 4)}
    found = {kind: arrays.get(f"{kind}/{name}") for kind in shapes}
    fit = all(array is not None and array.shape == shapes[kind] for kind, array in found.items())
    return fit and set(np.unique(emotion)) <= set(range(classes))


def _nearest(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    whole = {"held_out", "reference"} <= set(arrays) and arrays["reference"].shape == ()
    for name, index in arrays.items():
        if name.startswith("index/"):
            distance = arrays.get(f"distance/{name.removeprefix('index/')}")
            fits = distance is not None and index.ndim == 1 and index.shape == distance.shape
            whole = whole and fits and index.dtype.kind in "iu" and not (index < 0).any()
    if not whole:
        raise UserError(f"{path} lacks rows and distances of the nearest faces: delete it and run --stages=evaluate")
    return arrays


def _interpolation(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    if "images" not in arrays or arrays["images"].ndim != 4 or 0 in arrays["images"].shape:
        raise UserError(f"{path} lacks images by emotion and step: delete it and run --stages=sample")
    return arrays
