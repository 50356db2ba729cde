"""Dominated novelty search behind evosax's interface: a population that spreads as far as faces stay like real ones.

In dominated novelty search (Bahlous-Boldi, Faldor, Grillotti, Janmohamed, Coiffard, Spector and Cully 2025, arXiv
2502.00593) each of population and offspring is worth its mean distance to the k nearest fitter ones, by descriptors,
and the best half lives on; there is no grid, so the descriptor may have many dimensions. Here, where the fitness
saturates and the latents are a generator's:

- all who are `viable` are equals, and below that only fitness counts: novelty alone keeps what is odd enough, and
  fitness alone drives to what its networks overlook;
- of equals, those chosen earlier count as fitter. Some are chosen for standing near real faces, near each of them, the
  others farthest first, k = 1, without moving the mean from that of real faces (`spread`): of two twins one goes;
- offspring are distributed as their parents are, standard normal: a generator knows no other latents.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax import config
from depthjax.evolve.spread import Demands, nothing_demanded, spread_first

# Of the median radius about real faces: nearer ones look like twins, and do not serve a place twice. 1 % of pairs of
# real faces are nearer than 0.65 of it.
APART = 0.75


@struct.dataclass
class State(base.State):
    """What a generation hands to the next; `fitness` is minimised."""

    descriptors: jax.Array  # (n, k + r) of the population: shape, and what the readers see
    offspring_descriptors: jax.Array  # (n, k + r) of those that are about to be told


@struct.dataclass
class Places:
    """Real faces of one emotion: balls of descriptors, in each of which the population is to have some, and a mean."""

    centres: jax.Array  # (m, k)
    radii: jax.Array  # (m,) NaN: no place
    mean: jax.Array  # (k + r,) of their shapes, and of what the readers see


@struct.dataclass
class Params(base.Params):
    """Arrays to the compiled program, so they can be vmapped."""

    mix_probability: float | jax.Array
    angle: float | jax.Array
    viable: float | jax.Array
    cover: float | jax.Array
    balance: float | jax.Array
    reading_balance: float | jax.Array
    places: Places | None = None  # of this emotion; without them nothing is covered


class DominatedNovelty(base.PopulationBasedAlgorithm):
    """A population of fixed size, whose every member is a result."""

    def __init__(self, population_size: int, solution: jax.Array, *, descriptor_size: int) -> None:
        """Fix what shapes depend on.

        Args:
            population_size: n.
            solution: (d,) any latent; only its shape is read.
            descriptor_size: how many components of the descriptors say who is far.
        """
        super().__init__(population_size, solution)
        self.descriptor_size = descriptor_size

    @property
    def _default_params(self) -> Params:
        return params_from(config.Evolve())

    def _init(self, key: jax.Array, params: Params) -> State:
        described = self.descriptor_size if params.places is None else len(params.places.mean)
        blank = jnp.full((self.population_size, described), jnp.nan)
        return State(
            population=jnp.full((self.population_size, self.num_dims), jnp.nan),
            fitness=jnp.full((self.population_size,), jnp.inf),
            descriptors=blank,
            offspring_descriptors=blank,
            best_solution=jnp.full((self.num_dims,), jnp.nan),
            best_fitness=jnp.inf,
            generation_counter=0,
        )

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        pair, vary_key = jax.random.split(key)
        n = self.population_size
        order = jax.random.permutation(pair, n)  # every member is a parent, once first and once second
        keys = jax.random.split(vary_key, n)
        offspring = jax.vmap(vary, in_axes=(0, 0, 0, None))(
            keys, state.population, state.population[jnp.roll(order, 1)[jnp.argsort(order)]], params
        )
        return offspring, state

    def _tell(self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> State:
        everyone = jnp.concatenate([state.population, population])
        cost = jnp.concatenate([state.fitness, fitness])
        descriptors = jnp.concatenate([state.descriptors, state.offspring_descriptors])
        kept = survivors(-cost, descriptors, params, count=self.population_size, compared=self.descriptor_size)
        return state.replace(population=everyone[kept], fitness=cost[kept], descriptors=descriptors[kept])


def params_from(settings: config.Evolve) -> Params:
    """The config's rates, as the algorithm takes them."""
    names = ("mix_probability", "angle", "viable", "cover", "balance", "reading_balance")
    return Params(**{name: getattr(settings, name) for name in names})


def vary(key: jax.Array, first: jax.Array, second: jax.Array, params: Params) -> jax.Array:
    """One child of two latents (d,), normal as they are: mixed with `mix_probability`, then turned by `angle`."""
    whether, share, noise = jax.random.split(key, 3)
    mixed = mix(first, second, share=jax.random.uniform(share))
    parent = jnp.where(jax.random.bernoulli(whether, params.mix_probability), mixed, first)
    return turn(noise, parent, angle=params.angle)


def turn(key: jax.Array, latent: jax.Array, *, angle: float | jax.Array) -> jax.Array:
    """cos(a) z + sin(a) noise: of a standard normal z (d,), another, correlated by cos(a)."""
    return jnp.cos(angle) * latent + jnp.sin(angle) * jax.random.normal(key, latent.shape)


def mix(first: jax.Array, second: jax.Array, *, share: jax.Array) -> jax.Array:
    """sqrt(w) z_i + sqrt(1 - w) z_j: of two independent standard normal latents (d,), a third."""
    return jnp.sqrt(share) * first + jnp.sqrt(1 - share) * second


def survivors(
    fitness: jax.Array, descriptors: jax.Array, params: Params, *, count: int, compared: int | None = None
) -> jax.Array:
    """Who lives on: the fittest; of the viable those who cover places, then farthest first; the others by fitness.

    Args:
        fitness: (n,) larger is better; -inf for none.
        descriptors: (n, k + r), shape and what the readers see.
        params: of them `viable`, `cover`, the balances and `places`.
        count: at most n.
        compared: how many components of the descriptors say who is far (default: all); places have all of them.
    Returns:
        (count,) indices, in that order.
    """
    alive, first = (fitness >= params.viable) & jnp.isfinite(descriptors).all(1), jnp.argmax(fitness)
    points = descriptors[:, :compared]
    order, novelty = spread_first(points, alive, first, _demands(descriptors, params, points.shape[1]), count=count)
    turn_of = jnp.full(len(fitness), count).at[order].set(jnp.where(novelty >= 0, jnp.arange(count), count))
    worth = jnp.where(alive, 1 - turn_of / count, -1 - jax.nn.relu(params.viable - fitness))
    return jnp.argsort(-worth.at[first].set(jnp.inf), stable=True)[:count]


def _demands(descriptors: jax.Array, params: Params, compared: int) -> Demands:
    """What the real faces of this emotion ask of those who live on."""
    if params.places is None:
        return nothing_demanded(len(descriptors))
    centres, radii, mean = params.places.centres, params.places.radii, params.places.mean
    k = centres.shape[-1]
    within = ((descriptors[:, None, :k] - centres[None]) ** 2).sum(-1) <= (radii**2)[None]
    weights = jnp.where(jnp.arange(len(mean)) < k, params.balance, params.reading_balance)
    # Between fewer components faces are nearer.
    compared_of_all = centres[:, :compared].var(0).sum() / centres.var(0).sum()  # NaN where all are one point
    apart = APART * jnp.nanmedian(radii) * jnp.sqrt(jnp.nan_to_num(compared_of_all, nan=1.0))
    return Demands(within, params.cover, apart, descriptors - mean[None], weights)
