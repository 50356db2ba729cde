"""Resampled faces and subjects: intervals, paired tests, and draws of equally many subjects.

Frames of one subject are much alike. So intervals resample subjects, not frames, and no subject is in two halves.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from depthjax.data.faces import DepthFaces

LEVEL = 0.95
MAX_EXACT = 12  # subjects: up to 2^12 sign flips are all tried
FLIPS = 10_000  # else this many at random


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval: these columns of a `depthjax.scores.Score`."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None  # how many faces, subjects or draws the value rests on
    p: float | None = None  # of a paired test, two-sided
    reason: str = ""  # why there is no value, or no interval
    emotion: str = ""  # of a number of one emotion


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """Return (low, high) that hold the middle 95 % of (n,) values."""
    tail = (1 - LEVEL) / 2 * 100
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def over_draws(values: np.ndarray, n: int) -> Estimate:
    """Return the mean of (draws,) values and the middle 95 % of them; each rests on n faces."""
    if not np.isfinite(values).all():
        return Estimate(reason="some draw has too few subjects: use more")
    return Estimate(float(values.mean()), *percentile_interval(values), n=n)


def with_interval(value: float, drawn: np.ndarray, n: int) -> Estimate:
    """Return a finite value with the middle 95 % of (draws,) others; draws that are not finite do not count."""
    if len(drawn := drawn[np.isfinite(drawn)]) < 2:
        return Estimate(value, n=n, reason="no interval: there are too few subjects to resample")
    return Estimate(value, *percentile_interval(drawn), n=n)


def thinned(count: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows, in order, of at most so many of `count` faces, drawn at random."""
    return np.sort(rng.permutation(count)[:most])


