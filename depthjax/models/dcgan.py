"""The released conditional DCGAN, with resolution and width as parameters.

At the paper's size (256x256, width 512 and 64, three classes) the generator has 37,127,873 parameters and the
discriminator 2,890,433. Weights are Xavier uniform, biases zero; the released PyTorch weights load through
`depthjax.models.released`. What the released networks do not have is off by default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax.models.conv import ConvToOne, DownConv, SmoothUpConv, UpConv, xavier_uniform
from depthjax.models.geometry import Kind, surface_planes
from depthjax.models.norm import BatchNorm, MinibatchSpread, SpectralNorm

SLOPE = 0.2  # of LeakyReLU
Norm = Literal["batch", "none", "spectral"]
OVERSHOOT = 1.1  # of tanh, where the output saturates
GRAINED = 2  # of the generator's maps, the finest, that noise may join
DOUBLINGS = 4  # transposed convolutions of the generator, strided ones of the discriminator

Block = Callable[[nn.Module, jax.Array], jax.Array]  # the module whose layers these are, and its map


class Generator(nn.Module):
    """Latents and emotion to a depth face.

    Attributes:
        resolution: height and width of the image, a multiple of 16.
        width: channels of the first map, which is resolution/16 square; halved by each of four layers (paper's: 512).
        classes: how many emotions.
        dtype: of the computation; parameters and statistics are float32.
        upsampling: `transposed` as released, or `resize`, without a checkerboard.
        lowpass: how much of what alternates from pixel to pixel the depth loses each way before tanh, 0 to 1: a
            transposed convolution leaves a checkerboard there that no discriminator of ours has minded.
        remat: whether a gradient keeps only what stands between the blocks and computes their inside again.
        emotion_gain: length of the emotion's vector beside the latent, whose own is sqrt(d): at 1, as released, the
            emotion begins with 1 part in d of what the first layer hears.
        grain: whether the two finest maps are joined by noise of their own (Karras et al. 2019, section 3.2), so that
            the convolutions need not make what a sensor adds. It is drawn from the bits of the latent: the same latent
            is the same face, and a teacher and its student grain it alike.
        saturating: whether tanh is stretched by a tenth and cut at -1 and 1, so that background is exactly 1, as it is
            in real faces: else a discriminator tells them apart by that.
        return_mask: whether the last map is joined by another, which says how likely each pixel is to have a return at
            all; drawn pixel by pixel, those without are 1, as background and holes are in real faces. A single map can
            only blur them: it has no dice, and is smooth. The draw is of the latent's bits, as grain is.
    """

    resolution: int
    width: int
    classes: int
    dtype: Any = jnp.float32
    upsampling: Literal["transposed", "resize"] = "transposed"
    lowpass: float = 0.0
    remat: bool = False
    emotion_gain: float = 1.0
    grain: bool = False
    saturating: bool = False
    return_mask: bool = False

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, d) latents and (n,) int emotion → (n, resolution, resolution) float32 in [-1, 1]."""
        side, up = self.resolution >> DOUBLINGS, UpConv if self.upsampling == "transposed" else SmoothUpConv
        asked = self.emotion_gain * jax.nn.one_hot(emotion, self.classes, dtype=latents.dtype)
        x = jnp.concatenate([latents, asked], axis=-1)
        x = nn.Dense(side * side * self.width, dtype=self.dtype, kernel_init=xavier_uniform, name="linear")(x)
        x = nn.leaky_relu(BatchNorm(self.dtype, name="norm_0")(x, train), SLOPE)
        x = x.reshape(-1, side, side, self.width)

        def block(i: int) -> Block:
            def doubled(module: nn.Module, x: jax.Array) -> jax.Array:
                x = up(self.width >> i, self.dtype, name=f"conv_{i}")(x)
                x = BatchNorm(self.dtype, name=f"norm_{i}")(x, train)
                if self.grain and i > DOUBLINGS - GRAINED:
                    x = Grain(name=f"grain_{i}")(x, grain_of(latents, x.shape[1], i))
                return nn.leaky_relu(x, SLOPE)

            return nn.remat(doubled) if self.remat else doubled

        for i in range(1, DOUBLINGS + 1):
            x = block(i)(self, x)
        image = ConvToOne(self.dtype, name="conv_out")(x).astype(jnp.float32)
        image = jnp.tanh(smoothed(image, self.lowpass) if self.lowpass else image)
        image = jnp.clip(OVERSHOOT * image, -1, 1) if self.saturating else image
        if not self.return_mask:
            return image
        logit = ConvToOne(self.dtype, name="conv_return")(x).astype(jnp.float32)
        luck = grain_of(latents, self.resolution, DOUBLINGS + 1, jax.random.logistic)
        return seen_where_returned(image, logit + luck)


def seen_where_returned(depth: jax.Array, score: jax.Array) -> jax.Array:
    """(n, h, w) depth where the score is above 0, and 1 elsewhere; sharp, and yet it can be learnt.

    With a logit and logistic noise as the score, a pixel has a return with a chance of sigmoid(logit). The gradient in
    the score is that of sigmoid(score) * depth + 1 - sigmoid(score) (Jang et al. 2017, Maddison et al. 2017: binary
    concrete, straight through); in the depth it is 1 where there is a return. A loss on pixels, as the distillation's,
    therefore pulls at the mask where only depths differ, too.
    """
    soft = nn.sigmoid(score)
    learnt = (soft - jax.lax.stop_gradient(soft)) * jax.lax.stop_gradient(depth - 1)  # 0, with a gradient
    return jnp.where(score > 0, depth, 1) + learnt


class Grain(nn.Module):
    """Noise on every channel of a map, as much as training finds right: parameter `scale` (c,), 0.1 at first."""

    @nn.compact
    def __call__(self, x: jax.Array, noise: jax.Array) -> jax.Array:
        """(n, h, w, c) and (n, h, w) → (n, h, w, c)."""
        scale = self.param("scale", nn.initializers.constant(0.1), (x.shape[-1],))
        return x + noise[..., None].astype(x.dtype) * scale.astype(x.dtype)[None, None, None]


def grain_of(
    latents: jax.Array, side: int, level: int, draw: Callable[..., jax.Array] = jax.random.normal
) -> jax.Array:
    """(n, side, side) noise, standard normal or as `draw`, each latent's of (n, d) from the bits of its first two."""
    first = jnp.pad(latents.astype(jnp.float32), ((0, 0), (0, max(0, 2 - latents.shape[1]))))[:, :2]
    words = jax.lax.bitcast_convert_type(first, jnp.uint32)

    def drawn(words: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.wrap_key_data(words, impl="threefry2x32"), level)
        return draw(key, (side * side,))

    return jax.vmap(drawn)(words).reshape(-1, side, side)


def smoothed(images: jax.Array, strength: float = 1.0) -> jax.Array:
    """(n, h, w) through [s, 4 - 2s, s] / 4 down and across, edges repeated; a slope stays as it is.

    Args:
        strength: s. What alternates from pixel to pixel keeps 1 - s of its height each way: at 1, nothing.
    """
    for axis in (1, 2):
        size = images.shape[axis]
        wide = jnp.pad(images, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (jax.lax.slice_in_dim(wide, i, i + size, axis=axis) for i in range(3))
        images = here + strength * (before - 2 * here + after) / 4
    return images


class Discriminator(nn.Module):
    """A depth face and the emotion it claims to show, to the logit of it being real.

    In `apply` with the collection `intermediates` mutable, `features` are what the last layer reads.

    Attributes:
        width: channels of the first map; doubled by each of three further layers (paper's: 64).
        classes: how many emotions; each is a plane of zeros or of `emotion_gain` beside the image.
        dtype: of the computation; parameters and statistics are float32.
        norm: of all layers but the first and the last; `spectral` is of every kernel.
        projection: no planes; the logit is w·f + e·f with e the emotion's vector (Miyato and Koyama 2018, equation 6).
        spread: whether the last map is joined by how much the faces of a batch differ.
        geometry: further planes of the surface, see `surface_planes`.
        steepness: of these, downwards and to the right.
        remat: as of `Generator`.
        emotion_gain: of the planes, or of the projection on the emotion's vector: at 0 the emotion is not heard.
    """

    width: int
    classes: int
    dtype: Any = jnp.float32
    norm: Norm = "batch"
    projection: bool = False
    spread: bool = False
    geometry: Kind = "none"
    steepness: tuple[float, float] = (1.0, 1.0)
    remat: bool = False
    emotion_gain: float = 1.0

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        """(n, h, w) images in [-1, 1] and (n,) int emotion → (n,) float32 logits."""
        planes = surface_planes(images, self.geometry, self.steepness)
        if not self.projection:
            planes = with_label_planes(planes, emotion, self.classes, self.emotion_gain)
        x = descended(self, planes, train, width=self.width, dtype=self.dtype, norm=self.norm, remat=self.remat)
        if self.spread:
            x = MinibatchSpread(name="spread")(x, train)
        x = x.reshape(x.shape[0], -1)
        if not self.is_initializing():
            self.sow("intermediates", "features", x)
        if self.norm == "spectral":
            logits = SpectralDense(self.dtype, name="linear")(x, train)
        else:
            logits = nn.Dense(1, dtype=jnp.float32, kernel_init=xavier_uniform, name="linear")(x)
        if self.projection:
            # Drawn as a Dense layer's kernel is: at the start the emotion weighs as much as the face.
            vectors = nn.Dense(self.classes, use_bias=False, kernel_init=xavier_uniform, name="emotion")(x)
            logits += self.emotion_gain * jnp.take_along_axis(vectors, emotion[:, None], axis=1)
        return logits[:, 0].astype(jnp.float32)


class SpectralDense(nn.Module):
    """A Dense layer to one number whose kernel has a norm of 1: parameters `kernel` (c, 1) and `bias` (1,)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, c) → (n, 1)."""
        kernel = self.param("kernel", xavier_uniform, (x.shape[-1], 1))
        bias = self.param("bias", nn.initializers.zeros, (1,))
        kernel = SpectralNorm(name="spectral")(kernel, train).astype(self.dtype)
        return x @ kernel + bias.astype(self.dtype)[None]


def with_label_planes(planes: jax.Array, emotion: jax.Array, classes: int, value: float | jax.Array = 1.0) -> jax.Array:
    """(n, h, w, c) and (n,) int → (n, h, w, c + classes): a plane of `value` for the emotion, zeros for the others."""
    labels = (value * jax.nn.one_hot(emotion, classes)).astype(planes.dtype)[:, None, None, :]
    return jnp.concatenate([planes, jnp.broadcast_to(labels, (*planes.shape[:-1], classes))], axis=-1)


def descended(
    module: nn.Module, x: jax.Array, train: bool, *, width: int, dtype: Any, norm: Norm = "batch", remat: bool = False
) -> jax.Array:
    """The released discriminator's convolutions, as layers of the module in whose compact method it is called.

    Args:
        module: that module.
        x: (n, h, w, planes).
        width, dtype, norm, remat: as of `Discriminator`.
    Returns:
        (n, h/16, w/16, 8 * width), of `dtype`.
    """

    def block(i: int) -> Block:
        def halved(module: nn.Module, x: jax.Array) -> jax.Array:
            x = DownConv(width << (i - 1), dtype, norm == "spectral", name=f"conv_{i}")(x, train)
            if i > 1 and norm == "batch":
                x = BatchNorm(dtype, name=f"norm_{i}")(x, train)
            return nn.leaky_relu(x, SLOPE)

        return nn.remat(halved) if remat else halved

    for i in range(1, DOUBLINGS + 1):
        x = block(i)(module, x)
    return x


def convolved(
    module: nn.Module, images: jax.Array, emotion: jax.Array, train: bool, *, width: int, classes: int, dtype: Any
) -> jax.Array:
    """The released discriminator up to its last layer, as layers of the module in whose compact method it is called.

    Args:
        module: that module.
        images: (n, h, w) in [-1, 1].
        emotion: (n,) int.
        width, classes, dtype: as of `Discriminator`.
    Returns:
        (n, h/16 * w/16 * 8 * width), of `dtype`.
    """
    x = descended(module, with_label_planes(images[..., None], emotion, classes), train, width=width, dtype=dtype)
    return x.reshape(x.shape[0], -1)
