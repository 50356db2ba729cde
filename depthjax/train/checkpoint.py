"""Checkpoints: whole or absent, with checksums, and refused by another training.

One step is one folder of 15 files, `checkpoints/STEP/`:

    generator/     the teacher generator by orbax, which is all that a sampler reads
    training/      the rest of the train state by orbax
    manifest.json  the record of `depthjax.artifact`: config, fingerprint of the faces, and the sha256 of every file,
                   because orbax keeps no checksum and would restore a flipped bit
"""

import errno
import gc
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from depthjax import artifact
from depthjax.artifact import Record
from depthjax.config import Config, to_dict
from depthjax.errors import UserError
from depthjax.files import remove_half_written, replacing_folder
from depthjax.progress import Log, no_log
from depthjax.train.state import Pair, TrainState

MANIFEST = "manifest.json"
PARTS = ("generator", "training")
OVERHEAD = 2**19  # bytes of a checkpoint besides its arrays; 250 kB were measured
WRITERS_END = 1.0  # seconds for orbax's writers to end after the first of them failed

# What may change between two runs of one training: its length, what is saved and logged, and the devices.
FREE_FIELDS = (
    "epochs", "steps_per_dispatch", "samples_every_epochs", "save_every_epochs", "keep_checkpoints", "on_not_finite",
    "strict_checkpoints", "writers", "devices", "remat",
)  # fmt: skip
FREE = {"data.extra_test_subjects", *(f"train.{name}" for name in FREE_FIELDS)}


def save(checkpoints: Path, state: TrainState, *, config: Config, fingerprint: str, keep: int) -> None:
    """Write `checkpoints/STEP/` of this training, whole or not at all, and leave the newest `keep`, with this one."""
    remove_half_written(checkpoints)
    with _quiet():
        reason = _write(checkpoints, state, {"config": to_dict(config), "fingerprint": fingerprint})
        if reason:  # orbax returns with the first failure: let its other writers fail too, and remove what they wrote
            time.sleep(WRITERS_END)
            gc.collect()  # an error that nobody collected is printed when it is dropped
            remove_half_written(checkpoints)
    if reason:
        raise UserError(
            f"{checkpoints}: the checkpoint could not be written ({reason}): is there room? Then run again; the "
            "checkpoint before is untouched"
        )
    for old in _steps(checkpoints)[keep:]:
        shutil.rmtree(old)


def _write(checkpoints: Path, state: TrainState, settings: dict[str, Any]) -> str:
    """Write a step's folder; return the reason if that fails, such as a full disk."""
    step = int(state.step)
    try:
        with replacing_folder(checkpoints.absolute() / str(step)) as folder:
            _check_room(folder, state)
            for name, tree in _split(state).items():
                place = epath.Path(folder / name)
                place.mkdir()
                with _orbax() as writer:
                    writer.save(place, args=ocp.args.PyTreeSave(tree))
                    writer.finalize(place)
            artifact.finish(folder / MANIFEST, folder, [folder], settings, {"step": step})
    except (OSError, ValueError, ExceptionGroup) as error:  # orbax's writers raise any of them
        return getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return ""


def _split(state: TrainState) -> dict[str, dict[str, Any]]:
    """Return what each of a step's two folders holds."""
    params, stats = state.teacher_params, state.teacher_batch_stats
    teachers = {"teacher_params": params.discriminator, "teacher_batch_stats": stats.discriminator}
    return {
        "generator": {"params": params.generator, "batch_stats": stats.generator},
        "training": state._asdict() | teachers,
    }


def _check_room(folder: Path, state: TrainState) -> None:
    """Raise an OSError before orbax begins: on a full disk its threads write many tracebacks before it gives up."""
    free = shutil.disk_usage(folder).free
    needed = OVERHEAD + sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    if free < needed:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free} bytes are left and it takes {needed}")


