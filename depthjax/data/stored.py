"""What `prepare` has stored of the faces, whatever their source: camera millimetres and labels, read lazily."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depthjax.data.frames import Framing
from depthjax.errors import UserError
from depthjax.files import cached_arrays

LABELS_NAME = "labels.npz"  # beside the records: every column but the depth
READ_AHEAD = 512  # records read in one call


class DepthRows:
    """Camera millimetres by row number, read from the files when asked for.

    `rows[i]` is (h, w) uint16 and `rows[indices]` is (k, h, w); 0 is invalid.
    """

    def __init__(self, source: Any, shape: tuple[int, int], folder: Path) -> None:
        self._source, self._shape, self._folder = source, shape, folder

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int | np.integer | slice | np.ndarray | list[int]) -> np.ndarray:
        wanted = np.arange(len(self))[index]
        rows = np.empty((wanted.size, *self._shape), np.uint16)
        try:
            for start in range(0, wanted.size, READ_AHEAD):
                numbers = wanted.reshape(-1)[start : start + READ_AHEAD].tolist()
                rows[start : start + READ_AHEAD] = [row["depth"] for row in self._source.__getitems__(numbers)]
        except Exception as error:  # the file readers raise their own on damaged files; every record has a checksum
            raise _damaged(self._folder, error) from None
        return rows.reshape(*wanted.shape, *self._shape)


@dataclass(frozen=True)
class StoredFaces:
    """Every face that prepare stored, of one size; the depth stays on disk until it is asked for.

    `sources` (n,) say where a face came from: a file within `data.path`, or the seed and subject of a rendering.
    Characters that are not printable, and backslashes, are escaped as Python escapes them.
    """

    depth: DepthRows
    emotion: np.ndarray  # (n,) int32, an index into `emotions`
    subject: np.ndarray  # (n,) int32, an index into `subjects`
    frame: np.ndarray  # (n,) int32, the number within its subject and emotion
    sources: np.ndarray
    emotions: tuple[str, ...]
    subjects: tuple[str, ...]  # or groups that stand for them
    shape: tuple[int, int]  # height and width
    framing: Framing | None = None  # how images of the user's became faces

    def __len__(self) -> int:
        return len(self.emotion)


def read_stored(folder: Path) -> StoredFaces:
    """Open a stored set: the folder of its version, with `dataset_info.json`; a UserError if missing or damaged.

    The first reading writes a file of the labels if it is missing, so that the next need not go through all records.
    """
    import tensorflow_datasets as tfds  # takes seconds to import

    if not (folder / "dataset_info.json").exists():
        raise UserError(f"{folder} does not hold the faces of this config: run --stages=prepare first")
    try:
        builder = tfds.builder_from_directory(folder)
        source = builder.as_data_source(split="all")
        features = builder.info.features
        labels = cached_arrays(folder / LABELS_NAME, lambda: _labels(builder))
    except (UserError, OSError):  # also a full disk, while the labels are written
        raise
    except Exception as error:  # the library and its file readers each raise their own on damaged files
        raise _damaged(folder, error) from None
    shape, emotions = tuple(features["depth"].shape), tuple(features["emotion"].names)
    subjects, framing = tuple(builder.info.metadata["subjects"]), builder.info.metadata.get("framing")
    return StoredFaces(
        DepthRows(source, shape, folder), **labels, emotions=emotions, subjects=subjects, shape=shape,
        framing=Framing.of(framing) if framing else None,
    )  # fmt: skip


def _labels(builder: Any) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    source = builder.as_data_source(split="all", decoders={"depth": tfds.decode.SkipDecoding()})
    columns: dict[str, list[Any]] = {name: [] for name in ("emotion", "subject", "frame", "source")}
    for start in range(0, len(source), READ_AHEAD):
        for row in source.__getitems__(list(range(start, min(start + READ_AHEAD, len(source))))):
            for name, column in columns.items():
                column.append(row[name])
    sources = np.array([text.decode() for text in columns.pop("source")])
    return {name: np.array(column, np.int32) for name, column in columns.items()} | {"sources": sources}


def _damaged(folder: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return UserError(f"{folder} is damaged ({reason}): delete it and run --stages=prepare")
