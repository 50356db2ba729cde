"""What `prepare` has stored of the faces, whatever their source: camera millimetres and labels, read lazily.

Every source has one stored form, a tensorflow-datasets set of array_record files that is read and written without
TensorFlow: `features` describes a row, `parts` cuts the rows so that the writer's memory stays bounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depthjax.errors import UserError
from depthjax.files import cached_arrays

PART_BYTES = 64 * 2**20  # of a split: the library holds a whole split in memory before it writes it
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
        if isinstance(index, int | np.integer):
            return self._read([range(len(self))[index]])[0]
        wanted = np.arange(len(self))[index].tolist()
        rows = np.empty((len(wanted), *self._shape), np.uint16)
        for start in range(0, len(wanted), READ_AHEAD):
            rows[start : start + READ_AHEAD] = self._read(wanted[start : start + READ_AHEAD])
        return rows

    def _read(self, wanted: list[int]) -> list[np.ndarray]:
        try:
            return [np.asarray(row["depth"]) for row in self._source.__getitems__(wanted)]
        except Exception as error:  # the file readers raise their own on damaged files; every record has a checksum
            raise _damaged(self._folder, error) from None

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self), 64):
            yield from self[start : start + 64]


@dataclass(frozen=True)
class StoredFaces:
    """Every face that prepare stored, of one size; the depth stays on disk until it is asked for.

    Attributes:
        depth: `depth[i]` is (h, w) uint16 camera millimetres, 0 is invalid; `depth[indices]` is (k, h, w).
        emotion: (n,) int32, an index into `emotions`.
        subject: (n,) int32, an index into `subjects`.
        frame: (n,) int32, the frame's number within its subject and emotion.
        sources: (n,) text, where a face came from: a file within `data.path`, or the seed and person of a rendering.
            Characters that are not printable, and backslashes, are escaped as Python escapes them.
        emotions: the names of the classes, in label order.
        subjects: the names of the subjects (or of the groups that stand for them).
        shape: height and width.
    """

    depth: DepthRows
    emotion: np.ndarray
    subject: np.ndarray
    frame: np.ndarray
    sources: np.ndarray
    emotions: tuple[str, ...]
    subjects: tuple[str, ...]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.emotion)


def read_stored(folder: Path) -> StoredFaces:
    """Open a stored set.

    Args:
        folder: of the set's version, with its `dataset_info.json`. The labels are there too, in a file of
            their own, or are left there by the first reading: the next need not go through all records for them.
    Raises:
        UserError: the set is not there, or damaged.
    """
    import tensorflow_datasets as tfds  # takes seconds to import

    if not (folder / "dataset_info.json").exists():
        raise UserError(f"{folder} holds no stored faces: run --stages=prepare first")
    try:
        builder = tfds.builder_from_directory(folder)
        source = builder.as_data_source(split="all")
        features = builder.info.features
        labels = cached_arrays(folder / LABELS_NAME, lambda: _labels(builder, len(source)))
    except (UserError, OSError):  # also a full disk, while the labels are written
        raise
    except Exception as error:  # the library and its file readers each raise their own on damaged files
        raise _damaged(folder, error) from None
    shape = tuple(features["depth"].shape)
    return StoredFaces(
        DepthRows(source, shape, folder),
        **labels,
        emotions=tuple(features["emotion"].names),
        subjects=tuple(builder.info.metadata["subjects"]),
        shape=shape,
    )


def _labels(builder: Any, count: int) -> dict[str, np.ndarray]:
    """Every column but the depth, of all rows."""
    import tensorflow_datasets as tfds

    source = builder.as_data_source(split="all", decoders={"depth": tfds.decode.SkipDecoding()})
    wanted = ("emotion", "subject", "frame", "source")
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for start in range(0, count, READ_AHEAD):
        for row in source.__getitems__(list(range(start, min(start + READ_AHEAD, count)))):
            for name in wanted:
                columns[name].append(row[name])
    labels = {name: np.array(columns[name], np.int32) for name in ("emotion", "subject", "frame")}
    return labels | {"sources": np.array([text.decode() for text in columns["source"]])}


def features(shape: tuple[int, int], emotions: Iterable[str]) -> Any:
    """The columns of a stored set, as tensorflow-datasets features. The files compress the depth, so it is plain."""
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        {
            "depth": tfds.features.Tensor(shape=shape, dtype=np.uint16, encoding="bytes"),
            "emotion": tfds.features.ClassLabel(names=list(emotions)),
            "subject": np.int32,
            "frame": np.int32,
            "source": tfds.features.Text(),
        }
    )


def parts(rows: Iterable[dict[str, Any]], count: int, shape: tuple[int, int]) -> dict[str, Iterator[Any]]:
    """`count` rows as splits that follow each other, none larger than the library should hold in memory.

    Args:
        rows: read once, from the first to the last; the library asks for the splits in order.
    """
    size = max(1, PART_BYTES // (2 * shape[0] * shape[1]))
    ahead = iter(rows)
    return {f"part_{i:05d}": enumerate(itertools.islice(ahead, size)) for i in range(-(-count // size))}


def _damaged(folder: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return UserError(f"{folder} is damaged ({reason}): delete it and run --stages=prepare")
