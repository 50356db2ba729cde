"""Safetensors files: named arrays and text metadata, nothing that could be executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from depthjax.errors import UserError
from depthjax.files import replacing

METADATA = "__metadata__"  # the format's own name for it


class Safetensors(NamedTuple):
    """The arrays of a file by name, and its metadata."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays and metadata, the same bytes for the same content; what the format cannot hold is a UserError."""
    try:
        if METADATA in tensors:
            raise ValueError(f"no tensor may be named {METADATA}")
        # The library writes the memory of an array, in whatever order its axes lie.
        arrays = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in tensors.items()}
        content = save(arrays, dict(metadata or {}))
        content = _with_sorted_metadata(content) if metadata else content
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path}: an array cannot be stored as safetensors ({_one_line(error)})") from None
    with replacing(path) as file:
        file.write(content)


def read_safetensors(path: Path) -> Safetensors:
    """Read every array and the metadata; a file that is missing, damaged or of another format is a UserError."""
    try:
        with safe_open(path, framework="numpy") as file:
            return Safetensors({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path} is missing: give the path of a .safetensors file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): give the path of a .safetensors file") from None
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:  # the last three: a type that numpy lacks
        reason = _one_line(error)
        raise UserError(f"{path} is not a whole safetensors file ({reason}): fetch it or make it again") from None


def _with_sorted_metadata(content: bytes) -> bytes:
    # The library writes metadata in another order every time.
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header[METADATA] = dict(sorted(header[METADATA].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
