"""The paper's classifiers at library defaults and two others: splits to fit them on, predictions and scores.

TRTR: fitted on training faces, tested on unseen subjects. TSTR: fitted on generated faces, tested on subjects that
neither classifier nor generator has seen. Published: the released scripts' protocol with its flaws, under that name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from depthjax.errors import UserError
from depthjax.evaluate.adapted_head import AdaptedHead
from depthjax.evaluate.network import SmallNetwork
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, percentile_interval
from depthjax.parallel import in_threads

MEASURES = ("accuracy", "precision", "recall", "f1")
TEST_FRACTION = 0.2  # of the published protocol
Key = TypeVar("Key", bound=Hashable)


def _xgboost(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=1, device=xgboost_device())


@lru_cache
def xgboost_device() -> str:
    """Return `cuda` where jax and the installed xgboost can use a GPU, else `cpu`; their trees differ by rounding."""
    import jax
    import xgboost

    on_gpu = any(device.platform == "gpu" for device in jax.devices())
    return "cuda" if on_gpu and xgboost.build_info().get("USE_CUDA") else "cpu"


# One thread each: many fits run side by side, and a fit gives the same trees on any number of cores.
CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "random_forest": lambda seed: RandomForestClassifier(random_state=seed, n_jobs=1),
    "decision_tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "xgboost": _xgboost,
    "depthnet": lambda seed: LogisticRegression(C=PENALTY, max_iter=1000, random_state=seed),
    "network": SmallNetwork,
    "recogniser": lambda seed: AdaptedHead(),
}
TREES = ("random_forest", "decision_tree", "xgboost")  # of the published protocol
HANDCRAFTED, DEPTHNET, BOXES, RECOGNISER = "handcrafted", "depthnet", "boxes", "recogniser"  # kinds of `INPUTS`
AS_THEY_ARE = (BOXES, RECOGNISER)  # not standardised: pixels in one unit; features that a head is given for
PENALTY = 0.01  # C of the logistic regression, on standardised features
# Fewer seeds than asked for: XGBoost at its defaults and the linear classifiers draw nothing at random, so a second
# seed would repeat the first; a single tree only breaks ties at random; a network takes seconds.
MAX_SEEDS = {"xgboost": 1, "depthnet": 1, "recogniser": 1, "decision_tree": 3, "network": 3}


def check_classifiers(names: Sequence[str]) -> None:
    """Raise a UserError for a name that is unknown or whose library is missing, before anything is computed."""
    for name in names:
        if name not in CLASSIFIERS:
            raise UserError(f"--config.evaluate.classifiers: '{name}' is not one of {', '.join(CLASSIFIERS)}")
        try:
            CLASSIFIERS[name](0)
        except ImportError as error:
            raise UserError(
                f"evaluate: {name} cannot be imported ({error}): install depthjax's cpu extra, or leave it out of "
                "--config.evaluate.classifiers"
            ) from None


def seeds_for(classifier: str, seeds: Sequence[int]) -> list[int]:
    """Return the seeds worth running: the first few for a classifier that draws little or nothing at random."""
    return list(seeds[: MAX_SEEDS.get(classifier, len(seeds))])


@dataclass(frozen=True)
class Labelled:
    """Features (n, d) of one kind of `INPUTS`, with their emotion (n,) and subject (n,)."""

    features: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def take(self, index: np.ndarray) -> Labelled:
        """Return the faces at `index` (integers or a mask), in that order."""
        return Labelled(self.features[index], self.emotion[index], self.subject[index])

    def scaled(self, fitted_on: slice, bins: int | None) -> Labelled:
        """Return float32 features standardised on the rows `fitted_on`, and rounded to `bins` of their quantiles."""
        features = StandardScaler().fit(self.features[fitted_on]).transform(self.features).astype(np.float32)
        if bins is not None:
            features = to_quantiles(features, quantile_edges(features[fitted_on], bins))
        return Labelled(features, self.emotion, self.subject)


def union(*sets: Labelled) -> Labelled:
    """Return all rows of the first set, then all of the second, and so on."""
    columns = zip(*((faces.features, faces.emotion, faces.subject) for faces in sets), strict=True)
    return Labelled(*(np.concatenate(column) for column in columns))


def quantile_edges(features: np.ndarray, bins: int) -> np.ndarray:
    """Return the (d, bins - 1) inner edges of equally filled bins of the columns of (n, d), by linear interpolation.

    A tree compares values of one feature at a time, so only their order matters: rounded to quantiles, trees grow in
    two thirds of the time. A column that is constant but for fewer than one face in `bins` may become constant.
    """
    columns = np.sort(features.T, axis=1)
    place = np.linspace(0, len(features) - 1, bins + 1)[1:-1]
    low = place.astype(int)
    high = np.minimum(low + 1, len(features) - 1)
    below, above = columns[:, low], columns[:, high]
    return below + (above - below) * (place - low).astype(features.dtype)


def to_quantiles(features: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each value, an edge in the upper one: (n, d) float32 from 0 to bins - 1."""
    numbers = np.empty(features.shape, np.float32)
    for column, inner in enumerate(edges):
        numbers[:, column] = np.searchsorted(inner, features[:, column], side="right")
    return numbers


@dataclass(frozen=True)
class Split:
    """Faces whose rows `train` a classifier is fitted on, and whose rows `test` it predicts."""

    faces: Labelled
    train: np.ndarray
    test: np.ndarray
    weight: np.ndarray | None = None  # of each row of `train`, 1 by default

    @property
    def actual(self) -> np.ndarray:
        """(n_test,) emotions to predict."""
        return self.faces.emotion[self.test]


