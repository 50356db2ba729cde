"""The authors' released PyTorch weights as ours: a reader that executes nothing, and the mapping.

A `.pth` file is a zip: one pickle that describes the tensors, and their bytes; before PyTorch 1.6 it was a row of
pickles and then the bytes. A pickle is a program and may do anything, so it is read by `plain_pickle`, an interpreter
that can only build what a state dict of tensors needs.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from depthjax.errors import UserError
from depthjax.files import refuse_hostile
from depthjax.models.plain_pickle import Name, Refused, read_pickle

Variables = dict[str, Any]
Tensors = dict[str, np.ndarray]

_STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
_SHARED = 4  # tensors may share a storage, and then take this many times the file's size in memory

_Storage = tuple[str, np.dtype, int]  # key, type and length


def read_state_dict(path: Path) -> Tensors:
    """The tensors of a PyTorch `.pth`, in the file's order, without executing its pickle.

    Raises:
        UserError: no such file, or anything in it but named tensors.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a .pth")
    try:
        if not zipfile.is_zipfile(path):
            return _named(_read_legacy(path), path)
        with zipfile.ZipFile(path) as archive:
            refuse_hostile(archive)
            return _tensors(archive, path)
    except (UserError, FileNotFoundError) as error:
        raise UserError(f"{path} is missing" if isinstance(error, OSError) else str(error)) from None
    except Exception as error:  # a hostile or damaged file makes zipfile and the interpreter raise almost anything
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a PyTorch state dict of plain tensors ({reason})") from None


def _tensors(archive: zipfile.ZipFile, path: Path) -> Tensors:
    names = [name for name in archive.namelist() if name.endswith("data.pkl")]
    if len(names) != 1:
        raise UserError(f"{path} is not a PyTorch state dict: it holds {len(names)} files named data.pkl, not one")
    folder, stored = names[0].removesuffix("data.pkl"), dict[str, np.ndarray]()

    def storage(pid: Any) -> np.ndarray:
        key, dtype, count = _storage(pid)
        if key not in stored:
            stored[key] = np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count=count)
        return stored[key]

    with archive.open(names[0]) as program:
        return _named(_read(program, storage, _Tensors(path)), path)


def _named(tensors: Any, path: Path) -> Tensors:
    if isinstance(tensors, dict) and all(isinstance(v, np.ndarray) for v in tensors.values()):
        return {str(name): value for name, value in tensors.items()}
    raise UserError(f"{path} holds more than named tensors: save the network's state_dict() alone")


def _read(file: IO[bytes], storage: Callable[[Any], Any], tensor: Callable[..., Any]) -> Any:
    return read_pickle(file, storages=frozenset(_STORAGES), storage=storage, tensor=tensor)


def _storage(pid: Any) -> _Storage:
    """Key, type and length of the storage that a persistent id names."""
    kind, storage, key, _, count = pid[:5]
    plain = type(kind) is str and type(storage) is Name and type(key) is str and type(count) is int
    if not plain or kind != "storage" or not key.isdecimal() or count < 0:
        raise Refused("it refers to what is no storage: refused")
    return key, np.dtype(_STORAGES[storage.removeprefix("torch.")]), count


def _read_legacy(path: Path) -> Any:
    """What it is, a version, facts about the machine, the object, the storages' keys: a pickle each; then the bytes."""
    plain = partial(_read, storage=_nothing, tensor=_nothing)
    with path.open("rb") as file:
        if plain(file) != _LEGACY_MAGIC:
            raise Refused("it begins neither as a zip nor as the older format")
        for _ in range(2):
            plain(file)
        begin, shapes = file.tell(), dict[str, _Storage]()

        def noted(pid: Any) -> None:
            shapes[_storage(pid)[0]] = _storage(pid)

        _read(file, noted, lambda *_: None)  # a first time, for the storages: their bytes come after it
        storages = {key: _legacy_storage(file, *shapes[key][1:]) for key in map(_text, plain(file))}
        file.seek(begin)
        return _read(file, lambda pid: storages[_storage(pid)[0]], _Tensors(path))


def _nothing(*_: Any) -> Any:
    raise Refused("there is a tensor where none belongs: refused")


def _text(key: Any) -> str:
    if type(key) is not str:
        raise Refused("the key of a storage is no text: refused")
    return key


