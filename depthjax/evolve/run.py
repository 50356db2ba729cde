"""Whole experiments as one compiled program: one scan over generations, one axis over all populations.

Experiments, emotions and islands are flattened into one leading axis b. A generation asks under vmap, decodes all
latents as one batch, and tells under vmap. So a grid of rates, weights and seeds is one program; sizes take one each.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm

from depthjax import config
from depthjax.errors import UserError
from depthjax.evolve.fitness import BALL, EVERYTHING, Weights, of_emotion, weights_of, worst_if_not_finite
from depthjax.evolve.k_dpp import DiverseEvolution, effective_number
from depthjax.evolve.paper_ga import Hall, PaperGA, known_cost, ranked, update_hall
from depthjax.evolve.program import Networks, Program, compiled, measure_faces, params_of, replicate, vmapped
from depthjax.evolve.statistics import Statistics
from depthjax.keys import key_for

Progress = Callable[[int], None]  # called with the number of finished generations; must not raise
MAX_REPORTS = 20  # of progress: a call costs the program a millisecond

_listeners: list[Progress] = []


class Evolution(NamedTuple):
    """One experiment; several run together have a leading axis (experiments,).

    `best`, `mean` and `std` are the fitness of the population (larger is better) at the start and after each
    generation, over its individuals with a finite one. `variety` is the RKE of the population by the kernel that k_dpp
    selects with, NaN for other algorithms. A hall of fame with fewer distinct individuals of finite fitness than slots
    ends in slots of fitness -inf and NaN latents.
    """

    best: jax.Array  # (classes, islands, generations + 1)
    mean: jax.Array
    std: jax.Array
    variety: jax.Array  # effective number of different faces, from 1 to the size of the population
    winners: jax.Array  # (classes, islands, hall, d), best first
    winner_fitness: jax.Array  # (classes, islands, hall)
    evaluations: jax.Array  # (classes, islands) int32, decoded faces


class Populations(NamedTuple):
    """What each of b populations has of its own."""

    key: jax.Array  # (b,)
    emotion: jax.Array  # (b,) int32
    params: Any  # of the algorithm
    weights: Weights  # of the fitness, for its emotion


def evolve(
    program: Program,
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    settings: config.Evolve,
    *,
    progress: Progress | None = None,
) -> Evolution:
    """Evolve latents of every emotion, in one dispatch.

    Rates, weights and variables may change without a recompilation. On several devices the results are those of one
    to 1e-5, except where rounding flips a pixel of `model.validity_mask`.

    Args:
        program: from `make_program(settings, ...)`; a ValueError if it reads `real.relief` and there is none.
        key: of the experiment; class and island are folded in, so an island does not depend on the others.
        progress: called with the number of finished generations, at most twenty times and at the end, by a thread of
            the program; needs jax to have a CPU device too. One evolution at a time.
    """
    found = evolve_together(program, key[None], networks, real, [settings], progress=progress)
    return jax.tree.map(lambda leaf: leaf[0], found)


def evolve_together(
    program: Program,
    keys: jax.Array,
    networks: Networks,
    real: Statistics,
    experiments: Sequence[config.Evolve],
    *,
    progress: Progress | None = None,
) -> Evolution:
    """Run x experiments with keys (x,), which differ in rates and weights, in one dispatch; each as if alone."""
    if "relief" in program.reads and real.relief is None:
        raise ValueError("the algorithm k_dpp, and a fitness that reads training faces, need Statistics.relief")
    arguments = arguments_of(program, keys, networks, real, experiments)
    program = replace(program, watched=progress is not None)
    with listening(progress, program.generations):
        found: Evolution = compiled(run_experiments)(program, *arguments)
        return found


def arguments_of(
    program: Program, keys: jax.Array, networks: Networks, real: Statistics, experiments: Sequence[config.Evolve]
) -> tuple[Any, ...]:
    """Return the arrays that the compiled program takes, on all its devices."""
    networks = networks._replace(relief=real.relief if "relief" in program.reads else None)
    real = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), real._replace(relief=None))
    numbers = [(params_of(program.algorithm, s), weights_of(s, real)) for s in experiments]
    params, weights = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *numbers)
    return replicate((keys, networks, params, weights), program.mesh)


def run_experiments(program: Program, keys: jax.Array, networks: Networks, params: Any, weights: Weights) -> Evolution:
    """Evolve every emotion and island of x experiments; arrays (x, classes, islands, ...).

    Keys, and the leaves of params and weights, have a leading axis x; the weights of training faces (x, classes, ...).
    """
    shape = (len(keys), weights.real_logit_median.shape[-1], program.islands)
    experiment, emotion, island = (index.reshape(-1) for index in jnp.indices(shape))
    key = jax.vmap(jax.random.fold_in)(jax.vmap(jax.random.fold_in)(keys[experiment], emotion), island)
    params, weights = jax.tree.map(lambda leaf: leaf[experiment], (params, weights))
    if isinstance(program.algorithm, DiverseEvolution) and networks.relief is not None:
        params = params.replace(bandwidth=networks.relief.bandwidth[emotion])
    own = Populations(key, emotion, params, jax.vmap(of_emotion)(weights, emotion))
    found = evolve_populations(program, networks, own)
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), found)


def evolve_populations(program: Program, networks: Networks, own: Populations) -> Evolution:
    """Evolve b populations from random latents to their halls of fame; arrays (b, ...).

    The generation is folded into the keys, so a longer run begins like a shorter one.
    """
    algorithm, b = program.algorithm, len(own.emotion)
    size, d = algorithm.population_size, algorithm.num_dims
    # Of a diverse evolution, the population is the result. The paper's algorithm alone leaves copies of parents.
    keeps_population = isinstance(algorithm, DiverseEvolution)
    leaves_copies = isinstance(algorithm, PaperGA)
    unknown = jnp.full((b, size), jnp.nan)
    fold_in = jax.vmap(jax.random.fold_in, in_axes=(0, None))

    def variety(state: Any) -> jax.Array:
        if not keeps_population:
            return jnp.full(b, jnp.nan)
        return jax.vmap(effective_number)(state.descriptors, own.params.bandwidth)

    def generation(carry: tuple[Any, Hall], number: jax.Array) -> tuple[tuple[Any, Hall], tuple[jax.Array, ...]]:
        state, hall = carry
        if program.watched:
            _report(number - 1, program.generations)
        keys = jax.vmap(jax.random.split)(fold_in(own.key, number))
        latents, state = vmapped(algorithm.ask)(keys[:, 0], state, own.params)
        known = jax.vmap(known_cost)(latents, state.population, state.fitness) if leaves_copies else unknown
        cost, descriptors = _evaluate(program, networks, own, latents, known)
        if keeps_population:
            state = state.replace(offspring_descriptors=descriptors)
        state, _ = vmapped(algorithm.tell)(keys[:, 1], latents, cost, state, own.params)
        if not keeps_population:
            hall = jax.vmap(update_hall)(hall, latents, cost)
        return (state, hall), (getattr(state, "fitness", cost), variety(state), jnp.isnan(known).sum(-1))

    begin = fold_in(own.key, jnp.int32(0))
    latents = jax.vmap(lambda key: jax.random.normal(key, (size, d), jnp.float32))(begin)
    cost, descriptors = _evaluate(program, networks, own, latents, unknown)
    # A distribution begins at its mean.
    by_mean = isinstance(algorithm, DistributionBasedAlgorithm)
    first = (jnp.zeros((b, d)),) if by_mean else (latents, cost)
    state = vmapped(algorithm.init)(begin, *first, own.params)
    if keeps_population:
        state = state.replace(descriptors=descriptors, offspring_descriptors=descriptors)
    slots = program.hall_of_fame
    empty = Hall(jnp.full((b, slots, d), jnp.nan), jnp.full((b, slots), jnp.inf))
    hall = empty if keeps_population else jax.vmap(update_hall)(empty, latents, cost)

    numbers, first_variety = jnp.arange(1, program.generations + 1), variety(state)
    (state, hall), (costs, varieties, decoded) = jax.lax.scan(generation, (state, hall), numbers)
    if keeps_population:
        hall = jax.vmap(partial(ranked, size=size))(state.population, state.fitness)
    fitness = -jnp.concatenate([cost[None], costs])  # (generations + 1, b, n)
    finite = jnp.isfinite(fitness)
    best, mean, std = fitness.max(-1), fitness.mean(-1, where=finite), fitness.std(-1, where=finite)
    varieties = jnp.concatenate([first_variety[None], varieties])
    return Evolution(best.T, mean.T, std.T, varieties.T, hall.latents, -hall.cost, size + decoded.sum(0))


def _evaluate(
    program: Program, networks: Networks, own: Populations, latents: jax.Array, known: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return cost (b, n) and descriptors (b, n, k) of latents (b, n, d); those of known cost are not decoded."""
    faces = measure_faces(program, networks, latents, own.emotion[:, None], jnp.isnan(known))
    fitness = jax.vmap(jax.vmap(program.fitness, in_axes=(0, 0, None)))
    values = worst_if_not_finite(fitness(faces, latents, own.weights))
    descriptors = jnp.concatenate([faces.descriptor, faces.emotion_features], -1)
    return jnp.where(jnp.isnan(known), -values, known), descriptors


