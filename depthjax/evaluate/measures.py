"""Every measure of a set of faces: its protocol, spaces, function and anchors stand in one row of `MEASURES`.

To add a measure, write a function of a `Task` that returns `(name, Estimate)` pairs, and add its row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import joblib
import numpy as np

from depthjax.config import Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces, joined
from depthjax.evaluate.bank import FeatureBank, seed_of
from depthjax.evaluate.c2st import c2st, c2st_of_halves
from depthjax.evaluate.classification import Labelled
from depthjax.evaluate.distances import (
    NEIGHBOUR_MEASURES,
    frechet_of_draws,
    kid,
    kid_of_halves,
    neighbours_of_draws,
    published_frechet,
    published_pairs,
    published_score,
)
from depthjax.evaluate.diversity import gaussian_kernel, ms_ssim, rke_score, score, vendi_score
from depthjax.evaluate.memorisation import likelihoods, near_share, nearest_similarity, planted, signs
from depthjax.evaluate.resampling import (
    EqualDraws,
    Estimate,
    bootstrap_counts,
    bootstrap_mean,
    equal_draws,
    over_draws,
    percentile_interval,
    weighted_means,
    with_interval,
)
from depthjax.evaluate.spaces import Sides, residual_ratio
from depthjax.parallel import each_in_process, in_threads
from depthjax.scores import Score

LABELLED_FACES = 4000  # of a set, for KID: its kernel between faces grows with their square
PAIRS = 100  # of each emotion, for MS-SSIM
CHUNK = 25  # pairs at once: bounds the memory
PLANTED = (0.1, 0.3)  # shares of near-copies
MIN_PIXELS = 11  # the window of MS-SSIM
INCEPTION_SPLITS = 10
WORTH_PROCESSES = 3000  # faces of all sets: below it, starting processes takes longer than the work
ALL, LARGEST = "all spaces", "largest network"
ANCHORS = ("held_out", "copies", "gaussian")  # sets whose distances and variety methods are compared with
BOTH = ("train", "test")
BY_EMOTION = ("frechet", "coverage")  # measures of draws that have a row for each emotion, too
TOO_FEW = "fewer than two subjects in some emotion of a set, or of a half of the reference's subjects"
HALF = "half of the held-out subjects do not show every emotion"
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
    draws: Mapping[str, EqualDraws]  # for distances to `train` and to `test`, and within sets, under ""
    name: str  # of the set: `train` or `test` for a row of `real` or `held_out`, else a method or a control
    space: str  # a space of the bank, or `pixels`
    against: str = ""  # of a distance, the set that it is to: `train` or `test`

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
    def groups(self) -> np.ndarray:
        """(n,) what a bootstrap resamples: subjects, or generated faces, each of which stands by itself."""
        return self._groups_of(self.name)

    def labelled(self, name: str) -> Labelled:
        """Return at most LABELLED_FACES in this space, drawn at random; a generated face is its own subject."""
        faces = Labelled(self.bank.spaces[self.space][name], self.bank.sets[name].emotion, self._groups_of(name))
        if len(faces) <= LABELLED_FACES:
            return faces
        rng = np.random.default_rng(seed_of(self.config, f"labelled {name}"))
        return faces.take(rng.permutation(len(faces))[:LABELLED_FACES])

    def _groups_of(self, name: str) -> np.ndarray:
        faces = self.bank.sets[name]
        return faces.subject if name in ("train", "test") else -1 - np.arange(len(faces))

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
    anchors: tuple[str, ...] = ()  # further rows: `held_out`, or names of controls
    against: tuple[str, ...] = ("",)  # the sets that a distance is to, `train` and `test`


def measure_faces(config: Config, bank: FeatureBank, measures: Sequence[Measure] | None = None) -> list[Score]:
    """Return the scores of the measures (default: all), in every space, for `real` and each method; on all cores."""
    chosen, draws = MEASURES if measures is None else measures, _draws(config, bank)
    jobs = [
        (measure, method, Task(config, bank, draws, _set_of(measure, method), space, against))
        for measure in chosen
        for space in _spaces(measure, bank)
        for against in measure.against
        for method in (("real",) if measure.reference else ()) + measure.anchors + tuple(bank.methods)
    ]
    # Much of this is small steps, which threads would take in turns.
    large = sum(len(faces) for faces in bank.sets.values()) >= WORTH_PROCESSES and joblib.cpu_count() > 1
    found = each_in_process(_estimates, jobs) if large else in_threads(_estimates, jobs)
    return [
        Score(method, measure.protocol, measure=name, space=task.space, against=task.against, **asdict(estimate))
        for (measure, method, task), estimates in zip(jobs, found, strict=True)
        for name, estimate in estimates
    ]


def _estimates(job: tuple[Measure, str, Task]) -> Estimates:
    measure, _, task = job
    return measure.function(task)


def _set_of(measure: Measure, method: str) -> str:
    return {"real": measure.reference, "held_out": "test"}.get(method, method)


def _draws(config: Config, bank: FeatureBank) -> dict[str, EqualDraws]:
    """Return draws of the sets that stand in one table: for distances to `train`, to `test`, and for none."""
    anchors = {name: faces for name, faces in bank.controls.items() if name in ANCHORS}
    sets = {"train": bank.train, "test": bank.test, **bank.methods, **anchors}
    draws, seed = config.evaluate.equal_draws, seed_of(config, "equal draws")
    return {name: equal_draws(sets, draws=draws, seed=seed, reference=name) for name in ("train", "test", "")}


def kernel_distance(task: Task) -> Estimates:
    """KID of all faces of both sets, of all emotions and of each; of a set to itself, between halves of subjects."""
    ours, options = task.labelled(task.name), task.options(f"kid {task.space}")
    if task.name == task.against:
        found = kid_of_halves(ours, **options)
    else:
        found = kid(ours, task.labelled(task.against), **options)
    emotions = ("", *task.bank.train.emotions)
    return [("kid", replace(one, emotion=emotion)) for emotion, one in zip(emotions, found, strict=True)]


def frechet(task: Task) -> Estimates:
    """Fréchet distance of as many faces of as many subjects of both sets, within an emotion."""
    return _within_emotions(task, lambda *sets: {"frechet": frechet_of_draws(*sets)}, ["frechet"])


def neighbours(task: Task) -> Estimates:
    """Measures over the nearest neighbours, within an emotion."""
    return _within_emotions(task, neighbours_of_draws, list(NEIGHBOUR_MEASURES))


def _within_emotions(task: Task, function: Callable[..., Mapping[str, np.ndarray]], names: Sequence[str]) -> Estimates:
    """Return measures of equal draws from both sets: means over emotions and draws, then some by emotion."""
    draws, classes = task.draws[task.against], task.bank.classes
    if draws.n < 2 * classes:
        return [(name, Estimate(reason=TOO_FEW)) for name in names]
    # Draws hold emotion after emotion. Over all together, subjects of a real set would be fewer than generated ones.
    of_emotions = (np.split(rows, classes, axis=1) for rows in (draws.reference, draws.rows[task.name]))
    reference, each = task.bank.spaces[task.space][task.against], draws.n // classes
    found = [function(reference, task.features, *rows) for rows in zip(*of_emotions, strict=True)]
    means = [(name, over_draws(np.mean([of[name] for of in found], axis=0), each)) for name in names]
    parted = [
        (name, replace(over_draws(of[name], each), emotion=emotion))
        for name in names
        if name in BY_EMOTION
        for emotion, of in zip(task.bank.train.emotions, found, strict=True)
    ]
    return means + parted


def told_from(task: Task) -> Estimates:
    """How well a classifier tells the faces of two sets apart; of a set against itself, halves of its subjects."""
    ours, bandwidth = task.labelled(task.name), task.bank.bandwidths[task.space]
    options = task.options(f"c2st {task.space}")
    if task.name == task.against:
        return [("accuracy", c2st_of_halves(ours, bandwidth=bandwidth, **options))]
    return [("accuracy", c2st(task.labelled(task.against), ours, bandwidth=bandwidth, **options))]


def residual(task: Task) -> Estimates:
    """What lies outside the relief space, relative to held-out faces."""
    bank, options = task.bank, task.options("likeness")
    own, held_out = bank.means[task.name], bank.means["test"]
    return [("residual_ratio", residual_ratio(bank.relief, own, held_out, bank.test.subject, **options))]


def similarity(task: Task) -> Estimates:
    """SSIM and PSNR of each face and its nearest training face."""
    values = nearest_similarity(task.faces, task.bank.train)
    return [(name, task.mean(of, "likeness")) for name, of in values.items()]


def effective_number(task: Task) -> Estimates:
    """Vendi score and RKE within an emotion, mean over emotions, of as many faces of as many subjects of every set."""
    draws, classes = task.draws[""], task.bank.classes
    if draws.n < 2 * classes:
        return [(name, Estimate(reason=TOO_FEW)) for name in ("vendi", "rke")]
    bandwidth, each = task.bank.bandwidths[task.space], draws.n // classes
    rows = draws.rows[task.name].reshape(-1, classes, each)

    def scores(members: np.ndarray) -> tuple[float, float]:
        kernel = gaussian_kernel(task.features[members], bandwidth)
        return vendi_score(kernel), rke_score(kernel)

    found = np.array([np.mean([scores(members) for members in row], axis=0) for row in rows])
    return [(name, over_draws(values, each)) for name, values in zip(("vendi", "rke"), found.T, strict=True)]


def similarity_within(task: Task) -> Estimates:
    """MS-SSIM of random pairs of one emotion and, where the set has subjects, of two of them."""
    faces, subject = task.faces, task.groups
    if min(faces.images.shape[1:]) < MIN_PIXELS:
        return [("ms_ssim", Estimate(reason=f"images below {MIN_PIXELS} pixels"))]
    rng, pairs = np.random.default_rng(seed_of(task.config, "ms-ssim")), []
    for label in range(len(faces.emotions)):
        members = np.flatnonzero(faces.emotion == label)
        drawn = rng.choice(members, (20 * PAIRS, 2))
        other = drawn[subject[drawn[:, 0]] != subject[drawn[:, 1]]]
        pairs.append(other[:PAIRS])
    a, b = np.concatenate(pairs).T
    if not len(a):
        return [("ms_ssim", Estimate(reason="no two subjects show one emotion"))]
    levels, starts = quantise(faces.images), range(0, len(a), CHUNK)
    values = np.concatenate([ms_ssim(levels[a[i : i + CHUNK]], levels[b[i : i + CHUNK]]) for i in starts])
    return [("ms_ssim", _mean_of_pairs(values, a, b, subject, **task.options("ms-ssim interval")))]


def _mean_of_pairs(
    values: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray, *, draws: int, seed: int
) -> Estimate:
    """Return the mean of values of pairs of faces `a` and `b`, (pairs,) each; the interval resamples their groups."""
    counts = bootstrap_counts(groups, draws, np.random.default_rng(seed))
    weights = counts[:, a] * counts[:, b]
    drawn = weighted_means(values, weights[weights.any(axis=1)])
    return with_interval(float(values.mean()), drawn, len(values))


def likelihood(task: Task) -> Estimates:
    """Feature likelihood divergence from held-out faces."""
    sides, options = _sides(task), task.options("likelihood")
    if len(np.unique(sides.generated.emotion)) < task.bank.classes:
        return [("fld", Estimate(reason=HALF))]
    return [("fld", likelihoods(sides, **options)["fld"])]


def memorisation(task: Task) -> Estimates:
    """All signs of memorisation; of a method also the share of near faces with near-copies planted among them.

    The Gaussians are of the space itself. Those of the pixels are far from real faces in another space, and the farther
    a set is, the less it tells of anyone: beside them, whatever fits would seem to remember.
    """
    bank, options, sides = task.bank, task.options("copies"), _sides(task)
    if task.name == "gaussian":
        rng = np.random.default_rng(seed_of(task.config, "gaussians of a space"))
        sides = sides._replace(generated=sides.train.gaussians(_largest(bank), rng))
    if len(np.unique(sides.generated.emotion)) < bank.classes:
        return [("near_share", Estimate(reason=HALF))]
    found = signs(sides, **options)
    for share in PLANTED if task.name in bank.methods else ():
        among = planted(sides.generated, bank.coordinates(task.space, "copies"), share, seed=options["seed"])
        shown = near_share(sides._replace(generated=among), **options)
        found.append((f"near_share_planted_{share * 100:.0f}", shown))
    return found


def _sides(task: Task) -> Sides:
    """Return what a set is compared with; in place of generated faces, held-out ones are half of the subjects."""
    bank, rng = task.bank, np.random.default_rng(seed_of(task.config, "sides"))
    generated, train, held_out = (bank.coordinates(task.space, name) for name in (task.name, "train", "test"))
    if task.name == "test":
        generated, held_out = held_out.split(rng)
        count = _largest(bank)
        drawn = rng.permutation(len(generated.emotion))
        of_emotion = [drawn[generated.emotion[drawn] == label][:count] for label in range(bank.classes)]
        generated = generated.take(np.concatenate(of_emotion))
    return Sides(generated, train, held_out)


def _largest(bank: FeatureBank) -> int:
    """Return how many faces of an emotion a method has at most."""
    return max(int(np.bincount(faces.emotion).max()) for faces in bank.methods.values())


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
    found = published_pairs(joined([train, test]), task.faces)
    return [(name, Estimate(value)) for name, value in found.items()]


def _spaces(measure: Measure, bank: FeatureBank) -> Sequence[str]:
    if measure.space == ALL:
        return tuple(bank.spaces)
    if measure.space == LARGEST:
        return ("inception",) if "inception" in bank.spaces else ("depthnet",)
    return (measure.space,)


MEASURES: tuple[Measure, ...] = (
    Measure("distance", ALL, kernel_distance, "train", ANCHORS, BOTH),
    Measure("distance", ALL, frechet, "train", ANCHORS, BOTH),
    Measure("distance", ALL, neighbours, "train", ANCHORS, BOTH),
    Measure("distance", ALL, likelihood, "", ANCHORS, ("test",)),
    Measure("c2st", ALL, told_from, "train", ANCHORS, BOTH),
    Measure("distance", "relief", residual),
    Measure("nearest", "pixels", similarity, "test"),
    Measure("diversity", ALL, effective_number, "train", ANCHORS),
    Measure("diversity", "pixels", similarity_within, "train", ANCHORS),
    Measure("memorisation", ALL, memorisation, anchors=ANCHORS),
    Measure("emotion", "depthnet", emotions, "test"),
    Measure("emotion", "inception", inception_score, "test"),
    Measure("as_published", LARGEST, released_distance),
    Measure("as_published", "pixels", released_similarity),
)
