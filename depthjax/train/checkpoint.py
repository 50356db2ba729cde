"""Checkpoints that are whole or absent, know their own checksums, and say which training they belong to.

One step is one folder, `checkpoints/STEP/`:

    state/         the train state by orbax, a folder an array, so that one network can be read alone
    meta.json      the config, the data's fingerprint, the step
    manifest.json  the sha256 of every other file: orbax keeps no checksum and would restore a flipped bit
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from depthjax.config import Config, to_dict
from depthjax.errors import UserError
from depthjax.files import (
    file_digest,
    first_changed,
    read_json,
    read_sealed,
    remove_half_written,
    replacing_folder,
    write_json,
    write_sealed,
)
from depthjax.train.state import Pair, TrainState

Say = Callable[[str], None]

BLOCK = 4096  # bytes that the smallest file takes
WRITERS_END = 1.0  # seconds that orbax's writers are given to fail after the first of them

# What may change between two runs of one training: how long, how often to look, how much to keep, when to give up, and
# on what it runs.
FREE_FIELDS = (
    "epochs", "steps_per_dispatch", "samples_every_epochs", "save_every_epochs", "keep_checkpoints", "on_not_finite",
    "rollbacks", "devices", "remat",
)  # fmt: skip
FREE = {"data": ("extra_test_subjects",), "train": FREE_FIELDS}  # by section; these people training never sees


class Checkpoint(NamedTuple):
    """A folder of one step, and what its manifest says: file → sha256."""

    folder: Path
    manifest: dict[str, str]


def save(checkpoints: Path, state: TrainState, *, config: Config, fingerprint: str, keep: int) -> Path:
    """Write `checkpoints/STEP/`, whole or not at all, and drop all but the newest `keep`.

    Args:
        checkpoints: the run's folder of checkpoints.
        state: to be saved; its `step` names the folder.
        config, fingerprint: of the training; a later restore is refused where they differ.
        keep: how many checkpoints to leave, this one included.
    Returns:
        The folder written.
    """
    step = int(state.step)
    meta = {"step": step, "fingerprint": fingerprint, "config": to_dict(config)}
    remove_half_written(checkpoints)
    with _quiet():
        reason = _write(checkpoints / str(step), state, meta)
        if reason is not None:
            _outlive_writers(checkpoints)
    if reason is not None:
        raise UserError(
            f"{checkpoints}: the checkpoint could not be written ({reason}): is there room? Then run again; the "
            "checkpoint before is untouched"
        )
    for old in _steps(checkpoints)[keep:]:
        shutil.rmtree(old)
    return checkpoints / str(step)


def _write(place: Path, state: TrainState, meta: dict[str, Any]) -> str | None:
    """Write a step's folder; why it could not be, on a full disk or one that may not be written."""
    try:
        with replacing_folder(place) as folder:
            _refuse_little_room(folder, state)
            with _orbax() as writer:
                writer.save((folder / "state").absolute(), args=ocp.args.PyTreeSave(state._asdict()))
            write_json(folder / "meta.json", meta)
            write_sealed(folder / "manifest.json", {name: file_digest(folder / name) for name in _files(folder)})
    except (OSError, ValueError, ExceptionGroup) as error:  # orbax's writers raise any of them
        return getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return None


def _outlive_writers(checkpoints: Path) -> None:
    """Orbax returns with the first failure: let its other writers fail as well, and remove what they still wrote."""
    time.sleep(WRITERS_END)
    gc.collect()  # what they failed with is told when it is dropped
    remove_half_written(checkpoints)


def _refuse_little_room(folder: Path, state: TrainState) -> None:
    """Before orbax begins: on a full disk its threads write a hundred tracebacks before it gives up."""
    leaves, free = jax.tree.leaves(state), shutil.disk_usage(folder).free
    needed = sum(leaf.nbytes + 2 * BLOCK for leaf in leaves)  # an array and its description are a file each
    if free < needed:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free} bytes are left and it takes {needed}")


def restore_latest(
    checkpoints: Path, state: TrainState, *, config: Config, fingerprint: str, say: Say | None = None
) -> TrainState | None:
    """The newest good checkpoint of this training.

    Args:
        checkpoints: the run's folder of checkpoints; may be absent.
        state: shapes and types to restore into (arrays or `jax.ShapeDtypeStruct`).
        config, fingerprint: of the training that wants to go on.
        say: told about every damaged checkpoint that was passed over (default: standard error).
    Returns:
        The state, or None where there is no checkpoint at all.
    Raises:
        UserError: it belongs to another training (the field is named), every checkpoint is damaged, or, with
            `checkpoint.strict`, the newest is.
    """
    if not _steps(checkpoints):
        return None
    found = _latest_good(checkpoints, ("",), say, strict=config.checkpoint.strict)
    meta = _read_meta(found.folder)
    refuse_other_training(meta, config, fingerprint, found.folder)
    tree = _read(found.folder, state._asdict())
    _refuse_other_shapes(tree, state._asdict(), found.folder)
    return TrainState(**jax.tree.map(jnp.array, tree))


