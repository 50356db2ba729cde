"""Runs of `tiny.py`: left alone, cut off, started again, and compared."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).resolve().parent / "tiny.py"
STAGES = ("prepare", "train", "baselines", "evolve", "sample", "evaluate", "report")
TIMED = ("seconds", "steps_per_second", "images_per_second")
TOLERANCE = 1e-6

Row = tuple[str, int, int, int]  # case, tries, lost, wrong
Checks = dict[str, Callable[[], Iterable[Row]]]  # by name; to list them is quick


def start(workdir: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A run in a process group of its own, with its standard output and error as pipes."""
    told = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "launch.py", "--config", str(TINY), "--workdir", str(workdir), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=told, start_new_session=True, **pipes)


def until(process: subprocess.Popen[str], text: str) -> bool:
    """Read its standard output up to a line that starts so; False if there was none."""
    assert process.stdout is not None
    return any(line.startswith(text) for line in process.stdout)


def finish(workdir: Path, *arguments: str) -> tuple[int, str]:
    """A run to its end: its exit code, and what it said on standard error."""
    process = start(workdir, *arguments)
    said = process.communicate()[1]
    return process.returncode, said


def inside(workdir: Path, *arguments: str, config: Path = TINY) -> tuple[int, str, str]:
    """The same in this process, where nothing need be imported again: exit code, standard output and error."""
    from depthjax.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--config", str(config), "--workdir", str(workdir), *arguments])
    return code, out.getvalue(), err.getvalue()


@contextlib.contextmanager
def reference(place: Path) -> Iterator[dict[str, float]]:
    """`place/STAGE/` is the work folder of an undisturbed run as that stage finds it, `place/report_done/` all of it.

    Made where it is not there yet. Programs compiled in it are kept, in a cache of their own, for every run within the
    block.

    Yields:
        The seconds of each stage.
    """
    place.mkdir(parents=True, exist_ok=True)
    with _cache(place / "cache"):
        if not (place / "report_done").exists():
            subprocess.run([sys.executable, "-m", "tests.faults.runs", str(place)], cwd=ROOT, check=True)
        stamps = place / "report_done" / "stages"
        yield {stage: json.loads((stamps / f"{stage}.json").read_text())["seconds"] for stage in STAGES}


def _make(place: Path) -> None:
    workdir = place / "run"
    shutil.rmtree(workdir, ignore_errors=True)
    for stage in STAGES:
        workdir.mkdir(exist_ok=True)
        shutil.rmtree(place / stage, ignore_errors=True)
        shutil.copytree(workdir, place / stage)
        code, _, said = inside(workdir, f"--stages={stage}")
        if code:
            raise SystemExit(f"the run that is left alone ended with {code} in {stage}: {said}")
    workdir.rename(place / "report_done")


@contextlib.contextmanager
def _cache(folder: Path) -> Iterator[None]:
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= dict(zip(names, (str(folder), "0"), strict=True))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def copy(place: Path, stage: str, workdir: Path) -> Path:
    """A work folder as the stage finds it."""
    shutil.rmtree(workdir, ignore_errors=True)
    return shutil.copytree(place / stage, workdir)


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


def ended_alike(workdir: Path, place: Path) -> bool:
    """Whether a run's numbers are those of the undisturbed one, its files no fewer, nothing half-written."""
    other = place / "report_done"
    ours, theirs = (json.loads((folder / "evaluation.json").read_text()) for folder in (workdir, other))
    missing = _names(other) - _names(workdir)
    return not missing and not left_over(workdir) and same(ours, theirs) and same(rows_of(workdir), rows_of(other))


def _names(folder: Path) -> set[Path]:
    """The files and folders of a run, less those that orbax names by chance."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.parent.name != "d"}


def left_over(workdir: Path) -> list[Path]:
    """What was begun and is not there under its own name."""
    return [path for path in workdir.rglob("*") if path.name.endswith(".tmp") or "incomplete" in path.name]


def contents(workdir: Path) -> dict[str, str]:
    """The sha256 of every file that a run keeps, but for those that say when and where the last one ran."""
    files = (path for path in sorted(workdir.rglob("*")) if path.is_file())
    kept = (path for path in files if path.name not in (".lock", "config.json", "environment.json"))
    return {str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def is_one_line(said: str) -> bool:
    """Whether exactly one line is the program's own, and none is a traceback."""
    lines = said.splitlines()
    return sum(line.startswith("depthjax: ") for line in lines) == 1 and "Traceback" not in said


def summed(case: str, results: list[tuple[bool, bool]]) -> Row:
    """A row of the table from (lost, wrong) of each try."""
    return case, len(results), sum(lost for lost, _ in results), sum(wrong for _, wrong in results)


if __name__ == "__main__":  # a process for `reference`: all stages in one
    _make(Path(sys.argv[1]))