def restore_latest(
    checkpoints: Path,
    state: TrainState,
    *,
    config: Config,
    fingerprint: str,
    of: str = "the faces",
    log: Log | None = None,
) -> TrainState | None:
    """Return the newest good checkpoint of this training, or None where there is no checkpoint at all.

    Args:
        state: shapes and types to restore into (arrays or `jax.ShapeDtypeStruct`).
        of: what the fingerprint is of, for a message.
        log: receives a line for every damaged checkpoint that was passed over (default: standard error).
    Raises:
        UserError: it belongs to another training (the field is named), every checkpoint is damaged, or, with
            `train.strict_checkpoints`, the newest is.
    """
    if not _steps(checkpoints):
        return None
    log = log or (lambda line: print(line, file=sys.stderr))
    folder, record = _latest_good(checkpoints, "", log, strict=config.train.strict_checkpoints)
    _check_same_training(folder, record, config, fingerprint, of)
    wanted = _split(state)
    trees = {name: _read(folder / name, tree) for name, tree in wanted.items()}
    _check_shapes(trees, wanted, folder)
    trees = jax.tree.map(jnp.array, trees)
    generator, rest = trees["generator"], trees["training"]
    teachers = {
        "teacher_params": Pair(generator["params"], rest["teacher_params"]),
        "teacher_batch_stats": Pair(generator["batch_stats"], rest["teacher_batch_stats"]),
    }
    return TrainState(**rest | teachers)


def restore_generator(checkpoints: Path, config: Config) -> dict[str, Any]:
    """Return the variables of the newest teacher generator; a UserError if it is damaged, or of other networks."""
    folder, record = _latest_good(checkpoints, "generator/", no_log, strict=True)
    _check_settings(folder, record, config, _network_fields(config))
    tree = jax.tree.map(jnp.array, _read(folder / "generator"))
    return {"params": tree["params"], "batch_stats": tree["batch_stats"]}


def restore_teachers(checkpoints: Path, config: Config) -> Pair:
    """Return the linen variables of both teachers; raise as `restore_generator` does."""
    folder, _ = _latest_good(checkpoints, "", no_log, strict=True)
    names = {"teacher_params": "params", "teacher_batch_stats": "batch_stats"}
    tree = _read(folder / "training", only=tuple(names))
    # A network without batch statistics has stored none.
    discriminator = {name: jax.tree.map(jnp.array, tree.get(stored, {})) for stored, name in names.items()}
    return Pair(restore_generator(checkpoints, config), discriminator)


def check_same_settings(checkpoints: Path, config: Config) -> None:
    """Raise a UserError if the newest checkpoint comes from other settings; only its record is read."""
    for folder in _steps(checkpoints):
        record, _ = _check(folder, None)
        if record is not None:
            _check_same_training(folder, record, config, record.settings["fingerprint"])
            return


def _check_same_training(folder: Path, record: Record, config: Config, fingerprint: str, of: str = "the faces") -> None:
    """Raise a UserError that names the first difference; fields that only set length and logging do not count."""
    sections = [f"{section}.{name}" for section in ("data", "train") for name in to_dict(config)[section]]
    _check_settings(folder, record, config, [*_network_fields(config), *(n for n in sections if n not in FREE)])
    if record.settings["fingerprint"] != fingerprint:
        there, here = (text[:12] for text in (record.settings["fingerprint"], fingerprint))
        raise _other(folder, f"{of} (their fingerprint) is {there} there and {here} here")


def _network_fields(config: Config) -> list[str]:
    return ["data.resolution", "data.emotions", *(f"model.{name}" for name in to_dict(config)["model"])]


def _check_settings(folder: Path, record: Record, config: Config, fields: list[str]) -> None:
    # A field that the record does not know is newer than it, and its default is what was done before.
    held, ours = _flat(to_dict(Config())) | _flat(record.settings["config"]), _flat(to_dict(config))
    if difference := artifact.first_difference(held, {name: ours[name] for name in fields}):
        raise _other(folder, difference)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    sections = ((name, section) for name, section in config.items() if isinstance(section, dict))
    return {f"{name}.{field}": value for name, section in sections for field, value in section.items()}


def _other(folder: Path, difference: str) -> UserError:
    return UserError(f"{folder} belongs to another training: {difference}; set it back or take another --workdir")


