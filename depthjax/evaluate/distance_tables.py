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

OfDraws = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
DISTANCES: dict[str, OfDraws] = {
    "kid": kid_of_draws,
    "frechet": frechet_of_draws,
    "precision": partial(neighbours.of_draws, neighbours.precision),
    "recall": partial(neighbours.of_draws, neighbours.recall),
    "density": partial(neighbours.of_draws, neighbours.density),
    "coverage": partial(neighbours.of_draws, neighbours.coverage),
}


def distance_tables(judged: Judged, draws: HalfDraws) -> dict[str, dict]:
    """For `floor` and each method: {`kid`: {SPACE: D}, ...}, and so on for each of `DISTANCES`."""
    names = ("floor", *judged.methods)
    jobs = list(product(DISTANCES, judged.spaces, names))
    found = dict(zip(jobs, in_threads(lambda job: _of_job(judged, draws, *job), jobs), strict=True))
    tables: dict[str, dict] = {name: {kind: {} for kind in DISTANCES} for name in names}
    for (kind, space, name), distance in found.items():
        floor = found[kind, space, "floor"]
        beside = {"floor": {key: floor[key] for key in ("value", "interval")}} if "value" in floor else {}
        tables[name][kind][space] = distance if name == "floor" else distance | beside
    return tables


def _of_job(judged: Judged, draws: HalfDraws, kind: str, space: str, name: str) -> dict:
    sets = judged.spaces[space]
    if name == "floor":
        return _distance(kind, sets["train"], sets["train"], draws, draws.other_real, judged.classes)
    return _distance(kind, sets["train"], sets[f"method/{name}"], draws, draws.generated[name], judged.classes)


def _by_emotion(
    real: np.ndarray, other: np.ndarray, draws: np.ndarray, other_draws: np.ndarray, classes: int
) -> dict[str, list[dict]]:
    """The coverage of each emotion by itself, its radii taken within it; draws hold emotion after emotion."""
    parts = zip(np.split(draws, classes, axis=1), np.split(other_draws, classes, axis=1), strict=True)
    if draws.shape[1] < 2 * classes:
        return {}
    found = [DISTANCES["coverage"](real, other, ours, theirs) for ours, theirs in parts]
    return {"by_emotion": [{"value": float(v.mean()), "interval": percentile_interval(v)} for v in found]}


def _distance(
    kind: str, real: np.ndarray, other: np.ndarray, draws: HalfDraws, other_draws: np.ndarray, classes: int
) -> dict:
    if draws.n < 2:
        return {"reason": "some half of the real training people lacks an emotion: use more subjects"}
    values = DISTANCES[kind](real, other, draws.real, other_draws)
    by_emotion = _by_emotion(real, other, draws.real, other_draws, classes) if kind == "coverage" else {}
    return by_emotion | {
        "value": float(values.mean()),
        "interval": percentile_interval(values),
        "n_real": draws.n,
        "n_other": draws.n,
        "dimensions": real.shape[1],
    }
