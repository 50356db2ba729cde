"""Damage to every file that a run keeps: a flipped bit, a cut, nothing left, the file gone.

Each try damages one file, reads as a user's next command would, and puts the file back. Lost: what could have been read
was not, or the file at fault was not named. Wrong: something other than what was written came out.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from depthjax import stages
from depthjax.__main__ import main
from depthjax.config import Config, Data, Model
from depthjax.config_values import override
from depthjax.errors import UserError
from depthjax.train import checkpoint
from depthjax.train.state import TrainState, init_state
from tests.faults.runs import ROOT, Checks, Row

PRINT = "f" * 64
CONFIG = Config(data=Data(resolution=32), model=Model(latent_size=8, generator_width=16, discriminator_width=4))
SMOKE = ROOT / "configs" / "smoke.py"
# The stages that need no training of networks, so that the script takes minutes: their files are read by the same code.
RUN = ("--config.baselines.methods=gmm,kde", "--config.sample.methods=gmm,kde")


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit is another."""
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is gone."""
    return data[: int(rng.integers(1, max(2, len(data))))] if len(data) > 1 else b""


DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes | None]] = {
    "bit flip": flipped,
    "truncation": cut,
    "empty": lambda data, rng: b"",
    "deletion": lambda data, rng: None,
}


CLOCK = itertools.count(1)


@contextlib.contextmanager
def damage(path: Path, kind: str, rng: np.random.Generator) -> Iterator[None]:
    """The file, damaged for as long as the block lasts."""
    whole, status = path.read_bytes(), path.stat()
    changed = DAMAGES[kind](whole, rng)
    now = next(CLOCK)  # a file can be damaged and mended within one tick of its clock, which a digest goes by
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
        os.utime(path, ns=(now, now))
    try:
        yield
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def files_of(folder: Path, most: int | None) -> list[Path]:
    """Every file, or `most` of them spread over all."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return found if most is None else found[:: max(1, len(found) // most)]


