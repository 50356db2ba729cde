import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from depthjax.data.workers import in_order
from depthjax.errors import UserError


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)


def test_results_come_in_order():
    assert list(in_order(partial(pow, 2), range(40))) == [2**i for i in range(40)]


def test_an_error_reaches_the_reader():
    with pytest.raises(ZeroDivisionError):
        list(in_order(partial(divmod, 1), [1, 1, 1, 1, 0, 1, 1]))


def test_a_killed_process_is_one_line():
    with pytest.raises(UserError, match="memory"):
        list(in_order(os._exit, [1] * 9))


ORPHANS = """
import multiprocessing, os, sys
from depthjax.data.workers import in_order
import joblib
joblib.cpu_count = lambda: 2
results = in_order(abs, range(10**5))
next(results)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.nightly
def test_no_process_outlives_one_that_is_killed(tmp_path):
    (tmp_path / "main.py").write_text("if __name__ == '__main__':\n" + ORPHANS.replace("\n", "\n    "))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, tmp_path / "main.py"], stdout=subprocess.PIPE, text=True, env=environment)
    workers = [Path("/proc", pid) for pid in done.stdout.split()]
    assert len(workers) == 2
    until = time.monotonic() + 20
    while any(worker.exists() for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(worker.exists() for worker in workers)
