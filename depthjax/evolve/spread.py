"""Farthest first: an order in which every next point is the one farthest from all before it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Pair = tuple[jax.Array, jax.Array]
UNUSABLE, USED = -1.0, -2.0  # in place of a squared distance


def farthest_first(points: jax.Array, usable: jax.Array, first: jax.Array, *, count: int) -> Pair:
    """The first `count` points of that order (Gonzalez 1985), which lie within twice the best possible k-centre radius.

    Args:
        points: (n, k).
        usable: (n,) bool; the others come only when these are used up.
        first: () index of the point to begin with.
        count: at most n.
    Returns:
        (count,) indices and (count,) the distance of each to those before it: infinite for the first, -inf for points
        that are not usable.
    """

    def step(carry: Pair, _: None) -> tuple[Pair, Pair]:
        squared, latest = carry
        reached = squared[latest]
        squared = jnp.minimum(squared, ((points - points[latest][None]) ** 2).sum(1))
        squared = jnp.where(jnp.arange(len(points)) == latest, USED, squared)
        return (squared, jnp.argmax(squared)), (latest, reached)

    points = jnp.where(jnp.isfinite(points), points, 0.0)
    begin = jnp.where(usable, jnp.inf, UNUSABLE), first
    order, squared = jax.lax.scan(step, begin, None, length=count)[1]
    return order, jnp.where(squared < 0, -jnp.inf, jnp.sqrt(jnp.maximum(squared, 0)))
