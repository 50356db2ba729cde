"""Resampled faces and subjects: intervals, paired tests, and halves of the training subjects.

Frames of one subject are much alike. So intervals resample subjects, not frames, and no subject is in two halves.
"""

from __future__ import annotations

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
        return Estimate(reason="in some draw, a face has no neighbour of another subject: use more subjects")
    return Estimate(float(values.mean()), *percentile_interval(values), n=n)


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
class HalfDraws:
    """Indices of faces, (draws, n) each; every row has equally many faces of each emotion, emotion after emotion.

    The distance between small sets is never zero, even for sets of one distribution. So the reference is the distance
    between two halves of the training subjects, and a method is compared with the same half at the same n. The middle
    95 % of the draws is the interval: a half drawn without replacement varies as a bootstrap sample of the whole does
    (half-sampling: Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 8). A generator that
    copies its training faces falls below the reference: a small distance does not rule out copying.
    """

    real: np.ndarray  # training faces, from a half of the subjects
    other_real: np.ndarray  # from the other half: no subject is in both
    generated: dict[str, np.ndarray]  # from a half of each method's faces, by method

    @property
    def n(self) -> int:
        """Faces on each side of one distance."""
        return self.real.shape[1]

    def others(self, name: str) -> np.ndarray:
        """Return what `real` is compared with: of the set `train` the other half, else the method's faces."""
        return self.other_real if name == "train" else self.generated[name]


def draw_halves(train: DepthFaces, methods: Mapping[str, DepthFaces], *, draws: int, seed: int) -> HalfDraws:
    """Draw random halves, as large as the smallest of all sets allows, so that every distance has one n.

    There are at least two subjects, and two generated faces of each emotion; n is 0 if some half lacks an emotion.
    """
    rng, classes = np.random.default_rng(seed), len(train.emotions)
    names = np.unique(train.subject)
    halves = [np.isin(train.subject, rng.permutation(names)[: len(names) // 2]) for _ in range(draws)]

    def smallest(emotion: np.ndarray) -> int:
        return int(np.bincount(emotion, minlength=classes).min())

    def balanced(emotion: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Draw `each` indices of every emotion, without replacement, from the faces that the mask allows."""
        members = [np.flatnonzero(allowed & (emotion == label)) for label in range(classes)]
        return np.concatenate([rng.permutation(rows)[:each] for rows in members])

    of_halves = [smallest(train.emotion[side]) for half in halves for side in (half, ~half)]
    each = min(*of_halves, *(smallest(faces.emotion) // 2 for faces in methods.values()))
    real = np.stack([balanced(train.emotion, half) for half in halves])
    other = np.stack([balanced(train.emotion, ~half) for half in halves])
    generated = {}
    for name, faces in methods.items():
        everyone = np.ones(len(faces), bool)
        generated[name] = np.stack([balanced(faces.emotion, everyone) for _ in range(draws)])
    return HalfDraws(real, other, generated)
