"""Every measure of a set of faces: its protocol, spaces, function and reference stand in one row of `MEASURES`.

To add a measure, write a function of a `Task` that returns `(name, Estimate)` pairs, and add its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from depthjax.config import METHODS, Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.as_published import published_frechet, published_pairs, published_score
from depthjax.evaluate.bank import FeatureBank, seed_of
from depthjax.evaluate.distances import NEIGHBOUR_MEASURES, frechet_of_draws, kid_of_draws, neighbours_of_draws
from depthjax.evaluate.diversity import median_distance, ms_ssim, score, vendi_score
from depthjax.evaluate.memorisation import authentic, median_ratio, nearest_similarity
from depthjax.evaluate.parallel import in_threads
from depthjax.evaluate.resampling import (
    Estimate,
    HalfDraws,
    bootstrap_counts,
    bootstrap_mean,
    over_draws,
    percentile_interval,
)
from depthjax.evaluate.spaces import residual_ratio
from depthjax.scores import Score

VENDI_DRAWS = 30
BANDWIDTH_FACES = 1000  # the bandwidth of Vendi's kernel is taken from about this many training faces
PAIRS = 100  # of each emotion, for MS-SSIM
CHUNK = 25  # pairs at once: bounds the memory
MIN_PIXELS = 11  # the window of MS-SSIM
INCEPTION_SPLITS = 10
ALL, LARGEST = "all spaces", "largest network"
UNKNOWN = "depthnet does not know all of these emotions"
NO_INCEPTION = (
    "no Inception weights were given, so there is no FID and no Inception Score: name the file that "
    "tools/convert_inception_weights.py makes in --config.evaluate.inception"
)

Estimates = list[tuple[str, Estimate]]  # by the measure's name


@dataclass(frozen=True)
class Task:
    """One set of faces to be measured in one space."""

    config: Config
    bank: FeatureBank
    draws: HalfDraws
    name: str  # of the set: `train` or `test` for a row of `real`, else a method
    space: str  # a space of the bank, or `pixels`

    @property
    def faces(self) -> DepthFaces:
        """The faces of the set."""
        return self.bank.sets[self.name]

    @property
    def features(self) -> np.ndarray:
        """(n, d) coordinates of the set."""
        return self.bank.spaces[self.space][self.name]

    @property
    def train(self) -> np.ndarray:
        """(m, d) coordinates of the training faces."""
        return self.bank.spaces[self.space]["train"]

    @property
    def subjects(self) -> np.ndarray | None:
        """(n,) subjects; None of generated faces: each stands by itself."""
        return None if self.name in self.bank.methods else self.faces.subject

    @property
    def groups(self) -> np.ndarray:
        """(n,) what a bootstrap resamples."""
        return np.arange(len(self.faces)) if self.subjects is None else self.subjects

    def options(self, purpose: str) -> dict[str, int]:
        """Return draws and seed of a bootstrap."""
        return {"draws": self.config.evaluate.bootstrap, "seed": seed_of(self.config, purpose)}

    def mean(self, values: np.ndarray, purpose: str) -> Estimate:
        """Return the mean of (n,) values, with an interval over `groups`."""
        return bootstrap_mean(values, self.groups, **self.options(purpose))


@dataclass(frozen=True)
class Measure:
    """A row of `MEASURES`."""

    protocol: str  # of its scores
    space: str  # that it is taken in; ALL, or the LARGEST network's: inception with weights, else depthnet
    function: Callable[[Task], Estimates]
    reference: str = ""  # the set behind the row of `real`, `train` or `test`; empty: there is no such row


def measure_faces(
    config: Config, bank: FeatureBank, draws: HalfDraws, measures: Sequence[Measure] | None = None
) -> list[Score]:
    """Return the scores of the measures (default: all), in every space, for `real` and each method; on all cores."""
    jobs = [
        (measure, method, Task(config, bank, draws, measure.reference if method == "real" else method, space))
        for measure in (MEASURES if measures is None else measures)
        for space in _spaces(measure, bank)
        for method in (("real",) if measure.reference else ()) + tuple(bank.methods)
    ]
    found = in_threads(lambda job: job[0].function(job[2]), jobs)
    return [
        Score(method, measure.protocol, measure=name, space=task.space, **asdict(estimate))
        for (measure, method, task), estimates in zip(jobs, found, strict=True)
        for name, estimate in estimates
    ]


def kid(task: Task) -> Estimates:
    """KID in half-sets of one size."""
    return _over_halves(task, lambda *sets: {"kid": kid_of_draws(*sets)}, ["kid"])


def frechet(task: Task) -> Estimates:
    """Fréchet distance of half-sets of one size."""
    return _over_halves(task, lambda *sets: {"frechet": frechet_of_draws(*sets)}, ["frechet"])


def neighbours(task: Task) -> Estimates:
    """Measures over the nearest neighbours among other subjects; coverage also for each emotion by itself."""
    measured = partial(neighbours_of_draws, x_subjects=task.bank.train.subject, y_subjects=task.subjects)
    found = _over_halves(task, measured, list(NEIGHBOUR_MEASURES))
    classes, draws = task.bank.classes, task.draws
    if draws.n < 2 * classes:
        return found
    # Radii are taken within the emotion; draws hold emotion after emotion.
    of_emotion = [np.split(rows, classes, axis=1) for rows in (draws.real, draws.others(task.name))]
    for emotion, rows, other in zip(task.bank.train.emotions, *of_emotion, strict=True):
        values = measured(task.train, task.features, rows, other)["coverage"]
        found.append(("coverage", replace(over_draws(values, rows.shape[1]), emotion=emotion)))
    return found


def _over_halves(task: Task, function: Callable[..., Mapping[str, np.ndarray]], names: Sequence[str]) -> Estimates:
    """Return measures of half of the training faces and a half of the set, as means over the draws."""
    draws = task.draws
    if draws.n < 2:
        reason = "some half of the training subjects lacks an emotion: use more subjects"
        return [(name, Estimate(reason=reason)) for name in names]
    found = function(task.train, task.features, draws.real, draws.others(task.name))
    return [(name, over_draws(values, draws.n)) for name, values in found.items()]


def residual(task: Task) -> Estimates:
    """What lies outside the relief space, relative to held-out faces."""
    bank, options = task.bank, task.options("likeness")
    own, held_out = bank.means[task.name], bank.means["test"]
    return [("residual_ratio", residual_ratio(bank.relief, own, held_out, bank.test.subject, **options))]


def similarity(task: Task) -> Estimates:
    """SSIM and PSNR of each face and its nearest training face; `identical` counts the faces equal to theirs."""
    values = nearest_similarity(task.faces, task.bank.train)
    found = [(name, task.mean(values[name], "likeness")) for name in ("ssim", "psnr")]
    if task.config.sample.noise and task.name in METHODS:
        identical = Estimate(reason="fresh noise was added to each face, so none could be identical")
    else:
        identical = Estimate(float(values["identical"].sum()), n=len(task.faces))
    return [*found, ("identical", identical)]


def vendi(task: Task) -> Estimates:
    """The Vendi score within an emotion, mean over emotions, over draws of equally many faces of each."""
    draws, classes = task.draws, task.bank.classes
    if draws.n < 2 * classes:
        return [("vendi", Estimate(reason="too few faces of an emotion"))]
    bandwidth = median_distance(task.train[:: max(1, len(task.train) // BANDWIDTH_FACES)])
    drawn = draws.real if task.name == "train" else draws.generated[task.name]
    rows = drawn[:VENDI_DRAWS].reshape(len(drawn[:VENDI_DRAWS]), classes, -1)
    scores = [[vendi_score(task.features[members], bandwidth) for members in row] for row in rows]
    return [("vendi", over_draws(np.mean(scores, axis=1), rows.shape[2]))]


def similarity_within(task: Task) -> Estimates:
    """MS-SSIM of random pairs of one emotion and, where the set has subjects, of two of them."""
    faces = task.faces
    if min(faces.images.shape[1:]) < MIN_PIXELS:
        return [("ms_ssim", Estimate(reason=f"images below {MIN_PIXELS} pixels"))]
    rng, pairs = np.random.default_rng(seed_of(task.config, "ms-ssim")), []
    for label in range(len(faces.emotions)):
        members = np.flatnonzero(faces.emotion == label)
        drawn = rng.choice(members, (20 * PAIRS, 2))
        other = drawn[faces.subject[drawn[:, 0]] != faces.subject[drawn[:, 1]]]
        pairs.append(other[:PAIRS])
    a, b = np.concatenate(pairs).T
    if not len(a):
        return [("ms_ssim", Estimate(reason="no two subjects show one emotion"))]
    levels, starts = quantise(faces.images), range(0, len(a), CHUNK)
    values = np.concatenate([ms_ssim(levels[a[i : i + CHUNK]], levels[b[i : i + CHUNK]]) for i in starts])
    return [("ms_ssim", bootstrap_mean(values, np.arange(len(values)), **task.options("ms-ssim interval")))]


def auth_pct(task: Task) -> Estimates:
    """The share of faces that are no copies by AuthPct."""
    return [("auth_pct", task.mean(authentic(task.features, task.train).astype(float), "copies"))]


def nearest_ratio(task: Task) -> Estimates:
    """The distance to the nearest training face, relative to held-out faces."""
    held_out, ours = (task.bank.nearest_train(task.space, name)[1] for name in ("test", task.name))
    return [("nearest_ratio", median_ratio(ours, held_out, task.bank.test.subject, **task.options("copies")))]


def emotions(task: Task) -> Estimates:
    """How often depthnet reads the intended emotion, and the Inception Score's formula on its probabilities."""
    if task.space not in task.bank.probabilities:
        return [(name, Estimate(reason=UNKNOWN)) for name in ("agreement", "score")]
    shares = task.bank.probabilities[task.space][task.name]
    right = (shares.argmax(axis=1) == task.faces.emotion).astype(np.float64)
    options = task.options("emotions")
    counts = bootstrap_counts(task.groups, options["draws"], np.random.default_rng(options["seed"]))
    drawn = np.array([score(shares, weights) for weights in counts])
    estimate = Estimate(score(shares), *percentile_interval(drawn), n=len(right))
    return [("agreement", task.mean(right, "emotions")), ("score", estimate)]


