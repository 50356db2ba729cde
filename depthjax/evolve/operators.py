"""The paper's genetic operators, each for one individual or one pair; the algorithm vmaps them.

They draw from the same distributions as DEAP's `selTournament`, `cxBlend` and `mutGaussian`, which the released scripts
use. Costs are minimised, as everywhere in evosax.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def tournament(key: jax.Array, cost: jax.Array, *, size: int) -> jax.Array:
    """The winner of one tournament among `size` individuals drawn with replacement.

    With n distinct costs, the individual with r better ones wins with probability ((n-r)/n)^size - ((n-r-1)/n)^size.

    Args:
        key: of this tournament.
        cost: (n,) of the population; not NaN.
        size: how many are drawn.
    Returns:
        () int32 index of the winner; of equals, the one drawn first.
    """
    # Plain bits compile three times faster than randint; the bias of the remainder is below n / 2^32.
    drawn = (jax.random.bits(key, (size,), jnp.uint32) % cost.shape[0]).astype(jnp.int32)
    return drawn[jnp.argmin(cost[drawn])]


def blend(
    key: jax.Array, first: jax.Array, second: jax.Array, *, alpha: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Blend crossover (BLX-alpha; Eshelman and Schaffer 1993): both children of a pair.

    Each gene is drawn on the line through the parents' genes, up to `alpha` of their distance beyond either:
    gamma = (1 + 2 alpha) u - alpha, children (1 - gamma) a + gamma b and gamma a + (1 - gamma) b.

    Args:
        key: of this pair.
        first: (d,) a.
        second: (d,) b.
        alpha: how far beyond the parents, as a fraction of their distance.
    Returns:
        Two (d,) children; their sum is the parents' sum.
    """
    gamma = (1 + 2 * alpha) * jax.random.uniform(key, first.shape) - alpha
    step = gamma * (second - first)  # zero, whatever is rounded, where both are the same: no new face to decode
    return first + step, second - step


def gaussian_mutation(
    key: jax.Array, individual: jax.Array, *, sigma: float | jax.Array, gene_probability: float | jax.Array
) -> jax.Array:
    """Add N(0, sigma^2) to each gene with probability `gene_probability`.

    Args:
        key: of this individual.
        individual: (d,).
        sigma: standard deviation of the step.
        gene_probability: of a gene to take one.
    Returns:
        (d,), the untouched genes bit for bit.
    """
    which, step = jax.random.split(key)
    mutated = individual + sigma * jax.random.normal(step, individual.shape)
    return jnp.where(jax.random.bernoulli(which, gene_probability, individual.shape), mutated, individual)
