"""From faces to `evaluation.json`: every number with its n, interval and floor."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.evaluate.classifiers import check_classifiers
from depthjax.evaluate.distances import frechet_of_draws, kid_of_draws
from depthjax.evaluate.features import cached_features
from depthjax.evaluate.halves import HalfDraws, draw_halves
from depthjax.evaluate.intervals import percentile_interval
from depthjax.evaluate.nearest import nearest_similarity, summarise
from depthjax.evaluate.protocols import (
    Labelled,
    Sitting,
    published_exams,
    seeds_for,
    sit,
    union,
    unseen_people_exam,
)
from depthjax.evaluate.relief import box_means, fit_relief_space, residual_ratio
from depthjax.evaluate.scores import published_scores, unseen_people_scores
from depthjax.evaluate.spaces import PrincipalSpace, fit_fused_space

SCHEMA = 1
DISTANCES = {"kid": kid_of_draws, "frechet": frechet_of_draws}


@dataclass(frozen=True)
class Judged:
    """What is compared: the real people of both sides and each method's faces, and what is measured on all of them."""

    train: DepthFaces
    test: DepthFaces
    methods: Mapping[str, DepthFaces]
    features: dict[str, np.ndarray]  # fused, of "train", "test" and, under "method/NAME", each method
    means: dict[str, np.ndarray]  # over 32x32 boxes, of the same sets
    relief: PrincipalSpace  # fitted on train

    def labelled(self, name: str) -> Labelled:
        """The features, emotions and subjects of `train`, `test` or `method/NAME`."""
        faces = _sets(self.train, self.test, self.methods)[name]
        return Labelled(self.features[name], faces.emotion, faces.subject)


def evaluate(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    methods: Mapping[str, DepthFaces],
    cache: Path,
    *,
    progress: Callable[[str], None],
) -> dict:
    """Judge generated faces against real ones.

    Args:
        config: its `evaluate` section sets seeds, classifiers, feature size and draws; `data` is named in the result.
        train: the real faces that the generators learnt from; everything is fitted on these.
        test: real faces, of other people.
        methods: the generated faces of each method, in the order in which they are reported.
        cache: folder for features, named by content.
        progress: called with a line before each part.
    Returns:
        The content of `evaluation.json`, plain JSON types without NaN. What cannot be computed is left out, with a
        `reason` in its place. The same arguments give the same numbers.
    Raises:
        UserError: an emotion with fewer than two faces, other image sizes or emotions than the real faces', values that
            are not finite, or an unknown classifier.
    """
    check_classifiers(config.evaluate.classifiers)
    drawn_from = {"train": len(train), "test": len(test)}
    train, test = (_drawn(config, faces, part) for faces, part in ((train, "train"), (test, "test")))
    _check(train, test, methods)
    say = _with_seconds(progress)
    judged = _measured(config, train, test, methods, cache, say)
    say("distances and their floor")
    draws = _halves(config, judged)
    distances = _distances(judged, draws)
    say("relief residual, SSIM and PSNR to the nearest training face")
    likeness = _likeness(config, judged)
    say("classifiers: real and generated faces to unseen people")
    unseen = _unseen_people(config, judged)
    say("classifiers: the published protocol")
    published = _published(config, judged)
    say("evaluated")
    floor = distances.pop("floor")
    return {
        "schema": SCHEMA,
        "data": _data(config, train, test) | {"drawn_from": drawn_from},
        "settings": _settings(config, draws),
        "floor": floor,
        "methods": {
            name: {"n": len(faces), "n_per_emotion": int(np.bincount(faces.emotion).min())}
            | unseen[name]
            | {"published": published[name]}
            | distances[name]
            | likeness[name]
            for name, faces in methods.items()
        },
    }


def _drawn(config: Config, faces: DepthFaces, part: str) -> DepthFaces:
    """At most `evaluate.most_real` of the real faces, by chance: features of a hundred thousand would take hours."""
    if len(faces) <= config.evaluate.most_real:
        return faces
    chosen = np.random.default_rng(_seed(config, f"draw {part}")).permutation(len(faces))
    return faces.take(np.sort(chosen[: config.evaluate.most_real]))


