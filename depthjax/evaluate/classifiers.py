"""The paper's classifiers, at library defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from depthjax.errors import UserError


def _random_forest(seed: int) -> Any:
    return RandomForestClassifier(random_state=seed, n_jobs=1)


def _decision_tree(seed: int) -> Any:
    return DecisionTreeClassifier(random_state=seed)


def _xgboost(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=1, device=xgboost_device())


@lru_cache
def xgboost_device() -> str:
    """`cuda` where jax has a GPU and the installed xgboost can use one, else `cpu`; their trees differ by rounding."""
    import jax
    import xgboost

    on_gpu = any(device.platform == "gpu" for device in jax.devices())
    return "cuda" if on_gpu and xgboost.build_info().get("USE_CUDA") else "cpu"


# One thread each: many fits run side by side, and a fit gives the same trees on any number of cores.
CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "random_forest": _random_forest,
    "decision_tree": _decision_tree,
    "xgboost": _xgboost,
}
# Where fewer seeds than asked for are run: XGBoost at its defaults draws nothing at random, so that a second seed would
# repeat the first; a single tree only breaks ties at random, and takes as long as a forest.
MOST_SEEDS = {"xgboost": 1, "decision_tree": 3}


def build(name: str, seed: int) -> Any:
    """An unfitted classifier by name, with scikit-learn's `fit` and `predict`."""
    return CLASSIFIERS[name](seed)


def check_classifiers(names: Sequence[str]) -> None:
    """Raise a UserError for a name that is unknown or whose library is missing, before anything is computed."""
    for name in names:
        if name not in CLASSIFIERS:
            raise UserError(f"--config.evaluate.classifiers: '{name}' is not one of {', '.join(CLASSIFIERS)}")
        try:
            build(name, 0)
        except ImportError as error:
            raise UserError(
                f"evaluate: {name} cannot be imported ({error}): install depthjax's cpu extra, or leave it out of "
                "--config.evaluate.classifiers"
            ) from None
