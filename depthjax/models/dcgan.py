"""The released conditional DCGAN, with resolution and width as parameters.

At the paper's size (256x256, width 512 and 64, three classes) the generator has 37,127,873 parameters and the
discriminator 2,890,433. Weights are Xavier uniform, biases zero; the released PyTorch weights load through
`depthjax.models.released`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax.models.conv import DownConv, UpConv, xavier_uniform
from depthjax.models.norm import BatchNorm

SLOPE = 0.2  # of LeakyReLU
DOUBLINGS = 4  # transposed convolutions of the generator, strided ones of the discriminator


class Generator(nn.Module):
    """Latents and emotion to a depth face.

    Attributes:
        resolution: height and width of the image, a multiple of 16.
        width: channels of the first map, which is resolution/16 square; halved by each of four layers (paper's: 512).
        classes: how many emotions.
        dtype: of the computation; parameters and statistics are float32.
    """

    resolution: int
    width: int
    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, d) latents and (n,) int emotion → (n, resolution, resolution) float32 in [-1, 1]."""
        side = self.resolution >> DOUBLINGS
        x = jnp.concatenate([latents, jax.nn.one_hot(emotion, self.classes, dtype=latents.dtype)], axis=-1)
        x = nn.Dense(side * side * self.width, self.dtype, kernel_init=xavier_uniform, name="linear")(x)
        x = nn.leaky_relu(BatchNorm(self.dtype, name="norm_0")(x, train), SLOPE)
        x = x.reshape(-1, side, side, self.width)
        for i in range(1, DOUBLINGS + 1):
            x = UpConv(self.width >> i, self.dtype, name=f"conv_{i}")(x)
            x = nn.leaky_relu(BatchNorm(self.dtype, name=f"norm_{i}")(x, train), SLOPE)
        x = nn.Conv(1, (3, 3), dtype=self.dtype, kernel_init=xavier_uniform, name="conv_out")(x)
        return jnp.tanh(x[..., 0].astype(jnp.float32))


class Discriminator(nn.Module):
    """A depth face and the emotion it claims to show, to the logit of it being real.

    Attributes:
        width: channels of the first map; doubled by each of three further layers (paper's: 64).
        classes: how many emotions; each is a plane of zeros or ones beside the image.
        dtype: of the computation; parameters and statistics are float32.
    """

    width: int
    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, h, w) images in [-1, 1] and (n,) int emotion → (n,) float32 logits."""
        x = convolved(images, emotion, train, width=self.width, classes=self.classes, dtype=self.dtype)
        x = nn.Dense(1, self.dtype, kernel_init=xavier_uniform, name="linear")(x)
        return x[:, 0].astype(jnp.float32)


def convolved(images: jax.Array, emotion: jax.Array, train: bool, *, width: int, classes: int, dtype: Any) -> jax.Array:
    """The released discriminator up to its last layer, as layers of the module in whose compact method it is called.

    Args:
        images: (n, h, w) in [-1, 1].
        emotion: (n,) int.
        width, classes, dtype: as of `Discriminator`.
    Returns:
        (n, h/16 * w/16 * 8 * width), of `dtype`.
    """
    planes = jax.nn.one_hot(emotion, classes, dtype=images.dtype)[:, None, None, :]
    planes = jnp.broadcast_to(planes, (*images.shape, classes))
    x = jnp.concatenate([images[..., None], planes], axis=-1)
    for i in range(1, DOUBLINGS + 1):
        x = DownConv(width << (i - 1), dtype, name=f"conv_{i}")(x)
        if i > 1:
            x = BatchNorm(dtype, name=f"norm_{i}")(x, train)
        x = nn.leaky_relu(x, SLOPE)
    return x.reshape(x.shape[0], -1)
