"""Which faces a classifier learns from and which it is asked about.

TRTR: real people → other real people, the ceiling. TSTR: generated → real people that neither the classifier nor the
generator has seen. Published: the released scripts' protocol with its flaws, under that name.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from sklearn.preprocessing import StandardScaler

from depthjax.evaluate.classifiers import MOST_SEEDS, build
from depthjax.evaluate.parallel import in_threads
from depthjax.evaluate.quantiles import quantile_edges, to_quantiles

TEST_FRACTION = 0.2  # of the published protocol
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Labelled:
    """Features (n, d) with their emotion (n,) and subject (n,)."""

    features: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def take(self, index: np.ndarray) -> Labelled:
        """The faces at `index` (integers or a mask), in that order."""
        return Labelled(self.features[index], self.emotion[index], self.subject[index])

    def prepared(self, learnt: slice, bins: int | None) -> Labelled:
        """The same, with float32 features scaled as the rows `learnt` ask, and rounded to `bins` of their quantiles."""
        features = StandardScaler().fit(self.features[learnt]).transform(self.features).astype(np.float32)
        if bins is not None:
            features = to_quantiles(features, quantile_edges(features[learnt], bins))
        return Labelled(features, self.emotion, self.subject)


def union(a: Labelled, b: Labelled) -> Labelled:
    """All rows of a, then all of b."""
    return Labelled(
        np.concatenate([a.features, b.features]),
        np.concatenate([a.emotion, b.emotion]),
        np.concatenate([a.subject, b.subject]),
    )


@dataclass(frozen=True)
class Exam:
    """What is asked of a classifier: learn from the rows `train` of prepared faces, answer for the rows `test`."""

    faces: Labelled
    train: np.ndarray
    test: np.ndarray


def unseen_people_exam(train: Labelled, test: Labelled, *, bins: int | None = None) -> Exam:
    """TRTR or TSTR: the scaler is fitted, and quantiles are taken, on `train` only."""
    rows = np.arange(len(train) + len(test))
    return Exam(union(train, test).prepared(slice(len(train)), bins), rows[: len(train)], rows[len(train) :])


def published_exams(faces: Labelled, seeds: Sequence[int], *, bins: int | None = None) -> dict[int, Exam]:
    """The released protocol, a split a seed: scaler fitted on everything, then 80/20 by random image within emotions.

    Frames of one person fall on both sides, and the test faces reach the scaler: a score from here is no evidence about
    people who were not seen.
    """
    prepared = faces.prepared(slice(None), bins)
    masks = {seed: _random_fifth(faces.emotion, seed) for seed in seeds}
    return {seed: Exam(prepared, np.flatnonzero(~mask), np.flatnonzero(mask)) for seed, mask in masks.items()}


def _random_fifth(emotion: np.ndarray, seed: int) -> np.ndarray:
    rng, test = np.random.default_rng(seed), np.zeros(len(emotion), bool)
    for label in np.unique(emotion):
        members = rng.permutation(np.flatnonzero(emotion == label))
        test[members[: max(1, round(TEST_FRACTION * len(members)))]] = True
    return test


@dataclass(frozen=True)
class Sitting:
    """One classifier with one seed before one exam."""

    exam: Exam
    classifier: str
    seed: int

    def answers(self) -> np.ndarray:
        """(n_test,) predicted emotions."""
        faces, train, test = self.exam.faces, self.exam.train, self.exam.test
        model = build(self.classifier, self.seed)
        model.fit(faces.features[train], faces.emotion[train])
        return np.asarray(model.predict(faces.features[test])).astype(np.int64)


def seeds_for(classifier: str, seeds: Sequence[int]) -> list[int]:
    """The seeds worth running: only the first few for a classifier that draws little or nothing at random."""
    return list(seeds[: MOST_SEEDS.get(classifier, len(seeds))])


def sit(sittings: Mapping[Key, Sitting]) -> dict[Key, np.ndarray]:
    """The answers of every sitting, on all cores; those that take longest begin first."""

    def cost(key: Key) -> tuple[bool, int]:
        return sittings[key].classifier == "xgboost", len(sittings[key].exam.train)

    order = sorted(sittings, key=cost, reverse=True)
    return dict(zip(order, in_threads(lambda key: sittings[key].answers(), order), strict=True))
