"""Work on all cores gives what a loop gives, holds no more than it needs, and ends when a part of it fails."""

import joblib
import numpy as np
import pytest

from depthjax.parallel import each_in_process, in_processes, in_threads


def test_items_of_a_generator_are_drawn_when_a_thread_is_free():
    drawn, begun = [], []

    def items():
        for i in range(40):
            drawn.append(i)
            yield i

    def square(i):
        begun.append(i)
        assert len(drawn) - len(begun) < joblib.cpu_count()
        return i * i

    assert in_threads(square, items()) == [i * i for i in range(40)]


def test_a_part_that_fails_ends_the_rest():
    begun = []

    def failing(i):
        begun.append(i)
        if i == 1:
            raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        in_threads(failing, range(100_000))
    assert len(begun) < 100_000

    def broken():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        in_threads(str, broken())


def test_processes_give_what_a_loop_gives_in_order():
    arrays = [np.random.default_rng(i).normal(size=(50, 50)) for i in range(5)]
    np.testing.assert_array_equal(in_processes(np.square, arrays[0]), arrays[0] ** 2)
    assert each_in_process(np.linalg.norm, arrays) == [np.linalg.norm(array) for array in arrays]
    np.testing.assert_array_equal(in_processes(np.square, arrays[1]), arrays[1] ** 2)
