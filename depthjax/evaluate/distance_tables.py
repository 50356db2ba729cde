"""Every distance in every feature space, for each method, beside its floor between real people."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from depthjax.evaluate import neighbours
from depthjax.evaluate.distances import frechet_of_draws, kid_of_draws
from depthjax.evaluate.halves import HalfDraws
from depthjax.evaluate.intervals import percentile_interval
from depthjax.evaluate.judged import Judged
from depthjax.evaluate.parallel import in_threads

OfDraws = Callable[..., dict[str, np.ndarray]]  # of two sets and the draws of each: by name, a number a draw


def _kid(real: np.ndarray, other: np.ndarray, draws: np.ndarray, other_draws: np.ndarray) -> dict[str, np.ndarray]:
    return {"kid": kid_of_draws(real, other, draws, other_draws)}


def _frechet(real: np.ndarray, other: np.ndarray, draws: np.ndarray, other_draws: np.ndarray) -> dict[str, np.ndarray]:
    return {"frechet": frechet_of_draws(real, other, draws, other_draws)}


# What is made of the same matrices, together.
FAMILIES: dict[tuple[str, ...], OfDraws] = {
    ("kid",): _kid,
    ("frechet",): _frechet,
    tuple(neighbours.MEASURES): neighbours.of_draws,
}


def distance_tables(judged: Judged, draws: HalfDraws) -> dict[str, dict]:
    """For `floor` and each method: {`kid`: {SPACE: D}, ...}, and so on for each kind of `FAMILIES`."""
    names = ("floor", *judged.methods)
    jobs = list(product(FAMILIES, judged.spaces, names))
    found = dict(zip(jobs, in_threads(lambda job: _of_job(judged, draws, *job), jobs), strict=True))
    tables: dict[str, dict] = {name: {kind: {} for kinds in FAMILIES for kind in kinds} for name in names}
    for (kinds, space, name), distances in found.items():
        for kind, distance in distances.items():
            floor = found[kinds, space, "floor"][kind]
            beside = {"floor": {key: floor[key] for key in ("value", "interval")}} if "value" in floor else {}
            tables[name][kind][space] = distance if name == "floor" else distance | beside
    return tables


def _of_job(judged: Judged, draws: HalfDraws, kinds: tuple[str, ...], space: str, name: str) -> dict[str, dict]:
    sets, people, of_draws = judged.spaces[space], judged.train.subject, FAMILIES[kinds]
    if of_draws is neighbours.of_draws:  # generated faces are nobody's
        of_draws = partial(of_draws, x_people=people, y_people=people if name == "floor" else None)
    if name == "floor":
        return _distances(of_draws, kinds, sets["train"], sets["train"], draws, draws.other_real, judged.classes)
    generated = sets[f"method/{name}"]
    return _distances(of_draws, kinds, sets["train"], generated, draws, draws.generated[name], judged.classes)


def _distances(
    of_draws: OfDraws,
    kinds: tuple[str, ...],
    real: np.ndarray,
    other: np.ndarray,
    draws: HalfDraws,
    other_draws: np.ndarray,
    classes: int,
) -> dict[str, dict]:
    """D of each kind of a family."""
    if draws.n < 2:
        reason = {"reason": "some half of the real training people lacks an emotion: use more subjects"}
        return dict.fromkeys(kinds, reason)
    sizes = {"n_real": draws.n, "n_other": draws.n, "dimensions": real.shape[1]}
    found = of_draws(real, other, draws.real, other_draws)
    tables = {kind: _summary(values) | sizes for kind, values in found.items()}
    if "coverage" in tables and draws.real.shape[1] >= 2 * classes:
        # Each emotion by itself, its radii taken within it; draws hold emotion after emotion.
        parts = zip(np.split(draws.real, classes, axis=1), np.split(other_draws, classes, axis=1), strict=True)
        by_emotion = [_summary(of_draws(real, other, *part)["coverage"]) for part in parts]
        tables["coverage"] |= {"by_emotion": by_emotion}
    return tables


def _summary(values: np.ndarray) -> dict:
    return {"value": float(values.mean()), "interval": percentile_interval(values)}
