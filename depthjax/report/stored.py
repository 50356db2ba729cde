"""Everything the report reads: the stored files of one run, each of them optional but its config."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import files, stages
from depthjax.config import CONTROLS, METHODS, OWN_METHODS
from depthjax.data.inputs import read_inputs
from depthjax.errors import UserError
from depthjax.scores import Scores, read_scores

Arrays = dict[str, np.ndarray]
HISTORY = ("best", "mean", "variety")  # of a population, by generation
METRICS = ("epoch", "g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd", "d_acc_real", "d_acc_fake")


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation of all generated sets."""

    # source, emotions, resolution, window_mm; `train` and `test`, each with images and subjects;
    # `generated`, the number of faces of each method
    data: dict[str, Any]
    settings: dict[str, Any]  # how the scores were computed, such as seeds and spaces
    scores: Scores  # one row for each number
    # values of every seed, `PROTOCOL/METHOD/CLASSIFIER/MEASURE` to (seeds,) float64, and accuracies of every held-out
    # subject, `PROTOCOL/METHOD/CLASSIFIER/subjects`; may be empty
    runs: Arrays

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
    """Read evaluation.json and evaluation/runs.npz, and raise UserError on damage; None if it was not evaluated."""
    path = workdir / "evaluation.json"
    if not path.exists():
        return None
    stored = _object(path)
    data, settings = stored.get("data"), stored.get("settings")
    if not (isinstance(data, dict) and isinstance(settings, dict)):
        data, settings = {}, {}
    if not (_is_data(data) and _is_names(settings.get("spaces"))):
        raise UserError(f"{path} lacks the data and settings of its scores: run --stages=evaluate,report")
    scores = read_scores(stored.get("scores"), str(path))
    runs = _arrays(workdir / "evaluation" / "runs.npz", _is_seed_values, "a score for each seed", "evaluate")
    return StoredEvaluation(data, settings, scores, runs or {})


def _is_data(data: dict[str, Any]) -> bool:
    sets, generated = [data.get("train"), data.get("test")], data.get("generated")
    counted = isinstance(generated, dict) and all(isinstance(n, int) for n in generated.values())
    sized = all(isinstance(part, dict) and {"images", "subjects"} <= set(part) for part in sets)
    named = isinstance(data.get("source"), str) and _is_names(data.get("emotions")) and len(data["emotions"]) > 0
    return counted and sized and named


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


@dataclass(frozen=True)
class Run:
    """What is stored of a run; None or empty where a stage has not run yet."""

    config: dict[str, Any]  # the resolved config, nested
    environment: dict[str, Any] | None  # versions, devices, date, git revision and seeds
    minutes: dict[str, float]  # of each finished stage, in the order of the stages
    metrics: Arrays | None  # a column of (rows,) float64 for each of METRICS
    # images (n, h, w), emotion, subject, frame of the training faces, as the networks see them
    train: Arrays | None
    samples: dict[str, Arrays]  # the same arrays, less subject and frame, for each method
    history: Arrays | None  # HISTORY, (classes, islands, generations + 1) each
    evaluation: StoredEvaluation | None  # evaluation.json with evaluation/runs.npz
    # for each set NAME `emotion/NAME` and `lda/NAME` (m,), `tsne/NAME` (m, 2), `correlation/NAME` (4, 4)
    embedding: Arrays | None = None
    # for each method `index/METHOD` and `distance/METHOD` (n,); `held_out` (m,) and their median, `reference`
    nearest: Arrays | None = None
    interpolation: Arrays | None = None  # images (emotions, steps, h, w)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes, in label order."""
        return tuple(self.config["data"]["emotions"])

    @property
    def window_mm(self) -> tuple[float, float]:
        """Millimetres behind the nose tip that -1 and +1 stand for."""
        return float(self.config["data"]["near_mm"]), float(self.config["data"]["far_mm"])


def read_run(workdir: Path) -> Run:
    """Read a work folder; UserError if config.json is missing or any file that is there is damaged."""
    for stage in stages.STAGES:
        if bad := stages.damaged(stage, workdir, partly=True):
            raise UserError(f"{bad} is damaged (not what was written): run --stages={stage},report")
    config = _config(workdir / "config.json")
    classes = len(config["data"]["emotions"])
    environment, train = workdir / "environment.json", workdir / "faces" / "train"
    evaluation, samples = workdir / "evaluation", workdir / "samples"
    is_history, is_embedding = partial(_is_history, classes=classes), partial(_is_embedding, classes=classes)
    interpolation = samples / OWN_METHODS[0] / "interpolation.npz"
    return Run(
        config=config,
        environment=_object(environment) if environment.exists() else None,
        minutes=_minutes(workdir / "stages"),
        metrics=_metrics(workdir / "metrics.jsonl"),
        train=read_inputs(train) if train.exists() else None,
        samples=_samples(samples, config),
        history=_arrays(workdir / "evolve" / "history.npz", is_history, "a history of each emotion", "evolve"),
        evaluation=read_evaluation(workdir),
        embedding=_arrays(evaluation / "embedding.npz", is_embedding, "points of its sets", "evaluate"),
        nearest=_arrays(evaluation / "nearest.npz", _is_nearest, "rows and distances of the nearest faces", "evaluate"),
        interpolation=_arrays(interpolation, _is_interpolation, "images by emotion and step", "sample"),
    )