def _check_shapes(trees: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Raise a UserError for an array of another shape: the settings alone do not prove that there is none."""
    pairs = zip(jax.tree.leaves_with_path(trees), jax.tree.leaves(wanted), strict=True)
    for (path, found), leaf in pairs:
        if (found.shape, found.dtype) != (leaf.shape, leaf.dtype):
            name = jax.tree_util.keystr(path[1:], simple=True, separator=".")
            there, here = f"{found.dtype}{found.shape}", f"{leaf.dtype}{leaf.shape}"
            raise _other(folder, f"{name} is {there} there and {here} here")


def _read(folder: Path, tree: dict[str, Any] | None = None, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the arrays of a folder as numpy, into a tree or as stored (of which `only` some keys)."""
    with _quiet(), _orbax() as reader:
        if tree is None:
            stored = reader.metadata(epath.Path(folder.absolute())).tree
            tree = {key: value for key, value in stored.items() if not only or key in only}
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        asked = ocp.args.PyTreeRestore(item=tree, partial_restore=True, restore_args=as_numpy)
        return reader.restore(epath.Path(folder.absolute()), args=asked)


@contextmanager
def _orbax() -> Iterator[ocp.PyTreeCheckpointHandler]:
    """Orbax's handler for this process alone: of several, each reads for itself and the first one saves.

    Without a limit of concurrent bytes it writes all arrays in one transaction, so that they share one file.
    """
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(here, {here}, f"process_{here}" if jax.process_count() > 1 else None)
    unlimited = ocp.BasePyTreeCheckpointHandler(use_ocdbt=True, multiprocessing_options=alone)
    handler = ocp.PyTreeCheckpointHandler(handler_impl=unlimited, multiprocessing_options=alone)
    try:
        yield handler
    finally:
        handler.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence orbax: it warns at every save, and prints the traceback of every failed writer, besides raising it."""
    loggers, hook = [logging.getLogger(name) for name in ("absl", "asyncio")], sys.unraisablehook
    levels = [logger.level for logger in loggers]

    def unless_loop_is_closed(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":  # a writer whose caller has gone on
            hook(unraisable)

    sys.unraisablehook = unless_loop_is_closed
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


def _latest_good(checkpoints: Path, part: str, log: Log, *, strict: bool) -> tuple[Path, Record]:
    """Return the newest checkpoint whose files in `part` are undamaged; with `strict` the newest must be."""
    if not _steps(checkpoints):
        raise UserError(f"{checkpoints} holds no checkpoint: run the train stage first")
    for folder in _steps(checkpoints):
        record, bad = _check(folder, part)
        if record is not None:
            return folder, record
        if strict:
            raise UserError(
                f"{bad} is damaged: delete {folder} and run the stage that trains: it goes on from the checkpoint "
                "before, or from the start where there is none"
            )
        log(f"{bad} is damaged: passing over checkpoint {folder.name}")
    raise UserError(
        f"every checkpoint in {checkpoints} is damaged, or another version wrote it: delete that folder and train again"
    )


def _check(folder: Path, part: str | None) -> tuple[Record | None, Path]:
    """Return the record of a good checkpoint, or else the first damaged file; `part` None: only the record counts."""
    try:
        record = artifact.read_record(folder / MANIFEST)
    except (OSError, UserError):
        record = None
    if record is None or not _is_manifest(record):
        return None, folder / MANIFEST
    wanted = {} if part is None else {n: sha256 for n, sha256 in record.sha256.items() if n.startswith(part)}
    bad = artifact.first_damaged(folder, wanted)
    return (None, bad) if bad else (record, folder)


def _is_manifest(record: Record) -> bool:
    config = record.settings.get("config")
    sections = [config.get(name) for name in ("data", "model", "train")] if isinstance(config, dict) else [None]
    whole = {f"{part}/_METADATA" for part in PARTS} <= record.sha256.keys()
    return whole and all(isinstance(s, dict) for s in sections) and isinstance(record.settings.get("fingerprint"), str)


def _steps(checkpoints: Path) -> list[Path]:
    """Return the folders of finished steps, newest first."""
    folders = (f for f in checkpoints.glob("*") if f.name.isdecimal() and f.is_dir())
    return sorted(folders, key=lambda f: int(f.name), reverse=True)
