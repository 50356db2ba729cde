"""The `depthnet` space: features and emotions read by a small network that is fixed, versioned and shipped.

It was trained on rendered subjects that no other part of depthjax draws (`tools/train_depthnet.py`; its card is
`assets/depthnet.md`), never on the faces of a run: it measures every run and every method alike.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from scipy.special import softmax

from depthjax.config import EMOTIONS
from depthjax.data.crop import to_square
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.errors import UserError
from depthjax.evaluate.weights import DEPTHNET as WEIGHTS
from depthjax.models.depthnet import CROPS, SIDE, DepthNet
from depthjax.precision import exact_products
from depthjax.safetensors_file import read_safetensors

DEPTH_RANGE = DepthRange(-20.0, 130.0)  # every image is converted from its own depth range to this one
CHUNK = 128  # images at once: bounds the memory, and one shape is compiled once


class DepthnetOutput(NamedTuple):
    """Features (n, d) float32, and log-probabilities (n, 7) float32 over EMOTIONS."""

    features: np.ndarray
    log_probabilities: np.ndarray


class Depthnet(NamedTuple):
    """The shipped network: its variables, its version, and the sha256 (hex) of its file."""

    variables: dict[str, Any]
    version: str
    sha256: str


@functools.cache
def load_depthnet(path: Path = WEIGHTS) -> Depthnet:
    """Read the weights, once a process; stored as float16, used as float32."""
    tensors, metadata = read_safetensors(path)
    flat = {name: jnp.asarray(value, jnp.float32) for name, value in tensors.items()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Depthnet(traverse_util.unflatten_dict(flat, sep="/"), metadata["version"], digest)


def depthnet_features(images: np.ndarray, *, depth_range: DepthRange, crop: str) -> DepthnetOutput:
    """Return the features and emotions that the network reads in (n, height, width) depth faces in [-1, 1].

    Every image first passes through the same resolution (64x64, by area), depth range (-20 to 130 mm about the nose
    tip) and 8 bits, so two sets may be compared if their own depth ranges and crops ("face" or "full") are the same.
    Another crop, or values that are not finite, are a UserError.
    """
    if crop not in CROPS:
        raise UserError(f"depthnet: the crop '{crop}' is not one of {', '.join(CROPS)}: use one of the two")
    if not np.isfinite(images).all():
        raise UserError("depthnet: an image holds values that are not finite: look at the faces that were sampled")
    starts = range(0, max(len(images), 1), CHUNK)
    outputs = [_output_of(images[start : start + CHUNK], depth_range, CROPS.index(crop)) for start in starts]
    return DepthnetOutput(*(np.concatenate(parts) for parts in zip(*outputs, strict=True)))


def depthnet_inputs(images: np.ndarray, depth_range: DepthRange) -> np.ndarray:
    """Return (n, 64, 64) float32 in DEPTH_RANGE, of 256 levels, of (n, height, width) images in `depth_range`."""
    small = to_square(np.asarray(images, np.float32), SIDE, crop="full")  # the whole image, whatever its crop
    return (quantise(DEPTH_RANGE.from_relief(depth_range.to_mm(small))) / np.float32(127.5) - 1).astype(np.float32)


def _output_of(images: np.ndarray, depth_range: DepthRange, crop: int) -> DepthnetOutput:
    inputs = np.zeros((CHUNK, SIDE, SIDE), np.float32)
    inputs[: len(images)] = depthnet_inputs(images, depth_range)
    with exact_products():  # a measure must not depend on the device
        features, log_probabilities = _applied(load_depthnet().variables, inputs, np.int32(crop))
    return DepthnetOutput(np.asarray(features)[: len(images)], np.asarray(log_probabilities)[: len(images)])


@jax.jit
def _applied(variables: dict[str, Any], inputs: jax.Array, crop: jax.Array) -> tuple[jax.Array, jax.Array]:
    width, size = (variables["params"][name]["kernel"].shape[-1] for name in ("conv_1", "features"))
    net = DepthNet(len(EMOTIONS), width=width, size=size)
    heads: Any = net.apply(variables, inputs, jnp.broadcast_to(crop, len(inputs)), False)
    return heads.features, jax.nn.log_softmax(heads.emotion)


def restricted(log_probabilities: np.ndarray, emotions: tuple[str, ...]) -> np.ndarray | None:
    """Return (n, 7) log-probabilities over EMOTIONS as shares of the run's own emotions; None if one is unknown."""
    if any(name not in EMOTIONS for name in emotions):
        return None
    own = log_probabilities[:, [EMOTIONS.index(name) for name in emotions]]
    return softmax(own.astype(np.float64), axis=1)
