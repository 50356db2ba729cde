"""Where faces enter a run: stored once, whatever their source, then read as millimetres or as `DepthFaces`."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import config as configs
from depthjax.data.cut_page import PAGE
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces, held_out_images, held_out_subjects
from depthjax.data.frames import read_by
from depthjax.data.inputs import network_inputs
from depthjax.data.stored import LABELS_NAME, StoredFaces, read_stored
from depthjax.errors import UserError
from depthjax.files import digest, tree_digest, write_arrays

SPOOL = "checking_"  # a folder where checked faces wait, until they are stored
# What the stored millimetres of a user's faces depend on; the rest of the section is about the network inputs.
READ_BY = ("source", "emotions", "path", "pattern", "names_differ", "scale_mm", "polarity", "invalid_value",
           "framing", "focal_px", "rotate", "width_mm", "on_error")  # fmt: skip


def prepare(settings: configs.Data, folder: Path, *, progress: Callable[[str], None]) -> int:
    """Store the set that `settings` describe under `folder`, whole or not at all; return the number of faces.

    Nothing is done if it is there. A user's faces are checked first, and stored anew when any of their files changed.
    """
    if settings.source != "depth_heads":
        builder = _store_own(settings, folder, progress)
    elif not _is_complete(builder := _builder(settings, folder)):
        subjects = builder.builder_config.subjects
        progress(f"rendering {subjects * settings.frames * len(settings.emotions)} faces of {subjects} subjects")
        with _disk_errors(folder):
            _write(builder, settings)
    return sum(split.num_examples for split in builder.info.splits.values())


def stored(settings: configs.Data, folder: Path) -> StoredFaces:
    """Open what `prepare` stored under `folder` for these settings."""
    return read_stored(stored_folder(settings, folder))


def stored_folder(settings: configs.Data, folder: Path) -> Path:
    """Return where `prepare` stores the faces of these settings, under `folder`."""
    return Path(_builder(settings, folder).data_path)


def load(settings: configs.Data, folder: Path) -> DepthFaces:
    """Read the stored set into the networks' square images, all in memory."""
    faces = stored(settings, folder)
    images, labels = network_inputs(faces.depth[:], settings), (faces.emotion, faces.subject, faces.frame)
    return DepthFaces(images, *labels, settings.emotions, DepthRange.of(settings))


def held_out(faces: StoredFaces | DepthFaces, settings: configs.Data) -> np.ndarray:
    """Return the test faces by the configured protocol, (n,) bool; those of `data.extra_test_subjects` are all."""
    test = added(faces.subject, settings)
    own = np.flatnonzero(~test)
    if settings.split == "subject":
        test[own] = held_out_subjects(faces.subject[own], settings.test_fraction, settings.seed)
    else:
        test[own] = held_out_images(faces.emotion[own], settings.test_fraction, settings.seed)
    return test


def added(subject: np.ndarray, settings: configs.Data) -> np.ndarray:
    """Return which faces belong to `data.extra_test_subjects`, (n,) bool; only rendered sets have them."""
    rendered = settings.extra_test_subjects > 0 and settings.source == "depth_heads"
    return (subject >= settings.subjects) & rendered


def _store_own(settings: configs.Data, folder: Path, progress: Callable[[str], None]) -> Any:
    from depthjax.data.checks import check

    builder, root = _builder(settings, folder), Path(settings.path)
    listing = tree_digest(root)
    if _is_complete(builder) and builder.info.metadata["listing"] == listing:
        progress(f"{settings.path} is stored already, and has not changed")
        return builder
    for left in folder.glob(f"{SPOOL}*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with _disk_errors(folder), tempfile.TemporaryDirectory(prefix=SPOOL, dir=folder) as spool:
        checked = check(settings, root, Path(spool), log=progress, page=folder / PAGE)
        progress(f"storing {len(checked.faces)} faces, {checked.shape[1]}x{checked.shape[0]} pixels")
        if _is_complete(builder):
            shutil.rmtree(builder.data_path)  # of other files
        builder = _builder(settings, folder, shape=checked.shape, listing=listing, checked=checked)
        _write(builder, settings)
        write_arrays(Path(builder.data_path) / LABELS_NAME, **checked.labels())
    return builder


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Raise a UserError of one line for a full or read-only disk."""
    try:
        yield
    except (RuntimeError, OSError) as error:  # array_record raises the former
        text = getattr(error, "strerror", None) or str(error).split(";")[0].split(": ", 1)[-1]
        reason = " ".join(text.split())
        raise UserError(
            f"{folder}: the faces could not be stored ({reason}): make room and run again; nothing half-written stays"
        ) from None


def _is_complete(builder: Any) -> bool:
    return (Path(builder.data_path) / "dataset_info.json").exists()


def _write(builder: Any, settings: configs.Data) -> None:
    """Let the library write the set, under another name until it is whole."""
    import tensorflow_datasets as tfds  # takes seconds to import

    path = Path(builder.data_path)
    # What a killed run left: without dataset_info the library would take it for another version.
    for left in (path, *path.parent.glob(f"*incomplete*{path.name}*")):
        shutil.rmtree(left, ignore_errors=True)
    tfds.disable_progress_bar()
    downloads = tfds.download.DownloadConfig(manual_dir=settings.path) if settings.path else None
    with contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads, and there are none
        builder.download_and_prepare(download_config=downloads)


def _builder(settings: configs.Data, folder: Path, **own: Any) -> Any:
    """The builder of this source; `own` are further fields of the config of a user's faces."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # a user's configuration is no reason for a warning
    from depthjax.data import builders

    place = {"data_dir": str(folder), "file_format": "array_record"}
    if settings.source == "depth_heads":
        parameters = {name: getattr(settings, name) for name in ("emotions", "frames", "seed", "full_sequence")}
        parameters["subjects"] = settings.subjects + settings.extra_test_subjects
        name = "{}_{subjects}x{frames}_seed{seed}".format("-".join(settings.emotions), **parameters)
        name += "" if settings.full_sequence else "_expression"
        rendered = builders.RenderedConfig(name=name, description="of a run", **parameters)
        return builders.DepthHeads(config=rendered, **place)
    name = f"faces_{digest(*(str(getattr(settings, key)) for key in READ_BY), *read_by(settings))[:12]}"
    config = builders.FolderConfig(name=name, description="of a run", settings=settings, **own)
    kind = builders.Ikfdb if settings.source == "ikfdb" else builders.DepthFolder
    return kind(config=config, **place)
