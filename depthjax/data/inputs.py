"""The networks' square images of a part of the faces, in files that are mapped and not read: any number of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from depthjax import config as configs
from depthjax.data.crop import nose_distance, to_square
from depthjax.data.depth_range import DepthRange
from depthjax.data.stored import StoredFaces
from depthjax.errors import UserError
from depthjax.files import read_arrays, replacing, write_arrays

CHUNK = 64  # faces that a thread makes at once
LABELS = ("emotion", "subject", "frame", "stored")


def network_inputs(depth: np.ndarray, settings: configs.Data) -> np.ndarray:
    """Return camera millimetres (n, h, w) as the networks' (n, resolution, resolution) float32 in [-1, 1]."""
    nose = nose_distance(depth)
    if (nose == 0).any():
        raise UserError(f"face {int(np.argmin(nose))} has no depth around its nose: remove it from the data")
    return to_square(DepthRange.of(settings).from_mm(depth, nose), settings.resolution, crop=settings.crop)


def write_inputs(folder: Path, faces: StoredFaces, index: np.ndarray, settings: configs.Data) -> list[Path]:
    """Write the faces at `index` (k,) in that order, a few of them in memory at a time; return the paths written.

    `images.npy` holds the images; `labels.npz` emotion, subject, frame and stored (the `index`), (k,) int32 each.
    """
    images, labels = folder / "images.npy", folder / "labels.npz"
    shape = (len(index), settings.resolution, settings.resolution)
    with replacing(images) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.writelines(np.ascontiguousarray(chunk, "<f4").data for chunk in _chunks(faces, index, settings))
    columns = (faces.emotion[index], faces.subject[index], faces.frame[index], index.astype(np.int32))
    write_arrays(labels, **dict(zip(LABELS, columns, strict=True)))
    return [images, labels]


def _chunks(faces: StoredFaces, index: np.ndarray, settings: configs.Data) -> Iterator[np.ndarray]:
    cores = joblib.cpu_count()
    starts = range(0, len(index), CHUNK)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:  # array code: it lets other threads run
        for first in range(0, len(starts), 2 * cores):  # bounds the memory
            parts = [index[start : start + CHUNK] for start in starts[first : first + 2 * cores]]
            yield from pool.map(lambda part: network_inputs(faces.depth[part], settings), parts)


def read_inputs(folder: Path) -> dict[str, np.ndarray]:
    """Return what `write_inputs` wrote: images (k, h, w) float32, mapped read-only, and the labels."""
    path = folder / "images.npy"
    labels = read_arrays(folder / "labels.npz")
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run --stages=prepare") from None
    except Exception as error:  # a bad header, or fewer bytes than it says
        raise UserError(f"{path} is damaged ({error}): delete it and run --stages=prepare") from None
    plain = isinstance(images, np.ndarray) and images.dtype == np.float32 and images.ndim == 3  # no archive of arrays
    if not plain or any(name not in labels or labels[name].shape != images.shape[:1] for name in LABELS):
        raise UserError(f"{path} and labels.npz beside it do not fit: delete them and run --stages=prepare")
    return {"images": images, **{name: labels[name] for name in LABELS}}
