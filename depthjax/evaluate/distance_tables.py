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
    tables: dict[str, dict] = {name: {kind: {} for kind in DISTANCES} for name in ("floor", *judged.methods)}
    for kind, space in product(DISTANCES, judged.spaces):
        sets = judged.spaces[space]
        floor = _distance(kind, sets["train"], sets["train"], draws, draws.other_real)
        tables["floor"][kind][space] = floor
        for name in judged.methods:
            measured = _distance(kind, sets["train"], sets[f"method/{name}"], draws, draws.generated[name])
            beside = {"floor": {key: floor[key] for key in ("value", "interval")}} if "value" in floor else {}
            tables[name][kind][space] = measured | beside
    return tables


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
