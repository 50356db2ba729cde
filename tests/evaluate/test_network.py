"""The small network: it learns from the faces given, evenly over emotions, and from nothing else."""

import numpy as np
import pytest

from depthjax.evaluate import network
from depthjax.evaluate.network import SmallNetwork
from depthjax.evaluate.spaces import SIDE


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    patch = pytest.MonkeyPatch()
    patch.setattr(network, "STEPS", 40)
    yield
    patch.undo()


def boxes(count, seed, rare=1.0):
    """Slopes that fall to the right, rise, or are bent, with noise: (n, 1024) in [-1, 1], and labels."""
    rng, x = np.random.default_rng(seed), np.linspace(-0.5, 0.5, SIDE)
    label = np.repeat([0, 1, 2], [count, count, max(2, round(rare * count))]).astype(np.int32)
    shapes = np.stack([x, -x, 2 * x**2])[label][:, None, :] + 0.05 * rng.normal(size=(len(label), SIDE, SIDE))
    return np.clip(shapes, -1, 1).reshape(len(label), -1), label


def test_it_learns_what_separates_faces_and_repeats_itself():
    (known, label), (asked, wanted) = boxes(30, 0), boxes(100, 1)
    first, again, other = (SmallNetwork(seed).fit(known, label) for seed in (0, 0, 1))
    predicted = first.predict(asked)
    assert predicted.shape == (300,) and (predicted == wanted).mean() > 0.95  # 300: a chunk, and a part of one
    assert np.array_equal(predicted, again.predict(asked))
    weights = [np.asarray(one.parameters["params"]["emotion"]["kernel"]) for one in (first, again, other)]
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_one_program_serves_sets_of_any_size():
    SmallNetwork(0).fit(*boxes(5, 0)).predict(boxes(5, 0)[0])
    before = network._step._cache_size(), network._classify._cache_size()
    SmallNetwork(0).fit(*boxes(17, 0)).predict(boxes(90, 0)[0])
    assert (network._step._cache_size(), network._classify._cache_size()) == before


def test_batches_are_balanced_over_emotions_and_hold_the_faces_as_they_are(monkeypatch):
    known, label = boxes(40, 0, rare=0.05)
    seen = []
    monkeypatch.setattr(network, "_step", lambda net, carry, faces, emotion, n: seen.append((faces, emotion)) or carry)
    SmallNetwork(0).fit(known, label)
    originals = {row.astype(np.float32).tobytes() for row in known}
    for faces, emotion in seen:
        assert np.ptp(np.bincount(emotion, minlength=3)) <= 1
        assert {face.tobytes() for face in faces} <= originals  # neither mirrored nor shifted
