"""Choosing the size of a density model by the likelihood of people whom it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from depthjax.baselines.pixels import Pixels, Space, fit_space
from depthjax.errors import UserError

Choice = TypeVar("Choice")
# (coordinates learnt from, coordinates asked about, choice) → (asked,) log densities in nats.
Density = Callable[[np.ndarray, np.ndarray, Choice], np.ndarray]


def choose(
    pixels: Pixels, density: Density[Choice], *, sizes: Sequence[int], choices: Sequence[Choice], folds: int, seed: int
) -> tuple[int, Choice, float]:
    """The best pair of space size and choice, by cross-validation over people.

    Each fold's space, too, is fitted without its people; one density an emotion, all emotions by the same choice.

    Args:
        pixels: of the training people.
        density: what is to be fitted, in whitened coordinates.
        sizes: of the space, to choose from.
        choices: whatever `density` takes, to choose from.
        folds: of people; as many as there are people at most.
        seed: of the space.
    Returns:
        The size, the choice, and their log likelihood in nats a pixel, the mean over all faces.
    Raises:
        UserError: fewer than two people, or an emotion that only one fold's people show.
    """
    total = np.zeros((len(sizes), len(choices)))
    for learn, ask in people_folds(pixels, folds):
        space = fit_space(learn.rows, max(sizes), seed=seed)
        for row, size in enumerate(sizes):
            total[row] += _likelihoods(learn, ask, space.leading(size), density, choices)
    row, column = divmod(int(np.argmax(total)), len(choices))
    return sizes[row], choices[column], float(total[row, column] / pixels.rows.size)


def _likelihoods(
    learn: Pixels, ask: Pixels, space: Space, density: Density[Choice], choices: Sequence[Choice]
) -> np.ndarray:
    """(choices,) summed log likelihood of the faces asked about, in nats."""
    known, asked = space.whiten(learn.rows), space.whiten(ask.rows)
    sums = np.zeros(len(choices))
    for label in np.unique(ask.emotion):
        ours, theirs = known[learn.emotion == label], asked[ask.emotion == label]
        sums += [density(ours, theirs, choice).sum() for choice in choices]
    return sums + space.outside(ask.rows).sum()


def people_folds(pixels: Pixels, folds: int) -> Iterator[tuple[Pixels, Pixels]]:
    """(others, held-out people), so that everybody is held out once."""
    from sklearn.model_selection import GroupKFold

    people = len(np.unique(pixels.subject))
    if people < 2:
        raise UserError("a density is chosen by people whom it has not seen: at least 2 people are needed to train on")
    for learn, ask in GroupKFold(min(folds, people)).split(pixels.rows, groups=pixels.subject):
        missing = np.setdiff1d(pixels.emotion[ask], pixels.emotion[learn])
        if len(missing):
            raise UserError(f"emotion {missing[0]} is shown by the people of one fold only: lower baselines.folds")
        yield pixels.take(learn), pixels.take(ask)
