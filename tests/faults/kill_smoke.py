"""SIGKILL at random times through a whole run, then the same command again: does it end as if left alone?

One run is left alone. Every other one takes it up where a stage begins, is killed with all that works for it some time
into that stage (or in the middle of a checkpoint, or of writing samples), is started again by the same command, and is
compared: each number of evaluation.json and metrics.jsonl to 1e-6, seconds and rates apart. Lost: runs that did not
finish, or repeated more than a save interval. Wrong: those that ended otherwise.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.runs import STAGES, Checks, Row, copy, ended_alike, finish, reference, rows_of, start, summed, until

MOMENTS = {"in a checkpoint": ("train", "checkpoints/.*.tmp"), "in a sample": ("sample", "samples/.*.tmp")}
CASES = (*STAGES, *MOMENTS)
OFTEN = ("prepare", "train", "in a checkpoint")  # what loses most if it goes wrong


def killed(workdir: Path, stage: str, wait: Callable[[], None]) -> bool:
    """Kill a run, and all that works for it, `wait` after a stage began; False if it was over by then."""
    process = start(workdir)
    until(process, f"{stage}: starting")
    wait()
    over = process.poll() is not None
    if not over:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not over


def appearance(workdir: Path, pattern: str) -> Callable[[], None]:
    """Wait until something of that name is there, half a minute at most."""

    def wait() -> None:
        end = time.monotonic() + 30
        while not any(workdir.glob(pattern)) and time.monotonic() < end:
            time.sleep(0.001)

    return wait


def saved_steps(workdir: Path) -> int:
    """The step of the newest checkpoint, 0 if there is none."""
    return max((int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdecimal()), default=0)


def logged_steps(workdir: Path) -> int:
    """The last step that was logged, 0 if none was."""
    log = workdir / "metrics.jsonl"
    whole = log.read_text().rpartition("\n")[0].splitlines() if log.exists() else []  # not the line in the making
    return json.loads(whole[-1])["step"] if whole else 0


def a_try(place: Path, workdir: Path, case: str, rng: random.Random, seconds: dict[str, float]) -> tuple[bool, bool]:
    """(lost, wrong) of one run that is killed and started again."""
    stage, pattern = MOMENTS.get(case, (case, ""))
    while True:
        copy(place, stage, workdir)
        after = rng.uniform(0, max(0.5, seconds[stage]))
        if killed(workdir, stage, appearance(workdir, pattern) if pattern else lambda: time.sleep(after)):  # noqa: B023
            break  # else it was over before: another time
    rows = rows_of(place / "report_done")
    interval = rows[-1]["step"] // rows[-1]["epoch"]  # it saves every epoch
    half_written = bool(pattern) and any(workdir.glob(pattern))
    repeated = logged_steps(workdir) - saved_steps(workdir)
    code, said = finish(workdir)
    lost = bool(code) or repeated > interval
    wrong = not lost and not ended_alike(workdir, place)
    where = f"{case}{' (half-written)' if half_written else '' if pattern else f' {after:.1f} s'}"
    print(f"  {where}: {f'LOST {said[-300:]}' if lost else 'WRONG' if wrong else 'as if left alone'}", flush=True)
    return lost, wrong


def rows(folder: Path, case: str, tries: int) -> list[Row]:
    """The row of one case."""
    rng, place = random.Random(case), folder / "undisturbed"
    with reference(place) as seconds:
        results = [a_try(place, folder / "try", case, rng, seconds) for _ in range(tries)]
    return [summed(f"SIGKILL {case if case in MOMENTS else f'in {case}'}, and the run", results)]


def checks(folder: Path, tries: int = 1) -> Checks:
    """Every case, so many tries each, or one more."""
    return {case: partial(rows, folder, case, tries + (case in OFTEN)) for case in CASES}
