import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from depthjax.errors import UserError
from depthjax.lock import NAME, only_one

HOLD = """
import sys, time
from pathlib import Path
from depthjax.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_told_who_the_first_is(holder, tmp_path):
    told = f"in use by process {holder.pid} on .*since 20.*another --workdir"
    with pytest.raises(UserError, match=told), only_one(tmp_path):
        raise AssertionError("two at once")
    assert holder.poll() is None


def test_the_lock_of_a_killed_process_is_stale(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / NAME).read_text())["pid"] == holder.pid
    with only_one(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_the_lock_is_free_after_the_block_and_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError), only_one(tmp_path):
            raise RuntimeError
    with only_one(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_lock_that_says_nothing_readable_is_still_a_lock(holder, tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UserError, match="in use by another process"), only_one(tmp_path):
        pass


def test_a_run_that_was_cut_off_is_named_once(holder, tmp_path):
    holder.kill()
    holder.wait()
    said = []
    for _ in range(2):
        with only_one(tmp_path, said.append):
            pass
    assert len(said) == 1 and f"process {holder.pid} on" in said[0] and "was cut off" in said[0]


def test_a_file_system_without_locks_is_said_and_used(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    said = []
    with only_one(tmp_path, said.append):
        assert "has no locks" in said[0]
