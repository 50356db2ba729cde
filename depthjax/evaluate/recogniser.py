"""What the shipped weights of the recogniser's network read in depth faces of any config."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from depthjax.config import EMOTIONS
from depthjax.data.crop import CROP_SHAPE, FACE_ROWS, area_weights
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.evaluate.weights import RECOGNISER as WEIGHTS
from depthjax.models.depthnet import CROPS
from depthjax.models.recogniser import SIDE, Recogniser
from depthjax.precision import exact_products
from depthjax.safetensors_file import read_safetensors

DEPTH_RANGE = DepthRange(-10.0, 80.0)  # what the network reads, mm about the nose tip
CHUNK = 128  # images at once: bounds the memory, and one shape is compiled once


class Read(NamedTuple):
    """Features (n, d) float32, and log-probabilities (n, 7) float32 over EMOTIONS, by rendered people alone."""

    features: np.ndarray
    log_probabilities: np.ndarray


@functools.cache
def load_weights(path: Path = WEIGHTS) -> dict[str, Any]:
    """Read the weights, once a process; stored as float16, used as float32."""
    tensors, _ = read_safetensors(path)
    flat = {name: jnp.asarray(value, jnp.float32) for name, value in tensors.items()}
    return traverse_util.unflatten_dict(flat, sep="/")


def feature_size() -> int:
    """Return the number of features that the network reads."""
    return int(load_weights()["params"]["features"]["kernel"].shape[1])


def own_head(emotions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (d, classes) and bias (classes,) of the network's own answer; 0 for emotions it does not know."""
    head = load_weights()["params"]["emotion"]
    weights, bias = np.zeros((feature_size(), len(emotions)), np.float32), np.zeros(len(emotions), np.float32)
    for column, name in enumerate(emotions):
        if name in EMOTIONS:
            weights[:, column] = head["kernel"][:, EMOTIONS.index(name)]
            bias[column] = head["bias"][EMOTIONS.index(name)]
    return weights, bias


def read_emotions(images: np.ndarray, *, depth_range: DepthRange, crop: str) -> Read:
    """Return what the network reads in (n, height, width) depth faces in [-1, 1]: the mean over a face and its mirror.

    Faces of another depth range or crop ("face", or "full" of a crop as high to its width as CROP_SHAPE) are brought to
    the network's own; what a narrower range clipped stays clipped. Another crop, or values that are not finite, are a
    UserError.
    """
    if crop not in CROPS:
        raise UserError(f"recogniser: the crop '{crop}' is not one of {', '.join(CROPS)}: use one of the two")
    if not np.isfinite(images).all():
        raise UserError("recogniser: an image holds values that are not finite: look at the faces that were sampled")
    starts = range(0, max(len(images), 1), CHUNK)
    found = [_read(recogniser_inputs(images[start : start + CHUNK], depth_range, crop)) for start in starts]
    return Read(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def recogniser_features(faces: DepthFaces, crop: str) -> np.ndarray:
    """Return the features of a set of faces, (n, d) float32."""
    return read_emotions(faces.images, depth_range=faces.depth_range, crop=crop).features


def features_and_logits(faces: DepthFaces, crop: str) -> np.ndarray:
    """Return the features, then the network's own logits of the faces' emotions, (n, d + classes) float32."""
    features = recogniser_features(faces, crop)
    weights, bias = own_head(faces.emotions)
    return np.hstack([features, features @ weights + bias])


def recogniser_inputs(images: np.ndarray, depth_range: DepthRange, crop: str) -> np.ndarray:
    """Return (n, 64, 64) float32 in DEPTH_RANGE, from brow to chin, of (n, height, width) images."""
    down, across = area_weights(images.shape[1], SIDE), area_weights(images.shape[2], SIDE)
    if crop == "full":  # the whole crop, squeezed
        down = (
            area_weights(FACE_ROWS.stop - FACE_ROWS.start, SIDE)
            @ area_weights(images.shape[1], CROP_SHAPE[0])[FACE_ROWS]
        )
    small = np.matmul(np.matmul(down, np.asarray(images, np.float32)), across.T)
    return DEPTH_RANGE.from_relief(depth_range.to_mm(small)).astype(np.float32)


def _read(inputs: np.ndarray) -> Read:
    padded = np.ones((CHUNK, SIDE, SIDE), np.float32)
    padded[: len(inputs)] = inputs
    with exact_products():  # the same on every device
        features, log_probabilities = _applied(load_weights(), padded)
    return Read(np.asarray(features)[: len(inputs)], np.asarray(log_probabilities)[: len(inputs)])


@jax.jit
def _applied(variables: dict[str, Any], inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    width, size = (variables["params"][name]["kernel"].shape[-1] for name in ("conv_1", "features"))
    net = Recogniser(len(EMOTIONS), width=width, size=size)
    heads: Any = net.apply(variables, jnp.concatenate([inputs, inputs[:, :, ::-1]]), False)
    once, mirrored = jnp.split(heads.emotion, 2)
    features: jax.Array = jnp.mean(jnp.stack(jnp.split(heads.features, 2)), 0)
    return features, jax.nn.log_softmax((once + mirrored) / 2)
