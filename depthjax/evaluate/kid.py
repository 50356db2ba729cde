"""KID without pairs of one subject: an unbiased U-statistic over whole sets, and its bootstrap over subjects.

Frames of one subject are alike. Their pairs make a set look more similar within than it is, and so the distance too
large: 0.36 in `relief` between two halves of one distribution (16 subjects, 10 frames each), where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from depthjax.evaluate.classification import Labelled
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, with_interval

NO_PAIRS = "some emotion has faces of one subject only: use more subjects"


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the (n, m) matrix of (x·y / d + 1)³, KID's kernel (Bińkowski et al. 2018, arXiv 1801.01401, section 4)."""
    base = x.astype(np.float64) @ y.astype(np.float64).T
    base /= x.shape[1]  # in place: of thousands of faces a copy is a hundred megabytes
    base += 1
    cubed: np.ndarray = base * base
    cubed *= base
    return cubed


@dataclass(frozen=True)
class Cells:
    """The faces of each subject in each emotion: a weight of a subject is one of all its cells."""

    subject: np.ndarray  # (cells,)
    emotion: np.ndarray  # (cells,)
    faces: np.ndarray  # (cells,) how many


@dataclass(frozen=True)
class KernelSums:
    """A kernel between two sets, summed over the pairs of faces of two cells.

    A weighted mean over pairs is then a quadratic form of the weights: no resample computes a kernel again.
    """

    sums: np.ndarray  # (a, b); 0 for two cells of one subject
    alike: Any  # (a, b) sparse, 1 for two cells of one subject
    left: Cells  # of the first set
    right: Cells

    def means(self, left: np.ndarray, right: np.ndarray, classes: int) -> np.ndarray:
        """Return (draws, classes, classes) means over pairs of different subjects, by the emotions of the two faces.

        `left` (draws, a) and `right` (draws, b) are the cells' weights; within a set, both are one array. NaN where
        there is no such pair.
        """
        found = np.full((len(left), classes, classes), np.nan)
        rows, columns = left * self.left.faces, right * self.right.faces
        within = left is right
        for label in range(classes):
            own = np.flatnonzero(self.left.emotion == label)
            for other in range(label if within else 0, classes):
                theirs = np.flatnonzero(self.right.emotion == other)
                pairs = rows[:, own].sum(1) * columns[:, theirs].sum(1)
                pairs -= ((rows[:, own] @ self.alike[own][:, theirs]) * columns[:, theirs]).sum(1)
                total = ((left[:, own] @ self.sums[np.ix_(own, theirs)]) * right[:, theirs]).sum(1)
                np.divide(total, pairs, out=found[:, label, other], where=pairs > 0)
                if within:
                    found[:, other, label] = found[:, label, other]
        return found


def kernel_sums(x: Labelled, y: Labelled) -> KernelSums:
    """Return the kernel between two sets by cells; a subject of both sets has one number, a generated face its own."""
    (rows, starts, left), (columns, y_starts, right) = _cells(x), _cells(y)
    kernel = polynomial_kernel(x.features[rows], y.features[columns])
    sums = np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), y_starts, axis=1)
    alike = left.subject[:, None] == right.subject[None]
    return KernelSums(np.where(alike, 0.0, sums), csr_array(alike.astype(np.float64)), left, right)


def _cells(faces: Labelled) -> tuple[np.ndarray, np.ndarray, Cells]:
    """Return the rows sorted by cell, the place where each cell begins, and the cells."""
    rows = np.lexsort((faces.emotion, faces.subject))
    subject, emotion = faces.subject[rows], faces.emotion[rows]
    new = (subject[1:] != subject[:-1]) | (emotion[1:] != emotion[:-1])
    starts = np.flatnonzero(np.concatenate([[True], new]))
    return rows, starts, Cells(subject[starts], emotion[starts], np.diff(np.append(starts, len(rows))))


def kid(x: Labelled, y: Labelled, *, draws: int, seed: int) -> list[Estimate]:
    """Return the KID of two sets: of all emotions, each of equal weight, then of each by itself.

    The interval draws the subjects of both sets with replacement. It is too wide, not too narrow, where the sets do
    not differ (Gretton et al. 2012, section 5: the statistic is degenerate there).
    """
    rng, classes = np.random.default_rng(seed), 1 + int(max(x.emotion.max(), y.emotion.max()))
    within_x, within_y, between = kernel_sums(x, x), kernel_sums(y, y), kernel_sums(x, y)
    left, right = (_with_all(bootstrap_counts(of.subject, draws, rng)) for of in (between.left, between.right))
    values = within_x.means(left, left, classes) + within_y.means(right, right, classes)
    values -= 2 * between.means(left, right, classes)
    return [_estimate(drawn[0], drawn[1:], len(x)) for drawn in _by_emotion(values)]


def kid_of_halves(x: Labelled, *, draws: int, seed: int) -> list[Estimate]:
    """Return the KID between random halves of the subjects of one set, as `kid` does.

    The mean over all halvings is 0; the interval, the middle 95 % of them, says how far two groups of half as many
    subjects lie from each other by chance.
    """
    rng, classes, within = np.random.default_rng(seed), 1 + int(x.emotion.max()), kernel_sums(x, x)
    names, member = np.unique(within.left.subject, return_inverse=True)
    order = np.argsort(rng.random((draws, len(names))), axis=1)
    half = (order < len(names) // 2)[:, member].astype(np.float64)
    values = within.means(half, half, classes) + within.means(1 - half, 1 - half, classes)
    values -= 2 * within.means(half, 1 - half, classes)
    # An emotion that few subjects show has no pairs in some halves.
    known = (drawn[np.isfinite(drawn)] for drawn in _by_emotion(values))
    return [_estimate(drawn.mean() if len(drawn) else np.nan, drawn, len(x)) for drawn in known]


def _with_all(counts: np.ndarray) -> np.ndarray:
    """Return (1 + draws, n) weights: first each subject once."""
    return np.concatenate([np.ones((1, counts.shape[1])), counts])


def _by_emotion(blocks: np.ndarray) -> list[np.ndarray]:
    """Return the (draws,) mean over all blocks, then each block of one emotion."""
    return [blocks.mean(axis=(1, 2)), *blocks.diagonal(axis1=1, axis2=2).T]


def _estimate(value: float, drawn: np.ndarray, n: int) -> Estimate:
    """Return the value with the middle 95 % of the draws; draws without a pair of different subjects do not count."""
    return with_interval(float(value), drawn, n) if np.isfinite(value) else Estimate(reason=NO_PAIRS)
