"""depthjax from Python: the same runs as the launcher's, a config and a folder, and faces as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depthjax import config_file, pipeline, stages
from depthjax.config import BASELINE_METHODS, OWN_METHODS, Config
from depthjax.config_values import override, validate
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import user_path
from depthjax.progress import Log, no_log, say

if TYPE_CHECKING:
    from depthjax.evaluate.inversion import Inversion
    from depthjax.evaluate.run import Evaluation

Folder = str | Path


def load_config(path: Folder, settings: Mapping[str, object] | None = None) -> Config:
    """Return the config of a file, with some fields replaced.

    Args:
        path: a file with a `get_config()`, such as `configs/quick.py`, or the name of one that comes with depthjax,
            such as `quick`. It is Python: run only files that you trust.
        settings: by dotted name, for instance `{"train.epochs": 3, "data.emotions": ("fear", "anger")}`.
    Raises:
        ConfigError: no such file or field, or a value that it cannot have.
    """
    assignments = {
        name: ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        for name, value in (settings or {}).items()
    }
    return override(config_file.load_config(user_path(path)), assignments)


def load_faces(config: Config, workdir: Folder, *, log: Log | None = say) -> tuple[DepthFaces, DepthFaces]:
    """Return the training and the held-out faces of a run, prepared if they are not yet."""
    workdir = user_path(workdir)
    pipeline.run(config, workdir, ["prepare"], log=log)
    return pipeline.prepared_faces(config, workdir, "train"), pipeline.prepared_faces(config, workdir, "test")


def train_methods(config: Config, workdir: Folder, *, log: Log | None = say) -> None:
    """Train what the methods of `config.sample.methods` need, going on from where an earlier call was stopped.

    Another training in the folder, or faces that cannot be used, are a UserError.
    """
    methods = config.sample.methods
    own = [name for name in methods if name not in BASELINE_METHODS]
    wanted = ["prepare", *(["train"] if own else []), *(["baselines"] if len(own) < len(methods) else [])]
    pipeline.run(config, user_path(workdir), wanted, log=log)


def evolve_latents(config: Config, workdir: Folder, *, log: Log | None = say) -> None:
    """Evolve the latents of a trained run, for the evolved method."""
    pipeline.run(config, user_path(workdir), ["evolve"], log=log)


def sample_faces(
    config: Config,
    workdir: Folder,
    *,
    method: str = OWN_METHODS[0],
    emotions: Sequence[str] = (),
    count: int | None = None,
    seed: int | None = None,
) -> DepthFaces:
    """Return new faces of a fitted run, in memory: of our training, only a checkpoint's teacher generator is read.

    With `sample.noise`, the spectrum of the training faces' noise too, which prepare left.

    Args:
        method: one of `config.sample.methods`.
        emotions: of `config.data.emotions` (default: all).
        count: of each emotion (default: `config.sample.count`); an evolution has no more than it kept.
        seed: default `config.sample.seed`.
    Returns:
        Images in [-1, 1], in the run's window; every face is a subject of its own.
    Raises:
        UserError: the method is not fitted there.
    """
    from depthjax.methods import as_faces, draw

    if method not in config.sample.methods:
        known = ", ".join(config.sample.methods)
        raise UserError(f"method '{method}' is not one of this config's sample.methods: {known}")
    settings = replace(config.sample, methods=(method,), emotions=tuple(emotions))
    settings = settings if count is None else replace(settings, count=count)
    settings = settings if seed is None else replace(settings, seed=seed)
    ((_, drawn),) = draw(validate(replace(config, sample=settings)), user_path(workdir))
    return as_faces(drawn.images, drawn.emotion, config)


def evaluate_faces(
    config: Config,
    workdir: Folder,
    methods: Mapping[str, DepthFaces],
    *,
    inversions: Mapping[str, Inversion] | None = None,
    log: Log | None = say,
) -> Evaluation:
    """Evaluate any generated faces, ours or not, against the training and held-out faces of a run.

    Nothing is written but features that are slow to compute.

    Args:
        methods: the faces of each method, at the run's resolution and in its depth range.
        inversions: by method, a function (n faces) → the (n,) depth that its generator misses of them at best, for a
            membership attack; `depthjax.models.inversion.invert` finds it by gradient descent.
    Raises:
        UserError: the run is not prepared, or faces that cannot be compared with its own.
    """
    from depthjax.evaluate.run import evaluate

    train, test = load_faces(config, workdir, log=log)
    cache = user_path(workdir) / "features"
    return evaluate(config, train, test, methods, cache, log=log or no_log, inversions=inversions)


def write_report(config: Config, workdir: Folder, *, log: Log | None = say) -> Path:
    """Sample, evaluate and write the page of a fitted run, as the launcher does; return its path."""
    wanted = [stage for stage in stages.STAGES if stage not in ("train", "baselines", "evolve")]
    return pipeline.run(config, user_path(workdir), wanted, log=log)


def recognise(depth: np.ndarray | Sequence[np.ndarray], classifier: Folder) -> np.ndarray:
    """Return the probability of each emotion in depth faces, (n, emotions), in the order of the classifier's card.

    Args:
        depth: (n, height, width), or a list of images, in millimetres from the camera; 0 is invalid. Crops as prepare
            stored those of the run (200x128 if it cut them); images of another size are cut as prepare cut the run's.
        classifier: `recogniser.safetensors`, or the work folder of a run whose stage `recognise` is done.
    Raises:
        UserError: no such classifier, one of another version's network, images of another shape where prepare cut none,
            no face in one, or values that are no face in millimetres.
    """
    from depthjax.recogniser.classifier import load_classifier

    path = user_path(classifier)
    return load_classifier(path / "recognise" / "recogniser.safetensors" if path.is_dir() else path).recognise(depth)
