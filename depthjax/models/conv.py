"""The convolutions of a DCGAN, in the form that each platform runs fastest: 4x4 with stride 2, and 3x3 to one channel.

The strided convolution and the transposed one are adjoint. XLA's CPU backend is slow at dilated convolutions: the
transposed one forwards, and the gradient of either kernel. So on a CPU these are written without dilation, on the 2x2
blocks of pixels that a stride of 2 moves over: the same numbers from the same parameters, up to the order of sums. The
3x3 one is slow there because it has a single output channel: it becomes one product with all nine taps, and their sum.
The platform that the program is compiled for decides which form is lowered.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")
_MANY_FEATURES = 128


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution 4x4, stride 2: (n, h, w, c) by (4, 4, c, features) → (n, 2h, 2w, features).

    Equal to `lax.conv_transpose(x, kernel, (2, 2), "SAME")`, and to PyTorch's `ConvTranspose2d(.., 4, 2, 1)` with the
    kernel turned by 180 degrees.
    """
    return lax.platform_dependent(x, kernel, cpu=transposed_conv_dense, default=transposed_conv_dilated)


def strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution 4x4, stride 2, padding 1: (n, h, w, c), even, by (4, 4, c, features) → (n, h/2, w/2, features).

    PyTorch's `Conv2d(.., 4, 2, 1)`.
    """
    return lax.platform_dependent(x, kernel, cpu=strided_conv_dense, default=strided_conv_plain)


def transposed_conv_dilated(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`transposed_conv` in XLA's own terms: a convolution of the input spread out with zeros."""
    return lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT)


def strided_conv_plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`strided_conv` in XLA's own terms."""
    return lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_LAYOUT)


def transposed_conv_dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`transposed_conv` without dilation, forwards and backwards."""
    return _spread(x, kernel[::-1, ::-1].swapaxes(2, 3))


@jax.custom_vjp
def strided_conv_dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`strided_conv`, whose backward pass has no dilation."""
    return strided_conv_plain(x, kernel)


