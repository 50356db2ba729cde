"""The shell that a run is started in: what it sets changes no face, or is refused in one line before any work.

Lost: a run that could not go on, a refusal of more than a line, or one that left files. Wrong: other faces.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.data.trees import tree
from tests.faults.runs import ROOT, TINY, Checks, Row, contents

# Variables that are set (None: unset), and what the line must name.
REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "a device that is not here": ({"JAX_PLATFORMS": "tpu"}, "JAX_PLATFORMS=tpu"),
    "a device without its plugin": ({"JAX_PLATFORMS": "cuda"}, "JAX_PLATFORMS=cuda"),
    "any GPU that is not here": ({"JAX_PLATFORMS": "gpu"}, "JAX_PLATFORMS=gpu"),
    "a device by another name": ({"JAX_PLATFORMS": "CPU"}, "JAX_PLATFORMS=CPU"),
    "no docstrings": ({"PYTHONOPTIMIZE": "2"}, "PYTHONOPTIMIZE=2"),
    "a truth value that is none": ({"JAX_ENABLE_X64": "perhaps"}, "JAX_ENABLE_X64"),
    "a random generator that is none": ({"JAX_DEFAULT_PRNG_IMPL": "dice"}, "jax_default_prng_impl"),
}
WITHOUT_EFFECT: dict[str, dict[str, str | None]] = {
    "64 bits": {"JAX_ENABLE_X64": "1"},
    "another random generator": {"JAX_DEFAULT_PRNG_IMPL": "rbg"},
    "the older split of draws": {"JAX_THREEFRY_PARTITIONABLE": "0"},
    "an offset of seeds": {"JAX_RANDOM_SEED_OFFSET": "5"},
    "strict types": {"JAX_NUMPY_DTYPE_PROMOTION": "strict"},
    "no assertions": {"PYTHONOPTIMIZE": "1"},
    "ASCII output": {"PYTHONIOENCODING": "ascii"},
    "Latin-1 output": {"PYTHONIOENCODING": "latin-1"},
    "an unknown user without a home": {"HOME": None, "XDG_CACHE_HOME": None, "JAX_COMPILATION_CACHE_DIR": None},
}
STAGES = "--stages=prepare,train,sample"
MADE = ("faces", "samples")


def launched(workdir: Path, changed: dict[str, str | None], *flags: str) -> tuple[int, str]:
    """A run in a changed shell: its exit code, and what it said on standard error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | changed
    command = [sys.executable, "launch.py", "--config", str(TINY), "--workdir", str(workdir), *flags]
    told = {name: value for name, value in environment.items() if value is not None}
    if "HOME" not in told:
        command = ["unshare", "--user", "--map-user=43210", *command]
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stderr


def refused(folder: Path, names: Sequence[str] = tuple(REFUSED)) -> Iterator[Row]:
    """Each is tried with a run, and with the doctor."""
    for name in names:
        changed, named = REFUSED[name]
        lost = 0
        for stage in ("prepare", "doctor"):
            code, said = launched(folder / "none", changed, f"--stages={stage}")
            lost += not (code == 1 and named in said and said.count("\n") == 1 and not (folder / "none").exists())
        yield f"shell, {name}: refused in one line by a run and by doctor", 2, lost, 0


def without_effect(folder: Path, names: Sequence[str] = tuple(WITHOUT_EFFECT)) -> Iterator[Row]:
    """Training and sampling of faces that are called by names in several scripts, beside the shell as it is."""
    root = tree(folder / "own", subjects=5)
    emotions = ("neutral", "快乐", "خشم")
    for old, new in zip(("happiness", "fear"), emotions[1:], strict=True):
        (root / old).rename(root / new)
    data = {"source": "folder", "path": root, "pattern": "s{subject}_f{frame}", "emotions": ",".join(emotions),
            "test_fraction": 0.4}  # fmt: skip
    flags = [STAGES, *(f"--config.data.{field}={value}" for field, value in data.items()),
             "--config.sample.methods=cdcgan_kd"]  # fmt: skip
    code, said = launched(folder / "as_it_is", {}, *flags)
    assert code == 0, said
    expected = [contents(folder / "as_it_is" / part) for part in MADE]
    for number, name in enumerate(names):
        workdir = folder / str(number)
        code, _ = launched(workdir, WITHOUT_EFFECT[name], *flags)
        wrong = code == 0 and [contents(workdir / part) for part in MADE] != expected
        yield f"shell, {name}: the same faces", 1, int(code != 0), int(wrong)


def checks(folder: Path) -> Checks:
    """Both kinds; `folder` is for their runs."""
    (folder / "shell").mkdir()
    return {"refused": partial(refused, folder / "shell"), "without effect": partial(without_effect, folder / "shell")}
