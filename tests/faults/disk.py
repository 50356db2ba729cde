"""A disk that is full, fills up or is read-only: the stage ends in one line, and what was done before is untouched.

Lost: a run that did not end as it should, or could not go on. Wrong: files that changed and should not have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from tests.faults.runs import STAGES, Row, contents, copy, ended_alike, inside, is_one_line, left_over, summed

DISK = 64 * 2**20
ROOMS = (0, 4_096, 20_480, 200_000)  # bytes that are left on the disk
ROOM_CHECK = "depthjax.train.checkpoint._check_room"
FILLS = (20_000, 60_000, 100_000, 150_000, 200_000, 300_000)  # of some 350,000 that a checkpoint takes
# Where a stage writes, besides files at the top.
OWN = {
    "prepare": ("data", "faces/train", "faces/test"),
    "train": ("checkpoints",),
    "baselines": ("baselines/gmm",),
    "evolve": ("evolve",),
    "sample": ("samples",),
    "evaluate": ("features", "evaluation"),
    "report": ("figures", "tables"),
}
Result = tuple[bool, bool]  # lost, wrong


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int | None], None]]:
    """A disk of its own at `folder`; the function leaves so many bytes on it, None: all."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    filler = folder / "filler"

    def leave(room: int | None) -> None:
        filler.unlink(missing_ok=True)
        if room is not None:
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(folder).free - room))

    try:
        yield leave
    finally:
        # Lazily: arrays of this process may still be mapped from files on it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disk_full(place: Path, folder: Path, rooms: tuple[int, ...] = ROOMS) -> Iterator[Row]:
    """One run on a small disk, where every stage finds it full before it finds room."""
    results = []
    with small_disk(folder / "disk") as leave:
        workdir = folder / "disk" / "run"
        workdir.mkdir()
        for stage in STAGES:
            for room in rooms:
                before = contents(workdir)
                leave(room)
                code, _, said = inside(workdir, f"--stages={stage}")
                leave(None)
                results.append(_failed_well(workdir, before, stage, code, said, f"{room} bytes left"))
            code, _, said = inside(workdir, f"--stages={stage}")
            results.append((code != 0, False))
        results.append((False, not ended_alike(workdir, place)))
    yield summed("disk full in every stage, and the run on it", results)


def disk_fills(place: Path, folder: Path, rooms: tuple[int, ...] = FILLS) -> Iterator[Row]:
    """A disk that another program fills after training has looked for room, while its checkpoint is written."""
    results = []
    with small_disk(folder / "disk") as leave, mock.patch(ROOM_CHECK):
        workdir = copy(place, "train", folder / "disk" / "run")
        for room in rooms:
            before = contents(workdir)
            leave(room)
            code, _, said = inside(workdir, "--stages=train")
            leave(None)
            results.append(_failed_well(workdir, before, "train", code, said, f"{room} bytes left to a checkpoint"))
            results[-1] = (results[-1][0] or code != 1, results[-1][1])
        code, _, _ = inside(workdir)
        results.append((code != 0, code == 0 and not ended_alike(workdir, place)))
    yield summed("a disk that fills in the middle of a checkpoint, and the run on it", results)


def _failed_well(workdir: Path, before: dict[str, str], stage: str, code: int, said: str, what: str) -> Result:
    """(lost, wrong): it must end in one line, and leave the files of the stages before as they were.

    A stage that found room enough is done.
    """
    lost = code not in (0, 1) or (code == 1 and not is_one_line(said))
    after = contents(workdir)
    own = {name for name in before if name.startswith(f"stages/{stage}.") or _written_by(stage, name)}
    wrong = any(after.get(name) != sha for name, sha in before.items() if name not in own) or bool(left_over(workdir))
    line = next((text for text in said.splitlines() if text.startswith("depthjax: ")), "it had room")
    print(f"  {stage}, {what}: {'LOST ' + said[-600:] if lost else 'WRONG' if wrong else line[:150]}", flush=True)
    return lost, wrong


def _written_by(stage: str, name: str) -> bool:
    """Files that a stage writes piece by piece: what an earlier try of it left there may change."""
    besides = {"train": ("metrics.jsonl", "figures/progress"), "report": ("report.html",), "evaluate": ("evaluation",)}
    besides["prepare"] = ("dataset", "croissant", "faces.csv", "figures")
    return name.startswith((*OWN[stage], *besides.get(stage, ())))


@contextmanager
def read_only(folders: list[Path]) -> Iterator[None]:
    """Nothing can be made or removed in them; root is not bound by permissions, but by this."""
    change = (["chattr", "+i"], ["chattr", "-i"]) if os.geteuid() == 0 else (["chmod", "a-w"], ["chmod", "u+w"])
    try:
        subprocess.run([*change[0], *folders], check=True)
        yield
    finally:
        subprocess.run([*change[1], *folders], check=True)


def read_only_folder(place: Path, folder: Path) -> Iterator[Row]:
    """Every stage in a folder that is read-only from the start, and in one whose folders the stage finds so later."""
    results = []
    for stage in STAGES:
        for later in (False, True):
            workdir = copy(place, stage, folder / "read only")
            for name in OWN[stage]:
                (workdir / name).mkdir(parents=True, exist_ok=True)
            folders = [path for path in workdir.rglob("*") if path.is_dir()]
            kept = folders if later else [workdir, *folders]
            before = contents(workdir)
            with read_only([path for path in kept if path.name != "stages"]):
                code, _, said = inside(workdir, f"--stages={stage}")
            lost, wrong = _failed_well(workdir, before, stage, code, said, "later" if later else "read-only")
            results.append((lost or code != 1, wrong or not before.items() <= contents(workdir).items()))
    yield summed("read-only folders in every stage", results)


def may_mount() -> bool:
    """Whether this process may mount a small disk."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return mounted.returncode == 0
