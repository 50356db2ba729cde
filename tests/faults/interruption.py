"""Whatever stops a run or takes the ground from under it: it ends in one line, and goes on as if nothing had been.

Lost: a run that did not end as it should, or could not go on. Wrong: files that changed and should not have, numbers
other than those of the undisturbed run.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np

from depthjax import artifact, stages
from depthjax.files import read_arrays
from tests.faults import disk
from tests.faults.runs import (
    ROOT,
    STAGES,
    TIMED,
    TINY,
    Checks,
    Row,
    contents,
    copy,
    ended_alike,
    finish,
    inside,
    is_one_line,
    reference,
    start,
    summed,
    until,
)

MOST = 10.0  # seconds from a signal to the end
SIGNALS = (signal.SIGTERM, signal.SIGINT)

# A training of twenty steps is cut in two: whether it streams, and how long the first part's dispatches are (then 5).
HALVES = {"the same dispatches": (False, 5), "longer dispatches": (False, 10), "streamed": (True, 5)}


def resume(folder: Path) -> Iterator[Row]:
    """Twenty steps against ten, another process, and ten: every array and every row."""
    for name, (streamed, dispatch) in HALVES.items():
        whole, parts = folder / f"{name} whole", folder / f"{name} parts"
        codes = [_child(whole, 5, 0, streamed), _child(parts, dispatch, 10, streamed), _child(parts, 5, 0, streamed)]
        lost = codes != [0, 143, 0]
        wrong = not lost and (_arrays(parts) != _arrays(whole) or _log(parts)[-2:] != _log(whole)[-2:])
        wrong = wrong or (not lost and dispatch == 5 and _log(parts) != _log(whole))
        yield summed(f"20 steps = 10, another process, 10, bit for bit: {name}", [(lost, wrong)])


def _child(folder: Path, dispatch: int, stop_at: int, streamed: bool) -> int:
    command = [sys.executable, "-m", __spec__.name, str(folder), str(dispatch), str(stop_at), str(int(streamed))]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode


def train_here(folder: Path, dispatch: int, stop_at: int, streamed: bool) -> int:
    """What the processes of `resume` do: up to twenty steps on noise, with a signal of one's own at a step."""
    from dataclasses import replace

    import numpy as np

    from depthjax.config_file import load_config
    from depthjax.data.depth_range import DepthRange
    from depthjax.data.faces import DepthFaces
    from depthjax.errors import UserError
    from depthjax.train.loop import train

    base = load_config(TINY)
    often = {"samples_every_epochs": 5, "save_every_epochs": 5}
    settings = replace(base.train, epochs=5, steps_per_dispatch=dispatch, mirror=True, **often)
    config = replace(base, train=settings, data=replace(base.data, device_budget=0 if streamed else 2000))
    images = np.random.default_rng(0).uniform(-1, 1, (17, config.data.resolution, config.data.resolution))
    label, zeros = (np.arange(17) % 2).astype(np.int32), np.zeros(17, np.int32)
    window = DepthRange.of(config.data)
    faces = DepthFaces(images.astype(np.float32), label, zeros, zeros, config.data.emotions, window)

    def watch(row: dict[str, float]) -> None:
        if row["step"] == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        train(config, faces, folder, progress=watch)
    except UserError as stopped:
        return stopped.exit_code
    return 0


def _arrays(folder: Path) -> dict[str, bytes]:
    """Every array of the last checkpoint: students, optimisers, teachers, statistics, step."""
    from depthjax.train import checkpoint

    step = folder / "checkpoints" / "20"
    trees = {name: checkpoint._read(step / name) for name in ("generator", "training")}
    found = {jax.tree_util.keystr(path): leaf.tobytes() for path, leaf in jax.tree.leaves_with_path(trees)}
    assert len(found) > 100
    return found


def _log(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)) and steps[-1] == 20
    return [{name: value for name, value in row.items() if name not in TIMED} for row in rows]