def restore_generator(
    checkpoints: Path, *, config: Config | None = None, strict: bool = False, say: Say | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The teacher generator alone: no discriminator and no optimiser is read, or even checked.

    Args:
        checkpoints: the run's folder of checkpoints.
        config: if given, refuse a checkpoint whose networks differ from it.
        strict: refuse a damaged checkpoint, and do not take the one before: what a finished training is judged by.
        say: as in `restore_latest`.
    Returns:
        linen variables `{"params": ..., "batch_stats": ...}`, and meta: `step`, `fingerprint`, `config` (nested dict).
    Raises:
        UserError: no checkpoint, only damaged ones, or other networks.
    """
    variables, meta = _restore_teachers(checkpoints, ("generator",), config, say, strict=strict)
    return variables["generator"], meta


def restore_teachers(
    checkpoints: Path, *, config: Config | None = None, strict: bool = False, say: Say | None = None
) -> tuple[Pair, dict[str, Any]]:
    """Both teachers, without students and optimisers: a Pair of linen variables, and meta as in `restore_generator`."""
    variables, meta = _restore_teachers(checkpoints, Pair._fields, config, say, strict=strict)
    return Pair(**variables), meta


def refuse_other_training(meta: dict[str, Any], config: Config, fingerprint: str, folder: Path) -> None:
    """Raise a UserError naming the first field in which a checkpoint's training differs from this one.

    Data, model and training settings count, except those that only say how long to train and how often to save. A field
    that the checkpoint does not know is newer than it, and its default is what was done before.
    """
    ours, defaults = to_dict(config), to_dict(Config())
    refuse_other_networks(meta, config, folder)
    for section in ("data", "train"):
        for name, value in ours[section].items():
            saved = meta["config"][section].get(name, defaults[section][name])
            if saved != value and name not in FREE[section]:
                raise _other(folder, f"{section}.{name}", saved, value)
    if meta["fingerprint"] != fingerprint:
        raise _other(folder, "the faces (their fingerprint)", meta["fingerprint"][:12], fingerprint[:12])


def refuse_other_settings(checkpoints: Path, config: Config) -> None:
    """Raise a UserError if the newest good checkpoint comes from other settings; nothing is read but its meta.

    What `restore_latest` would refuse later, said before the stages ahead of training overwrite anything.
    """
    whole = (folder for folder in _steps(checkpoints) if _check(folder, ())[1] is None)
    for folder in list(whole)[:1]:
        meta = _read_meta(folder)
        refuse_other_training(meta, config, meta["fingerprint"], folder)


def refuse_other_networks(meta: dict[str, Any], config: Config, folder: Path) -> None:
    """Raise a UserError naming the first field that makes a checkpoint's networks differ from the config's."""
    ours, saved, defaults = to_dict(config), meta["config"], to_dict(Config())
    fields = [("data", "resolution"), ("data", "emotions"), *(("model", name) for name in ours["model"])]
    for section, name in fields:
        there = saved[section].get(name, defaults[section][name])
        if there != ours[section][name]:
            raise _other(folder, f"{section}.{name}", there, ours[section][name])


def _other(folder: Path, field: str, saved: Any, wanted: Any) -> UserError:
    return UserError(
        f"{folder} belongs to another training: {field} is {saved} there and {wanted} here; "
        "set it back or take another --workdir"
    )


def _restore_teachers(
    checkpoints: Path, nets: tuple[str, ...], config: Config | None, say: Say | None, *, strict: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    wanted = tuple(f"state/{kind}.{net}." for kind in ("teacher_params", "teacher_batch_stats") for net in nets)
    found = _latest_good(checkpoints, wanted, say, strict=strict)
    meta = _read_meta(found.folder)
    if config is not None:
        refuse_other_networks(meta, config, found.folder)
    leaves = {name.split("/")[1] for name in found.manifest if name.startswith(wanted)}
    tree = _read(found.folder, _nested(leaves))
    return {
        net: {
            "params": jax.tree.map(jnp.array, tree["teacher_params"][net]),
            # A network without batch statistics has stored none.
            "batch_stats": jax.tree.map(jnp.array, tree.get("teacher_batch_stats", {}).get(net, {})),
        }
        for net in nets
    }, meta


def _read_meta(folder: Path) -> dict[str, Any]:
    meta = read_json(folder / "meta.json")
    config = meta.get("config") if isinstance(meta, dict) else None
    sections = [config.get(name) for name in ("data", "model", "train")] if isinstance(config, dict) else [None]
    if not all(isinstance(section, dict) for section in sections) or not isinstance(meta.get("fingerprint"), str):
        raise UserError(f"{folder / 'meta.json'} does not say what was trained: delete {folder} and train again")
    return meta


def _refuse_other_shapes(tree: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """A folder that is whole, and says that it is of this training, may still not be."""
    pairs = zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(wanted), strict=True)
    for (path, found), leaf in pairs:
        if (found.shape, found.dtype) != (leaf.shape, leaf.dtype):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise _other(folder, name, f"{found.dtype}{found.shape}", f"{leaf.dtype}{leaf.shape}")


def _nested(leaves: set[str]) -> dict[str, Any]:
    """{"a.b.c"} as {"a": {"b": {"c": 0}}}: the tree whose leaves orbax is asked for."""
    tree: dict[str, Any] = {}
    for leaf in sorted(leaves):
        *path, name = leaf.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[name] = 0
    return tree


def _read(folder: Path, tree: dict[str, Any]) -> dict[str, Any]:
    """The arrays of `tree`'s leaves, and no others, as numpy."""
    arguments = ocp.args.PyTreeRestore(
        item=tree,
        partial_restore=True,
        restore_args=jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree),
    )
    with _quiet(), _orbax() as reader:
        return reader.restore((folder / "state").absolute(), args=arguments)


