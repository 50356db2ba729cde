"""Do two ways of training differ on the same unseen people? A paired test, person by person."""

from __future__ import annotations

import itertools

import numpy as np

from depthjax.evaluate.intervals import bootstrap_counts, percentile_interval

MOST_EXACT = 12  # people: up to 2^12 ways to flip signs are all tried
FLIPS = 10_000  # else this many at random


def sign_flip_test(a: np.ndarray, b: np.ndarray, people: np.ndarray, *, draws: int, seed: int) -> dict:
    """Is the mean of b - a other than zero, when each person's difference might as well have had the other sign?

    A permutation test on the differences summed by person (Fisher's sign-flip test), two-sided and exact for up to 12
    people: the least p that n people allow is 2 / 2^n. Frames of one person flip together, since they are much alike.

    Args:
        a: (n,) score of each image, such as the share of the classifier's seeds that named it rightly.
        b: (n,) of the same images.
        people: (n,) who is on them; with fewer than two, there is nothing to test.
        draws: of the bootstrap by person that gives the interval.
        seed: of the draws.
    Returns:
        `difference` (mean of b - a), `interval` (95 %), `p`, `people`; or a `reason`.
    """
    names, member = np.unique(people, return_inverse=True)
    if len(names) < 2:
        return {"reason": "no test: there is only one person"}
    sums, rng = np.bincount(member, b - a), np.random.default_rng(seed)
    observed = abs(sums.sum())
    reached = np.abs(_signs(len(names), rng) @ sums) >= observed - 1e-9 * max(1.0, observed)
    counts = bootstrap_counts(people, draws, rng)
    return {
        "difference": float((b - a).mean()),
        "interval": percentile_interval(counts @ (b - a) / counts.sum(1)),
        "p": float(reached.mean()),
        "people": len(names),
    }


def _signs(people: int, rng: np.random.Generator) -> np.ndarray:
    """(flips, people) of -1 and 1; as it was comes first, so that p is never 0."""
    if people <= MOST_EXACT:
        return np.array(list(itertools.product([1, -1], repeat=people)))
    return np.concatenate([np.ones((1, people), int), rng.choice([-1, 1], (FLIPS - 1, people))])
