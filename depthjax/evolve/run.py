"""A whole experiment as one compiled program: generations scanned, islands and emotions vmapped, the networks inside.

Everything is written for one island. Only the networks know better: whatever axes are vmapped over them, the faces of
all islands are decoded as one batch (`make_measure`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms.population_based.base import PopulationBasedAlgorithm
from flax import linen as nn

from depthjax import config
from depthjax.errors import UserError
from depthjax.evolve.fitness import READS_LOGIT, Fitness, Measures, Weights, make_fitness, worst_if_not_finite
from depthjax.evolve.paper_ga import Params, paper_ga, params_from

IMAGES_AT_ONCE = {"cpu": 10}  # small batches stay in the cache of a CPU; elsewhere:
IMAGES_AT_ONCE_ELSEWHERE = 1024


class Networks(NamedTuple):
    """Variables of the two networks, in evaluation mode: arguments of the program, never constants in it."""

    generator: Any
    discriminator: Any


class Hall(NamedTuple):
    """The best distinct individuals ever seen, best first; empty slots hold NaN latents at infinite cost."""

    latents: jax.Array  # (hall, d)
    cost: jax.Array  # (hall,)


class Island(NamedTuple):
    """One population's history; under vmap with leading axes."""

    best: jax.Array  # (generations + 1,) fitness of the population, larger is better
    mean: jax.Array
    std: jax.Array
    winners: jax.Array  # (hall, d), best first
    winner_fitness: jax.Array  # (hall,)
    evaluations: jax.Array  # () int32, faces decoded


class Evolution(NamedTuple):
    """A whole experiment.

    `best`, `mean` and `std` are the fitness of the population (larger is better) at the start and after each
    generation, over its individuals with a finite one. A hall that saw fewer distinct individuals with a finite
    fitness than it has slots ends in slots of fitness -inf and NaN latents.
    """

    best: jax.Array  # (classes, islands, generations + 1)
    mean: jax.Array
    std: jax.Array
    winners: jax.Array  # (classes, islands, hall, d), best first
    winner_fitness: jax.Array  # (classes, islands, hall)
    evaluations: int  # faces decoded, in all


Measure = Callable[[Networks, jax.Array, jax.Array, jax.Array], Measures]


def evolve(
    key: jax.Array,
    networks: Networks,
    real_logit_median: jax.Array,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    settings: config.Evolve,
    latent_size: int,
    images_at_once: int | None = None,
) -> Evolution:
    """Evolve latents of every emotion with the paper's genetic algorithm, in one dispatch.

    The program is compiled once for each set of sizes; rates, weights and variables may change without a recompilation.

    Args:
        key: of the experiment; class and island are folded in, so an island does not depend on the others.
        networks: variables of the two networks.
        real_logit_median: (classes,) median logit of real training faces of each emotion (read by `realism` only).
        generator: `apply(variables, latents (n, d), emotion (n,), train=False)` → (n, h, w) images in [-1, 1].
        discriminator: `apply(variables, images (n, h, w), emotion (n,), train=False)` → (n,) logits.
        settings: sizes, rates and fitness.
        latent_size: d.
        images_at_once: largest batch of the generator; bounds memory. None: 10 on CPU, 1024 elsewhere.
    """
    fitness, weights = make_fitness(settings, jnp.asarray(real_logit_median, jnp.float32))
    platform = jax.default_backend()
    islands = _compiled(platform)(
        key,
        networks,
        params_from(settings),
        weights,
        algorithm=paper_ga(settings.population, latent_size, settings.tournament, settings.elite),
        generator=generator,
        discriminator=discriminator,
        fitness=fitness,
        islands=settings.islands,
        generations=settings.generations,
        hall_of_fame=settings.hall_of_fame,
        images_at_once=images_at_once or IMAGES_AT_ONCE.get(platform, IMAGES_AT_ONCE_ELSEWHERE),
    )
    return Evolution(
        best=islands.best,
        mean=islands.mean,
        std=islands.std,
        winners=islands.winners,
        winner_fitness=islands.winner_fitness,
        evaluations=int(islands.evaluations.sum()),
    )