def bootstrap_counts(groups: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each image counts, (draws, n) float64, when whole groups, (n,), are drawn with replacement."""
    names, member = np.unique(groups, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, member].astype(np.float64)


def weighted_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the (draws,) means of (n,) values that are counted `counts` (draws, n) times."""
    return counts @ values / counts.sum(1)


def bootstrap_mean(values: np.ndarray, groups: np.ndarray, *, draws: int, seed: int) -> Estimate:
    """Return the mean of (n,) values; its interval resamples groups, and has a reason instead if there is one alone."""
    mean, n = float(values.mean()), len(values)
    if len(np.unique(groups)) < 2:
        return Estimate(mean, n=n, reason="no interval: there is only one subject to resample")
    counts = bootstrap_counts(groups, draws, np.random.default_rng(seed))
    return Estimate(mean, *percentile_interval(weighted_means(values, counts)), n=n)


def ratio_of_means(
    ours: np.ndarray,
    reference: np.ndarray,
    subjects: np.ndarray,
    *,
    draws: int,
    seed: int,
    zero: str,
    transform: Callable[[Any], Any] = np.asarray,
) -> Estimate:
    """Return mean(ours) / mean(reference); its interval resamples our faces and the reference's subjects.

    `transform` is applied to the ratio and to its draws; `zero` is the reason to give where the reference's mean is 0.
    """
    if not reference.mean() > 0:
        return Estimate(reason=zero)
    rng = np.random.default_rng(seed)
    our_counts = bootstrap_counts(np.arange(len(ours)), draws, rng)
    counts = bootstrap_counts(subjects, draws, rng)
    ratios = weighted_means(ours, our_counts) / weighted_means(reference, counts)
    value = float(transform(ours.mean() / reference.mean()))
    return Estimate(value, *percentile_interval(transform(ratios)), n=len(ours))


def sign_flip_test(a: np.ndarray, b: np.ndarray, subjects: np.ndarray, *, draws: int, seed: int) -> Estimate:
    """Test whether the mean of b - a, (n,) scores of the same images, differs from zero, subject by subject.

    A permutation test on the differences summed by subject (Fisher's sign-flip test), two-sided and exact for up to 12
    subjects: n subjects allow no p below 2 / 2^n. Frames of one subject flip together. With fewer than two subjects
    there is no test. The estimate's n counts subjects.
    """
    names, member = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        return Estimate(reason="no test: there is only one subject")
    sums, rng = np.bincount(member, b - a), np.random.default_rng(seed)
    observed = abs(sums.sum())
    reached = np.abs(_signs(len(names), rng) @ sums) >= observed - 1e-9 * max(1.0, observed)
    counts = bootstrap_counts(subjects, draws, rng)
    interval = percentile_interval(weighted_means(b - a, counts))
    return Estimate(float((b - a).mean()), *interval, n=len(names), p=float(reached.mean()))


def _signs(subjects: int, rng: np.random.Generator) -> np.ndarray:
    """Return (flips, subjects) of -1 and 1; the first row flips nothing, so that p is never 0."""
    if subjects <= MAX_EXACT:
        return np.array(list(itertools.product([1, -1], repeat=subjects)))
    flips = rng.choice([-1, 1], (FLIPS - 1, subjects))
    return np.concatenate([np.ones((1, subjects), int), flips])


def holm(p: Sequence[float]) -> list[float]:
    """Return the p values of one family of tests, adjusted for their number (Holm 1979, step-down)."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, test in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[test]))
        adjusted[test] = largest
    return adjusted


@dataclass(frozen=True)
class EqualDraws:
    """Rows of as many faces of as many subjects from every set, (draws, n), emotion after emotion.

    A Fréchet distance, measures over neighbours, and effective numbers of faces depend on how many faces and how many
    subjects there are, whatever the distributions. So each set gives one face a subject and emotion, of as many
    subjects as the smallest set allows; a generated face is a subject of its own. Compare sets within an emotion: over
    all emotions, a real set has n faces of fewer than n subjects, a generated one of n.
    """

    rows: dict[str, np.ndarray]  # by set
    reference: np.ndarray  # of the set that distances are to: subjects that are not in its own `rows`; else no rows

    @property
    def n(self) -> int:
        """Faces of each set."""
        return next(iter(self.rows.values())).shape[1]


def equal_draws(sets: Mapping[str, DepthFaces], *, draws: int, seed: int, reference: str = "") -> EqualDraws:
    """Draw the same number of faces of each emotion from every set, without replacement.

    Of the set `reference`, random halves of the subjects are drawn: one for the draws' `reference`, the other for its
    own rows. n is 0 if some half or set lacks an emotion.
    """
    rng, classes = np.random.default_rng(seed), len(next(iter(sets.values())).emotions)
    subjects = {name: np.unique(faces.subject) for name, faces in sets.items()}
    orders = {name: np.stack([rng.permutation(of) for _ in range(draws)]) for name, of in subjects.items()}
    faces_of = dict(sets)
    if reference:
        whole = orders[reference]
        half = whole.shape[1] // 2
        orders |= {"": whole[:, :half], reference: whole[:, half:]}
        faces_of[""] = sets[reference]
    each = min(_subjects_of_every_emotion(faces_of[name], orders[name], classes) for name in orders)

    def drawn(name: str) -> np.ndarray:
        faces = faces_of[name]
        return np.stack([_one_face_a_subject(faces, order, each, classes, rng) for order in orders[name]])

    rows = {name: drawn(name) for name in orders}
    return EqualDraws(rows, rows.pop("", np.zeros((draws, 0), np.int64)))


def _subjects_of_every_emotion(faces: DepthFaces, orders: np.ndarray, classes: int) -> int:
    """Return the least number of subjects that show one emotion, over emotions and rows of `orders`."""
    shown = [np.unique(faces.subject[faces.emotion == label]) for label in range(classes)]
    return min(int(np.isin(orders, subjects).sum(axis=1).min()) for subjects in shown)


def _one_face_a_subject(
    faces: DepthFaces, order: np.ndarray, each: int, classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `each` rows of every emotion: a random face of each of the first subjects in `order` that show it."""
    place = {subject: at for at, subject in enumerate(order.tolist())}
    places = np.array([place.get(subject, -1) for subject in faces.subject.tolist()])
    rows = []
    for label in range(classes):
        shuffled = rng.permutation(np.flatnonzero((faces.emotion == label) & (places >= 0)))
        _, first = np.unique(places[shuffled], return_index=True)
        rows.append(shuffled[first][:each])
    return np.concatenate(rows)
