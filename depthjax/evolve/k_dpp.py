"""Diverse evolution behind evosax's interface: of parents and offspring, a greedy k-DPP keeps the next population.

A k-DPP (Kulesza and Taskar 2011) gives a set of k faces the probability det L, L_ij = q_i K_ij q_j: it prefers good
faces, by q, that differ, by K, a Gaussian kernel of their descriptors. The likeliest set is approximated greedily
(Chen, Zhang and Zhou 2018, arXiv 1709.05135, algorithm 1). Here q = exp(fitness / 2): faces that reach the bound of a
fitness that saturates, such as `natural`, are equals. Offspring are standard normal as their parents are: a generator
was trained on no other latents.
"""

from typing import Any

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax.config import Evolve
from depthjax.evolve.paper_ga import blank_state
from depthjax.precision import EXACT

MIN_VARIANCE = 1e-6  # float32 resolves no less of 1; so a copy costs at most 13.8 points of fitness, ln(1e6)
LOWEST = -1e30  # log-quality of a face without a finite fitness: below any other, above -inf of those chosen


@struct.dataclass
class State(base.State):
    """A population and its cost, `fitness`, which is minimised."""

    descriptors: jax.Array  # (n, k) of the population
    offspring_descriptors: jax.Array  # (n, k) of the latents passed to `tell`


@struct.dataclass
class Params(base.Params):
    """Rates of the config: arrays to the compiled program, so that they can be vmapped."""

    angle: float | jax.Array = Evolve.angle
    bandwidth: float | jax.Array = 1.0  # of the kernel, for the emotion: `Relief.bandwidth`


class DiverseEvolution(base.PopulationBasedAlgorithm):
    """A population of fixed size, all of which is the result."""

    @property
    def _default_params(self) -> Params:
        return Params()

    def _init(self, key: jax.Array, params: Params) -> State:
        # Whoever decodes the faces sets their descriptors.
        blank = jnp.full((self.population_size, 0), jnp.nan)
        return State(*blank_state(self.population_size, self.num_dims), blank, blank)

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        return turn(key, state.population, angle=params.angle), state

    def _tell(self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> State:
        everyone = jnp.concatenate([state.population, population])
        cost = jnp.concatenate([state.fitness, fitness])
        descriptors = jnp.concatenate([state.descriptors, state.offspring_descriptors])
        kept = k_dpp(-cost, descriptors, params.bandwidth, count=self.population_size)
        return state.replace(population=everyone[kept], fitness=cost[kept], descriptors=descriptors[kept])


def turn(key: jax.Array, latents: jax.Array, *, angle: float | jax.Array) -> jax.Array:
    """Return cos(a) z + sin(a) noise: standard normal as latents z (n, d) are, and correlated with them by cos(a)."""
    return jnp.cos(angle) * latents + jnp.sin(angle) * jax.random.normal(key, latents.shape, jnp.float32)


def k_dpp(log_quality: jax.Array, features: jax.Array, bandwidth: float | jax.Array, *, count: int) -> jax.Array:
    """Return indices (count,) of the greedy maximum of det L, L_ij = exp(l_i / 2) K_ij exp(l_j / 2).

    They are in order of choice: each maximises its log-quality l, (n,), plus the log of the variance that those before
    leave to it. Rows of a Cholesky factor keep it up to date. Points whose quality or features (n, k) are not finite
    come last.
    """
    usable = jnp.isfinite(log_quality) & jnp.isfinite(features).all(1)
    features = jnp.where(usable[:, None], features, 0.0)

    def choose(carry: Any, number: jax.Array) -> tuple[Any, jax.Array]:
        gain, variance, factor = carry  # (n,), (n,), (count, n)
        best = jnp.argmax(gain + jnp.log(variance))
        kernel = gaussian_kernel(features, features[best], bandwidth)
        row = kernel - jnp.matmul(factor[:, best], factor, precision=EXACT)
        # What is left of a variance at its floor is rounding error.
        row = jnp.where(variance[best] > MIN_VARIANCE, row / jnp.sqrt(variance[best]), 0.0)
        row = jnp.clip(row, -jnp.sqrt(variance), jnp.sqrt(variance))
        variance = jnp.maximum(variance - row**2, MIN_VARIANCE)
        return (gain.at[best].set(-jnp.inf), variance, factor.at[number].set(row)), best

    n = len(features)
    begin = jnp.where(usable, log_quality, LOWEST), jnp.ones(n), jnp.zeros((count, n))
    return jax.lax.scan(choose, begin, jnp.arange(count))[1]


def gaussian_kernel(features: jax.Array, one: jax.Array, bandwidth: float | jax.Array) -> jax.Array:
    """Return the similarity in [0, 1], (n,), of features (n, k) to one of them, (k,)."""
    return jnp.exp(-((features - one[None]) ** 2).sum(1) / (2 * bandwidth**2))


def effective_number(features: jax.Array, bandwidth: float | jax.Array) -> jax.Array:
    """Return RKE, 1 / mean(K_ij^2): how many of the faces of features (n, k) differ, from 1 to n.

    Jalali, Li and Farnia 2023, order 2. NaN where a feature is not finite.
    """
    rows = jax.lax.map(lambda one: (gaussian_kernel(features, one, bandwidth) ** 2).mean(), features)
    return 1 / rows.mean()
