"""Orders in which points are chosen so that they spread: farthest first, also with places to cover and a balance."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from depthjax.precision import EXACT

Pair = tuple[jax.Array, jax.Array]
UNUSABLE, USED = -1e30, -2e30  # in place of a squared distance


class Demands(NamedTuple):
    """What the points chosen are to be, besides far from each other."""

    within: jax.Array  # (n, m) bool: which of m places each point covers
    share: float | jax.Array  # () of the points chosen, those that are chosen for places
    apart: float | jax.Array  # () how far from all chosen a point must be to serve a place
    beside: jax.Array  # (n, q) what each point shows, less what they should show in the mean
    balance: jax.Array  # (q,) what that weighs; 0: nothing


class Chosen(NamedTuple):
    """What is carried from one choice to the next."""

    squared: jax.Array  # (n,) of the distance to the nearest one chosen
    covered: jax.Array  # (m,) by how many of those chosen each place is
    offset: jax.Array  # (q,) sum over those chosen
    latest: jax.Array  # () index


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
    return spread_first(points, usable, first, nothing_demanded(len(points)), count=count)


def nothing_demanded(n: int) -> Demands:
    """Of n points: no places, no balance."""
    return Demands(jnp.zeros((n, 0), bool), 0.0, 0.0, jnp.zeros((n, 0)), jnp.zeros(0))


def spread_first(points: jax.Array, usable: jax.Array, first: jax.Array, demands: Demands, *, count: int) -> Pair:
    """Places first, then farthest first without moving the mean.

    The first ones, a share of all, are chosen for places: each is the point that covers most of those places which the
    fewest chosen ones cover, of all that can still be covered (the greedy cover of Johnson 1974, layer upon layer). A
    point nearer than `apart` to one already chosen covers nothing. Each of the others is the point that maximises
    d² - y·(b s) / count, with d its distance to those chosen, y what it shows beside what they should, s the sum of
    that over those chosen, b the balance: who is far on the side that outweighs is worth less. The second term is that
    of kernel herding with a linear kernel (Chen, Welling and Smola 2010).

    Args:
        points, usable, first, count: as of `farthest_first`.
        demands: places and balance.
    Returns:
        As `farthest_first`.
    """
    cover, beside = demands.within.astype(jnp.float32), demands.beside

    def step(chosen: Chosen, number: jax.Array) -> tuple[Chosen, Pair]:
        squared, covered, offset, latest = chosen
        reached = squared[latest]
        squared = jnp.minimum(squared, ((points - points[latest][None]) ** 2).sum(1))
        squared = jnp.where(jnp.arange(len(points)) == latest, USED, squared)
        covered, offset = covered + cover[latest], offset + beside[latest]
        fit = (squared >= demands.apart**2) & (number < demands.share * count)
        least = jnp.where((demands.within & fit[:, None]).any(0), covered, jnp.inf).min(initial=jnp.inf)
        served = jnp.where(fit, cover @ (covered <= least).astype(jnp.float32), 0)
        outweighing = jnp.matmul(beside, demands.balance * offset / count, precision=EXACT)
        farthest = jnp.argmax(jnp.where(squared >= 0, squared - outweighing, squared))
        following = jnp.where(served.max(initial=0) > 0, jnp.argmax(served), farthest)
        return Chosen(squared, covered, offset, following), (latest, reached)

    points = jnp.where(jnp.isfinite(points), points, 0.0)
    beside = jnp.where(jnp.isfinite(beside), beside, 0.0)
    nobody = jnp.where(usable, jnp.inf, UNUSABLE), jnp.zeros(cover.shape[1])
    begin = Chosen(*nobody, jnp.zeros(beside.shape[1]), first)
    order, squared = jax.lax.scan(step, begin, jnp.arange(1, count + 1))[1]
    return order, jnp.where(squared < 0, -jnp.inf, jnp.sqrt(jnp.maximum(squared, 0)))