@jax.custom_vjp
def _spread(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The adjoint of `strided_conv` in its input: (n, h, w, features) → (n, 2h, 2w, c), kernel (4, 4, c, features).

    An output row of parity a uses only two of the kernel's four rows, so every output pixel is a 2x2 window of the
    input. The faster of two ways was measured: with many features four convolutions, with few a single one.
    """
    return _spread_by_parity(x, kernel) if x.shape[-1] >= _MANY_FEATURES else _spread_at_once(x, kernel)


def _spread_by_parity(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Four 2x2 convolutions, one for each parity of output row and column, interleaved."""
    n, h, w, _ = x.shape
    turned = kernel[::-1, ::-1].swapaxes(2, 3)

    def parity(a: int, e: int) -> jax.Array:
        padding = ((1 - a, a), (1 - e, e))
        return lax.conv_general_dilated(x, turned[a::2, e::2], (1, 1), padding, dimension_numbers=_LAYOUT)

    rows = [jnp.stack([parity(a, 0), parity(a, 1)], axis=3) for a in (0, 1)]
    return jnp.stack(rows, axis=2).reshape(n, 2 * h, 2 * w, -1)


def _spread_at_once(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One 2x2 convolution that makes the four pixels of every block of the padded output as groups of channels."""
    n, h, w, features = x.shape
    taps = _by_block(kernel)[::-1, ::-1].transpose(0, 1, 5, 2, 3, 4).reshape(2, 2, features, -1)
    blocks = lax.conv_general_dilated(x, taps, (1, 1), ((1, 1), (1, 1)), dimension_numbers=_LAYOUT)
    pixels = blocks.reshape(n, h + 1, w + 1, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
    return pixels.reshape(n, 2 * h + 2, 2 * w + 2, -1)[:, 1:-1, 1:-1]


def _kernel_gradient(large: jax.Array, small: jax.Array) -> jax.Array:
    """The gradient (4, 4, c, features) of `strided_conv`'s kernel, from its input and the gradient of its output.

    One matrix product for each of the four blocks that a window covers.
    """
    n, h, w, features = small.shape
    padded = jnp.pad(large, ((0, 0), (1, 1), (1, 1), (0, 0)))
    blocks = padded.reshape(n, h + 1, 2, w + 1, 2, -1).transpose(0, 1, 3, 2, 4, 5).reshape(n, h + 1, w + 1, -1)
    rows = small.reshape(n * h * w, features)
    taps = [blocks[:, t : t + h, u : u + w].reshape(n * h * w, -1).T @ rows for t in (0, 1) for u in (0, 1)]
    return jnp.stack(taps).reshape(2, 2, 2, 2, -1, features).transpose(0, 2, 1, 3, 4, 5).reshape(4, 4, -1, features)


def _by_block(kernel: jax.Array) -> jax.Array:
    """(4, 4, c, features) → (block row, block column, row in block, column in block, c, features)."""
    return kernel.reshape(2, 2, 2, 2, *kernel.shape[2:]).transpose(0, 2, 1, 3, 4, 5)


Residuals = tuple[jax.Array, jax.Array]


def _strided_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Residuals]:
    return strided_conv_dense(x, kernel), (x, kernel)


def _strided_backward(residuals: Residuals, gradient: jax.Array) -> Residuals:
    x, kernel = residuals
    return _spread(gradient, kernel), _kernel_gradient(x, gradient)


def _spread_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Residuals]:
    return _spread(x, kernel), (x, kernel)


def _spread_backward(residuals: Residuals, gradient: jax.Array) -> Residuals:
    x, kernel = residuals
    return strided_conv_dense(gradient, kernel), _kernel_gradient(gradient, x)


strided_conv_dense.defvjp(_strided_forward, _strided_backward)
_spread.defvjp(_spread_forward, _spread_backward)


def conv_to_one(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution 3x3 to one channel, stride 1, padding 1: (n, h, w, c) by (3, 3, c, 1) → (n, h, w)."""
    return lax.platform_dependent(x, kernel, cpu=conv_to_one_by_taps, default=conv_to_one_plain)


def conv_to_one_plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv_to_one` in XLA's own terms."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_LAYOUT)[..., 0]


def conv_to_one_by_taps(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv_to_one` as nine maps, one for each tap of the kernel, that are shifted and added up.

    Measured on a CPU at 64x64 with 8 channels: a quarter of the time of XLA's own forwards, under half with gradients.
    """
    _, h, w, c = x.shape
    taps = kernel.reshape(9, c)
    maps = jnp.einsum("kc,nhwc->nkhw", taps, x, preferred_element_type=jnp.float32)
    maps = jnp.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    whole = sum(maps[:, 3 * a + e, a : a + h, e : e + w] for a in range(3) for e in range(3))
    return jnp.asarray(whole, x.dtype)


def xavier_uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Glorot and Bengio's uniform initialisation (2010, equation 16); the last two axes are inputs and outputs.

    The values of `nn.initializers.xavier_uniform`, drawn as a vector: XLA's CPU backend compiles a draw of four axes
    for seconds, and there is one for every layer.
    """
    bound = math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
    return jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound).reshape(shape)


class UpConv(nn.Module):
    """`transposed_conv` with a bias: parameters `kernel` (4, 4, c, features) and `bias` (features,)."""

    features: int
    dtype: Any = jnp.float32
    convolve = staticmethod(transposed_conv)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) → (n, h', w', features)."""
        x, kernel, bias = _parameters(self, x, self.features, self.dtype)
        return self.convolve(x, kernel) + bias


class ConvToOne(nn.Module):
    """`conv_to_one` with a bias: parameters `kernel` (3, 3, c, 1) and `bias` (1,), as those of flax's `Conv`."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) → (n, h, w)."""
        x, kernel, bias = _parameters(self, x, 1, self.dtype, side=3)
        return conv_to_one(x, kernel) + bias[..., 0]


class DownConv(UpConv):
    """`strided_conv` with a bias, and the parameters of `UpConv`."""

    convolve = staticmethod(strided_conv)


def _parameters(module: nn.Module, x: jax.Array, features: int, dtype: Any, *, side: int = 4) -> tuple[jax.Array, ...]:
    shape = (side, side, x.shape[-1], features)
    kernel = module.param("kernel", xavier_uniform, shape)
    bias = module.param("bias", nn.initializers.zeros, (features,))
    return x.astype(dtype), kernel.astype(dtype), bias.astype(dtype)[None, None, None, :]
