"""KID without pairs of one subject, against double loops, closed forms and scikit-learn's kernel."""

import itertools

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel as sklearn_kernel

from depthjax.evaluate.classification import Labelled
from depthjax.evaluate.distances import kernel_sums, kid, kid_of_halves, polynomial_kernel

OPTIONS = {"draws": 200, "seed": 0}


def people(count, frames, *, first=0, spread=0.01, dimensions=8, emotions=1, seed=0):
    """Subjects drawn from one Gaussian, with frames that are nearly alike."""
    rng = np.random.default_rng([seed, first])
    subject = np.repeat(np.arange(count), frames * emotions)
    centre = rng.normal(size=(count, dimensions))[subject]
    features = centre + spread * rng.normal(size=centre.shape)
    return Labelled(features, np.tile(np.repeat(np.arange(emotions), frames), count), first + subject)


def generated(count, *, scale=1.0, dimensions=8, emotions=1, seed=0):
    rows = scale * np.random.default_rng([seed, 9]).normal(size=(count, dimensions))
    return Labelled(rows, np.arange(count) % emotions, -1 - np.arange(count))


def mean_over_pairs(x, y, e, f):
    """The mean kernel over pairs of different subjects, the first of emotion e, the second of f, pair by pair."""
    pairs = itertools.product(range(len(x)), range(len(y)))
    return np.mean([
        (x.features[i] @ y.features[j] / x.features.shape[1] + 1) ** 3
        for i, j in pairs
        if x.subject[i] != y.subject[j] and (x.emotion[i], y.emotion[j]) == (e, f)
    ])  # fmt: skip


def by_loops(x, y, classes):
    return np.array([
        [mean_over_pairs(x, x, e, f) + mean_over_pairs(y, y, e, f) - 2 * mean_over_pairs(x, y, e, f)
         for f in range(classes)] for e in range(classes)
    ])  # fmt: skip


def test_kernel_is_scikit_learns():
    x, y = people(20, 1).features, people(15, 1, first=50).features
    np.testing.assert_allclose(polynomial_kernel(x, y), sklearn_kernel(x, y, degree=3, gamma=1 / 8, coef0=1))
    assert polynomial_kernel(x.astype(np.float32), y.astype(np.float32)).dtype == np.float64


def test_it_is_the_mean_over_pairs_of_different_subjects():
    rng = np.random.default_rng(0)
    x = people(5, 3, emotions=2).take(rng.permutation(30)[:23])  # subjects of unequally many frames, in any order
    y = people(4, 2, first=3, emotions=2, spread=0.5)  # two subjects are in both sets
    for ours in (x, generated(9, emotions=2)):
        expected = by_loops(ours, y, 2)
        found = [one.value for one in kid(ours, y, **OPTIONS)]
        np.testing.assert_allclose(found, [expected.mean(), expected[0, 0], expected[1, 1]], rtol=1e-9, atol=1e-12)


def test_weights_repeat_subjects_which_never_pair_with_themselves():
    x, y = people(4, 2, emotions=2, spread=0.3), people(3, 2, first=10, emotions=2, spread=0.3)
    times = np.array([2, 0, 1, 1])
    drawn = x.take(np.repeat(np.arange(len(x)), times[x.subject]))
    for other in (x, y):
        sums = kernel_sums(x, other)
        weights = times[sums.left.subject][None].astype(float)
        found = sums.means(weights, weights if other is x else np.ones((1, len(sums.right.faces))), 2)[0]
        second = drawn if other is x else y
        expected = [[mean_over_pairs(drawn, second, e, f) for f in range(2)] for e in range(2)]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_alike_frames_of_few_subjects_make_no_distance():
    """Two sets of one distribution, 16 subjects each, 10 frames: with pairs of one subject it was about 0.3."""
    trials = [(people(16, 10, seed=s), people(16, 10, first=50, seed=s)) for s in range(60)]
    found = np.array([kid(x, y, draws=1, seed=0)[0].value for x, y in trials])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(60)
    frames = [[Labelled(of.features, of.emotion, 1000 * i + np.arange(160)) for i, of in enumerate(pair)]
              for pair in trials[:10]]  # fmt: skip
    assert np.mean([kid(x, y, draws=1, seed=0)[0].value for x, y in frames]) > 0.2


def test_of_gaussians_it_has_a_closed_form():
    # E (xy + 1)^3 = 1 + 3 E x² E y²: so 3 (1 - s²)² in one dimension.
    values = [
        kid(generated(400, dimensions=1, seed=s), generated(400, dimensions=1, scale=1.5, seed=100 + s), draws=1,
            seed=0)[0].value for s in range(40)
    ]  # fmt: skip
    assert np.mean(values) == pytest.approx(3 * (1 - 1.5**2) ** 2, abs=3 * np.std(values) / np.sqrt(40))


def test_interval_resamples_subjects_and_generated_faces():
    far = generated(300)
    far = Labelled(far.features + 1, far.emotion, far.subject)
    few, many = (kid(far, people(n, 10), **OPTIONS)[0] for n in (6, 40))
    assert few.low < few.value < few.high and 0 < many.low < many.value < many.high
    assert few.high - few.low > 1.5 * (many.high - many.low) and many.n == 300
    assert kid(far, people(40, 10), **OPTIONS) == kid(far, people(40, 10), **OPTIONS)


def test_a_difference_in_one_emotion_stands_there():
    x, y = people(20, 2, emotions=3), people(20, 2, first=50, emotions=3)
    moved = Labelled(x.features + 2.0 * (x.emotion == 1)[:, None], x.emotion, x.subject)
    pooled, *each = [one.value for one in kid(moved, y, **OPTIONS)]
    assert each[1] > 5 * max(abs(each[0]), abs(each[2])) and 0 < pooled < each[1]


def test_halves_of_one_set_scatter_about_zero():
    x = people(16, 10)
    half = kid_of_halves(x, draws=2000, seed=0)[0]
    assert half.low < 0 < half.high and abs(half.value) < 0.05 * (half.high - half.low)
    sums = kernel_sums(x.take(x.subject < 4), x.take(x.subject < 4))
    halves = np.array([[float(i in chosen) for i in range(4)] for chosen in itertools.combinations(range(4), 2)])
    other = 1 - halves
    values = sums.means(halves, halves, 1) + sums.means(other, other, 1) - 2 * sums.means(halves, other, 1)
    assert values.mean() == pytest.approx(0, abs=1e-12)


def test_an_emotion_of_one_subject_gives_a_reason():
    x = people(6, 2, emotions=2)
    lone = x.take((x.emotion == 0) | (x.subject == 0))
    pooled, first, second = kid(lone, generated(20, emotions=2), **OPTIONS)
    assert first.value is not None and second.value is pooled.value is None and "one subject" in second.reason


def test_halves_without_pairs_of_an_emotion_do_not_count():
    """Four subjects of eight show it: a few halves hold one of them, and these took the value of all others away."""
    x = people(8, 2, emotions=2)
    found = kid_of_halves(x.take((x.emotion == 0) | (x.subject < 4)), **OPTIONS)
    assert all(one.low < one.value < one.high for one in found)
