"""Where faces enter a run: prepared once as a stored set, then read as `DepthFaces`."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from depthjax import config as configs
from depthjax.data.crop import CROP_SHAPE, nose_distance, to_square
from depthjax.data.faces import DepthFaces, split_by_image, split_by_subject
from depthjax.data.window import DepthWindow
from depthjax.errors import UserError


def prepare(settings: configs.Data, folder: Path, *, progress: Callable[[str], None]) -> int:
    """Store the set that `settings` describe under `folder`, whole or not at all.

    Returns:
        The number of faces stored.
    """
    import tensorflow_datasets as tfds  # takes seconds to import

    builder = _builder(settings, folder)
    # A set left half-written by a killed run has no dataset_info: the library would take it for another version.
    if builder.data_path.exists() and not (Path(builder.data_path) / "dataset_info.json").exists():
        shutil.rmtree(builder.data_path)
    expected = settings.subjects * settings.frames * len(settings.emotions)
    progress(f"rendering {expected} faces of {settings.subjects} people")
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads, and there are none
        builder.download_and_prepare()
    return int(builder.info.splits["faces"].num_examples)


def load(settings: configs.Data, folder: Path) -> DepthFaces:
    """Read the stored set into the networks' square images.

    Raises:
        UserError: the set is not there, or a face has no nose to measure from.
    """
    builder = _builder(settings, folder)
    if not (Path(builder.data_path) / "dataset_info.json").exists():
        raise UserError(f"{folder} does not hold the faces of this config: run --stages=prepare first")
    rows = list(builder.as_data_source(split="faces"))
    rows.sort(key=lambda row: (row["subject"], row["emotion"], row["frame"]))  # the files hold them shuffled
    crops = np.stack([row["depth"] for row in rows]).reshape(-1, *CROP_SHAPE)
    labels = {k: np.array([row[k] for row in rows], np.int32) for k in ("emotion", "subject", "frame")}
    return DepthFaces(
        images=square_images(crops, settings),
        emotions=settings.emotions,
        window=DepthWindow(settings.near_mm, settings.far_mm),
        **labels,
    )


def square_images(crops: np.ndarray, settings: configs.Data) -> np.ndarray:
    """Millimetre crops (n, 200, 128) to the networks' (n, resolution, resolution) float32 in [-1, 1]."""
    nose = nose_distance(crops)
    if (nose == 0).any():
        raise UserError(f"face {int(np.argmin(nose))} has no depth around its nose: remove it from the data")
    window = DepthWindow(settings.near_mm, settings.far_mm)
    return to_square(window.from_mm(crops, nose), settings.resolution, crop=settings.crop)


def split(faces: DepthFaces, settings: configs.Data) -> tuple[DepthFaces, DepthFaces]:
    """Train and test faces, by the configured protocol."""
    chosen = split_by_subject if settings.split == "subject" else split_by_image
    return chosen(faces, settings.test_fraction, settings.seed)


def _builder(settings: configs.Data, folder: Path):  # type: ignore[no-untyped-def]  # tfds has no types
    from depthjax.data.depth_heads import depth_heads_dataset_builder as depth_heads

    parameters = {name: getattr(settings, name) for name in ("emotions", "subjects", "frames", "seed", "full_sequence")}
    name = "{}_{subjects}x{frames}_seed{seed}".format("-".join(settings.emotions), **parameters)
    name += "" if settings.full_sequence else "_expression"
    builder_config = depth_heads.DepthHeadsConfig(name=name, description="of a run", **parameters)
    logging.getLogger("absl").setLevel(logging.ERROR)  # a configuration of one's own is no reason for a warning
    return depth_heads.Builder(data_dir=str(folder), config=builder_config, file_format="array_record")
