"""benchmarks/gpu.py keeps what it has measured, and goes on after a failure; its worker here measures nothing."""

import sys

import pytest

from benchmarks.gpu import Task, measure_all, missing, table
from depthjax.errors import UserError
from depthjax.files import read_json

WORKER = """
import sys, time
say = lambda text: print("row: " + text, flush=True)
say('{"machine": {"devices": ["cpu: cpu"]}}')
for line in sys.stdin:
    print(line.strip(), file=open(sys.argv[1], "a"))
    if line.strip() == "late":
        time.sleep(60)
    say('{"seconds": 2.0, "note": "fine", "peers": {"other": 3.0}}')
    if line.strip() == "dies":
        sys.exit(9)
    say('{"done": true}')
"""
TASKS = [Task(name, estimate, None) for name, estimate in
         (("late", 0.1), ("dies", 1.0), ("good", 1.0), ("long", 1e3))]  # fmt: skip


def test_a_failed_row_loses_no_other_and_finished_ones_are_skipped(tmp_path):
    path, started = tmp_path / "gpu.json", tmp_path / "started"
    command = [sys.executable, "-c", WORKER, str(started)]
    measure_all(TASKS, path, 50, command, "cpu")
    rows = read_json(path)["rows"]
    assert started.read_text().split() == ["late", "dies", "good"]  # no time for long
    assert [rows[name]["done"] for name in ("late", "dies", "good")] == [False, False, True]
    assert "too long" in rows["late"]["failed"] and "code 9" in rows["dies"]["failed"]
    assert [task.name for task in missing(TASKS, rows)] == ["long", "late", "dies"]

    measure_all(TASKS, path, 0.5, command, "cpu")
    assert started.read_text().split() == ["late", "dies", "good", "late"]  # of the others, none fits

    late, dies, good, long = table(TASKS, rows)
    assert (late.ours_s, late.ratio) == (None, None) and late.note.startswith("not measured; stopped")
    assert dies.ours_s == 2.0 and "code 9" in dies.note  # what it had measured before
    assert (good.peer, good.ratio, good.note) == ("other", 1.5, "fine")
    assert long.note == "not measured"


def test_another_machine_is_refused(tmp_path):
    command = [sys.executable, "-c", WORKER, str(tmp_path / "started")]
    with pytest.raises(UserError, match="no gpu, but \\['cpu: cpu'\\]"):
        measure_all(TASKS[2:3], tmp_path / "gpu.json", 9, command, "gpu")
    (tmp_path / "gpu.json").write_text('{"machine": {"devices": ["cpu: old"]}, "rows": {}}')
    with pytest.raises(UserError, match="another machine"):
        measure_all(TASKS[2:3], tmp_path / "gpu.json", 9, command, "cpu")
    assert not (tmp_path / "started").exists()
