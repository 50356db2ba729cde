"""Intervals over people and trainings: crossed random effects, by the method of moments.

A value y[d, t, s] of test subject s after training t on draw d of the known people is a mean, plus an effect of the
draw, of the training within the draw, of the subject, of draw with subject, and the rest. All are random: another
laboratory has other people on both sides. In simulations with 5 draws, 2 trainings and 100 subjects the interval
below holds the true mean in 95 to 98 % of the cases. The percentile interval of a pigeonhole bootstrap (Owen 2007),
which resamples draws and subjects, holds it in 86 % where draws differ most, for five are too few to resample, and in
99 % where nothing but the rest varies (`tests/few/test_effects.py`).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from depthjax.evaluate.resampling import LEVEL, Estimate


def mean_over_people(values: np.ndarray) -> Estimate:
    """Return the mean of (draws, trainings, subjects) values with its 95 % interval, and p for a mean of zero.

    With a draw's effect nested above its trainings', the variance of the mean is that between the draws' means over
    the draws, plus that between the subjects' means over the subjects, minus their interaction, which is in both
    (Searle, Casella and McCulloch 1992, chapter 4: expected mean squares). The t quantile has Satterthwaite's degrees
    of freedom. With one draw, trainings take the place of draws, and the interval is for these people.
    """
    value = float(values.mean())
    by_draw = _by_run(values)
    runs, subjects = by_draw.shape
    if subjects < 2:
        return Estimate(value, n=subjects, reason="no interval: there is only one test subject")
    if runs < 2:
        return Estimate(value, n=subjects, reason="no interval: there is only one training")
    variance, freedom = variance_of_mean(by_draw)
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
    if variance <= 0:
        return Estimate(value, value, value, n=subjects, p=float(value == 0))
    p = 2 * stats.t.sf(abs(value) / np.sqrt(variance), freedom)
    return Estimate(value, value - float(half), value + float(half), n=subjects, p=float(p))


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of (draws, trainings, subjects) values; of one draw, over trainings."""
    return float(np.sqrt(max(variance_of_mean(_by_run(values))[0], 0.0)))


def _by_run(values: np.ndarray) -> np.ndarray:
    """Return (draws, subjects) values, or (trainings, subjects) of one draw."""
    return np.asarray(values.mean(1) if len(values) > 1 else values[0])


def variance_of_mean(values: np.ndarray) -> tuple[float, float]:
    """Return the variance of the mean of (runs, subjects) values, both random, and its degrees of freedom."""
    (runs, subjects), mean = values.shape, values.mean()
    of_runs, of_subjects = values.mean(1), values.mean(0)
    rest = values - of_runs[:, None] - of_subjects[None] + mean
    degrees = np.array([runs - 1, subjects - 1, (runs - 1) * (subjects - 1)], float)
    # Mean squares over the number of values: of runs, of subjects, of their interaction.
    squares = np.array([(of_runs - mean) @ (of_runs - mean) / runs, (of_subjects - mean) @ (of_subjects - mean)
                        / subjects, (rest**2).sum() / rest.size]) / degrees  # fmt: skip
    run, subject, both = squares
    # A component estimated below zero counts as zero.
    variance = max(run, both) + max(subject, both) - both
    freedom = variance**2 / (squares**2 / degrees).sum() if variance > 0 else degrees.min()
    return float(variance), float(np.clip(freedom, degrees[:2].min(), degrees[2]))
