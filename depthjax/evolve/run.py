"""A whole experiment as one compiled program: generations scanned, islands and emotions vmapped, the networks inside.

Everything is written for one island. Only the networks know better: whatever axes are vmapped over them, the faces of
all islands are decoded as one batch (`depthjax.evolve.measure`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms.base import EvolutionaryAlgorithm
from flax import linen as nn
from jax.sharding import Mesh

from depthjax import config
from depthjax.errors import UserError
from depthjax.evolve import algorithms, watch
from depthjax.evolve.fitness import (
    Fitness,
    Weights,
    make_fitness,
    of_emotion,
    reads_logit,
    reads_relief,
    worst_if_not_finite,
)
from depthjax.evolve.hall import Hall, induct, recall, whole_population
from depthjax.evolve.measure import Measure, Networks, everywhere, make_measure
from depthjax.evolve.novelty import DominatedNovelty, Places
from depthjax.evolve.paper_ga import PaperGA
from depthjax.evolve.statistics import Relief, Statistics
from depthjax.evolve.watch import Progress, listening

# Of `evolve_islands`, what is compiled into a program: functions and networks, and sizes.
FUNCTIONS = ("algorithm", "generator", "discriminator", "fitness")
SIZES = ("islands", "generations", "hall_of_fame", "images_at_once", "mesh", "watched")
STATIC = (*FUNCTIONS, *SIZES)
MOST_AT_ONCE = {"cpu": 10}  # faces: small batches stay in the cache of a CPU; elsewhere:
MOST_AT_ONCE_ELSEWHERE = 1024


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


def evolve(
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    settings: config.Evolve,
    latent_size: int,
    fitness: Fitness | None = None,
    images_at_once: int | None = None,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
) -> Evolution:
    """Evolve latents of every emotion, in one dispatch.

    The program is compiled once for each set of sizes; rates, weights and variables may change without a recompilation.

    Args:
        key: of the experiment; class and island are folded in, so an island does not depend on the others.
        networks: variables of the two networks.
        real: what the fitness reads of real training faces.
        generator: `apply(variables, latents (n, d), emotion (n,), train=False)` → (n, h, w) images in [-1, 1].
        discriminator: `apply(variables, images (n, h, w), emotion (n,), train=False)` → (n,) logits.
        settings: algorithm, sizes, rates and fitness.
        latent_size: d.
        fitness: instead of the one that the settings name; the program is compiled once for each such function.
        images_at_once: largest batch of the generator; bounds memory. None: as `device_budget` allows, and at most 10
            on a CPU, 1024 elsewhere.
        mesh: devices in a row, which share the faces of every generation (`measure.all_devices`). The results are those
            of one device to 1e-5, but for what a rounding tips: a pixel of `model.validity_mask`, and what follows.
        progress: told how many generations are done, from 0 to all of them, at most twenty times and at the
            end, by a thread of the program; needs jax to have a CPU device too. One evolution at a time.
    """
    plan = make_plan(
        real,
        generator=generator,
        discriminator=discriminator,
        settings=settings,
        latent_size=latent_size,
        fitness=fitness,
        images_at_once=images_at_once,
        mesh=mesh,
        watched=progress is not None,
    )
    arguments = everywhere((key, plan.with_relief(networks), plan.params, plan.weights), mesh)
    with listening(progress, settings.generations):
        islands = compiled(jax.default_backend())(*arguments, **plan.static)
    return Evolution(
        best=islands.best,
        mean=islands.mean,
        std=islands.std,
        winners=islands.winners,
        winner_fitness=islands.winner_fitness,
        evaluations=int(islands.evaluations.sum()),
    )


class Plan(NamedTuple):
    """One experiment, made ready for `evolve_islands`: `params` and `weights` may be vmapped, `static` is compiled."""

    relief: Relief | None
    params: Any
    weights: Weights
    static: dict[str, Any]

    def with_relief(self, networks: Networks) -> Networks:
        """The networks, with real faces beside them if something reads these."""
        return networks._replace(relief=self.relief)


def make_plan(
    real: Statistics,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    settings: config.Evolve,
    latent_size: int,
    fitness: Fitness | None = None,
    images_at_once: int | None = None,
    mesh: Mesh | None = None,
    watched: bool = False,
) -> Plan:
    """What a config asks for; arguments as of `evolve`, and `watched`, whether the program tells how far it is."""
    fitness, weights = make_fitness(settings, jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), real), fitness)
    read = reads_relief(fitness) or settings.algorithm == "novelty"
    relief = real.relief if read else None
    if read and relief is None:
        raise ValueError(f"{settings.algorithm} with fitness {settings.fitness} needs Statistics.relief")
    described = 0 if relief is None else min(settings.descriptor_size, relief.faces.shape[-1])
    algorithm = algorithms.make_algorithm(algorithms.sizes_of(settings), latent_size, described)
    if settings.dtype == "bfloat16":
        generator = generator.clone(dtype=jnp.bfloat16)
    static = {
        "algorithm": algorithm,
        "generator": generator,
        "discriminator": discriminator,
        "fitness": fitness,
        "islands": settings.islands,
        "generations": settings.generations,
        "hall_of_fame": settings.hall_of_fame,
        "images_at_once": images_at_once or faces_within(settings.device_budget, generator),
        "mesh": mesh,
        "watched": watched,
    }
    return Plan(relief, algorithms.params_from(settings, algorithm), weights, static)


def faces_within(megabytes: int, generator: nn.Module) -> int:
    """How many faces may be decoded and judged at once in that memory, and at most how many are worth it.

    The two widest maps of the generator hold `width` numbers for every 8 and 16 pixels; measured, XLA keeps about four
    times their float32 bytes at its peak.
    """
    most = MOST_AT_ONCE.get(jax.default_backend(), MOST_AT_ONCE_ELSEWHERE)
    if not (hasattr(generator, "resolution") and hasattr(generator, "width")):
        return most
    numbers = generator.resolution**2 * (generator.width / 16 + generator.width / 32)
    return max(1, min(most, int(megabytes * 1e6 / (4 * 4 * numbers))))


def evolve_islands(
    key: jax.Array,
    networks: Networks,
    params: Any,
    weights: Weights,
    *,
    algorithm: EvolutionaryAlgorithm,
    generator: nn.Module,
    discriminator: nn.Module,
    fitness: Fitness,
    islands: int,
    generations: int,
    hall_of_fame: int,
    images_at_once: int,
    mesh: Mesh | None = None,
    watched: bool = False,
) -> Island:
    """Every emotion's islands: an `Island` whose arrays have leading axes (classes, islands).

    Pure: a sweep vmaps it over `key`, `params` and `weights`, and jits the whole.
    """
    island = partial(
        evolve_island,
        algorithm=algorithm,
        measure=make_measure(generator, discriminator if reads_logit(fitness) else None, images_at_once, mesh),
        fitness=fitness,
        generations=generations,
        hall_of_fame=hall_of_fame,
        watched=watched,
    )

    def one(emotion: jax.Array, number: jax.Array) -> Island:
        own_key = jax.random.fold_in(jax.random.fold_in(key, emotion), number)
        return island(own_key, networks, emotion, params, of_emotion(weights, emotion))

    emotions = jnp.arange(weights.real_logit_median.shape[-1])
    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(emotions, jnp.arange(islands))


@lru_cache
def compiled(platform: str) -> Callable[..., Island]:
    """`evolve_islands` under jit; sizes and functions are static."""
    return jax.jit(evolve_islands, static_argnames=STATIC, compiler_options=compiler_options(platform))


def compiler_options(platform: str) -> dict[str, Any] | None:
    """For programs full of random draws."""
    # On a CPU, level 3 unrolls every random draw: three times the compilation for the same speed.
    return {"xla_backend_optimization_level": 2} if platform == "cpu" else None


def evolve_island(
    key: jax.Array,
    networks: Networks,
    emotion: jax.Array,
    params: Any,
    weights: Weights,
    *,
    algorithm: EvolutionaryAlgorithm,
    measure: Measure,
    fitness: Fitness,
    generations: int,
    hall_of_fame: int,
    watched: bool = False,
) -> Island:
    """One population of one emotion, from random latents to its hall of fame.

    Args:
        key: of this island; the generation is folded in, so a longer run begins like a shorter one.
        networks: variables.
        emotion: () int32.
        params: of the algorithm.
        weights: of the fitness, for this emotion.
        algorithm: evosax's interface.
        measure: from `make_measure`.
        fitness: of one face.
        generations: how many.
        hall_of_fame: how many winners to keep; the novelty search keeps its population instead.
        watched: whether `watch.tell` is called as some generations begin; under vmap once for all islands.
    """
    spreads = isinstance(algorithm, DominatedNovelty)
    if isinstance(algorithm, DominatedNovelty) and networks.relief is not None:
        params = params.replace(places=places_of(networks.relief, emotion))

    def evaluate(latents: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
        faces = measure(networks, latents, jnp.full(latents.shape[0], emotion), jnp.isnan(known))
        values = worst_if_not_finite(jax.vmap(fitness, in_axes=(0, 0, None))(faces, latents, weights))
        return jnp.where(jnp.isnan(known), -values, known), jnp.concatenate([faces.descriptor, faces.reading], 1)

    def generation(carry: tuple[Any, Hall], number: jax.Array) -> tuple[tuple[Any, Hall], tuple[jax.Array, jax.Array]]:
        state, hall = carry
        if watched:
            now = (number - 1) % watch.every(generations) == 0
            jax.lax.cond(now, lambda done: jax.debug.callback(watch.tell, done), lambda done: None, number - 1)
        ask_key, tell_key = jax.random.split(jax.random.fold_in(key, number))
        latents, asked = algorithms.ask(algorithm, ask_key, state, params)
        known = nothing  # the other algorithms leave no copies
        if isinstance(algorithm, PaperGA):
            known = recall(latents, state.population, state.fitness)
        cost, descriptors = evaluate(latents, known)
        state = algorithms.tell(algorithm, tell_key, latents, cost, descriptors, asked, params)
        hall = hall if spreads else induct(hall, latents, cost)
        return (state, hall), (algorithms.living(state, latents, cost)[1], jnp.isnan(known).sum())

    size, begin = algorithm.population_size, jax.random.fold_in(key, 0)
    nothing = jnp.full(size, jnp.nan)
    latents = jax.random.normal(begin, (size, algorithm.num_dims))
    cost, descriptors = evaluate(latents, nothing)
    empty = Hall(jnp.full((hall_of_fame, algorithm.num_dims), jnp.nan), jnp.full(hall_of_fame, jnp.inf))
    state = algorithms.start(algorithm, begin, latents, cost, descriptors, params)
    carry = state, empty if spreads else induct(empty, latents, cost)
    (state, hall), (costs, decoded) = jax.lax.scan(generation, carry, jnp.arange(1, generations + 1))
    history = _statistics(-jnp.concatenate([cost[None], costs]))
    hall = whole_population(state) if spreads else hall
    return Island(*history, hall.latents, -hall.cost, size + decoded.sum())


def places_of(relief: Relief, emotion: jax.Array) -> Places:
    """Where the real faces of an emotion are, each once, and what they are in the mean."""
    faces, count = relief.faces[emotion], relief.counts[emotion]
    once = jnp.arange(len(faces)) < count
    mean = jnp.where(once[:, None], faces, 0).sum(0) / count
    if relief.readings is not None:
        mean = jnp.concatenate([mean, relief.readings.means[emotion]])
    return Places(faces, jnp.where(once, relief.radii[emotion], jnp.nan), mean)


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
