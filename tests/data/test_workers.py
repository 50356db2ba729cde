import os
import time
from functools import partial

import pytest

from depthjax.data.workers import AHEAD, in_order
from depthjax.errors import UserError


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)


def test_results_come_in_order_and_never_many_ahead():
    asked = []
    results = in_order(partial(pow, 2), (asked.append(i) or i for i in range(40)))
    assert next(results) == 1
    time.sleep(0.5)
    assert len(asked) <= 2 * AHEAD + 1
    assert list(results) == [2**i for i in range(1, 40)]


def test_an_error_reaches_the_reader():
    with pytest.raises(ZeroDivisionError):
        list(in_order(partial(divmod, 1), [1, 1, 1, 1, 0, 1, 1]))


def test_a_killed_process_is_one_line():
    with pytest.raises(UserError, match="memory"):
        list(in_order(os._exit, [1] * 9))
