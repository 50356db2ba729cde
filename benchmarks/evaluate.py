"""Seconds of the evaluation by part, on one core and on all of this process, and whether they give the same numbers.

Command: python -m benchmarks.evaluate [--config FILE] [--workdir DIR] [--cores N ...] [--seeds N]
Needs:   a finished run (default: configs/quick.py in runs/quick), which is only read.

Each number of cores is a fresh process that may use only these; features and errors of inversion are computed anew.
Programs are compiled in a process before, so that none compiles. Beside the seconds stands the processor time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

PARTS = {  # first word of a line of the log: what begins there
    "controls:": "controls",
    "features": "features",
    "depthnet": "networks",
    "distances,": "measures",
    "classifiers;": "classifiers",  # beside them inversion and embeddings
    "evaluated": "",
}
COPIED = ("data", "faces", "samples", "checkpoints", "stages")  # of the run; features are left out


def main() -> None:
    """Print seconds of each part, and the ratios to the first number of cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/quick.py"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    parser.add_argument("--cores", type=int, nargs="+", default=[1, len(os.sched_getaffinity(0))])
    parser.add_argument("--seeds", type=int, help="of the classifiers; default: as the run")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        print(json.dumps(timed(flags, flags.cores[0])))
        return
    found = {cores: in_process(flags, cores) for cores in flags.cores}
    first = found[flags.cores[0]]
    for part, (seconds, _) in first["parts"].items():
        cells = [f"{n} cores {s:6.1f} s ({p:6.1f} s of processor, {seconds / s:.2f}x)"
                 for n, (s, p) in ((n, of["parts"][part]) for n, of in found.items())]  # fmt: skip
        print(f"{part:12} " + "   ".join(cells))
    same = len({of["digest"] for of in found.values()}) == 1
    print("the same numbers" if same else "DIFFERENT numbers: " + str({n: of["digest"] for n, of in found.items()}))


def in_process(flags: argparse.Namespace, cores: int) -> dict:
    """Return what `timed` does, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.evaluate", "--child", "--cores", str(cores)]
    command += ["--config", str(flags.config), "--workdir", str(flags.workdir)]
    command += ["--seeds", str(flags.seeds)] if flags.seeds else []
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def timed(flags: argparse.Namespace, cores: int) -> dict:
    """Evaluate a copy of the run on so many cores: `parts`, name to seconds and processor time, and a `digest`."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from depthjax.config_file import load_config
    from depthjax.environment import cache_programs, start_jax

    start_jax()
    cache_programs()
    from depthjax.files import file_digest
    from depthjax.pipeline import evaluate

    marks: list[tuple[str, float, float]] = []

    def log(text: str) -> None:
        word = text.split(" s  ")[-1].split()[0]
        if word in PARTS and PARTS[word] not in [mark[0] for mark in marks]:
            marks.append((PARTS[word], time.perf_counter(), processor()))
        print(f"{cores} cores: {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(flags.workdir / name, copy / name)
        config = load_config(flags.config)
        if flags.seeds:
            config = replace(config, evaluate=replace(config.evaluate, seeds=flags.seeds))
        written = evaluate(config, copy, log)
        paths = sorted(path for of in written for path in ([of] if of.is_file() else of.iterdir()))
        digest = " ".join(file_digest(path)[:12] for path in paths)
    parts = {name: (after[1] - then, after[2] - spent) for (name, then, spent), after in itertools.pairwise(marks)}
    parts["all"] = (marks[-1][1] - marks[0][1], marks[-1][2] - marks[0][2])
    return {"parts": parts, "digest": digest}


def processor() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


if __name__ == "__main__":
    main()
