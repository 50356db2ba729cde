"""One recipe's faces judged cheaply: the yardsticks of a comparison between recipes, a number each.

Distances stand beside their floor, diversity beside that of real faces, everything on the evaluator's own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.copies import median_ratio, to_train
from depthjax.evaluate.distances import frechet_of_draws, kid_of_draws
from depthjax.evaluate.diversity import median_distance, vendi_score
from depthjax.evaluate.emotion_scores import agreement
from depthjax.evaluate.halves import HalfDraws, draw_halves
from depthjax.evaluate.intervals import bootstrap_mean, percentile_interval
from depthjax.evaluate.judged import Judged, measure, seed_of
from depthjax.evaluate.parallel import in_threads
from depthjax.evaluate.protocols import Labelled, Sitting, sit, unseen_people_exam
from depthjax.evaluate.relief import checkerboard_ratio, holes_ratio, residual_ratio
from depthjax.evaluate.scores import unseen_people_scores

SPACES = ("relief", "depthnet")  # never `fused`: noise and upsampling texture decide it
DISTANCES = {"frechet": frechet_of_draws, "kid": kid_of_draws}
CLASSIFIERS = ("random_forest", "xgboost")
DRAWS = 20  # of halves
NAME, EVERYONE = "recipe", "everyone"
Numbers = dict[str, dict[str, Any]]


def judge_recipe(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    faces: DepthFaces,
    cache: Path,
    *,
    drawn: np.ndarray | None = None,
) -> Numbers:
    """Every yardstick of one recipe's faces, by name.

    Args:
        train: real faces that the recipe learnt from.
        test: real faces of unseen people.
        faces: generated, equally many of each emotion.
        cache: folder of features that are slow to take.
        drawn: (n, h, w) the same faces as the generator drew them, if noise or filters came over them since: the
            checkerboard is looked for there.
    Returns:
        {`frechet_relief`: {`value`, `interval`, `floor`, `excess`}, and `frechet_depthnet`, `kid_relief`,
        `kid_depthnet`; `vendi` and `spread`: {`value`, `interval`}, real is 1; `tstr_CLASSIFIER`, `agreement`,
        `nearest_ratio`, `residual`, `checkerboard`, `holes`: {`value`, `interval`}}; a yardstick without a value has a
        `reason`.
    """
    judged = measure(config, train, test, {NAME: faces}, cache, lambda line: None)
    draws = draw_halves(train, {NAME: faces, EVERYONE: train}, draws=DRAWS, seed=seed_of(config, "recipe halves"))
    if draws.n < 2 * judged.classes:
        raise ValueError(f"{draws.n} faces in each half are too few: make more of each emotion")
    found = {f"{kind}_{space}": _distance(judged, draws, kind, space) for kind in DISTANCES for space in SPACES}
    found |= {"vendi": _beside_real(judged, draws, _vendi), "spread": _beside_real(judged, draws, _mean_distance)}
    taught = taught_scores(config, judged.labelled(f"method/{NAME}"), judged.labelled("test"), judged.classes)
    found |= {f"tstr_{name}": score for name, score in taught.items()}
    return found | {
        "agreement": _agreement(config, judged),
        "nearest_ratio": _nearest_ratio(config, judged),
        "residual": _residual(config, judged),
        "checkerboard": _beside_test(
            config, "checkerboard", checkerboard_ratio, faces.images if drawn is None else drawn, test
        ),
        "holes": _beside_test(config, "holes", holes_ratio, faces.images, test),
    }


def judge_real(config: Config, train: DepthFaces, test: DepthFaces, cache: Path) -> Numbers:
    """The ceiling: classifiers taught by the real faces themselves, as `trtr_CLASSIFIER`."""
    judged = measure(config, train, test, {NAME: train}, cache, lambda line: None)
    taught = taught_scores(config, judged.labelled("train"), judged.labelled("test"), judged.classes)
    return {f"trtr_{name}": score for name, score in taught.items()}


def taught_scores(config: Config, learnt: Labelled, test: Labelled, classes: int) -> Numbers:
    """Accuracy on unseen real people of each classifier taught by `learnt`, with a bootstrap over these people."""
    exam = unseen_people_exam(learnt, test, bins=config.evaluate.bins)
    answers = sit({name: Sitting(exam, name, config.evaluate.seed) for name in CLASSIFIERS})
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "unseen")}
    return {name: unseen_people_scores(exam, [answers[name]], classes, **options)["accuracy"] for name in CLASSIFIERS}


def _distance(judged: Judged, draws: HalfDraws, kind: str, space: str) -> dict[str, Any]:
    sets, measured = judged.spaces[space], DISTANCES[kind]
    values = measured(sets["train"], sets[f"method/{NAME}"], draws.real, draws.generated[NAME])
    floor = float(measured(sets["train"], sets["train"], draws.real, draws.other_real).mean())
    value = float(values.mean())
    return {"value": value, "interval": percentile_interval(values), "floor": floor, "excess": value - floor}


def _beside_real(judged: Judged, draws: HalfDraws, measured: Callable[[np.ndarray, float], float]) -> dict[str, Any]:
    """A diversity within an emotion, mean over emotions, as a share of that of as many real faces.

    Of these people all are drawn from, not a half as for the distances: half of the people are less diverse.
    """
    sets = judged.spaces["relief"]
    width = median_distance(sets["train"][:: max(1, len(sets["train"]) // 1000)])

    def mean_of(features: np.ndarray, row: np.ndarray) -> float:
        return float(np.mean([measured(features[part], width) for part in np.split(row, judged.classes)]))

    def ratio(i: int) -> float:
        ours = mean_of(sets[f"method/{NAME}"], draws.generated[NAME][i])
        return ours / mean_of(sets["train"], draws.generated[EVERYONE][i])

    ratios = np.array(in_threads(ratio, range(len(draws.real))))
    return {"value": float(ratios.mean()), "interval": percentile_interval(ratios)}


def _vendi(features: np.ndarray, width: float) -> float:
    return vendi_score(features, width)


def _mean_distance(features: np.ndarray, width: float) -> float:
    del width
    return float(cdist(features, features)[np.triu_indices(len(features), 1)].mean())


def _agreement(config: Config, judged: Judged) -> dict[str, Any]:
    if judged.probabilities is None:
        return {"reason": "depthnet does not know all of these emotions"}
    faces, shares = judged.methods[NAME], judged.probabilities[f"method/{NAME}"]
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "emotions")}
    return bootstrap_mean(agreement(shares, faces.emotion), np.arange(len(faces)), **options)


def _nearest_ratio(config: Config, judged: Judged) -> dict[str, Any]:
    apart = {name: to_train(judged, "relief", name)[1] for name in (f"method/{NAME}", "test")}
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "copies")}
    return median_ratio(apart[f"method/{NAME}"], apart["test"], judged.test.subject, **options)


def _residual(config: Config, judged: Judged) -> dict[str, Any]:
    means, options = judged.means, {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "likeness")}
    found = residual_ratio(judged.relief, means[f"method/{NAME}"], means["test"], judged.test.subject, **options)
    return _named_value(found)


def _beside_test(
    config: Config, name: str, ratio: Callable[..., dict[str, Any]], images: np.ndarray, test: DepthFaces
) -> dict[str, Any]:
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, name)}
    return _named_value(ratio(images, test.images, test.subject, **options))


def _named_value(found: dict[str, Any]) -> dict[str, Any]:
    return {"value": found.pop("ratio"), **found} if "ratio" in found else found