def evolve_islands(
    key: jax.Array,
    networks: Networks,
    params: Params,
    weights: Weights,
    *,
    algorithm: PopulationBasedAlgorithm,
    generator: nn.Module,
    discriminator: nn.Module,
    fitness: Fitness,
    islands: int,
    generations: int,
    hall_of_fame: int,
    images_at_once: int,
) -> Island:
    """Every emotion's islands: an `Island` whose arrays have leading axes (classes, islands).

    Pure: a sweep vmaps it over `key`, `params` and `weights`, and jits the whole.
    """
    island = partial(
        evolve_island,
        algorithm=algorithm,
        measure=make_measure(generator, discriminator if fitness in READS_LOGIT else None, images_at_once),
        fitness=fitness,
        generations=generations,
        hall_of_fame=hall_of_fame,
    )

    def one(emotion: jax.Array, number: jax.Array) -> Island:
        own_weights = weights._replace(real_logit_median=weights.real_logit_median[emotion])
        own_key = jax.random.fold_in(jax.random.fold_in(key, emotion), number)
        return island(own_key, networks, emotion, params, own_weights)

    emotions = jnp.arange(weights.real_logit_median.shape[-1])
    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(emotions, jnp.arange(islands))


@lru_cache
def _compiled(platform: str) -> Callable[..., Island]:
    """`evolve_islands` under jit; sizes and functions are static."""
    # On a CPU, level 3 unrolls every random draw: three times the compilation for the same speed.
    options = {"xla_backend_optimization_level": 2} if platform == "cpu" else None
    static = ("algorithm", "generator", "discriminator", "fitness")
    sizes = ("islands", "generations", "hall_of_fame", "images_at_once")
    return jax.jit(evolve_islands, static_argnames=static + sizes, compiler_options=options)


def evolve_island(
    key: jax.Array,
    networks: Networks,
    emotion: jax.Array,
    params: Params,
    weights: Weights,
    *,
    algorithm: PopulationBasedAlgorithm,
    measure: Measure,
    fitness: Fitness,
    generations: int,
    hall_of_fame: int,
) -> Island:
    """One population of one emotion, from random latents to its hall of fame.

    Args:
        key: of this island; the generation is folded in, so a longer run begins like a shorter one.
        networks: variables.
        emotion: () int32.
        params: of the algorithm.
        weights: of the fitness, for this emotion.
        algorithm: evosax's interface; its state keeps `population` and `fitness`.
        measure: from `make_measure`.
        fitness: of one face.
        generations: how many.
        hall_of_fame: how many winners to keep.
    """

    def evaluate(latents: jax.Array, known: jax.Array) -> jax.Array:
        faces = measure(networks, latents, jnp.full(latents.shape[0], emotion), jnp.isnan(known))
        values = worst_if_not_finite(jax.vmap(fitness, in_axes=(0, 0, None))(faces, latents, weights))
        return jnp.where(jnp.isnan(known), -values, known)

    def generation(carry: tuple[Any, Hall], number: jax.Array) -> tuple[tuple[Any, Hall], tuple[jax.Array, jax.Array]]:
        state, hall = carry
        ask_key, tell_key = jax.random.split(jax.random.fold_in(key, number))
        latents, asked = algorithm.ask(ask_key, state, params)
        known = recall(latents, state.population, state.fitness)
        cost = evaluate(latents, known)
        state, _ = algorithm.tell(tell_key, latents, cost, asked, params)
        return (state, induct(hall, latents, cost)), (state.fitness, jnp.isnan(known).sum())

    size, start = algorithm.population_size, jax.random.fold_in(key, 0)
    latents = jax.random.normal(start, (size, algorithm.num_dims))
    cost = evaluate(latents, jnp.full(size, jnp.nan))
    empty = Hall(jnp.full((hall_of_fame, algorithm.num_dims), jnp.nan), jnp.full(hall_of_fame, jnp.inf))
    carry = algorithm.init(start, latents, cost, params), induct(empty, latents, cost)
    (_, hall), (costs, decoded) = jax.lax.scan(generation, carry, jnp.arange(1, generations + 1))
    history = _statistics(-jnp.concatenate([cost[None], costs]))
    return Island(*history, hall.latents, -hall.cost, size + decoded.sum())