def signals(place: Path, seconds: dict[str, float], folder: Path, first: int) -> Iterator[Row]:
    """A run that is stopped in every stage by one signal or the other, and started again by the same command.

    Args:
        first: of `SIGNALS`, that comes in the first stage.
    """
    rng, results, workdir = random.Random(first), [], folder / f"stopped {first}"
    for index, stage in enumerate(STAGES):
        result, after = None, rng.uniform(0, max(0.5, seconds[stage]))
        while result is None:
            result = stopped(workdir, stage, after, SIGNALS[(index + first) % 2])
            if result is None:  # the stage was over by then
                after = rng.uniform(0, after)
                copy(place, stage, workdir)
        results.append((not result, False))
    code, _ = finish(workdir)
    results.append((code != 0, code == 0 and not ended_alike(workdir, place)))
    yield summed(f"{SIGNALS[first].name} and {SIGNALS[1 - first].name} in turn in every stage, and the run", results)


def stopped(workdir: Path, stage: str, after: float, number: signal.Signals) -> bool | None:
    """Whether a signal some time into a stage ends all of the run in time, in one line, with its exit code.

    None if the stage, or all of it, was over before.
    """
    process = start(workdir)
    begun = until(process, f"{stage}: starting")
    time.sleep(after)
    since = time.monotonic()
    if not begun or process.poll() is not None or (workdir / "stages" / f"{stage}.json").exists():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    said = process.communicate()[1]
    took, alive = time.monotonic() - since, _alive(process.pid)
    fine = process.returncode == 128 + number and took < MOST and is_one_line(said) and not alive
    verdict = "ended" if fine else f"LOST ({process.returncode}, left: {alive}, {said[-500:]})"
    print(f"  {number.name} {after:.1f} s into {stage}: {verdict} in {took:.1f} s", flush=True)
    return fine


def _alive(group: int) -> bool:
    """Whether a process of the group is there two seconds later."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def second_signal(place: Path, folder: Path) -> Iterator[Row]:
    """Each twice in training, the second so soon that the run is still there."""
    results = []
    for number in SIGNALS:
        tries = (twice(copy(place, "train", folder / "twice"), number, after) for after in range(3, 9))
        results.append((not next((fine for fine in tries if fine is not None), False), False))
    yield summed("a second signal ends it at once", results)


def twice(workdir: Path, number: signal.Signals, after: float) -> bool | None:
    """Whether the second of two signals ends a run at once, in one line, with its exit code; None if the first did."""
    with tempfile.TemporaryDirectory() as empty:
        process = start(workdir, JAX_COMPILATION_CACHE_DIR=empty)
        until(process, "train: starting")
        time.sleep(after)
        process.send_signal(number)
        time.sleep(0.02)
        ended, begun = process.poll() is not None, time.monotonic()
        process.send_signal(number)
        said = process.communicate()[1]
    took = time.monotonic() - begun
    if ended:
        return None
    print(f"  {number.name} twice, {after} s into train: exit code {process.returncode} after {took:.1f} s", flush=True)
    return process.returncode == 128 + number and took < 2 and is_one_line(said)


def locks(place: Path, folder: Path) -> Iterator[Row]:
    """A second process on the folder, then the lock of one that was killed."""
    workdir = copy(place, "evaluate", folder / "locked")
    first = start(workdir)
    until(first, "evaluate: starting")
    os.killpg(first.pid, signal.SIGSTOP)  # it is there, however long the second takes to start
    before = contents(workdir)
    code, said = finish(workdir)
    named = f"in use by process {first.pid} on" in said and "since 20" in said
    refused = code == 1 and is_one_line(said) and named and first.poll() is None
    untouched = before == contents(workdir)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    yield summed("a second process on a work folder is refused", [(not refused, not untouched)])
    code, out, _ = inside(workdir, "--stages=evaluate,report")
    known = f"process {first.pid} on" in out and "was cut off" in out
    yield summed(
        "a stale lock is taken over", [(code != 0 or not known, code == 0 and not ended_alike(workdir, place))]
    )


def not_finite(place: Path, folder: Path) -> Iterator[Row]:
    """Stored faces; rates at which weights overflow, with both policies; mutations at which latents do."""
    yield from bad_faces(place, folder)
    rates, rollback = "--config.train.generator_lr=3e38", "--config.train.on_not_finite=rollback"
    for policy, arguments in {"abort": (), "rollback": (rollback,)}.items():
        workdir, name = copy(place, "train", folder / policy), f"losses and gradients, {policy}"
        yield _refused(name, workdir, "is not finite|are not finite|is nan|is -?inf", rates, *arguments)
    yield _vast_mutation(copy(place, "evolve", folder / "vast"))


def bad_faces(place: Path, folder: Path) -> Iterator[Row]:
    """NaN and infinity in stored faces that fit their sha256: the training's own look has to find them."""
    for value in (np.nan, np.inf):
        bad = copy(place, "train", folder / f"{value} in faces")
        _store_with(bad, value)
        yield _refused(f"{value} in faces", bad, "pixels that are not finite")