def inception_score(task: Task) -> Estimates:
    """The Inception Score: the mean over ten splits, as it is defined."""
    if task.space not in task.bank.probabilities:
        return [("inception_score", Estimate(reason=NO_INCEPTION))]
    probabilities = task.bank.probabilities[task.space][task.name]
    values = np.array([score(part) for part in np.array_split(probabilities, INCEPTION_SPLITS) if len(part)])
    reason = f"no interval; standard deviation over {len(values)} splits: {values.std():.4f}"
    return [("inception_score", Estimate(float(values.mean()), n=len(probabilities), reason=reason))]


def released_distance(task: Task) -> Estimates:
    """The released formulas for Fréchet distance and Inception Score, against training and held-out faces together."""
    held_out = task.bank.spaces[task.space]["test"][task.bank.own_test(task.config)]
    real = np.concatenate([task.train, held_out])
    distance = Estimate(published_frechet(real, task.features), n=len(task.features))
    found = Estimate(reason=UNKNOWN)
    if task.space in task.bank.probabilities:
        value = published_score(task.bank.probabilities[task.space][task.name])
        found = Estimate(value, n=len(task.features))
    return [("frechet", distance), ("score", found)]


def released_similarity(task: Task) -> Estimates:
    """The released formulas for SSIM and PSNR, over faces paired by their order."""
    train, test = task.bank.train, task.bank.test.take(task.bank.own_test(task.config))
    names = ("images", "emotion", "subject", "frame")
    joined = {name: np.concatenate([getattr(faces, name) for faces in (train, test)]) for name in names}
    real = DepthFaces(**joined, emotions=train.emotions, depth_range=train.depth_range)
    found = published_pairs(real, task.faces)
    return [(name, Estimate(value)) for name, value in found.items()]


def _spaces(measure: Measure, bank: FeatureBank) -> Sequence[str]:
    if measure.space == ALL:
        return tuple(bank.spaces)
    if measure.space == LARGEST:
        return ("inception",) if "inception" in bank.spaces else ("depthnet",)
    return (measure.space,)


MEASURES: tuple[Measure, ...] = (
    Measure("distance", ALL, kid, "train"),
    Measure("distance", ALL, frechet, "train"),
    Measure("distance", ALL, neighbours, "train"),
    Measure("distance", "relief", residual),
    Measure("nearest", "pixels", similarity, "test"),
    Measure("diversity", ALL, vendi, "train"),
    Measure("diversity", "pixels", similarity_within, "train"),
    Measure("memorisation", ALL, auth_pct, "test"),
    Measure("memorisation", ALL, nearest_ratio),
    Measure("emotion", "depthnet", emotions, "test"),
    Measure("emotion", "inception", inception_score, "test"),
    Measure("as_published", LARGEST, released_distance),
    Measure("as_published", "pixels", released_similarity),
)
