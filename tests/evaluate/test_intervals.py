import numpy as np
import pytest

from depthjax.evaluate.intervals import bootstrap_counts, bootstrap_mean, percentile_interval


def test_people_are_drawn_whole():
    people = np.array([7, 7, 3, 3, 3, 9])
    counts = bootstrap_counts(people, 500, np.random.default_rng(0))
    assert counts.shape == (500, 6)
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2] == counts[:, 4]).all()
    assert (counts[:, [0, 2, 5]].sum(1) == 3).all()
    assert counts[:, 0].mean() == pytest.approx(1, abs=0.15)


def test_interval_of_a_mean_matches_its_standard_error():
    values = np.random.default_rng(0).normal(5, 2, 400)
    result = bootstrap_mean(values, np.arange(400), draws=4000, seed=0)
    low, high = result["interval"]
    assert result["value"] == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_alike_frames_of_few_people_widen_the_interval():
    values = np.repeat(np.random.default_rng(1).normal(size=10), 40)
    by_image = bootstrap_mean(values, np.arange(400), draws=1000, seed=0)["interval"]
    by_person = bootstrap_mean(values, np.repeat(np.arange(10), 40), draws=1000, seed=0)["interval"]
    assert np.diff(by_person) > 4 * np.diff(by_image)


def test_one_person_alone_gives_a_reason():
    result = bootstrap_mean(np.arange(4.0), np.zeros(4), draws=10, seed=0)
    assert result["value"] == 1.5 and "reason" in result and "interval" not in result


def test_percentiles():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx([25, 975])
