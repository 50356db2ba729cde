"""Which faces meet in a distance: half the real people against the other half, or against generated faces.

A distance between small sets is never zero, even between people drawn from one population. So the floor is the
distance between two halves of the real people, and a method's distance is taken in the same way, from the same half,
at the same n. Halves are drawn many times: the value is the mean over the draws, and since a half drawn without
replacement varies as much as a bootstrap sample of the whole (half-sampling: Efron 1982, "The Jackknife, the Bootstrap
and Other Resampling Plans", chapter 8), the middle 95 % of the draws is the interval. A generator that copies its
training people falls below the floor: a small distance is no proof against copying.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from depthjax.data.faces import DepthFaces


@dataclass(frozen=True)
class HalfDraws:
    """Indices of faces, (draws, n) each; every row has equally many faces of each emotion.

    Attributes:
        real: from a half of the people.
        other_real: from the other half: nobody is in both.
        generated: from a half of each method's faces, by method.
    """

    real: np.ndarray
    other_real: np.ndarray
    generated: dict[str, np.ndarray]

    @property
    def n(self) -> int:
        """Faces on each side of one distance."""
        return self.real.shape[1]


def draw_halves(real: DepthFaces, methods: Mapping[str, DepthFaces], *, draws: int, seed: int) -> HalfDraws:
    """Random halves, as large as the smallest of all sets allows, so that every distance has one n.

    Args:
        real: faces of at least two people.
        methods: generated faces, with at least two of each emotion.
        draws: how often.
        seed: of the draws.
    Returns:
        Indices with n = 0 if some half lacks an emotion.
    """
    rng, classes = np.random.default_rng(seed), len(real.emotions)
    first = [_half_of_people(real.subject, rng) for _ in range(draws)]
    smallest = [_fewest(real.emotion[side], classes) for half in first for side in (half, ~half)]
    each = min(*smallest, *(_fewest(faces.emotion, classes) // 2 for faces in methods.values()))
    everyone = {name: np.ones(len(faces), bool) for name, faces in methods.items()}
    return HalfDraws(
        np.stack([_balanced(real.emotion, half, classes, each, rng) for half in first]),
        np.stack([_balanced(real.emotion, ~half, classes, each, rng) for half in first]),
        {
            name: np.stack([_balanced(faces.emotion, everyone[name], classes, each, rng) for _ in range(draws)])
            for name, faces in methods.items()
        },
    )


def _half_of_people(subject: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    people = rng.permutation(np.unique(subject))
    return np.isin(subject, people[: len(people) // 2])


def _fewest(emotion: np.ndarray, classes: int) -> int:
    return int(np.bincount(emotion, minlength=classes).min())


def _balanced(emotion: np.ndarray, among: np.ndarray, classes: int, each: int, rng: np.random.Generator) -> np.ndarray:
    """`each` random indices of every emotion, without replacement, among the faces that the mask allows."""
    chosen = [rng.permutation(np.flatnonzero(among & (emotion == label)))[:each] for label in range(classes)]
    return np.concatenate(chosen)
