"""Macro scores from predicted emotions, with intervals over people or over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depthjax.evaluate.intervals import bootstrap_counts, percentile_interval
from depthjax.evaluate.protocols import Exam

SCORES = ("accuracy", "precision", "recall", "f1")


def macro_scores(actual: np.ndarray, predicted: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
    """Accuracy and macro precision, recall and F1 when image i is counted `counts[:, i]` times.

    A class that is never predicted has a precision of 0, one that never occurs a recall of 0.

    Args:
        actual: (n,) labels.
        predicted: (n,) labels.
        counts: (draws, n), for instance of a bootstrap, or (1, n) of ones.
        classes: how many there are.
    Returns:
        (draws, 4) in [0, 1], in the order of `SCORES`.
    """
    cell = np.eye(classes**2)[actual * classes + predicted]
    confusion = (counts @ cell).reshape(len(counts), classes, classes)
    hits, occurring, called = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(2), confusion.sum(1)
    precision, recall = _ratio(hits, called), _ratio(hits, occurring)
    f1 = _ratio(2 * hits, occurring + called)
    return np.stack([_ratio(hits.sum(1), counts.sum(1)), precision.mean(1), recall.mean(1), f1.mean(1)], axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def unseen_people_scores(exam: Exam, answers: Sequence[np.ndarray], classes: int, *, draws: int, seed: int) -> dict:
    """Mean scores over the classifier seeds, with a bootstrap over the test people.

    Args:
        exam: TRTR or TSTR.
        answers: (n_test,) predictions, one a classifier seed.
        classes: number of emotions.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        `accuracy`, `precision`, `recall`, `f1` as {`value`, `interval`} in [0, 1], and `n_train`, `n_test`,
        `subjects_test`, `seeds`, and `runs`, by score the value of each seed. With one test person, `reason` instead
        of `interval`.
    """
    subject = exam.faces.subject[exam.test]
    counts = bootstrap_counts(subject, draws, np.random.default_rng(seed))
    table = np.stack([_mean_scores(exam, [a], np.ones((1, len(subject))), classes)[0] for a in answers])
    people = len(np.unique(subject))
    scores: dict = {}
    for name, value, column in zip(SCORES, table.mean(0), _mean_scores(exam, answers, counts, classes).T, strict=True):
        alone = {"reason": "no interval: there is only one test person to resample"}
        scores[name] = {"value": float(value)} | (alone if people < 2 else {"interval": percentile_interval(column)})
    return scores | _sizes(exam) | {"subjects_test": people, "seeds": len(answers), "runs": _runs(table)}


def _mean_scores(exam: Exam, answers: Sequence[np.ndarray], counts: np.ndarray, classes: int) -> np.ndarray:
    actual = exam.faces.emotion[exam.test]
    return np.mean([macro_scores(actual, answer, counts, classes) for answer in answers], axis=0)


def published_scores(exams: Sequence[Exam], answers: Sequence[np.ndarray], classes: int) -> dict:
    """Mean scores over random splits; the interval shows how the splits and seeds scatter, not other people.

    Args:
        exams: one a seed.
        answers: (n_test,) predictions, one an exam.
        classes: number of emotions.
    Returns:
        As `unseen_people_scores`, with `interval_kind` = `seeds`: the middle 95 % of the seeds' scores, their least and
        greatest if there are fewer than three, and a `reason` if there is one. `subjects_test` is left out: this
        protocol does not keep people apart.
    """
    pairs = zip(exams, answers, strict=True)
    table = np.stack([_mean_scores(exam, [a], np.ones((1, len(exam.test))), classes)[0] for exam, a in pairs])
    scores = {name: _over_seeds(column) for name, column in zip(SCORES, table.T, strict=True)}
    about = {"seeds": len(exams), "interval_kind": "seeds", "runs": _runs(table)}
    return scores | _sizes(exams[0]) | about


def _runs(table: np.ndarray) -> dict[str, list[float]]:
    """By score, the columns of (seeds, 4)."""
    return {name: column.tolist() for name, column in zip(SCORES, table.T, strict=True)}


def _over_seeds(values: np.ndarray) -> dict:
    value = {"value": float(values.mean())}
    if len(values) < 2:
        return value | {"reason": "no interval: one seed was run"}
    span = percentile_interval(values) if len(values) >= 3 else [float(values.min()), float(values.max())]
    return value | {"interval": span}


def _sizes(exam: Exam) -> dict[str, int]:
    return {"n_train": len(exam.train), "n_test": len(exam.test)}