def _legacy_storage(file: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    stated = int.from_bytes(file.read(8), "little")
    content = file.read(count * dtype.itemsize) if stated == count else b""
    if stated != count or len(content) < count * dtype.itemsize:
        raise Refused("it ends within a storage, or states two lengths for one")
    return np.frombuffer(content, dtype)


class _Tensors:
    """What torch calls to make a tensor, on numpy; no file makes more of them than it has bytes for."""

    def __init__(self, path: Path) -> None:
        self.left = _SHARED * path.stat().st_size

    def __call__(
        self, storage: np.ndarray, offset: int, shape: Sequence[int], stride: Sequence[int], *_: Any
    ) -> np.ndarray:
        """A copy of a view, which is refused where it leaves its storage."""
        last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
        inside = offset >= 0 and min((*shape, *stride, 0)) >= 0 and last < storage.size
        if not inside or math.prod(shape) > storage.size:
            raise Refused("a tensor reaches beyond its storage: refused")
        self.left -= math.prod(shape) * storage.itemsize
        if self.left < 0:
            raise Refused("its tensors share storages until they take many times the file's size: refused")
        strides = [s * storage.itemsize for s in stride]
        return np.lib.stride_tricks.as_strided(storage[offset:], tuple(shape), strides).copy()


def generator_variables(tensors: Tensors, variables: Variables) -> Variables:
    """A released generator's tensors as our generator's variables, matched by order and shape.

    Args:
        tensors: as `read_state_dict` gives them.
        variables: ours, for their shapes (arrays or `jax.ShapeDtypeStruct`).
    Raises:
        UserError: naming the tensor that does not fit.
    """
    taken, params, stats = _Queue(tensors), variables["params"], variables["batch_stats"]
    width = params["conv_1"]["kernel"].shape[2]
    flat = params["linear"]["bias"].shape[0]
    order = _channels_last(flat, width)
    out: Variables = {"params": {}, "batch_stats": {}}
    latents = params["linear"]["kernel"].shape[0]
    weight, bias = taken.next((flat, latents)), taken.next((flat,))
    out["params"]["linear"] = {"kernel": weight[order].T, "bias": bias[order]}
    _take_norm(taken, out, "norm_0", stats["norm_0"]["mean"].shape[0], order)
    for i in range(1, 5):
        *_, channels, features = params[f"conv_{i}"]["kernel"].shape
        weight, bias = taken.next((channels, features, 4, 4)), taken.next((features,))
        # PyTorch's transposed convolution turns its kernel by 180 degrees, ours does not.
        out["params"][f"conv_{i}"] = {"kernel": weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1), "bias": bias}
        _take_norm(taken, out, f"norm_{i}", features)
    weight, bias = taken.next((1, width >> 4, 3, 3)), taken.next((1,))
    out["params"]["conv_out"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
    taken.finish()
    return _contiguous(out)


def discriminator_variables(tensors: Tensors, variables: Variables) -> Variables:
    """A released discriminator's tensors as our discriminator's variables; as `generator_variables`."""
    taken, params = _Queue(tensors), variables["params"]
    out: Variables = {"params": {}, "batch_stats": {}}
    for i in range(1, 5):
        *_, channels, features = params[f"conv_{i}"]["kernel"].shape
        weight, bias = taken.next((features, channels, 4, 4)), taken.next((features,))
        out["params"][f"conv_{i}"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
        if i > 1:
            _take_norm(taken, out, f"norm_{i}", features)
    flat = params["linear"]["kernel"].shape[0]
    weight, bias = taken.next((1, flat)), taken.next((1,))
    out["params"]["linear"] = {"kernel": weight[:, _channels_last(flat, features)].T, "bias": bias}
    taken.finish()
    return _contiguous(out)


def _channels_last(flat: int, channels: int) -> np.ndarray:
    """Where each of our flattened (h, w, channels) values lies in PyTorch's flattened (channels, h, w)."""
    return np.arange(flat).reshape(channels, -1).T.reshape(-1)


def _take_norm(taken: _Queue, out: Variables, name: str, features: int, order: Any = slice(None)) -> None:
    scale, bias, mean, var = (taken.next((features,))[order] for _ in range(4))
    out["params"][name] = {"scale": scale, "bias": bias}
    out["batch_stats"][name] = {"mean": mean, "var": var}


class _Queue:
    """Tensors in the order of the file, each taken with the shape that it must have."""

    def __init__(self, tensors: Tensors) -> None:
        self.left = [(n, v) for n, v in tensors.items() if not n.endswith("num_batches_tracked")]
        self.left.reverse()

    def next(self, shape: tuple[int, ...]) -> np.ndarray:
        if not self.left:
            raise UserError(f"the released weights end before a tensor of shape {shape}: is this the other network?")
        name, value = self.left.pop()
        if value.shape != shape:
            raise UserError(
                f"tensor '{name}' has shape {value.shape} where {shape} belongs: set the data.resolution, "
                "data.emotions and model sizes that these weights were trained with"
            )
        return value.astype(np.float32)

    def finish(self) -> None:
        if self.left:
            raise UserError(f"tensor '{self.left[-1][0]}' is left over: these weights are of a larger network")


def _contiguous(tree: Variables) -> Variables:
    return {k: _contiguous(v) if isinstance(v, dict) else np.ascontiguousarray(v) for k, v in tree.items()}
