"""Two processes on one machine train together: to the same bits, and one that dies takes the other along, cleanly."""

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from depthjax import pipeline
from depthjax.config import Config, Distributed
from depthjax.config_values import override
from depthjax.errors import ConfigError, UserError
from depthjax.train.mesh import check_same_everywhere, max_over_processes
from depthjax.train.metrics_log import truncate_metrics

ROOT = Path(__file__).parents[2]


def _two(folder, *dies_at, both=False):
    """(exit code, standard output, standard error) of both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.train.one_of_two", str(folder), str(port)]
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"}
    started = [
        subprocess.Popen([*command, str(i), *(dies_at if i or both else ())], cwd=ROOT, env=os.environ | flags,
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for i in (0, 1)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


def _digests(ended):
    assert [code for code, *_ in ended] == [0, 0], ended
    return [re.search(r"digest (\w+) of 2 12", out)[1] for _, out, _ in ended]


@pytest.mark.nightly
def test_two_processes_agree_bit_for_bit_and_go_on_after_one_is_killed(tmp_path):
    ended = _two(tmp_path / "whole")
    first, second = _digests(ended)
    assert first == second
    assert "4 of 4 devices share" in ended[0][2] and "share" not in ended[1][2]
    assert sorted(f.name for f in (tmp_path / "whole" / "checkpoints").iterdir()) == ["12", "6"]
    rows = truncate_metrics(tmp_path / "whole" / "metrics.jsonl", 12)
    assert [row["step"] for row in rows] == [3, 6, 9, 12]

    (code, _, said), (killed, *_) = _two(tmp_path / "parts", "4")  # after the checkpoint of step 6
    lines = [line for line in said.splitlines() if line.startswith("depthjax:")]
    assert (code, killed) == (1, -9) and len(lines) == 1 and "another process is gone" in lines[0]
    assert [f.name for f in (tmp_path / "parts" / "checkpoints").iterdir()] == ["6"]
    assert _digests(_two(tmp_path / "parts")) == [first, first]
    assert [row["step"] for row in truncate_metrics(tmp_path / "parts" / "metrics.jsonl", 12)] == [3, 6, 9, 12]


@pytest.mark.nightly
def test_where_the_first_can_save_nothing_the_other_does_not_wait(tmp_path):
    ended = _two(tmp_path, "-1", both=True)
    lines = [[line for line in said.splitlines() if line.startswith("depthjax:")] for *_, said in ended]
    assert [code for code, *_ in ended] == [1, 1] and [len(said) for said in lines] == [1, 1], ended
    assert "could not be written" in lines[0][0] and "another process is gone" in lines[1][0]


def test_one_process_asks_nobody():
    assert max_over_processes(None) is None and max_over_processes(15) == 15
    check_same_everywhere("anything")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"coordinator": "localhost:1"}, "process_count: must be at least 2"),
        ({"coordinator": "localhost:1", "process_count": "2", "process_id": "2"}, "process_id: must be below"),
    ],
)
def test_processes_are_counted(settings, says):
    with pytest.raises(ConfigError, match=says):
        override(Config(), {f"distributed.{name}": value for name, value in settings.items()})


def test_only_training_is_shared(tmp_path):
    config = replace(Config(), distributed=Distributed("127.0.0.1:1", 2, 0))
    with pytest.raises(UserError, match="--stages=train"):
        pipeline.run(config, tmp_path, ["prepare", "train"])
