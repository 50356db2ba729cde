import numpy as np
import pytest
from scipy.stats import permutation_test

from depthjax.evaluate.paired import sign_flip_test

OPTIONS = {"draws": 200, "seed": 0}


def test_p_is_scipys_exact_permutation_test_on_sums_by_person():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(7), [3, 5, 4, 6, 2, 5, 5])
    a, b = rng.uniform(size=(2, 30))
    sums = np.bincount(people, b - a)
    theirs = permutation_test(
        (sums, np.zeros(7)), lambda x, y: (x - y).sum(), permutation_type="samples", n_resamples=np.inf
    )
    ours = sign_flip_test(a, b, people, **OPTIONS)
    assert ours["p"] == pytest.approx(theirs.pvalue)
    assert ours["difference"] == pytest.approx((b - a).mean())
    assert ours["interval"][0] < ours["difference"] < ours["interval"][1]


def test_the_least_p_is_two_over_all_flips_and_the_greatest_one():
    people = np.repeat(np.arange(8), 3)
    zero, one = np.zeros(24), np.ones(24)
    assert sign_flip_test(zero, one, people, **OPTIONS)["p"] == pytest.approx(2 / 2**8)
    assert sign_flip_test(one, one, people, **OPTIONS)["p"] == 1


def test_many_people_are_flipped_at_random_and_keep_the_level():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(20), 2)
    ps = [sign_flip_test(*rng.normal(size=(2, 40)), people, draws=10, seed=s)["p"] for s in range(60)]
    assert np.mean(np.array(ps) < 0.05) < 0.2 and 0.3 < np.mean(ps) < 0.7
    assert sign_flip_test(np.zeros(40), np.ones(40), people, **OPTIONS)["p"] < 0.001


def test_one_person_is_no_test():
    assert "only one person" in sign_flip_test(np.zeros(3), np.ones(3), np.zeros(3, int), **OPTIONS)["reason"]