def some_state() -> TrainState:
    """A state in which every array is distinct."""
    rng = np.random.default_rng(1)

    def values(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.asarray(rng.uniform(0.05, 0.2, leaf.shape) if leaf.dtype == jnp.float32 else 0, leaf.dtype)

    return jax.tree.map(values, jax.eval_shape(lambda: init_state(jax.random.key(0), CONFIG)))


def equal(a: object, b: object) -> bool:
    """Bit for bit."""
    same = jax.tree.map(lambda x, y: bool(np.array_equal(x, y)), a, b)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(jax.tree.leaves(same))


def checkpoint_rows(tries: int, most: int | None) -> list[Row]:
    """Every file of the newest of two checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, state = Path(folder, "checkpoints"), some_state()
        for step in (8, 12):
            now = state._replace(step=state.step + step, params=jax.tree.map(lambda x, s=step: x * s, state.params))
            checkpoint.save(checkpoints, now, config=CONFIG, fingerprint=PRINT, keep=2)
            if step == 8:
                last_good = now
        found = files_of(checkpoints / "12", most)
        fallen = [_fallback_row(kind, found, checkpoints, last_good, tries) for kind in DAMAGES]
        return [*fallen, _strict_row(found, checkpoints, state, tries)]


def _fallback_row(kind: str, found: list[Path], checkpoints: Path, last_good: TrainState, tries: int) -> Row:
    """The first try of a file restores all and compares it; the others look at which folder would be restored."""
    count = lost = wrong = 0
    rng = np.random.default_rng(len(kind))
    for path in found:
        for number in range(tries if kind in ("bit flip", "truncation") else 1):
            said: list[str] = []
            with damage(path, kind, rng):
                try:
                    fell_back = _falls_back(checkpoints, last_good, said.append, restoring=number == 0)
                except UserError:
                    lost += 1
                    continue
                finally:
                    count += 1
            wrong += not fell_back
            lost += not (len(said) == 1 and path.name in said[0])
    return f"checkpoint, {kind} in each of {len(found)} files: the last good step", count, lost, wrong


def _falls_back(checkpoints: Path, last_good: TrainState, log: Callable[[str], None], *, restoring: bool) -> bool:
    if not restoring:
        found, _ = checkpoint._latest_good(checkpoints, "", log, strict=False)
        return found.name == str(int(last_good.step))
    back = checkpoint.restore_latest(checkpoints, last_good, config=CONFIG, fingerprint=PRINT, log=log)
    return back is not None and equal(back, last_good)


def _strict_row(found: list[Path], checkpoints: Path, state: TrainState, tries: int) -> Row:
    strict, rng = replace(CONFIG, train=replace(CONFIG.train, strict_checkpoints=True)), np.random.default_rng(0)
    lost = wrong = 0
    for path in found:
        with damage(path, "bit flip", rng):
            try:
                checkpoint.restore_latest(checkpoints, state, config=strict, fingerprint=PRINT)
                wrong += 1
            except UserError as error:
                lost += path.name not in str(error) or "\n" in str(error)
    return "checkpoint, bit flip, train.strict_checkpoints=true: stops and names the file", len(found), lost, wrong


def other_config_rows() -> list[Row]:
    """A checkpoint of other networks is refused by the field."""
    changes = {
        "data.resolution": "64",
        "data.emotions": "fear,neutral",
        "model.generator_width": "32",
        "model.discriminator_width": "8",
        "model.latent_size": "9",
        "model.dtype": "bfloat16",
        "train.generator_lr": "0.5",
        "data.far_mm": "90",
    }
    lost = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, state = Path(folder, "checkpoints"), some_state()
        checkpoint.save(checkpoints, state, config=CONFIG, fingerprint=PRINT, keep=2)
        for field, value in changes.items():
            other = override(CONFIG, {field: value})
            wanted = jax.eval_shape(lambda config=other: init_state(jax.random.key(0), config))
            try:
                checkpoint.restore_latest(checkpoints, wanted, config=other, fingerprint=PRINT)
                wrong += 1
            except UserError as error:
                lost += f"{field} is" not in str(error)
            except Exception:  # a shape error, which is what this is about
                lost += 1
    return [("checkpoint of another config: refused by the field that differs", len(changes), lost, wrong)]


def launch(workdir: Path, *arguments: str) -> tuple[int, str]:
    """The command line's exit code and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["--config", str(SMOKE), "--workdir", str(workdir), *RUN, *arguments])
    return code, said.getvalue()


def stage_rows(tries: int, most: int | None) -> list[Row]:
    """Every file that prepare, baselines, sample and evaluate stamped."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder, "run")
        code, said = launch(workdir, "--stages=prepare,baselines,sample,evaluate")
        assert code == 0, said
        found = {
            name: [workdir / file for file in stages.read(name, workdir).sha256]
            for name in ("prepare", "baselines", "sample", "evaluate")
        }
        rows = [_noticed_row(workdir, found, kind, tries, most) for kind in DAMAGES]
        read_by = list(READ_BY.items()) if most is None else list(READ_BY.items())[::4]
        return [*rows, _refused_row(workdir, read_by), _healed_row(workdir, [name for name, _ in read_by])]


def _noticed_row(workdir: Path, found: dict[str, list[Path]], kind: str, tries: int, most: int | None) -> Row:
    count = lost = files = 0
    rng = np.random.default_rng(len(kind))
    for stage, paths in found.items():
        whole = [path for path in paths if path.stat().st_size]
        for path in whole if most is None else whole[:: max(1, len(whole) // most)]:
            files += 1
            for _ in range(tries if kind in ("bit flip", "truncation") else 1):
                with damage(path, kind, rng):
                    lost += stages.damaged(stage, workdir) != path
                count += 1
    return f"stage files, {kind} in each of {files}: the file is named", count, lost, 0


# A file, and the stage that reads it next: as the user's next command would find it.
READ_BY = {
    "faces/train/images.npy": "baselines",
    "faces/train/labels.npz": "baselines",
    "faces/test/images.npy": "evaluate",
    "faces/noise.npz": "sample",
    "baselines/gmm/fit.npz": "sample",
    "baselines/gmm/fit.json": "sample",
    "baselines/kde/fit.npz": "sample",
    "samples/gmm/samples.npz": "evaluate",
    "samples/kde/samples.npz": "evaluate",
    "evaluation/embedding.npz": "report",
    "evaluation/nearest.npz": "report",
    "evaluation/runs.npz": "report",
    "evaluation.json": "report",
}


def _refused_row(workdir: Path, read_by: list[tuple[str, str]]) -> Row:
    lost = wrong = count = 0
    rng = np.random.default_rng(5)
    for name, stage in read_by:
        for kind in ("bit flip", "truncation", "empty"):
            with tempfile.TemporaryDirectory() as folder:
                copy = shutil.copytree(workdir, Path(folder, "copy"))
                (copy / "stages" / f"{stage}.json").unlink(missing_ok=True)
                with damage(copy / name, kind, rng):
                    code, said = launch(copy, f"--stages={stage}")
            count += 1
            wrong += code == 0
            lost += f"{Path(name).name} is damaged" not in said or "--stages=" not in said or "Traceback" in said
    return f"stage files, each of {len(read_by)} read by the next stage: stops in one line", count, lost, wrong


def _healed_row(workdir: Path, names: list[str]) -> Row:
    """The command that the line names does it again, to the same bytes of arrays."""
    healed = [name for name in names if name.endswith((".npz", ".npy"))]
    lost = wrong = 0
    rng = np.random.default_rng(6)
    for name in healed:
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(workdir, Path(folder, "copy"))
            (copy / name).write_bytes(flipped((copy / name).read_bytes(), rng))
            stage = {"faces": "prepare", "evaluation": "evaluate"}.get(name.split("/")[0], name.split("/")[0])
            code, _ = launch(copy, f"--stages={stage.replace('samples', 'sample')}")
            lost += code != 0
            wrong += not _same_arrays(copy / name, workdir / name)
    return f"stage files, {len(healed)} made again by the stage named", len(healed), lost, wrong


def _same_arrays(a: Path, b: Path) -> bool:
    if a.suffix == ".npy":
        return bool(np.array_equal(np.load(a, allow_pickle=False), np.load(b, allow_pickle=False)))
    with np.load(a, allow_pickle=False) as first, np.load(b, allow_pickle=False) as second:
        return first.files == second.files and all(
            np.allclose(first[name], second[name], atol=1e-5, equal_nan=True) for name in first.files
        )


def checks() -> Checks:
    """Every file: many tries of a bit flip and of a truncation; the other damages have but one form."""
    return {
        "checkpoint": partial(checkpoint_rows, 300, None),
        "another config": other_config_rows,
        "stages": partial(stage_rows, 6, None),
    }
