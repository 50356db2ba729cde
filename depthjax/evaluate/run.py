"""From faces to `evaluation.json`: every number with its n, interval and floor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.evaluate import variety
from depthjax.evaluate.classifiers import check_classifiers, xgboost_device
from depthjax.evaluate.copies import copies, likeness, nearest_arrays
from depthjax.evaluate.depthnet import load_depthnet
from depthjax.evaluate.distance_tables import distance_tables
from depthjax.evaluate.embedding import embed
from depthjax.evaluate.halves import HalfDraws, draw_halves
from depthjax.evaluate.judged import NO_INCEPTION, Judged, check, classifier_seeds, measure, seed_of
from depthjax.evaluate.recognition import published, scarcity, unseen_people

SCHEMA = 2


class Evaluation(NamedTuple):
    """What `evaluate` found.

    Attributes:
        result: the content of `evaluation.json`.
        nearest: the arrays of `evaluation/nearest.npz`; its rows are those of the training faces given.
        embedding: the arrays of `evaluation/embedding.npz`.
    """

    result: dict
    nearest: dict[str, np.ndarray]
    embedding: dict[str, np.ndarray]


def evaluate(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    methods: Mapping[str, DepthFaces],
    cache: Path,
    *,
    progress: Callable[[str], None],
) -> Evaluation:
    """Judge generated faces against real ones.

    Args:
        config: its `evaluate` section sets seeds, classifiers, feature size and draws; `data` is named in the result.
        train: the real faces that the generators learnt from; everything is fitted on these.
        test: real faces, of other people.
        methods: the generated faces of each method, in the order in which they are reported.
        cache: folder for features, named by content.
        progress: called with a line before each part.
    Returns:
        The content of `evaluation.json`, plain JSON types without NaN, and what the figures need besides. What cannot
        be computed is left out, with a `reason` in its place. The same arguments give the same numbers.
    Raises:
        UserError: an emotion with fewer than two faces, other image sizes or emotions than the real faces', values that
            are not finite, an unknown classifier, or Inception weights that are not the 2015-12-05 graph's.
    """
    check_classifiers(config.evaluate.classifiers)
    drawn_from = {"train": len(train), "test": len(test)}
    rows = _drawn(config, len(train), "train")
    train, test = train.take(rows), test.take(_drawn(config, len(test), "test"))
    check(train, test, methods)
    say = _with_seconds(progress)
    judged = measure(config, train, test, methods, cache, say)
    draws = draw_halves(train, methods, draws=config.evaluate.kid_subsets, seed=seed_of(config, "halves"))
    shared, of_methods = _numbers(config, judged, draws, say)
    say("embeddings for the figures")
    result = {
        "schema": SCHEMA,
        "data": _data(config, train, test) | {"drawn_from": drawn_from},
        "settings": _settings(config, draws),
        "spaces": list(judged.spaces),
        **({} if config.evaluate.inception else {"inception": {"reason": NO_INCEPTION}}),
        **shared,
        "methods": of_methods,
    }
    found = Evaluation(result, _of_all_rows(nearest_arrays(judged), rows), _embedding(config, judged))
    say("evaluated")
    return found


def _numbers(
    config: Config, judged: Judged, draws: HalfDraws, say: Callable[[str], None]
) -> tuple[dict, dict[str, dict]]:
    """What is said once, and what is said of each method."""
    say("distances and their floor")
    distances = distance_tables(judged, draws)
    floor = distances.pop("floor")
    say("likeness to training faces, variety, emotions seen")
    parts = [
        distances,
        likeness(config, judged),
        copies(config, judged),
        variety.variety(config, judged, draws),
        variety.emotions_seen(config, judged),
        _named("as_published", variety.as_published(config, judged)),
    ]
    say("classifiers: real and generated faces to unseen people")
    unseen, paired = unseen_people(config, judged)
    say("classifiers: few real people")
    few, with_generated = scarcity(config, judged, say)
    say("classifiers: the published protocol on real faces")
    parts = [unseen, _named("published", published(config, judged, say)), _named("scarcity", with_generated), *parts]
    sizes = {
        name: {"n": len(faces), "n_per_emotion": int(np.bincount(faces.emotion).min())}
        for name, faces in judged.methods.items()
    }
    merged = {name: dict(sizes[name]) for name in judged.methods}
    for name, part in ((name, part) for part in parts for name in merged):
        merged[name] |= part[name]
    return {"floor": floor, "scarcity": few, "paired": paired}, merged


def _named(key: str, tables: dict[str, dict]) -> dict[str, dict]:
    return {name: {key: table} for name, table in tables.items()}


def _embedding(config: Config, judged: Judged) -> dict[str, np.ndarray]:
    names = {name: name.removeprefix("method/") for name in judged.sets}
    features = {short: judged.fused[name] for name, short in names.items()}
    emotion = {short: judged.sets[name].emotion for name, short in names.items()}
    return embed(features, emotion, size=config.evaluate.feature_size, seed=seed_of(config, "embedding") % 2**31)


def _of_all_rows(nearest: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of the training faces that were drawn to rows of all of them."""
    return {name: rows[values] if name.startswith("index/") else values for name, values in nearest.items()}


def _drawn(config: Config, count: int, part: str) -> np.ndarray:
    """At most `evaluate.most_real` of the real faces, by chance: features of a hundred thousand would take hours."""
    if count <= config.evaluate.most_real:
        return np.arange(count)
    chosen = np.random.default_rng(seed_of(config, f"draw {part}")).permutation(count)
    return np.sort(chosen[: config.evaluate.most_real])


def _with_seconds(progress: Callable[[str], None]) -> Callable[[str], None]:
    start = time.monotonic()
    return lambda text: progress(f"evaluate {time.monotonic() - start:6.1f} s  {text}")


def _data(config: Config, train: DepthFaces, test: DepthFaces) -> dict:
    return {
        "source": config.data.source,
        "emotions": list(train.emotions),
        "resolution": int(train.images.shape[-1]),
        "train": {"images": len(train), "subjects": len(np.unique(train.subject))},
        "test": {"images": len(test), "subjects": len(np.unique(test.subject))},
        "window_mm": [float(train.depth_range.near_mm), float(train.depth_range.far_mm)],
    }


def _settings(config: Config, draws: HalfDraws) -> dict:
    network = load_depthnet()
    return {
        "feature_size": config.evaluate.feature_size,
        "seeds": classifier_seeds(config),
        "bins": config.evaluate.bins,
        **({"xgboost_device": xgboost_device()} if "xgboost" in config.evaluate.classifiers else {}),
        "bootstrap": config.evaluate.bootstrap,
        "kid_subsets": config.evaluate.kid_subsets,
        "kid_subset_size": draws.n,
        "depthnet": {"version": network.version, "sha256": network.sha256},
    }
