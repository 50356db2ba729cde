"""Inception-v3 as the graph of 2015-12-05 has it: the network on which FID, KID and the Inception Score are defined.

Szegedy et al. 2015 (arXiv 1512.00567). Where that graph differs from the Inception-v3 of today's libraries: average
pools leave the padding out of the mean, the last block pools by maximum, there are 1,008 classes, and its logits are
taken without their bias, as the Inception Score's first script does (Salimans et al. 2016, arXiv 1606.03498).

Modules carry the names of the public PyTorch port (github.com/mseitzer/pytorch-fid), so that its weights map by name.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from depthjax.keys import IMPLEMENTATION
from depthjax.precision import EXACT

SIDE = 299  # pixels of the square input
POOL, CLASSES = 2048, 1008
EPSILON = 1e-3  # of the batch normalisation

Variables = dict[str, Any]


class Conv(NamedTuple):
    """A convolution of a branch."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


Branch = tuple[Conv, ...]  # convolutions one after the other
DOUBLE = (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)))


class InceptionOutput(NamedTuple):
    """`pool` (n, 2048), the mean over the last map; `logits` (n, 1008), without bias."""

    pool: jax.Array
    logits: jax.Array


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation by the stored statistics, ReLU."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) to (n, h', w', features)."""
        shape = (self.features, self.kernel, self.stride, self.padding)
        x = nn.Conv(*shape, use_bias=False, precision=EXACT, name="conv")(x)
        return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=EPSILON, name="bn")(x))


def _mean_pool(x: jax.Array) -> jax.Array:
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _max_pool(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, (3, 3), padding="SAME")


def _shrinking_pool(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, (3, 3), (2, 2), "VALID")


class Parallel(nn.Module):
    """Branches side by side, joined along the channels; a branch is convolutions one after the other."""

    branches: tuple[Branch, ...]
    pooled: Branch = ()  # convolutions after the pool, which is the last branch
    pool: Any = _mean_pool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) to (n, h', w', c')."""
        ends = [_through(branch, x) for branch in self.branches]
        return jnp.concatenate([*ends, _through(self.pooled, self.pool(x))], axis=-1)


class Forked(nn.Module):
    """The last blocks: two branches end in a 1x3 and a 3x1 convolution side by side."""

    pool: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, 8, 8, c) to (n, 8, 8, 2048)."""
        ends = [ConvNorm(320, name="branch1x1")(x)]
        dbl = (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, (3, 3)))
        for name, stem in {"branch3x3": (Conv("branch3x3_1", 384),), "branch3x3dbl": dbl}.items():
            y, fork = _through(stem, x), len(stem) + 1
            ends += [ConvNorm(384, (1, 3), name=f"{name}_{fork}a")(y), ConvNorm(384, (3, 1), name=f"{name}_{fork}b")(y)]
        return jnp.concatenate([*ends, ConvNorm(192, name="branch_pool")(self.pool(x))], axis=-1)


def _through(branch: Branch, x: jax.Array) -> jax.Array:
    for conv in branch:
        x = ConvNorm(*conv[1:], name=conv.name)(x)
    return x


def _block_a(pooled: int) -> dict[str, Any]:
    five = (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5)))
    three = (*DOUBLE, Conv("branch3x3dbl_3", 96, (3, 3)))
    return {"branches": ((Conv("branch1x1", 64),), five, three), "pooled": (Conv("branch_pool", pooled),)}


def _block_b() -> dict[str, Any]:
    three = (*DOUBLE, Conv("branch3x3dbl_3", 96, (3, 3), 2, "VALID"))
    return {"branches": ((Conv("branch3x3", 384, (3, 3), 2, "VALID"),), three), "pool": _shrinking_pool}


def _block_c(width: int) -> dict[str, Any]:
    seven = (Conv("branch7x7_1", width), Conv("branch7x7_2", width, (1, 7)), Conv("branch7x7_3", 192, (7, 1)))
    shapes = zip([width] * 4 + [192], ((1, 1), (7, 1), (1, 7), (7, 1), (1, 7)), strict=True)
    twice = tuple(Conv(f"branch7x7dbl_{number}", *shape) for number, shape in enumerate(shapes, start=1))
    return {"branches": ((Conv("branch1x1", 192),), seven, twice), "pooled": (Conv("branch_pool", 192),)}


def _block_d() -> dict[str, Any]:
    three = (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, (3, 3), 2, "VALID"))
    seven = (
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, (1, 7)),
        Conv("branch7x7x3_3", 192, (7, 1)),
        Conv("branch7x7x3_4", 192, (3, 3), 2, "VALID"),
    )
    return {"branches": (three, seven), "pool": _shrinking_pool}


BLOCKS: dict[str, dict[str, Any]] = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": _block_b(),
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": _block_d(),
}


class Inception(nn.Module):
    """The network from 299x299 colour images to pool features and logits."""

    @nn.compact
    def __call__(self, images: jax.Array) -> InceptionOutput:
        """(n, 299, 299, 3) in [-1, 1] to `InceptionOutput`."""
        x = ConvNorm(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(images)
        x = ConvNorm(32, (3, 3), 1, "VALID", name="Conv2d_2a_3x3")(x)
        x = _shrinking_pool(ConvNorm(64, (3, 3), name="Conv2d_2b_3x3")(x))
        x = ConvNorm(80, name="Conv2d_3b_1x1")(x)
        x = _shrinking_pool(ConvNorm(192, (3, 3), 1, "VALID", name="Conv2d_4a_3x3")(x))
        for name, parts in BLOCKS.items():
            x = Parallel(**parts, name=name)(x)
        x = Forked(_mean_pool, name="Mixed_7b")(x)
        pool = Forked(_max_pool, name="Mixed_7c")(x).mean(axis=(1, 2))
        return InceptionOutput(pool, nn.Dense(CLASSES, use_bias=False, precision=EXACT, name="fc")(pool))


@functools.cache
def variable_shapes() -> Variables:
    """The shapes of all variables, without computing any."""
    images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    return jax.eval_shape(Inception().init, jax.random.key(0, impl=IMPLEMENTATION), images)
