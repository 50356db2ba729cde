"""FID's and the Inception Score's network on depth faces, with weights that the user gives.

The weights are the public PyTorch port of the 2015-12-05 graph, converted to safetensors by
`tools/convert_inception_weights.py`. No other file is accepted: a number from other weights would not be a FID.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from depthjax.data.depth_range import quantise
from depthjax.errors import UserError
from depthjax.models.inception import SIDE, Inception, Variables, variable_shapes
from depthjax.safetensors_file import read_safetensors, write_safetensors

SOURCE = "pt_inception-2015-12-05-6726825d.pth"
SOURCE_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
CONVERT = "make it by tools/convert_inception_weights.py"
CHUNK = 32  # images at once: bounds the memory


class InceptionFeatures(NamedTuple):
    """Pool features (n, 2048) and logits (n, 1008), float32."""

    pool: np.ndarray
    logits: np.ndarray


def write_converted(target: Path, flat: Mapping[str, np.ndarray], source_sha256: str) -> None:
    """Write variables with the sha256 of where they are from, and one of what they are."""
    _check_tensors(target, flat)
    write_safetensors(target, flat, {"source_sha256": source_sha256, "tensors_sha256": tensors_sha256(flat)})


def tensors_sha256(flat: Mapping[str, np.ndarray]) -> str:
    """Return one digest of all names, shapes and values, whatever their order."""
    state = hashlib.sha256()
    for name in sorted(flat):
        state.update(f"{name} {flat[name].shape} ".encode() + np.ascontiguousarray(flat[name], "<f4").tobytes())
    return state.hexdigest()


def load_inception(path: Path) -> Variables:
    """Return the variables of the converted file, or raise a UserError if it is no such file.

    Its metadata must name the public file's sha256 as source, the tensors must have the digest that the converter
    stored, and every name, shape and type must be the network's. Damage and other weights are refused, not a forgery.
    """
    flat, metadata = read_safetensors(path)
    if metadata.get("source_sha256") != SOURCE_SHA256:
        raise UserError(f"{path} does not come from {SOURCE} (sha256 {SOURCE_SHA256[:12]}...): {CONVERT}")
    _check_tensors(path, flat)
    if metadata.get("tensors_sha256") != tensors_sha256(flat):
        raise UserError(f"{path} is damaged: its tensors are not those that were written: {CONVERT} again")
    return traverse_util.unflatten_dict({name: jnp.asarray(value) for name, value in flat.items()}, sep="/")


def _check_tensors(path: Path, flat: Mapping[str, np.ndarray]) -> None:
    wanted = traverse_util.flatten_dict(variable_shapes(), sep="/")
    for name in sorted(wanted.keys() | flat.keys()):
        found, expected = _described(flat.get(name), "missing"), _described(wanted.get(name), "none")
        if found != expected:
            raise UserError(f"{path}: '{name}' is {found}, where the network has {expected}: {CONVERT}")


def _described(array: Any, absent: str) -> str:
    return absent if array is None else f"{np.dtype(array.dtype).name}{list(array.shape)}"


def inception_features(images: np.ndarray, variables: Variables) -> InceptionFeatures:
    """Return pool features and logits of (n, height, width) depth faces in [-1, 1]; not finite, they are a UserError.

    8-bit levels, repeated to three channels, resized to 299x299 (bilinear about pixel centres; antialiased where it
    shrinks, as PIL does and the first scripts do not: Parmar et al. 2022, arXiv 2104.11222), scaled to [-1, 1].
    """
    if not np.isfinite(images).all():
        raise UserError("inception: an image holds values that are not finite: look at the faces that were sampled")
    levels, found = quantise(images), []
    for start in range(0, max(len(levels), 1), CHUNK):
        chunk = levels[start : start + CHUNK]
        padded = np.pad(chunk, ((0, CHUNK - len(chunk)), (0, 0), (0, 0)))  # one shape is compiled once
        found.append([np.asarray(part)[: len(chunk)] for part in _compiled()(variables, padded)])
    return InceptionFeatures(*map(np.concatenate, zip(*found, strict=True)))


@cache
def _compiled() -> Any:
    def apply(variables: Variables, levels: jax.Array) -> Any:
        return Inception().apply(variables, network_input(levels))

    return jax.jit(apply)


def network_input(levels: jax.Array) -> jax.Array:
    """Return (n, 299, 299, 3) in [-1, 1] of (n, height, width) 8-bit levels."""
    large = jax.image.resize(levels.astype(jnp.float32), (len(levels), SIDE, SIDE), "bilinear", antialias=True)
    return jnp.repeat((large / 127.5 - 1)[..., None], 3, axis=-1)
