"""SIGKILL at random times through a whole run, in every stage: does the restart finish, and with the same numbers?

    python tests/faults/kill_smoke.py [--tries 30] [--seed 0] [--folder DIR]

One run is left alone; every other one is killed once, restarted by the same command, and compared with it: each
number of evaluation.json and metrics.jsonl to 1e-6, seconds and rates apart. Prints a line a try, and a row (case,
tries, lost, wrong): lost are runs that did not finish or repeated more than a save interval, wrong those that ended
otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STAGES = ("prepare", "train", "baselines", "evolve", "sample", "evaluate", "report")
METHODS = ("gmm", "kde", "cdcgan_kd", "cdcgan_kd_ga")  # GAN and VAE compile for half a minute
TIMED = ("seconds", "steps_per_second", "images_per_second")
TOLERANCE = 1e-6


def command(workdir: Path) -> list[str]:
    """The run's command line."""
    chosen = ["--config.baselines.methods=gmm,kde", f"--config.sample.methods={','.join(METHODS)}"]
    chosen += ["--config.train.save_every_epochs=1"]
    return [sys.executable, "launch.py", "--config", "configs/smoke.py", "--workdir", str(workdir), *chosen]


def start(workdir: Path) -> subprocess.Popen[str]:
    """The run, in a process group of its own."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command(workdir), cwd=ROOT, env=environment, start_new_session=True, **pipes)


def left_alone(workdir: Path) -> dict[str, float]:
    """Run it to its end; the seconds of each stage."""
    process = start(workdir)
    process.communicate()
    if process.returncode:
        raise SystemExit(f"the run that is left alone ended with {process.returncode}")
    return {stage: json.loads((workdir / "stages" / f"{stage}.json").read_text())["seconds"] for stage in STAGES}


def killed(workdir: Path, stage: str, after: float) -> bool:
    """Kill the run, and all that works for it, some seconds into a stage; False if it was over by then."""
    process = start(workdir)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"{stage}: starting"):
            break
    time.sleep(after)
    over = process.poll() is not None
    if not over:
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return not over


def rows_of(workdir: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal, numbers to the tolerance."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(a == b)


def saved_steps(workdir: Path) -> int:
    """The step of the newest checkpoint, 0 if there is none."""
    return max((int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdecimal()), default=0)


def logged_steps(workdir: Path) -> int:
    """The last step that was logged, 0 if none was."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines() if (workdir / "metrics.jsonl").exists() else []
    steps = [0]
    for line in lines:
        try:
            steps.append(json.loads(line)["step"])
        except ValueError:  # the line that was being written
            continue
    return steps[-1]


def judge(reference: Path, workdir: Path, interval: int) -> tuple[bool, bool]:
    """(lost, wrong) of a run that was killed: restart it, and compare."""
    repeated = logged_steps(workdir) - saved_steps(workdir)
    process = start(workdir)
    process.communicate()
    if process.returncode or repeated > interval:
        return True, False
    ours, theirs = (json.loads((folder / "evaluation.json").read_text()) for folder in (workdir, reference))
    return False, not (same(ours, theirs) and same(rows_of(workdir), rows_of(reference)))


def measure(tries: int, seed: int, folder: Path) -> tuple[str, int, int, int]:
    """(case, tries, lost, wrong)."""
    reference, rng = folder / "left_alone", random.Random(seed)
    seconds, lost, wrong, done = left_alone(reference), 0, 0, 0
    rows = rows_of(reference)
    interval = rows[-1]["step"] // rows[-1]["epoch"]  # it saves every epoch
    while done < tries:
        stage = STAGES[done % len(STAGES)]
        after, workdir = rng.uniform(0, max(0.5, seconds[stage])), folder / f"try_{done}"
        if not killed(workdir, stage, after):
            continue  # it was over before: another time of the same stage
        was_lost, was_wrong = judge(reference, workdir, interval)
        lost, wrong, done = lost + was_lost, wrong + was_wrong, done + 1
        verdict = "LOST" if was_lost else "WRONG" if was_wrong else "as if left alone"
        print(f"{done:3d}  {stage} {after:5.1f} s: {verdict}", flush=True)
    return "SIGKILL through a whole run", tries, lost, wrong


def main() -> int:
    """Print the row; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs stay, instead of a temporary folder")
    flags = parser.parse_args()
    if flags.folder:
        row = measure(flags.tries, flags.seed, flags.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(flags.tries, flags.seed, Path(folder))
    print("case | tries | lost | wrong\n" + " | ".join(map(str, row)))
    return int(bool(row[2] or row[3]))


if __name__ == "__main__":
    sys.exit(main())