def check_finite(evolution: Evolution, emotions: Sequence[str]) -> None:
    """Raise a UserError naming the first island in which a whole generation had no finite fitness."""
    history = np.stack([evolution.best, evolution.mean, evolution.std])
    finite = np.isfinite(history).all(0).all(-1) & np.isfinite(evolution.winner_fitness[..., 0])
    if not finite.all():
        label, island = np.argwhere(~finite)[0]
        raise UserError(
            f"no face of {emotions[label]} had a finite fitness in island {island}: nothing is kept of this evolution; "
            "lower --config.evolve.mutation_sigma or --config.evolve.blend_alpha, or train again"
        )


def _report(done: jax.Array, generations: int) -> None:
    """Report, from inside the program, every few generations how many are done.

    Listeners are read outside, so the program is the same for all. jax's disk cache takes no program with such calls.
    """

    def notify(done: jax.Array) -> None:
        for listener in _listeners[-1:]:
            listener(int(done))

    every = max(1, -(-generations // MAX_REPORTS))
    jax.lax.cond(done % every == 0, lambda n: jax.debug.callback(notify, n), lambda n: None, done)


@contextmanager
def listening(progress: Progress | None, generations: int) -> Iterator[None]:
    """Within the block, pass an evolution's reports on (one evolution at a time); at its end, report all as done."""
    if progress is None:
        yield
        return
    _listeners.append(progress)
    try:
        yield
        jax.effects_barrier()  # all reports that the program has sent
    finally:
        _listeners.remove(progress)
    progress(generations)


class Outcome(NamedTuple):
    """The results of experiments, each array (experiments, classes)."""

    best_fitness: jax.Array
    mean_fitness: jax.Array  # of the last populations
    logit: jax.Array  # from here on of the winners: means over them
    log_probability: jax.Array
    inside: jax.Array  # share within the ball of some training face
    copies: jax.Array  # share too near to a training face
    apart: jax.Array  # distance to the nearest other winner, by shape
    norm: jax.Array  # of their latents
    evaluations: jax.Array  # decoded faces


def grid(settings: config.Evolve, sweep: config.Sweep) -> list[config.Evolve]:
    """Return every combination of the values of a sweep, for each seed; the first field varies slowest."""
    values = {**sweep.grid, "seed": range(settings.seed, settings.seed + sweep.seeds)}
    return [replace(settings, **dict(zip(values, point, strict=True))) for point in itertools.product(*values.values())]


def run_together(
    program: Program,
    experiments: Sequence[config.Evolve],
    networks: Networks,
    real: Statistics,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Run experiments of one program in one dispatch, and measure their winners in another; `real` has its relief.

    They differ in rates, weights and seeds only: other sizes are a ValueError.
    """
    fixed = ("algorithm", "fitness", *config.SWEPT_SIZES)
    if len({tuple(getattr(s, name) for name in fixed) for s in experiments}) > 1:
        raise ValueError("experiments of different sizes are not of this program: run them apart")
    keys = jnp.stack([key_for(s.seed, "evolve") for s in experiments])
    found = evolve_together(program, keys, networks, real, experiments, progress=progress)
    arguments = replicate((networks._replace(relief=real.relief), real.copy_distance), program.mesh)
    outcome: Outcome = compiled(_outcomes)(replace(program, reads=EVERYTHING), found, *arguments)
    return outcome


def _outcomes(program: Program, found: Evolution, networks: Networks, copy_distance: jax.Array) -> Outcome:
    x, classes, _, _, d = found.winners.shape
    winners = found.winners.reshape(x, classes, -1, d)  # all islands together
    filled = jnp.isfinite(winners).all(-1)
    latents = jnp.where(filled[..., None], winners, 0)
    faces = measure_faces(program, networks, latents, jnp.arange(classes)[None, :, None], filled)
    mean = partial(jnp.mean, axis=-1, where=filled)
    return Outcome(
        best_fitness=found.best[..., -1].max(-1),
        mean_fitness=found.mean[..., -1].mean(-1),
        logit=mean(faces.logit),
        log_probability=mean(faces.log_probability),
        inside=mean(faces.outside <= BALL),
        copies=mean(faces.nearest < copy_distance[None, :, None]),
        apart=mean(jax.vmap(jax.vmap(_nearest_other))(faces.descriptor, filled)),
        norm=mean(jnp.linalg.norm(winners, axis=-1)),
        evaluations=found.evaluations.sum(-1),
    )


def _nearest_other(descriptors: jax.Array, filled: jax.Array) -> jax.Array:
    """Return the distance (n,) of each of (n, k) to the nearest other filled one; 0 where there is none."""
    gap = jnp.sqrt(((descriptors[:, None] - descriptors[None]) ** 2).sum(-1))
    others = filled[None] & ~jnp.eye(len(gap), dtype=bool)
    nearest = jnp.where(others, gap, jnp.inf).min(1)
    return jnp.where(jnp.isfinite(nearest), nearest, 0)
