"""The released conditional DCGAN, with resolution and width as parameters.

At the paper's size (256x256, width 512 and 64, three classes) the generator has 37,127,873 parameters and the
discriminator 2,890,433. Weights are Xavier uniform, biases zero; the released PyTorch weights are converted by
`tools/convert_released_weights.py`. What the released networks do not have is off by default.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from depthjax.keys import IMPLEMENTATION
from depthjax.models.conv import ConvToOne, DownConv, UpConv, xavier_uniform
from depthjax.models.norm import BatchNorm
from depthjax.precision import exact_products

SLOPE = 0.2  # of LeakyReLU
DOUBLINGS = 4  # transposed convolutions of the generator, strided ones of the discriminator
DECODE_BATCH = 100  # faces

Block = Callable[[nn.Module, jax.Array], jax.Array]  # the module that owns the layers, and its map


class Generator(nn.Module):
    """Map latents and emotions to depth faces.

    With `validity_mask`, a second map gives each pixel's probability of valid depth. Pixels drawn as invalid are
    exactly 1, as background and invalid depth are in training faces; one smooth map could only blur them. The draw
    uses the latent's bits, so the generator is deterministic given the latent.
    """

    resolution: int  # height and width of the image, a multiple of 16
    width: int  # channels of the first map, resolution/16 square; halved by each of four layers (paper's: 512)
    classes: int  # number of emotions
    dtype: Any = jnp.float32  # of the computation; parameters and statistics are float32
    lowpass: float = 0.0  # share of the checkerboard of transposed convolutions taken from the depth before tanh
    remat: bool = False  # whether the backward pass recomputes the inside of each block instead of keeping it
    validity_mask: bool = False

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, d) latents and (n,) int emotion → (n, resolution, resolution) float32 in [-1, 1]."""
        side = self.resolution >> DOUBLINGS
        labels = jax.nn.one_hot(emotion, self.classes, dtype=latents.dtype)
        x = jnp.concatenate([latents, labels], axis=-1)
        x = nn.Dense(side * side * self.width, dtype=self.dtype, kernel_init=xavier_uniform, name="linear")(x)
        x = nn.leaky_relu(BatchNorm(self.dtype, name="norm_0")(x, train), SLOPE)
        x = x.reshape(-1, side, side, self.width)

        def block(i: int) -> Block:
            def doubled(module: nn.Module, x: jax.Array) -> jax.Array:
                x = UpConv(self.width >> i, self.dtype, name=f"conv_{i}")(x)
                x = BatchNorm(self.dtype, name=f"norm_{i}")(x, train)
                return nn.leaky_relu(x, SLOPE)

            return nn.remat(doubled) if self.remat else doubled

        for i in range(1, DOUBLINGS + 1):
            x = block(i)(self, x)

        depth = ConvToOne(self.dtype, name="conv_out")(x).astype(jnp.float32)
        depth = jnp.tanh(binomial_lowpass(depth, self.lowpass) if self.lowpass else depth)
        if not self.validity_mask:
            return depth
        logit = ConvToOne(self.dtype, name="conv_return")(x).astype(jnp.float32)
        return masked_depth(depth, logit + latent_noise(latents, self.resolution))


def masked_depth(depth: jax.Array, score: jax.Array) -> jax.Array:
    """Return the depth (n, h, w) where the score is above 0, and 1 elsewhere, with a straight-through gradient.

    With a logit and logistic noise as the score, a pixel is valid with probability sigmoid(logit). The gradient in the
    score is that of sigmoid(score) * depth + 1 - sigmoid(score) (binary concrete: Jang et al. 2017, Maddison et al.
    2017); in the depth it is 1 at valid pixels. A loss on pixels, such as the distillation loss, therefore moves the
    mask as well where only depths differ.
    """
    soft = nn.sigmoid(score)
    straight_through = (soft - jax.lax.stop_gradient(soft)) * jax.lax.stop_gradient(depth - 1)  # 0, with a gradient
    return jnp.where(score > 0, depth, 1) + straight_through


