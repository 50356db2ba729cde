"""SIGKILL at random times through a whole run, in every stage: does the restart finish, and with the same numbers?

    python tests/faults/kill_smoke.py [--tries 30] [--seed 0] [--folder DIR]

One run is left alone. Every other one takes it up where a stage begins, is killed with all that works for it some time
into that stage (or in the middle of a checkpoint, or of writing samples), is started again by the same command, and is
compared: each number of evaluation.json and metrics.jsonl to 1e-6, seconds and rates apart. Prints a line a try, and a
row (case, tries, lost, wrong): lost are runs that did not finish or repeated more than a save interval, wrong those
that ended otherwise. With a folder, what is left alone is kept there for the next call.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from runs import STAGES, Row, copy, ended_alike, finish, reference, rows_of, start, summed, table, until

MOMENTS = {"in a checkpoint": ("train", "checkpoints/.*.tmp"), "in a sample": ("sample", "samples/.*.tmp")}
CASES = (*STAGES, *MOMENTS)


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


def rows(tries: int = 30, seed: int = 0, folder: Path | None = None) -> list[Row]:
    """The row, of tries that take the stages in turn."""
    rng = random.Random(seed)
    with reference(folder) as (place, seconds):
        cases = [CASES[(seed + number) % len(CASES)] for number in range(tries)]
        results = [a_try(place, place / "try", case, rng, seconds) for case in cases]
    return [summed("SIGKILL in every stage of a run, in a checkpoint, in a sample", results)]


def main() -> int:
    """Print the row; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the times; and which stage comes first")
    parser.add_argument("--folder", type=Path, help="where the undisturbed run is kept, instead of a temporary folder")
    flags = parser.parse_args()
    found = rows(flags.tries, flags.seed, flags.folder)
    print(table(found))
    return int(any(lost or wrong for _, _, lost, wrong in found))


if __name__ == "__main__":
    sys.exit(main())
