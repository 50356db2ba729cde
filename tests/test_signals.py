import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAIN = """
import hashlib, sys, threading, time
from depthjax import signals
from depthjax.parallel import in_threads
signals.GRACE = float(sys.argv[2])

def busy():  # no signal handler of Python's runs before this is over
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)

class Slow:
    def __del__(self):  # what a handler raises here is lost
        time.sleep(20)

def body():
    with signals.ending_on_signals():
        print("ready", flush=True)
        what = sys.argv[1]
        if what == "collector":
            Slow()
            time.sleep(30)
        time.sleep(60) if what == "sleep" else busy() if what == "busy" else in_threads(lambda _: busy(), range(8))

try:
    body()
except signals.Stopped as stopped:
    print(stopped, file=sys.stderr)
    signals.end(stopped.exit_code)
"""


def stopped(what, grace, *numbers):
    """(exit code, what it said, seconds that it took)."""
    command = [sys.executable, "-c", MAIN, what, str(grace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    for number in numbers:
        time.sleep(0.2)
        process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    return process.returncode, said, time.monotonic() - start


@pytest.mark.parametrize(
    ("what", "number", "code"),
    [
        ("sleep", signal.SIGTERM, 143),
        ("fits", signal.SIGINT, 130),
        pytest.param("collector", signal.SIGTERM, 143, marks=pytest.mark.nightly),
    ],
)
def test_a_signal_ends_a_run_with_one_line_and_its_exit_code(what, number, code):
    found, said, seconds = stopped(what, 60, number)
    assert found == code and seconds < 10
    name = signal.Signals(number).name
    told = f"stopped by {name}; what was done stays done: run the same command to go on"
    assert [line.removeprefix("depthjax: ") for line in said.splitlines()] == [told]


WORKERS = """
import multiprocessing, sys
import numpy as np
from depthjax import signals
from depthjax.parallel import end_processes, in_processes
in_processes(np.square, np.arange(8))
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
if sys.argv[1] == "ended":
    end_processes()
signals.exit_now(143)
"""


@pytest.mark.parametrize("when", [pytest.param("waiting", marks=pytest.mark.nightly), "ended"])
def test_processes_that_wait_for_more_end_with_the_run(when):
    # Workers hold their parent's output open: it would be waited for until they leave by themselves.
    command = [sys.executable, "-c", WORKERS, when]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
    assert process.returncode == 143 and "Traceback" not in process.stderr
    assert when == "waiting" or process.stderr == ""
    pids = [int(pid) for pid in process.stdout.split()]
    assert pids and not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def test_a_compiled_program_is_not_waited_for_beyond_the_grace():
    code, said, seconds = stopped("busy", 0.5, signal.SIGTERM)
    assert code == 143 and 0.5 < seconds < 10
    assert said == "depthjax: stopped by SIGTERM; what was done stays done: run the same command to go on\n"


def test_a_second_signal_ends_it_at_once():
    code, said, seconds = stopped("busy", 60, signal.SIGTERM, signal.SIGINT)
    assert code == 130 and seconds < 10 and "SIGINT" in said