def _orbax() -> ocp.Checkpointer:
    """Of this process alone: of several, each reads for itself and the first one saves."""
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(here, {here}, f"process_{here}" if jax.process_count() > 1 else None)
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False, multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what orbax says besides: a warning at every save, and at a failed one a traceback of every writer.

    What failed is raised as well.
    """
    loggers, hook = [logging.getLogger(name) for name in ("absl", "asyncio")], sys.unraisablehook
    levels = [logger.level for logger in loggers]
    sys.unraisablehook = partial(_unless_loop_is_closed, hook)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _unless_loop_is_closed(hook: Callable[[Any], object], unraisable: Any) -> None:
    """A writer that reports to who has left."""
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


def _latest_good(checkpoints: Path, wanted: tuple[str, ...], say: Say | None, *, strict: bool) -> Checkpoint:
    """The newest checkpoint whose files are what its manifest says; arrays not in `wanted` are not looked at.

    With `strict` the newest must be.
    """
    say = say or (lambda line: print(line, file=sys.stderr))
    steps = _steps(checkpoints)
    if not steps:
        raise UserError(f"{checkpoints} holds no checkpoint: run the train stage first")
    for folder in steps:
        manifest, bad = _check(folder, wanted)
        if bad is None:
            return Checkpoint(folder, manifest)
        if strict:
            raise UserError(
                f"{folder / bad} is damaged: delete {folder} and run the stage that trains: it goes on from the "
                "checkpoint before, or from the start where there is none"
            )
        say(f"{folder / bad} is damaged: passing over checkpoint {folder.name}")
    raise UserError(f"every checkpoint in {checkpoints} is damaged: delete that folder and train again")


def _check(folder: Path, wanted: tuple[str, ...]) -> tuple[dict[str, str], str | None]:
    """The manifest, and the first file at fault (None: all good)."""
    try:
        manifest = read_sealed(folder / "manifest.json")
    except (OSError, UserError):
        return {}, "manifest.json"
    names = [n for n in manifest if n.startswith(wanted) or not _is_array(n)]
    if "meta.json" not in names:
        return {}, "manifest.json"
    bad = first_changed(folder, {name: manifest[name] for name in names})
    return manifest, None if bad is None else bad.relative_to(folder).as_posix()


def _is_array(name: str) -> bool:
    """Whether a file belongs to one array of the state (else to the checkpoint as a whole)."""
    return name.startswith(tuple(f"state/{field}" for field in TrainState._fields))


def _steps(checkpoints: Path) -> list[Path]:
    """The folders of finished steps, newest first."""
    folders = (f for f in checkpoints.glob("*") if f.name.isdecimal() and f.is_dir())
    return sorted(folders, key=lambda f: int(f.name), reverse=True)


def _files(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
