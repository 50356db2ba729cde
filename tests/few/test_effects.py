import numpy as np
import pytest
from scipy import stats

from depthjax.few.effects import mean_over_people, variance_of_mean


def simulated(rng, spread, draws=5, trainings=2, subjects=100):
    """Values of mean 0 whose draws, trainings, subjects, draws with subjects and rest have these deviations."""
    shapes = [
        (draws, 1, 1),
        (draws, trainings, 1),
        (1, 1, subjects),
        (draws, 1, subjects),
        (draws, trainings, subjects),
    ]
    return sum(s * rng.standard_normal(shape) for s, shape in zip(spread, shapes, strict=True))


def pigeonhole(values, rng, draws=200):
    """Percentile interval over resampled draws of people and resampled subjects (Owen 2007)."""
    by_draw = values.mean(1)
    counts = [rng.multinomial(n, np.full(n, 1 / n), draws) / n for n in by_draw.shape]
    return np.percentile(np.einsum("bd,ds,bs->b", counts[0], by_draw, counts[1]), [2.5, 97.5])


# Deviations in points: of draws, trainings, subjects, draws with subjects, rest.
@pytest.mark.parametrize("spread", [(2, 1, 8, 5, 10), (0, 0, 8, 5, 10), (5, 1, 3, 3, 10), (1, 3, 8, 3, 10)])
def test_the_interval_holds_the_mean_as_often_as_it_says(spread):
    rng, held = np.random.default_rng(0), []
    for _ in range(500):
        found = mean_over_people(simulated(rng, spread))
        held.append(found.low < 0 < found.high)
        assert (found.p < 0.05) == (not held[-1])
    assert 0.92 <= np.mean(held) <= 0.98


def test_five_draws_are_too_few_to_resample():
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        low, high = pigeonhole(simulated(rng, (5, 1, 3, 3, 10)), rng)
        held.append(low < 0 < high)
    assert np.mean(held) < 0.9


def test_the_variance_is_that_of_the_mean():
    rng, spread, sizes = np.random.default_rng(1), (2, 1, 8, 5, 10), (5, 2, 100)
    estimates, means = [], []
    for _ in range(2000):
        values = simulated(rng, spread, *sizes)
        estimates.append(variance_of_mean(values.mean(1))[0])
        means.append(values.mean())
    d, t, s = sizes
    true = np.square(spread) @ [1 / d, 1 / (d * t), 1 / s, 1 / (d * s), 1 / (d * t * s)]
    assert np.mean(estimates) == pytest.approx(true, rel=0.08)  # a little above: none is taken below zero
    assert np.var(means) == pytest.approx(true, rel=0.1)


def test_draws_that_agree_leave_the_t_test_over_subjects():
    of_subjects = np.random.default_rng(2).normal(0.3, 1, 20)
    found = mean_over_people(np.broadcast_to(of_subjects, (4, 2, 20)))
    expected = stats.ttest_1samp(of_subjects, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(expected.pvalue) and found.n == 20


def test_subjects_that_agree_leave_the_t_test_over_draws():
    of_draws = np.random.default_rng(3).normal(0.3, 1, 6)
    found = mean_over_people(np.broadcast_to(of_draws[:, None, None], (6, 3, 50)))
    expected = stats.ttest_1samp(of_draws, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_with_everyone_known_trainings_take_the_place_of_draws():
    values = np.random.default_rng(4).normal(size=(3, 30))
    alone, several = mean_over_people(values[None]), mean_over_people(values[:, None])
    assert alone == several


def test_an_interval_needs_two_of_each():
    assert "one training" in mean_over_people(np.ones((1, 1, 9))).reason
    assert "one test subject" in mean_over_people(np.ones((3, 2, 1))).reason
    same = mean_over_people(np.full((3, 2, 9), 0.5))
    assert (same.value, same.low, same.high, same.p) == (0.5, 0.5, 0.5, 0.0)
    assert mean_over_people(np.zeros((3, 2, 9))).p == 1
