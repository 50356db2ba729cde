"""Batch normalisation with PyTorch's running statistics."""

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


def _last(vector: jax.Array, ndim: int) -> jax.Array:
    """(features,) as (1, .., 1, features): ranks are never promoted silently."""
    return vector.reshape((1,) * (ndim - 1) + (-1,))