def _config(path: Path) -> dict[str, Any]:
    config = _object(path)
    data = config.get("data")
    for key in ("emotions", "near_mm", "far_mm", "resolution"):
        value = data.get(key) if isinstance(data, dict) else None
        if not (_is_names(value) if key == "emotions" else isinstance(value, int | float)):
            raise UserError(f"{path} has no 'data.{key}': delete it and run --stages=prepare")
    return config


def method_name(method: str) -> str:
    """Return the label of a method or control."""
    return METHODS.get(method) or CONTROLS.get(method, method)


def _object(path: Path) -> dict[str, Any]:
    value = files.read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object: delete it and run its stage again")
    return value


def _minutes(folder: Path) -> dict[str, float]:
    stamps = {path.stem: _object(path) for path in sorted(folder.glob("*.json"))}
    for name, stamp in stamps.items():
        if not isinstance(stamp.get("seconds"), int | float):
            raise UserError(f"{folder / name}.json has no 'seconds': delete it and run --stages={name}")
    order = dict.fromkeys((*(name for name in stages.KNOWN if name in stamps), *stamps))
    return {name: stamps[name]["seconds"] / 60 for name in order}


def _metrics(path: Path) -> Arrays | None:
    if not path.exists():
        return None
    rows = []
    for line, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = files.parse_json(text)
            rows.append([float(row[name]) for name in METRICS])
        except (ValueError, KeyError, TypeError, OverflowError):
            cure = "not a row of training metrics: remove the line or run --stages=train again"
            raise UserError(f"{path}, line {line}: {cure}") from None
    return dict(zip(METRICS, np.array(rows).T, strict=True)) if rows else None


def _arrays(path: Path, is_valid: Callable[[Arrays], bool], contents: str, stage: str) -> Arrays | None:
    if not path.exists():
        return None
    arrays = files.read_arrays(path)
    if not is_valid(arrays):
        raise UserError(f"{path} lacks {contents}: delete it and run --stages={stage},report")
    return arrays


def _samples(folder: Path, config: dict[str, Any]) -> dict[str, Arrays]:
    section = config.get("sample")
    stated = section.get("methods") if isinstance(section, dict) else None
    order = stated if isinstance(stated, list) else []
    found = sorted(path.parent.name for path in folder.glob("*/samples.npz"))
    found.sort(key=lambda method: order.index(method) if method in order else len(order))
    read = {m: _arrays(folder / m / "samples.npz", _is_faces, "images and emotions", "sample") for m in found}
    return {method: arrays for method, arrays in read.items() if arrays is not None}


def _is_faces(arrays: Arrays) -> bool:
    images, emotion = arrays.get("images"), arrays.get("emotion")
    return images is not None and emotion is not None and images.ndim == 3 and images.shape[:1] == emotion.shape[:1]


def _is_history(arrays: Arrays, classes: int) -> bool:
    return all(name in arrays and arrays[name].ndim == 3 and len(arrays[name]) == classes for name in HISTORY)


def _is_embedding(arrays: Arrays, classes: int) -> bool:
    names = [name.removeprefix("emotion/") for name in arrays if name.startswith("emotion/")]
    finite = all(np.isfinite(array).all() for array in arrays.values())
    return "train" in names and finite and all(_has_points(arrays, name, classes) for name in names)


def _has_points(arrays: Arrays, name: str, classes: int) -> bool:
    emotion = arrays[f"emotion/{name}"]
    shapes = {"lda": emotion.shape, "tsne": (*emotion.shape, 2), "correlation": (4, 4)}
    fit = all(f"{kind}/{name}" in arrays and arrays[f"{kind}/{name}"].shape == shapes[kind] for kind in shapes)
    return fit and emotion.ndim == 1 and emotion.dtype.kind in "iu" and set(emotion.tolist()) <= set(range(classes))


def _is_nearest(arrays: Arrays) -> bool:
    methods = [name.removeprefix("index/") for name in arrays if name.startswith("index/")]
    if not {"held_out", "reference", *(f"distance/{m}" for m in methods)} <= set(arrays):
        return False
    pairs = [(arrays[f"index/{m}"], arrays[f"distance/{m}"]) for m in methods]
    fit = all(i.ndim == 1 and i.shape == d.shape and i.dtype.kind in "iu" and not (i < 0).any() for i, d in pairs)
    return fit and arrays["reference"].shape == ()


def _is_interpolation(arrays: Arrays) -> bool:
    return "images" in arrays and arrays["images"].ndim == 4 and 0 not in arrays["images"].shape


def _is_seed_values(arrays: Arrays) -> bool:
    return all(a.ndim == 1 and a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays.values())