def latent_noise(latents: jax.Array, side: int) -> jax.Array:
    """Return (n, side, side) logistic noise, each drawn from the bits of the first two numbers of a latent (n, d)."""
    missing = max(0, 2 - latents.shape[1])
    first = jnp.pad(latents.astype(jnp.float32), ((0, 0), (0, missing)))[:, :2]
    words = jax.lax.bitcast_convert_type(first, jnp.uint32)  # (n, 2)

    def draw(words: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(words, impl=IMPLEMENTATION)
        return jax.random.logistic(jax.random.fold_in(key, DOUBLINGS + 1), (side * side,), jnp.float32)

    return jax.vmap(draw)(words).reshape(-1, side, side)


def binomial_lowpass(images: jax.Array, strength: float = 1.0) -> jax.Array:
    """Filter (n, h, w) by [s, 4 - 2s, s] / 4 down and across, edges repeated; a slope stays as it is.

    What alternates from pixel to pixel keeps 1 - s of its height each way, where s is the strength.
    """
    for axis in (1, 2):
        size = images.shape[axis]
        wide = jnp.pad(images, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (jax.lax.slice_in_dim(wide, i, i + size, axis=axis) for i in range(3))
        images = here + strength * (before - 2 * here + after) / 4
    return images


class Discriminator(nn.Module):
    """Map a depth face and the emotion it claims to show to the logit of it being a training face."""

    width: int  # channels of the first map; doubled by each of three further layers (paper's: 64)
    classes: int  # emotions; each is a plane of zeros or ones beside the image
    dtype: Any = jnp.float32  # of the computation; parameters and statistics are float32
    remat: bool = False  # as in `Generator`

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, h, w) images in [-1, 1] and (n,) int emotion → (n,) float32 logits."""
        planes = with_label_planes(images, emotion, self.classes)
        x = strided_features(self, planes, train, width=self.width, dtype=self.dtype, remat=self.remat)
        logits = nn.Dense(1, dtype=jnp.float32, kernel_init=xavier_uniform, name="linear")(x)
        return logits[:, 0].astype(jnp.float32)


def with_label_planes(images: jax.Array, emotion: jax.Array, classes: int) -> jax.Array:
    """(n, h, w) and (n,) int → (n, h, w, 1 + classes): a plane of ones for the emotion, zeros for the others."""
    labels = jax.nn.one_hot(emotion, classes, dtype=images.dtype)[:, None, None, :]
    planes = jnp.broadcast_to(labels, (*images.shape, classes))
    return jnp.concatenate([images[..., None], planes], axis=-1)


def strided_features(
    module: nn.Module, x: jax.Array, train: bool, *, width: int, dtype: Any, remat: bool = False
) -> jax.Array:
    """Apply the released discriminator's convolutions as layers of the module in whose compact method this is called.

    (n, h, w, planes) → (n, h/16 * w/16 * 8 * width), of `dtype`; the settings are those of `Discriminator`.
    """

    def block(i: int) -> Block:
        def halved(module: nn.Module, x: jax.Array) -> jax.Array:
            x = DownConv(width << (i - 1), dtype, name=f"conv_{i}")(x)
            if i > 1:
                x = BatchNorm(dtype, name=f"norm_{i}")(x, train)
            return nn.leaky_relu(x, SLOPE)

        return nn.remat(halved) if remat else halved

    for i in range(1, DOUBLINGS + 1):
        x = block(i)(module, x)
    return x.reshape(x.shape[0], -1)


def decode(
    generator: Generator,
    variables: dict[str, Any],
    latents: np.ndarray,
    emotion: np.ndarray,
    *,
    batch_size: int = DECODE_BATCH,
) -> np.ndarray:
    """Return the (n, h, w) faces in [-1, 1] of (n, d) latents and (n,) emotions, in evaluation mode.

    The last batch is padded, so one shape is compiled.
    """
    padding = -len(latents) % batch_size
    z, labels = np.pad(latents, ((0, padding), (0, 0))), np.pad(emotion, (0, padding))
    cuts = [slice(i, i + batch_size) for i in range(0, len(z), batch_size)]
    with exact_products():  # a stored face must not depend on the device
        batches = [decode_batch(generator, variables, z[cut], labels[cut]) for cut in cuts]
    return np.concatenate(batches)[: len(latents)].astype(np.float32)


@partial(jax.jit, static_argnums=0)
def decode_batch(generator: Generator, variables: dict[str, Any], latents: jax.Array, emotion: jax.Array) -> jax.Array:
    """(n, d) latents and (n,) emotion → (n, h, w) faces in [-1, 1], in evaluation mode."""
    images: jax.Array = generator.apply(variables, latents, emotion, False)  # type: ignore[assignment]
    return images
