"""From faces to one table of scores, with the sizes and settings that it rests on and the arrays of the figures."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.bank import FeatureBank, Log, build_bank, classifier_seeds, seed_of
from depthjax.evaluate.classification import check_classifiers, xgboost_device
from depthjax.evaluate.depthnet import load_depthnet
from depthjax.evaluate.embedding import embed
from depthjax.evaluate.inversion import Inversion, inversion_scores
from depthjax.evaluate.measures import measure_faces
from depthjax.evaluate.recognition import published, unseen_subjects
from depthjax.evaluate.resampling import thinned
from depthjax.scores import Scores

Arrays = dict[str, np.ndarray]
MAX_FACES = 4000  # of train and of test: more are sampled at random


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `nearest` holds, of a method's (n,) faces, the nearest training face of the same emotion in the relief space:
    `index/METHOD`, its row, and `distance/METHOD`; `held_out` (m,) distances, and `reference`, their median.
    """

    scores: Scores  # the table
    data: dict[str, Any]  # sizes and source of the faces that were evaluated
    settings: dict[str, Any]  # what the scores depend on besides the faces
    nearest: Arrays
    embedding: Arrays  # as `embedding.embed` returns them
    runs: Arrays  # as `Recognition` holds them

    def to_json(self) -> dict[str, Any]:
        """Return the content of `evaluation.json`: `data`, `settings` and `scores`."""
        return {"data": self.data, "settings": self.settings, "scores": self.scores.to_records()}


def evaluate(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    methods: Mapping[str, DepthFaces],
    cache: Path,
    *,
    log: Log,
    inversions: Mapping[str, Inversion] | None = None,
) -> Evaluation:
    """Evaluate generated faces against training faces, on which all is fitted, and held-out faces of other subjects.

    Args:
        methods: the generated faces of each method, in the order in which they are reported.
        cache: folder for features, named by content.
        inversions: by method, the function that finds what its generator cannot make of faces, for an attack.
    Returns:
        One row a number; what cannot be computed has a `reason` instead of a value. The same arguments give the same
        numbers.
    Raises:
        UserError: an unknown classifier, or what `build_bank` refuses.
    """
    check_classifiers(config.evaluate.classifiers)
    available = {"train": len(train), "test": len(test)}
    rows = _drawn(config, len(train), "train")
    train, test = train.take(rows), test.take(_drawn(config, len(test), "test"))
    log = _with_seconds(log)
    bank = build_bank(config, train, test, methods, cache, log)
    log("distances, similarity, diversity, memorisation, emotions")
    measured = measure_faces(config, bank)
    log("classifiers; beside them embeddings" + (" and latent inversion" if inversions else ""))
    # What would leave cores idle by itself runs beside the fits, as they do with one BLAS thread a call.
    beside = ThreadPoolExecutor(1)
    try:
        with threadpool_limits(1, "blas"):
            inverted = beside.submit(inversion_scores, config, bank, inversions or {})
            embedded = beside.submit(_embedding, config, bank)
            parts = [unseen_subjects(config, bank, log)]
            measured += inverted.result()
            parts.append(published(config, bank, log))
            embedding = embedded.result()
    except BaseException:
        beside.shutdown(wait=False, cancel_futures=True)  # what is under way may take longer than a user waits
        raise
    beside.shutdown()
    found = Evaluation(
        scores=Scores([row for part in parts for row in part.rows] + measured),
        data=_data(config, bank, available),
        settings=_settings(config, bank),
        nearest=_nearest(bank, rows),
        embedding=embedding,
        runs={name: values for part in parts for name, values in part.runs.items()},
    )
    log("evaluated")
    return found


def _drawn(config: Config, count: int, part: str) -> np.ndarray:
    """Draw at most MAX_FACES faces: features of a hundred thousand would take hours."""
    return thinned(count, MAX_FACES, np.random.default_rng(seed_of(config, f"draw {part}")))


def _with_seconds(log: Log) -> Log:
    start = time.monotonic()
    return lambda text: log(f"evaluate {time.monotonic() - start:6.1f} s  {text}")


def _data(config: Config, bank: FeatureBank, available: dict[str, int]) -> dict[str, Any]:
    train, test = bank.train, bank.test
    return {
        "source": config.data.source,
        "emotions": list(train.emotions),  # in label order
        "resolution": int(train.images.shape[-1]),  # pixels a side
        "train": {"images": len(train), "subjects": len(np.unique(train.subject))},
        "test": {"images": len(test), "subjects": len(np.unique(test.subject))},
        "drawn_from": available,  # images before MAX_FACES
        "window_mm": [float(train.depth_range.near_mm), float(train.depth_range.far_mm)],
        "generated": {name: len(faces) for name, faces in bank.methods.items()},
        "controls": {name: len(faces) for name, faces in bank.controls.items()},
    }


def _settings(config: Config, bank: FeatureBank) -> dict[str, Any]:
    network, settings = load_depthnet(), config.evaluate
    return {
        "feature_size": settings.feature_size,
        "seeds": classifier_seeds(config),
        "bins": settings.bins,
        "bootstrap": settings.bootstrap,
        "equal_draws": settings.equal_draws,
        "spaces": list(bank.spaces),
        "xgboost_device": xgboost_device() if "xgboost" in settings.classifiers else None,
        "depthnet": {"version": network.version, "sha256": network.sha256},
    }


def _nearest(bank: FeatureBank, rows: np.ndarray) -> Arrays:
    """Return the arrays of `evaluation/nearest.npz`; indices count `rows`, those training faces that were drawn."""
    held_out = bank.nearest_train("relief", "test")[1]
    arrays = {"held_out": held_out.astype(np.float32), "reference": np.array(np.median(held_out), np.float32)}
    for name in bank.methods:
        index, distance = bank.nearest_train("relief", name)
        arrays |= {f"index/{name}": rows[index], f"distance/{name}": distance.astype(np.float32)}
    return arrays


def _embedding(config: Config, bank: FeatureBank) -> Arrays:
    shown = {name: faces for name, faces in bank.sets.items() if name not in bank.controls}
    emotion = {name: faces.emotion for name, faces in shown.items()}
    seed = seed_of(config, "embedding") % 2**31
    return embed({name: bank.fused[name] for name in shown}, emotion, size=config.evaluate.feature_size, seed=seed)