def _store_with(workdir: Path, value: float) -> None:
    """The last pixel of the training faces is `value`, as if prepare had stored it so."""
    squares = workdir / "faces" / "train" / "images.npy"
    squares.write_bytes(squares.read_bytes()[:-4] + np.float32(value).tobytes())
    path = stages.record_path("prepare", workdir)
    record = stages.read("prepare", workdir)
    assert record is not None
    artifact.finish(path, workdir, [workdir / name for name in record.sha256], record.settings, record.facts)


def _vast_mutation(workdir: Path) -> Row:
    """Every mutated latent overflows: its face loses, and what is kept is finite."""
    code, _, _ = inside(workdir, "--stages=evolve", "--config.evolve.mutation_sigma=3e38")
    kept = [*read_arrays(workdir / "evolve" / "winners.npz").values()] if code == 0 else []
    wrong = not all(np.isfinite(array).all() for array in kept)
    return summed("not finite: latents that mutation makes so are not kept", [(code != 0, wrong)])


def _refused(case: str, workdir: Path, reason: str, *arguments: str) -> Row:
    """It must end in one line that says so, after the rollbacks if they are allowed, with nothing saved."""
    code, _, said = inside(workdir, "--stages=train", *arguments)
    print(f"  {case}: {said.splitlines()[-1][:200]}", flush=True)
    last, back = said.splitlines()[-1], said.count("back to the last checkpoint")
    lost = code != 1 or not is_one_line(said) or not re.search(reason, last) or ("rollback" in case and back != 3)
    saved = [*(workdir / "checkpoints").glob("[0-9]*")]
    return summed(f"not finite: {case}", [(lost, bool(saved))])


def checks(folder: Path) -> Checks:
    """Every part."""
    parts: dict[str, Callable[[Path, dict[str, float], Path], Iterable[Row]]] = {
        "resume": lambda place, seconds, scratch: resume(scratch),
        "signals": lambda place, seconds, scratch: signals(place, seconds, scratch, 0),
        "signals the other way round": lambda place, seconds, scratch: signals(place, seconds, scratch, 1),
        "second signal": lambda place, seconds, scratch: second_signal(place, scratch),
        "locks": lambda place, seconds, scratch: locks(place, scratch),
        "disk full": lambda place, seconds, scratch: disk.disk_full(place, scratch),
        "a disk that fills": lambda place, seconds, scratch: disk.disk_fills(place, scratch),
        "read-only": lambda place, seconds, scratch: disk.read_only_folder(place, scratch),
        "not finite": lambda place, seconds, scratch: not_finite(place, scratch),
    }
    if not disk.may_mount():
        del parts["disk full"], parts["a disk that fills"]
        print("  disk full: left out, for no disk can be mounted here", flush=True)

    def run(name: str) -> list[Row]:
        place = folder / "undisturbed"
        with reference(place) as seconds, tempfile.TemporaryDirectory() as scratch:
            return list(parts[name](place, seconds, Path(scratch)))

    return {name: partial(run, name) for name in parts}


if __name__ == "__main__":  # a process of `resume`
    place, dispatch, stop_at, streamed = sys.argv[1:]
    sys.exit(train_here(Path(place), int(dispatch), int(stop_at), streamed == "1"))
