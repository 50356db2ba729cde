"""Batch normalisation with PyTorch's bookkeeping, spectral normalisation, and how much a batch differs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


class BatchNorm(nn.Module):
    """Batch normalisation over every axis but the last, momentum 0.9 and epsilon 1e-5 (PyTorch: 0.1, 1e-5).

    In training it normalises with the batch's biased variance but keeps the running average of the unbiased one, as
    PyTorch does and flax does not: so running statistics of the released networks mean the same here, and the teacher
    of a small batch is not too bright. Statistics are computed and kept in float32 whatever `dtype` is.

    Variables: params `scale`, `bias`; batch_stats `mean`, `var`; all (features,).
    """

    dtype: Any = jnp.float32
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(..., features) → the same shape in `dtype`; `train` normalises with the batch's own statistics."""
        features = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (features,))
        bias = self.param("bias", nn.initializers.zeros, (features,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (features,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (features,))
        mean, var = running_mean.value, running_var.value
        if train:
            axes, count = tuple(range(x.ndim - 1)), x.size // features
            values = x.astype(jnp.float32)
            mean = values.mean(axes)
            var = jnp.square(values - _last(mean, x.ndim)).mean(axes)
            if not self.is_initializing():
                keep, unbiased = self.momentum, var * (count / max(count - 1, 1))
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * unbiased
        gain = scale * jax.lax.rsqrt(var + self.epsilon)
        shift = bias - mean * gain
        return (x * _last(gain, x.ndim) + _last(shift, x.ndim)).astype(self.dtype)


class SpectralNorm(nn.Module):
    """A kernel divided by its largest singular value (Miyato et al. 2018, algorithm 1), all but the last axis as rows.

    One power iteration a training step; in evaluation the kept vector is used and left as it is.

    Variables: batch_stats `direction`, (features,).
    """

    @nn.compact
    def __call__(self, kernel: jax.Array, train: bool) -> jax.Array:
        """(..., features) → the same shape."""
        matrix = kernel.astype(jnp.float32).reshape(-1, kernel.shape[-1])
        # Not a random start: an even one meets every singular direction of a random kernel.
        kept = self.variable("batch_stats", "direction", lambda: jnp.ones(kernel.shape[-1]) / kernel.shape[-1] ** 0.5)
        fixed = jax.lax.stop_gradient(matrix)
        left = _unit(fixed @ kept.value)
        right = _unit(fixed.T @ left)
        if train and not self.is_initializing():
            kept.value = right
        return (kernel / (left @ matrix @ right)).astype(kernel.dtype)


class MinibatchSpread(nn.Module):
    """One more channel: the standard deviation over the batch, averaged over channels and pixels (Karras et al. 2018).

    In evaluation it is the running average of what it was in training: a face is judged alone, whatever stands beside
    it. (Their groups of four are here the whole batch.)

    Variables: batch_stats `spread`, ().
    """

    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, h, w, c) → (n, h, w, c + 1)."""
        running = self.variable("batch_stats", "spread", lambda: jnp.ones(()))
        spread = running.value
        if train:
            values = x.astype(jnp.float32)
            variance = jnp.square(values - values.mean(0, keepdims=True)).mean(0)
            spread = jnp.sqrt(variance + 1e-8).mean()
            if not self.is_initializing():
                running.value = self.momentum * running.value + (1 - self.momentum) * spread
        return jnp.concatenate([x, jnp.broadcast_to(spread, (*x.shape[:-1], 1)).astype(x.dtype)], axis=-1)


def _unit(vector: jax.Array) -> jax.Array:
    return vector / (jnp.linalg.norm(vector) + 1e-12)


def _last(vector: jax.Array, ndim: int) -> jax.Array:
    """(features,) as (1, .., 1, features): ranks are never promoted silently."""
    return vector.reshape((1,) * (ndim - 1) + (-1,))