def unseen_subjects_split(
    train: Labelled, test: Labelled, *, bins: int | None = None, standardise: bool = True
) -> Split:
    """Return the split of TRTR, TSTR or TRTS: scaler and quantiles are fitted on `train` only."""
    faces, rows = union(train, test), np.arange(len(train) + len(test))
    if standardise:
        faces = faces.scaled(slice(len(train)), bins)
    return Split(faces, rows[: len(train)], rows[len(train) :])


def published_splits(faces: Labelled, seeds: Sequence[int], *, bins: int | None = None) -> list[Split]:
    """Return one split a seed by the released protocol: 80/20 by random image within emotions.

    The scaler is fitted on everything, and frames of one subject fall on both sides: a score from here says nothing
    about unseen subjects.
    """
    scaled = faces.scaled(slice(None), bins)
    masks = [_random_fifth(faces.emotion, seed) for seed in seeds]
    return [Split(scaled, np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]


def _random_fifth(emotion: np.ndarray, seed: int) -> np.ndarray:
    rng, test = np.random.default_rng(seed), np.zeros(len(emotion), bool)
    for label in np.unique(emotion):
        members = rng.permutation(np.flatnonzero(emotion == label))
        test[members[: max(1, round(TEST_FRACTION * len(members)))]] = True
    return test


@dataclass(frozen=True)
class FitTask:
    """One classifier with one seed, to be fitted on one split."""

    split: Split
    classifier: str
    seed: int

    def predict(self) -> np.ndarray:
        """Fit, and return the (n_test,) predicted emotions."""
        faces, train, test = self.split.faces, self.split.train, self.split.test
        model = CLASSIFIERS[self.classifier](self.seed)
        model.fit(faces.features[train], faces.emotion[train], sample_weight=self.split.weight)
        return np.asarray(model.predict(faces.features[test])).astype(np.int64)


def fit_predict(tasks: Mapping[Key, FitTask] | Iterable[tuple[Key, FitTask]]) -> dict[Key, np.ndarray]:
    """Return the predictions of every task, on all cores.

    Of a mapping, those that take longest begin first. Pairs are drawn as they come, each when a core is free for it.
    """

    def cost(pair: tuple[Key, FitTask]) -> tuple[bool, int]:
        return pair[1].classifier == "xgboost", len(pair[1].split.train)

    pairs = sorted(tasks.items(), key=cost, reverse=True) if isinstance(tasks, Mapping) else tasks
    return dict(in_threads(lambda pair: (pair[0], pair[1].predict()), pairs))


def macro_scores(actual: np.ndarray, predicted: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
    """Return (draws, 4) accuracy, macro precision, recall and F1 of (n,) labels, counted `counts` (draws, n) times.

    A class that is never predicted has a precision of 0, one that never occurs a recall of 0. All lie in [0, 1].
    """
    cell = np.eye(classes**2)[actual * classes + predicted]
    confusion = (counts @ cell).reshape(len(counts), classes, classes)
    hits, occurring, called = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(2), confusion.sum(1)
    precision, recall = _ratio(hits, called), _ratio(hits, occurring)
    f1 = _ratio(2 * hits, occurring + called)
    return np.stack([_ratio(hits.sum(1), counts.sum(1)), precision.mean(1), recall.mean(1), f1.mean(1)], axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


@dataclass(frozen=True)
class ClassifierScores:
    """The scores of one classifier, by measure: `estimates` over its seeds, and `runs`, (seeds,) of each alone."""

    estimates: dict[str, Estimate]
    runs: dict[str, np.ndarray]


def scores_over_subjects(
    actual: np.ndarray, subject: np.ndarray, predicted: Sequence[np.ndarray], classes: int, *, draws: int, seed: int
) -> ClassifierScores:
    """Return mean scores over the classifier's seeds, with a bootstrap over the (n,) test subjects.

    `predicted` holds (n,) emotions, one array a seed. With one subject alone, there is no interval but a reason.
    """
    counts = bootstrap_counts(subject, draws, np.random.default_rng(seed))
    once = np.ones((1, len(actual)))
    table = np.concatenate([macro_scores(actual, p, once, classes) for p in predicted])
    drawn = np.mean([macro_scores(actual, p, counts, classes) for p in predicted], axis=0)
    means, n = table.mean(0).tolist(), len(actual)
    if len(np.unique(subject)) < 2:
        reason = "no interval: there is only one test subject to resample"
        return _by_measure([Estimate(mean, n=n, reason=reason) for mean in means], table)
    pairs = zip(means, drawn.T, strict=True)
    return _by_measure([Estimate(mean, *percentile_interval(column), n=n) for mean, column in pairs], table)


def scores_over_splits(actual: Sequence[np.ndarray], predicted: Sequence[np.ndarray], classes: int) -> ClassifierScores:
    """Return mean scores over random splits, one a seed; intervals show how these scatter, not other subjects.

    `actual` and `predicted` hold (n_test,) emotions, one array a seed.
    """
    pairs = zip(actual, predicted, strict=True)
    table = np.concatenate([macro_scores(a, p, np.ones((1, len(p))), classes) for a, p in pairs])
    return _by_measure([_over_seeds(column, len(actual[0])) for column in table.T], table)


def _over_seeds(values: np.ndarray, n: int) -> Estimate:
    """Return the mean with the middle 95 % of the seeds, or their range if there are fewer than three."""
    if len(values) < 2:
        return Estimate(float(values.mean()), n=n, reason="no interval: one seed was run")
    low, high = percentile_interval(values) if len(values) >= 3 else (float(values.min()), float(values.max()))
    return Estimate(float(values.mean()), low, high, n=n)


def _by_measure(estimates: Sequence[Estimate], table: np.ndarray) -> ClassifierScores:
    return ClassifierScores(dict(zip(MEASURES, estimates, strict=True)), dict(zip(MEASURES, table.T, strict=True)))
