"""How well classifiers recognise unseen people, trained on each row's faces: everything is fitted on these alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from depthjax.config import INPUTS, Config
from depthjax.data.faces import DepthFaces, joined
from depthjax.evaluate.classification import (
    AS_THEY_ARE,
    BOXES,
    DEPTHNET,
    HANDCRAFTED,
    RECOGNISER,
    FitTask,
    Labelled,
    Split,
    fit_predict,
    seeds_for,
    union,
    unseen_subjects_split,
)
from depthjax.evaluate.controls import RENDERED_WEIGHT
from depthjax.evaluate.depthnet import depthnet_features
from depthjax.evaluate.handcrafted import cached_features, fused_features
from depthjax.evaluate.recogniser import features_and_logits
from depthjax.evaluate.spaces import box_means
from depthjax.few.cell import ALONE, RENDERED

SHARES = {RENDERED: RENDERED_WEIGHT}  # there are any number of rendered faces
Inputs = dict[str, Labelled]  # what classifiers read of a set of faces, by kind


def inputs_of(config: Config, faces: DepthFaces, cache: Path | None = None) -> Inputs:
    """Return what the config's classifiers read of the faces; handcrafted features are kept in `cache`, if given."""
    images, size, found = faces.images, config.evaluate.feature_size, {}
    for kind in dict.fromkeys(INPUTS[name] for name in config.evaluate.classifiers):
        if kind == HANDCRAFTED:
            values = cached_features(images, size=size, cache=cache) if cache else fused_features(images, size=size)
        elif kind == RECOGNISER:
            values = features_and_logits(faces, config.data.crop)
        elif kind == DEPTHNET:
            values = depthnet_features(images, depth_range=faces.depth_range, crop=config.data.crop).features
        else:
            assert kind == BOXES
            values = box_means(images)
        found[kind] = Labelled(values, faces.emotion, faces.subject)
    return found


def accuracies(
    config: Config,
    sets: Mapping[str, DepthFaces],
    rows: tuple[str, ...],
    tested: Inputs,
    rendered: Inputs | None,
    shares: Mapping[str, float] = SHARES,
) -> np.ndarray:
    """Return the share of each tested subject's faces that is recognised, (rows, classifiers, subjects) float32.

    A row is trained on the known faces, `sets["real"]`, and on those of each set in its name (`a+b`). All faces of a
    set in `shares` together weigh so much of the known ones; every other face weighs as much as a known one. An
    accuracy is the mean over the seeds of a classifier.
    """
    inputs = _inputs_of_all(config, sets) | ({RENDERED: rendered} if rendered else {})
    names, tasks = config.evaluate.classifiers, {}
    tested = {kind: of for kind, of in tested.items() if kind in inputs[ALONE]}
    for row in rows:
        parts = list(dict.fromkeys((ALONE, *row.split("+"))))
        weight = _weights({part: len(next(iter(inputs[part].values()))) for part in parts}, shares)
        splits = {
            kind: replace(_split(config, [inputs[part][kind] for part in parts], of, kind), weight=weight)
            for kind, of in tested.items()
        }
        for name in names:
            for seed in seeds_for(name, range(config.evaluate.seeds)):
                tasks[row, name, seed] = FitTask(splits[INPUTS[name]], name, config.evaluate.seed + seed)
    predicted, labels = fit_predict(tasks), next(iter(tested.values()))
    subjects, member = np.unique(labels.subject, return_inverse=True)
    found, runs = np.zeros((len(rows), len(names), len(subjects))), np.zeros((len(rows), len(names), 1))
    for (row, name, _), emotion in predicted.items():
        cell = rows.index(row), names.index(name)
        found[cell] += np.bincount(member, emotion == labels.emotion) / np.bincount(member)
        runs[cell] += 1
    return (found / runs).astype(np.float32)


def _weights(sizes: Mapping[str, int], shares: Mapping[str, float]) -> np.ndarray | None:
    """Return the weight of each face of the sets, in their order; None if all have the same."""
    if not sizes.keys() & shares.keys():
        return None
    each = {part: shares[part] * sizes[ALONE] / size if part in shares else 1.0 for part, size in sizes.items()}
    return np.concatenate([np.full(size, each[part]) for part, size in sizes.items()])


def _split(config: Config, train: Iterable[Labelled], test: Labelled, kind: str) -> Split:
    # Only trees read quantiles, and a network reads depths as they are.
    bins = config.evaluate.bins if kind == HANDCRAFTED else None
    return unseen_subjects_split(union(*train), test, bins=bins, standardise=kind not in AS_THEY_ARE)


def _inputs_of_all(config: Config, sets: Mapping[str, DepthFaces]) -> dict[str, Inputs]:
    """Compute the inputs of all sets in one call, which keeps all cores busy, and cut them."""
    found = inputs_of(config, joined([*sets.values()]))
    ends = np.cumsum([len(faces) for faces in sets.values()])
    cuts = {name: np.arange(end - len(sets[name]), end) for name, end in zip(sets, ends, strict=True)}
    return {name: {kind: of.take(cut) for kind, of in found.items()} for name, cut in cuts.items()}
