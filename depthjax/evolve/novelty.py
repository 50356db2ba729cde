"""Dominated novelty search behind evosax's interface: a population that spreads over realistic faces.

In dominated novelty search (Bahlous-Boldi, Faldor, Grillotti, Janmohamed, Coiffard, Spector and Cully
2025, arXiv 2502.00593) each of population and offspring is worth its mean distance to the k nearest
fitter ones, by descriptors, and the best half survives. There is no grid, so the descriptor may have
many dimensions. Here, where the fitness saturates and the latents are a generator's:

- all individuals above `feasible_fitness` are equals; below it only fitness counts. Novelty alone keeps
  odd faces, and fitness alone exploits its networks;
- of equals, those selected earlier count as fitter. Some are selected to cover training faces, the
  others farthest first (k = 1) without moving the mean from that of the training faces: `k_centre_greedy`;
- offspring are standard normal as their parents are: a generator was trained on no other latents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from evosax.algorithms.population_based import base
from flax import struct

from depthjax.config import Evolve
from depthjax.evolve.paper_ga import blank_state
from depthjax.evolve.statistics import Relief
from depthjax.precision import EXACT

# Of the median radius of training faces: nearer faces look alike, and do not cover a target twice.
# 1 % of pairs of training faces are nearer than 0.65 of it.
MIN_DISTANCE = 0.75
UNUSABLE, USED = -1e30, -2e30  # in place of a squared distance


@struct.dataclass
class State(base.State):
    """A population and its cost, `fitness`, which is minimised."""

    descriptors: jax.Array  # (n, k + r) of the population: shape, then emotion features
    offspring_descriptors: jax.Array  # (n, k + r) of the latents passed to `tell`


@struct.dataclass
class Targets:
    """The training faces of one emotion: balls that the population is to cover, and a mean."""

    centres: jax.Array  # (m, k)
    radii: jax.Array  # (m,) NaN: no target
    mean: jax.Array  # (k + r,) of shapes and of emotion features


@struct.dataclass
class Params(base.Params):
    """Rates of the config: arrays to the compiled program, so that they can be vmapped."""

    mix_probability: float | jax.Array = Evolve.mix_probability
    angle: float | jax.Array = Evolve.angle
    feasible_fitness: float | jax.Array = Evolve.feasible_fitness
    coverage_share: float | jax.Array = Evolve.coverage_share
    shape_balance: float | jax.Array = Evolve.shape_balance
    emotion_balance: float | jax.Array = Evolve.emotion_balance
    targets: Targets | None = None  # of the emotion; None: no coverage, no balance


class DominatedNovelty(base.PopulationBasedAlgorithm):
    """A population of fixed size, all of which is the result."""

    @property
    def _default_params(self) -> Params:
        return Params()

    def _init(self, key: jax.Array, params: Params) -> State:
        described = 0 if params.targets is None else len(params.targets.mean)
        blank = jnp.full((self.population_size, described), jnp.nan)
        return State(*blank_state(self.population_size, self.num_dims), blank, blank)

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        pair_key, vary_key = jax.random.split(key)
        # A random cycle: every individual is a first parent once, and a second parent once.
        order = jax.random.permutation(pair_key, self.population_size)
        partner = jnp.roll(order, 1)[jnp.argsort(order)]
        keys = jax.random.split(vary_key, self.population_size)
        first, second = state.population, state.population[partner]
        return jax.vmap(vary, in_axes=(0, 0, 0, None))(keys, first, second, params), state

    def _tell(self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> State:
        everyone = jnp.concatenate([state.population, population])
        cost = jnp.concatenate([state.fitness, fitness])
        descriptors = jnp.concatenate([state.descriptors, state.offspring_descriptors])
        kept = survivors(-cost, descriptors, params, count=self.population_size)
        return state.replace(population=everyone[kept], fitness=cost[kept], descriptors=descriptors[kept])


def targets_of(relief: Relief, emotion: jax.Array) -> Targets:
    """Return the training faces of one emotion, each once, and their mean."""
    faces, count = relief.faces[emotion], relief.counts[emotion]
    once = jnp.arange(len(faces)) < count
    mean = jnp.where(once[:, None], faces, 0).sum(0) / count
    if relief.emotion_features is not None:
        mean = jnp.concatenate([mean, relief.emotion_features.means[emotion]])
    return Targets(faces, jnp.where(once, relief.radii[emotion], jnp.nan), mean)


def vary(key: jax.Array, first: jax.Array, second: jax.Array, params: Params) -> jax.Array:
    """Return a child of two latents (d,), mixed with `mix_probability`, then turned by `angle`."""
    decide, share, noise = jax.random.split(key, 3)
    mixed = mix(first, second, share=jax.random.uniform(share, dtype=jnp.float32))
    parent = jnp.where(jax.random.bernoulli(decide, params.mix_probability), mixed, first)
    return turn(noise, parent, angle=params.angle)


def turn(key: jax.Array, latent: jax.Array, *, angle: float | jax.Array) -> jax.Array:
    """Return cos(a) z + sin(a) noise: standard normal as z (d,) is, and correlated with it by cos(a)."""
    return jnp.cos(angle) * latent + jnp.sin(angle) * jax.random.normal(key, latent.shape, jnp.float32)


def mix(first: jax.Array, second: jax.Array, *, share: jax.Array) -> jax.Array:
    """Return sqrt(w) z_i + sqrt(1 - w) z_j: of two independent standard normal latents (d,), a third."""
    return jnp.sqrt(share) * first + jnp.sqrt(1 - share) * second


def survivors(fitness: jax.Array, descriptors: jax.Array, params: Params, *, count: int) -> jax.Array:
    """Return indices (count,): the fittest, then the feasible by coverage and distance, then the others by fitness.

    Fitness (n,) is -inf for none. Of descriptors (n, k + r), only shapes, the first k, are compared by distance.
    """
    feasible = (fitness >= params.feasible_fitness) & jnp.isfinite(descriptors).all(1)
    fittest = jnp.argmax(fitness)
    points, constraints = constraints_of(descriptors, params)
    order, distance = k_centre_greedy(points, feasible, fittest, constraints, count=count)
    # The rank in that order; `count` for those not selected.
    selected = jnp.where(distance >= 0, jnp.arange(count), count)
    rank = jnp.full(len(fitness), count).at[order].set(selected)
    worth = jnp.where(feasible, 1 - rank / count, -1 - jax.nn.relu(params.feasible_fitness - fitness))
    return jnp.argsort(-worth.at[fittest].set(jnp.inf), stable=True)[:count]


class Constraints(NamedTuple):
    """Coverage and balance that are asked of the selected points, besides distance."""

    covers: jax.Array  # (n, m) bool: which of m targets each point covers
    coverage_share: float | jax.Array  # () share of the points that are selected for coverage
    min_distance: float | jax.Array  # () from all selected points, of a point selected for coverage
    offset: jax.Array  # (n, q) features of each point minus their wanted mean
    balance: jax.Array  # (q,) weight of the mean; 0: none


def no_constraints(n: int) -> Constraints:
    """Return constraints of n points that ask for distance alone."""
    return Constraints(jnp.zeros((n, 0), bool), 0.0, 0.0, jnp.zeros((n, 0)), jnp.zeros(0))


def constraints_of(descriptors: jax.Array, params: Params) -> tuple[jax.Array, Constraints]:
    """Return the shapes (n, k) of descriptors (n, k + r), and the constraints by the training faces."""
    if params.targets is None:
        return descriptors, no_constraints(len(descriptors))
    centres, radii, mean = params.targets.centres, params.targets.radii, params.targets.mean
    k = centres.shape[-1]
    shapes = descriptors[:, :k]
    squared = ((shapes[:, None] - centres[None]) ** 2).sum(-1)  # (n, m)
    return shapes, Constraints(
        covers=squared <= (radii**2)[None],
        coverage_share=params.coverage_share,
        min_distance=MIN_DISTANCE * jnp.nanmedian(radii),
        offset=descriptors - mean[None],
        balance=jnp.where(jnp.arange(len(mean)) < k, params.shape_balance, params.emotion_balance),
    )


def k_centre_greedy(
    points: jax.Array, usable: jax.Array, first: jax.Array, constraints: Constraints, *, count: int
) -> tuple[jax.Array, jax.Array]:
    """Select `count` of (n, k) points for coverage, then farthest first with a balanced mean, beginning at `first`.

    The first ones, `coverage_share` of all, are selected for coverage: each is the point that covers most of those
    targets which the fewest selected points cover, of all that can still be covered (the greedy cover of Johnson 1974,
    layer upon layer). A point nearer than `min_distance` to a selected one covers nothing. Each of the others maximises
    d² - y·(b s) / count, with d its distance to the selected points, y its offset, s the sum of offsets of the selected
    points, b the balance: the second term is that of kernel herding with a linear kernel (Chen, Welling and Smola
    2010). Without constraints this is the farthest-first order of Gonzalez (1985), within twice the best possible
    k-centre radius. Points that are not `usable`, (n,), come only when the others are used up.

    Returns:
        Indices (count,), and the distance (count,) of each to those before it: infinite for the first, -inf for points
        that are not usable.
    """
    covers = constraints.covers.astype(jnp.float32)
    points = jnp.where(jnp.isfinite(points), points, 0.0)
    offsets = jnp.where(jnp.isfinite(constraints.offset), constraints.offset, 0.0)

    def step(carry: Any, number: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        # Squared distance (n,) to the nearest selected point; by how many selected points each target (m,) is covered;
        # sum of their offsets (q,); index of the latest.
        squared, covered, offset, latest = carry
        reached = squared[latest]
        squared = jnp.minimum(squared, ((points - points[latest][None]) ** 2).sum(1))
        squared = jnp.where(jnp.arange(len(points)) == latest, USED, squared)
        covered, offset = covered + covers[latest], offset + offsets[latest]

        # Coverage: the gain of a point is how many of the least covered targets it covers.
        allowed = (squared >= constraints.min_distance**2) & (number < constraints.coverage_share * count)
        reachable = (constraints.covers & allowed[:, None]).any(0)
        fewest = jnp.where(reachable, covered, jnp.inf).min(initial=jnp.inf)
        gain = jnp.where(allowed, covers @ (covered <= fewest).astype(jnp.float32), 0)

        imbalance = jnp.matmul(offsets, constraints.balance * offset / count, precision=EXACT)
        farthest = jnp.argmax(jnp.where(squared >= 0, squared - imbalance, squared))
        following = jnp.where(gain.max(initial=0) > 0, jnp.argmax(gain), farthest)
        return (squared, covered, offset, following), (latest, reached)

    begin = jnp.where(usable, jnp.inf, UNUSABLE), jnp.zeros(covers.shape[1]), jnp.zeros(offsets.shape[1]), first
    order, squared = jax.lax.scan(step, begin, jnp.arange(1, count + 1))[1]
    return order, jnp.where(squared < 0, -jnp.inf, jnp.sqrt(jnp.maximum(squared, 0)))