def _sets(train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces]) -> dict[str, DepthFaces]:
    return {"train": train, "test": test} | {f"method/{name}": faces for name, faces in methods.items()}


def _with_seconds(progress: Callable[[str], None]) -> Callable[[str], None]:
    start = time.monotonic()
    return lambda text: progress(f"evaluate {time.monotonic() - start:6.1f} s  {text}")


def _check(train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces]) -> None:
    if not methods:
        raise UserError("evaluate: there are no generated faces to judge: run the sample stage first")
    sets = {"the real training faces": train, "the real test faces": test}
    for name, faces in (sets | {f"method {name}": faces for name, faces in methods.items()}).items():
        if faces.images.shape[1:] != train.images.shape[1:]:
            raise UserError(
                f"evaluate: {name} has images of shape {faces.images.shape[1:]}, the real training faces "
                f"{train.images.shape[1:]}: prepare and sample at one resolution"
            )
        if faces.emotions != train.emotions:
            raise UserError(
                f"evaluate: {name} has the emotions {', '.join(faces.emotions)}, the real training faces "
                f"{', '.join(train.emotions)}: sample again with this config"
            )
        if not np.isfinite(faces.images).all():
            raise UserError(f"evaluate: {name} has values that are not finite: train or sample again")
        for label, emotion in enumerate(train.emotions):
            count = int((faces.emotion == label).sum())
            if count < 2:
                raise UserError(f"evaluate: {name} has {count} faces of '{emotion}', at least 2 are needed: make more")


def _measured(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    methods: Mapping[str, DepthFaces],
    cache: Path,
    say: Callable[[str], None],
) -> Judged:
    features = {}
    for name, faces in _sets(train, test, methods).items():
        say(f"features of {name} ({len(faces)} faces at {config.evaluate.feature_size} pixels)")
        features[name] = cached_features(faces.images, size=config.evaluate.feature_size, cache=cache)
    means = {name: box_means(faces.images) for name, faces in _sets(train, test, methods).items()}
    return Judged(train, test, methods, features, means, fit_relief_space(means["train"]))


def _halves(config: Config, judged: Judged) -> HalfDraws:
    return draw_halves(judged.train, judged.methods, draws=config.evaluate.kid_subsets, seed=_seed(config, "halves"))


def _distances(judged: Judged, draws: HalfDraws) -> dict[str, dict]:
    """For `floor` and each method: {`kid`: {`relief`: D, `fused`: D}, `frechet`: ...}."""
    tables: dict[str, dict] = {name: {kind: {} for kind in DISTANCES} for name in ("floor", *judged.methods)}
    real, generated = _projected(judged)
    for kind, space in product(DISTANCES, real):
        floor = _distance(kind, real[space], real[space], draws, draws.other_real)
        tables["floor"][kind][space] = floor
        for name, faces in generated[space].items():
            measured = _distance(kind, real[space], faces, draws, draws.generated[name])
            beside = {"floor": {key: floor[key] for key in ("value", "interval")}} if "value" in floor else {}
            tables[name][kind][space] = measured | beside
    return tables


def _projected(judged: Judged) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Coordinates of real train by space, and of each method by space and name."""
    fused = fit_fused_space(judged.features["train"])
    real = {
        "relief": judged.relief.project(judged.means["train"]),
        "fused": fused.project(judged.features["train"]),
    }
    generated = {
        "relief": {name: judged.relief.project(judged.means[f"method/{name}"]) for name in judged.methods},
        "fused": {name: fused.project(judged.features[f"method/{name}"]) for name in judged.methods},
    }
    return real, generated


def _distance(kind: str, real: np.ndarray, other: np.ndarray, draws: HalfDraws, other_draws: np.ndarray) -> dict:
    if draws.n < 2:
        return {"reason": "some half of the real training people lacks an emotion: use more subjects"}
    values = DISTANCES[kind](real, other, draws.real, other_draws)
    return {
        "value": float(values.mean()),
        "interval": percentile_interval(values),
        "n_real": draws.n,
        "n_other": draws.n,
        "dimensions": real.shape[1],
    }


def _likeness(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method: `relief_residual`, `ssim` and `psnr`, beside the same for held-out real faces."""
    options = {"draws": config.evaluate.bootstrap, "seed": _seed(config, "likeness")}
    train, test = judged.train, judged.test
    real = summarise(nearest_similarity(test, train), test.subject, **options)
    result = {}
    for name, faces in judged.methods.items():
        ours = summarise(nearest_similarity(faces, train), np.arange(len(faces)), **options)
        result[name] = {
            "relief_residual": residual_ratio(
                judged.relief, judged.means[f"method/{name}"], judged.means["test"], test.subject, **options
            ),
            **{kind: ours[kind] | {"real": real[kind]} for kind in ours},
        }
    return result


