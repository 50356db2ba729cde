"""DepthNet, the feature network for depth faces: identity and expression from one 64x64 image."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax.models.conv import DownConv, xavier_uniform
from depthjax.models.norm import BatchNorm

SIDE = 64  # pixels of the image, each way
CROPS = ("face", "full")  # how the image was cropped; a second plane of -1 or +1 tells the network


class Heads(NamedTuple):
    """Features (n, d), logits of the emotions (n, emotions) and of the training subjects (n, subjects), float32."""

    features: jax.Array
    emotion: jax.Array
    identity: jax.Array


class DepthNet(nn.Module):
    """Four strided convolutions, then d features that two linear heads read.

    Both heads read nothing but the features, so these separate subjects and expressions alike. Batch
    normalisation uses its running statistics at use: the features of an image do not depend on its batch.
    """

    emotions: int
    subjects: int = 0  # of training; 0 leaves the identity head out, as in the shipped weights
    width: int = 24  # channels of the first map; doubled twice
    size: int = 64  # d

    @nn.compact
    def __call__(self, images: jax.Array, crop: jax.Array, train: bool) -> Heads:
        """(n, 64, 64) in [-1, 1] and (n,) int index into CROPS → Heads; subjects = 0: no identity logits, (n, 0)."""
        plane = jnp.broadcast_to((2.0 * crop - 1)[:, None, None], images.shape)
        return heads_of(jnp.stack([images, plane], axis=-1), self, train)


class Sizes(Protocol):
    """The sizes of a network that `heads_of` is part of."""

    emotions: int
    subjects: int
    width: int
    size: int


def heads_of(x: jax.Array, sizes: Sizes, train: bool) -> Heads:
    """Apply the layers of DepthNet to (n, side, side, planes), within the network that calls it."""
    for i, factor in enumerate((1, 2, 4, 4), start=1):
        x = DownConv(factor * sizes.width, name=f"conv_{i}")(x)
        x = nn.relu(BatchNorm(name=f"norm_{i}")(x, train))
    features = nn.Dense(sizes.size, kernel_init=xavier_uniform, name="features")(x.reshape(len(x), -1))
    features = BatchNorm(name="norm_features")(features, train)
    emotion = nn.Dense(sizes.emotions, kernel_init=xavier_uniform, name="emotion")(features)
    if not sizes.subjects:
        return Heads(features, emotion, jnp.zeros((len(x), 0)))
    return Heads(features, emotion, nn.Dense(sizes.subjects, kernel_init=xavier_uniform, name="identity")(features))
