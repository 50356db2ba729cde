"""Gradient penalties of the discriminator, taken every few steps: R1 on real faces, R2 on generated ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Judge = Callable[[Any, jax.Array], jax.Array]  # parameters, images (n, h, w) → logits (n,)


def squared_gradient(judge: Judge, params: Any, images: jax.Array) -> jax.Array:
    """|dD/dx|² at each of (n, h, w) images, (n,): R1 at real ones (Mescheder et al. 2018, equation 9), else R2."""
    gradient = jax.grad(lambda x: judge(params, x).sum())(images)
    return jnp.square(gradient).sum((1, 2))


def penalty_gradient(
    judge: Judge,
    params: Any,
    real: jax.Array,
    fake: jax.Array,
    *,
    step: jax.Array,
    weight: float | jax.Array,
    every: int,
) -> tuple[jax.Array, Any]:
    """weight / 2 (R1 + R2) and its gradient in the parameters, at every `every`-th step and `every` times as strong.

    At the other steps both are zero and cost nothing (Karras et al. 2020, arXiv 1912.04958, section 3.1).
    """

    def penalty(params: Any) -> jax.Array:
        both = squared_gradient(judge, params, real) + squared_gradient(judge, params, fake)
        return weight * every / 2 * both.mean()

    def idle(params: Any) -> tuple[jax.Array, Any]:
        return jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)

    if every == 1:
        return jax.value_and_grad(penalty)(params)
    value, gradient = jax.lax.cond(step % every == 0, jax.value_and_grad(penalty), idle, params)
    return value, gradient
