"""Safetensors files: named arrays behind a JSON header, nothing in them that could be executed.

The format (github.com/huggingface/safetensors): 8 bytes, the header's length as a little-endian unsigned integer; that
many bytes of JSON, `{name: {"dtype", "shape", "data_offsets": [begin, end]}}` and optionally `__metadata__`, text by
text; then the arrays' little-endian bytes, without gaps or overlaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthjax.errors import UserError
from depthjax.files import replacing

METADATA = "__metadata__"
LONGEST_HEADER = 100_000_000  # bytes, as the format's own reader allows
DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


class Safetensors(NamedTuple):
    """The arrays of a file by name, in the order of their bytes, and its metadata, text by text."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]


class _Damaged(Exception):
    """What is wrong with a file, in a few words."""


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays, sorted by name: the same arrays and metadata give the same bytes.

    Raises:
        UserError: an array of a type that the format lacks, or a tensor named `__metadata__`.
    """
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    parts, end = [], 0
    for name, value in sorted(tensors.items()):
        kind = NAMES.get(np.dtype(value.dtype).newbyteorder("<"))
        if kind is None or name == METADATA:
            raise UserError(f"{path}: the array '{name}' ({value.dtype}) cannot be stored as safetensors")
        parts.append(np.ascontiguousarray(value, DTYPES[kind]).tobytes())
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(parts)


def read_safetensors(path: Path) -> Safetensors:
    """Read every array, each a copy of its own.

    Raises:
        UserError: the file is missing, cut short, of another format, or its offsets overlap, leave gaps or reach
            beyond its end.
    """
    try:
        return _parsed(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: give the path of a .safetensors file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the path of a .safetensors file") from None
    except _Damaged as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}): fetch it or make it again") from None


def _parsed(data: bytes) -> Safetensors:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, LONGEST_HEADER):
        raise _Damaged("its header reaches beyond its end")
    header, body = _header(data[8 : 8 + length]), memoryview(data)[8 + length :]
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _Damaged("its metadata is not text")
    tensors, last = {}, 0
    for name, (dtype, shape, begin, end) in sorted(((n, _entry(n, e)) for n, e in header.items()), key=_by_offset):
        if begin != last or end > len(body):
            raise _Damaged(f"tensor '{name}' overlaps another, leaves a gap or reaches beyond the end")
        tensors[name] = np.frombuffer(body[begin:end], dtype).reshape(shape).copy()
        last = end
    if last != len(body):
        raise _Damaged("there are bytes that belong to no tensor")
    return Safetensors(tensors, metadata)


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise _Damaged("its header is not JSON") from None
    if not isinstance(header, dict):
        raise _Damaged("its header is not a JSON object")
    return header


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _Damaged("its header names something twice")
    return dict(pairs)


_Entry = tuple[np.dtype, tuple[int, ...], int, int]


def _entry(name: str, entry: Any) -> _Entry:
    """dtype, shape, begin and end of one tensor, all plausible in themselves."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Damaged(f"tensor '{name}' is not described by dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise _Damaged(f"tensor '{name}' is of the type {kind!r}, which is not read here")
    if not (_counts(shape) and _counts(offsets) and len(offsets) == 2):
        raise _Damaged(f"the shape or the offsets of tensor '{name}' are not whole numbers")
    dtype, (begin, end) = np.dtype(DTYPES[kind]), offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise _Damaged(f"tensor '{name}' has {end - begin} bytes where its shape needs another number")
    return dtype, tuple(shape), begin, end


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _by_offset(item: tuple[str, _Entry]) -> tuple[int, int]:
    return item[1][2:]