def _unseen_people(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method: `trtr` (the same for all) and `tstr`, by classifier."""
    shared = np.intersect1d(judged.train.subject, judged.test.subject)
    if len(shared):
        reason = {"reason": f"{len(shared)} people are in both train and test: nobody is unseen (data.split = image)"}
        return {name: {"trtr": reason, "tstr": reason} for name in judged.methods}
    test = judged.labelled("test")
    exams = {name: unseen_people_exam(judged.labelled(name), test) for name in judged.features if name != "test"}
    keys = [(w, c, s) for w in exams for c in config.evaluate.classifiers for s in seeds_for(c, _seeds(config))]
    answers = sit({key: Sitting(exams[key[0]], *key[1:]) for key in keys})
    options = {"draws": config.evaluate.bootstrap, "seed": _seed(config, "unseen")}
    scores: dict[str, dict] = {name: {} for name in exams}
    for name, classifier in dict.fromkeys(key[:2] for key in keys):
        given = [answers[key] for key in keys if key[:2] == (name, classifier)]
        scores[name][classifier] = unseen_people_scores(exams[name], given, len(judged.train.emotions), **options)
    return {name: {"trtr": scores["train"], "tstr": scores[f"method/{name}"]} for name in judged.methods}


def _published(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method: `real` (the same for all), `synthetic` and `synthetic_real`, by classifier."""
    real, seeds = union(judged.labelled("train"), judged.labelled("test")), _seeds(config)
    sets = {("real", ""): real}
    for name in judged.methods:
        synthetic = judged.labelled(f"method/{name}")
        sets |= {("synthetic", name): synthetic, ("synthetic_real", name): union(synthetic, real)}
    exams = {which: published_exams(faces, seeds) for which, faces in sets.items()}
    keys = [(w, c, s) for w in sets for c in config.evaluate.classifiers for s in seeds_for(c, seeds)]
    answers = sit({(w, c, s): Sitting(exams[w][s], c, s) for w, c, s in keys})
    scores: dict[tuple[str, str], dict] = {which: {} for which in sets}
    for which, classifier in dict.fromkeys(key[:2] for key in keys):
        mine = [key for key in keys if key[:2] == (which, classifier)]
        scores[which][classifier] = published_scores(
            [exams[which][key[2]] for key in mine], [answers[key] for key in mine], len(judged.train.emotions)
        )
    return {
        name: {"real": scores["real", ""]} | {kind: scores[kind, name] for kind in ("synthetic", "synthetic_real")}
        for name in judged.methods
    }


def _data(config: Config, train: DepthFaces, test: DepthFaces) -> dict:
    return {
        "source": config.data.source,
        "emotions": list(train.emotions),
        "resolution": int(train.images.shape[-1]),
        "train": {"images": len(train), "subjects": len(np.unique(train.subject))},
        "test": {"images": len(test), "subjects": len(np.unique(test.subject))},
        "window_mm": [float(train.window.near_mm), float(train.window.far_mm)],
    }


def _settings(config: Config, draws: HalfDraws) -> dict:
    return {
        "feature_size": config.evaluate.feature_size,
        "seeds": _seeds(config),
        "bootstrap": config.evaluate.bootstrap,
        "kid_subsets": config.evaluate.kid_subsets,
        "kid_subset_size": draws.n,
    }


def _seeds(config: Config) -> list[int]:
    return list(range(config.evaluate.seed, config.evaluate.seed + config.evaluate.seeds))


def _seed(config: Config, purpose: str) -> int:
    return zlib.crc32(f"{config.evaluate.seed} {purpose}".encode())
