import numpy as np

from depthjax.evaluate.halves import draw_halves


def test_halves_share_nobody_and_balance_the_emotions(faces):
    real, ours = faces(7, 4), faces(2, 5)
    draws = draw_halves(real, {"ours": ours}, draws=20, seed=0)
    assert draws.n == 15 and draws.real.shape == draws.other_real.shape == draws.generated["ours"].shape == (20, 15)
    for i, j, k in zip(draws.real, draws.other_real, draws.generated["ours"], strict=True):
        assert not np.intersect1d(real.subject[i], real.subject[j]).size
        assert all(len(np.unique(row)) == draws.n for row in (i, j, k))
        assert all(np.bincount(e).tolist() == [5, 5, 5] for e in (real.emotion[i], real.emotion[j], ours.emotion[k]))
    assert len(np.unique(np.sort(draws.real, axis=1), axis=0)) > 10


def test_one_n_for_all_is_what_the_smallest_set_allows(faces):
    real = faces(5, 2)
    sizes = [draw_halves(real, {"a": faces(1, n), "b": faces(9, 9)}, draws=3, seed=0).n for n in (2, 5, 40)]
    assert sizes == [3, 6, 12]  # half of 2, half of 5, and the two people of the smaller real half


def test_same_seed_same_draws(faces):
    real = faces(4, 2)
    first, again, other = (draw_halves(real, {"a": real}, draws=4, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.generated["a"], again.generated["a"])
    assert not np.array_equal(first.generated["a"], other.generated["a"])


def test_a_half_without_an_emotion_gives_no_faces(faces):
    real = faces(4, 2)
    lone = real.take((real.emotion != 2) | (real.subject == 0))
    assert draw_halves(lone, {"a": real}, draws=4, seed=0).n == 0
