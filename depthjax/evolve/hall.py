"""The hall of fame: the best distinct individuals that a population ever held."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Hall(NamedTuple):
    """The best distinct individuals ever seen, best first; empty slots hold NaN latents at infinite cost."""

    latents: jax.Array  # (hall, d)
    cost: jax.Array  # (hall,)


def recall(latents: jax.Array, seen: jax.Array, cost: jax.Array) -> jax.Array:
    """The known cost of each of (n, d) latents that is found, gene for gene, among the (m, d) seen; NaN of the others.

    An offspring that was neither crossed nor mutated is a copy: DEAP does not evaluate it again either.
    """
    same = (latents[:, None, :] == seen[None, :, :]).all(-1)
    return jnp.where(same.any(-1), cost[same.argmax(-1)], jnp.nan)


def induct(hall: Hall, latents: jax.Array, cost: jax.Array) -> Hall:
    """The hall after a population (n, d) with its cost (n,): the best of both, without duplicates, best first.

    As DEAP's `HallOfFame`: of equal individuals one is kept, of equally good ones the older goes first.
    """
    everyone = Hall(jnp.concatenate([hall.latents, latents]), jnp.concatenate([hall.cost, cost]))
    size, total = hall.cost.shape[0], everyone.cost.shape[0]
    same = (latents[:, None, :] == everyone.latents[None, :, :]).all(-1)
    older = jnp.arange(total)[None, :] < jnp.arange(size, total)[:, None]
    duplicate = jnp.concatenate([jnp.zeros(size, bool), (same & older).any(-1)])
    ranking = jnp.where(duplicate, jnp.inf, everyone.cost)
    best = jnp.argsort(ranking, stable=True)[:size]
    kept = jnp.isfinite(ranking[best])
    return Hall(jnp.where(kept[:, None], everyone.latents[best], jnp.nan), jnp.where(kept, ranking[best], jnp.inf))


def whole_population(state: Any) -> Hall:
    """A population as the hall of fame, best first."""
    order = jnp.argsort(state.fitness, stable=True)
    cost = state.fitness[order]
    return Hall(jnp.where(jnp.isfinite(cost)[:, None], state.population[order], jnp.nan), cost)