def make_measure(generator: nn.Module, discriminator: nn.Module | None, images_at_once: int) -> Measure:
    """The function that decodes and measures faces: `(networks, latents (n, d), emotion (n,), needed (n,)) → Measures`.

    Rows that are not needed are left out, and what is returned for them means nothing. Under vmap, the axes join the
    batch instead of nesting in it: the networks see one flat batch, `images_at_once` rows at a time.
    """

    def measure_batch(networks: Networks, latents: jax.Array, emotion: jax.Array) -> Measures:
        images: Any = generator.apply(networks.generator, latents, emotion, train=False)
        images = images.astype(jnp.float32)
        logit: Any = jnp.full(latents.shape[0], jnp.nan)
        if discriminator is not None:
            logit = discriminator.apply(networks.discriminator, images, emotion, train=False)
        return Measures(images.mean((1, 2)), images.std((1, 2)), logit)

    @jax.custom_batching.custom_vmap
    def measure(networks: Networks, latents: jax.Array, emotion: jax.Array, needed: jax.Array) -> Measures:
        n, rows = latents.shape[0], min(images_at_once, latents.shape[0])
        order = jnp.pad(jnp.argsort(~needed), (0, -n % rows), constant_values=n)  # needed ones first; n is no row

        def more(carry: tuple[jax.Array, Measures]) -> jax.Array:
            return carry[0] < needed.sum()

        def chunk(carry: tuple[jax.Array, Measures]) -> tuple[jax.Array, Measures]:
            start, measures = carry
            which = jax.lax.dynamic_slice(order, (start,), (rows,))
            part = measure_batch(networks, latents.at[which].get(mode="clip"), emotion.at[which].get(mode="clip"))
            return start + rows, jax.tree.map(lambda whole, new: whole.at[which].set(new, mode="drop"), measures, part)

        return jax.lax.while_loop(more, chunk, (jnp.int32(0), Measures(*jnp.zeros((3, n)))))[1]

    @measure.def_vmap
    def flatten(axis_size: int, batched: Any, networks: Networks, *rows: jax.Array) -> tuple[Measures, Any]:
        if any(jax.tree.leaves(batched[0])):
            raise ValueError("the networks are shared by all islands: vmap over latents, not over variables")
        full = [x if b else jnp.broadcast_to(x, (axis_size, *x.shape)) for x, b in zip(rows, batched[1:], strict=True)]
        flat = measure(networks, *(x.reshape(-1, *x.shape[2:]) for x in full))
        return jax.tree.map(lambda x: x.reshape(axis_size, -1), flat), jax.tree.map(lambda _: True, flat)

    return measure


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


def refuse_not_finite(evolution: Evolution, emotions: Sequence[str]) -> None:
    """Raise a UserError naming the first island in which a whole generation had no finite fitness.

    Args:
        evolution: of numpy arrays. Single individuals without a finite fitness lose, and are none of its business.
        emotions: the names of the classes.
    """
    history = np.stack([evolution.best, evolution.mean, evolution.std])
    finite = np.isfinite(history).all(0).all(-1) & np.isfinite(evolution.winner_fitness[..., 0])
    if not finite.all():
        label, island = np.argwhere(~finite)[0]
        raise UserError(
            f"no face of {emotions[label]} had a finite fitness in island {island}: nothing is kept of this evolution; "
            "lower --config.evolve.mutation_sigma or --config.evolve.blend_alpha, or train again"
        )


def _statistics(fitness: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(generations, n) → best, mean and standard deviation (generations,) over the finite ones."""
    finite = jnp.isfinite(fitness)
    return (
        fitness.max(-1),
        fitness.mean(-1, where=finite),
        fitness.std(-1, where=finite),
    )
