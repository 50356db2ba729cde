"""Whole experiments on a small generator: invariants of the scan, the islands, the batch and the hall of fame."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthjax.config import Evolve
from depthjax.errors import UserError
from depthjax.evolve.algorithms import make_algorithm, sizes_of
from depthjax.evolve.fitness import Weights, make_fitness
from depthjax.evolve.paper_ga import PaperGA, params_from
from depthjax.evolve.run import (
    Evolution,
    Hall,
    Island,
    Networks,
    evolve,
    evolve_island,
    evolve_islands,
    induct,
    make_measure,
    recall,
    refuse_not_finite,
)
from depthjax.evolve.statistics import Statistics
from depthjax.models.dcgan import Discriminator, Generator

CLASSES, LATENT, SIDE = 3, 8, 6
SETTINGS = Evolve(fitness="released", population=10, generations=12, islands=2, hall_of_fame=7)
MEDIAN = jnp.asarray([0.4, 0.2, 0.3])


class TinyGenerator(nn.Module):
    """Latent and emotion to a (6, 6) image by one dense layer; NaN for one emotion if asked."""

    broken: int = -1

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        x = jnp.concatenate([latents, jax.nn.one_hot(emotion, CLASSES)], -1)
        images = jnp.tanh(nn.Dense(SIDE * SIDE)(x)).reshape(-1, SIDE, SIDE)
        return jnp.where(emotion[:, None, None] == self.broken, jnp.nan, images)


class TinyDiscriminator(nn.Module):
    """Logit by one dense layer."""

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        return nn.Dense(1)(images.reshape(-1, SIDE * SIDE))[:, 0]


GENERATOR, DISCRIMINATOR = TinyGenerator(), TinyDiscriminator()
FAST = {"xla_backend_optimization_level": 2}  # as the package compiles: a third of the time


def variables_of(module: nn.Module, *inputs: jax.Array) -> Any:
    return jax.jit(partial(module.init, train=False), compiler_options=FAST)(jax.random.key(0), *inputs)


@pytest.fixture(scope="module")
def networks() -> Networks:
    emotion = jnp.zeros(1, jnp.int32)
    return Networks(
        variables_of(GENERATOR, jnp.zeros((1, LATENT)), emotion),
        variables_of(DISCRIMINATOR, jnp.zeros((1, SIDE, SIDE)), emotion),
    )


def run(networks: Networks, settings: Evolve = SETTINGS, seed: int = 0, broken: int = -1) -> Evolution:
    return evolve(
        jax.random.key(seed),
        networks,
        Statistics(MEDIAN),
        generator=TinyGenerator(broken),
        discriminator=DISCRIMINATOR,
        settings=settings,
        latent_size=LATENT,
        images_at_once=8,
    )


@pytest.fixture(scope="module")
def released(networks: Networks) -> Evolution:
    return run(networks)


def fitness_of(networks: Networks, latents: jax.Array) -> np.ndarray:
    """10 std - 5 |mean| of (classes, islands, n, d) latents, decoded plainly and reduced by numpy."""
    emotion = jnp.broadcast_to(jnp.arange(CLASSES)[:, None, None], latents.shape[:-1]).reshape(-1)
    images = np.asarray(GENERATOR.apply(networks.generator, latents.reshape(-1, LATENT), emotion, train=False))
    flat = images.reshape(len(images), -1).astype(np.float64)
    return (10 * flat.std(1) - 5 * np.abs(flat.mean(1))).reshape(latents.shape[:-1])


def test_shapes_and_ranges(released: Evolution) -> None:
    for history in (released.best, released.mean, released.std):
        assert history.shape == (CLASSES, 2, 13) and history.dtype == jnp.float32
        assert np.isfinite(history).all()
    assert released.winners.shape == (CLASSES, 2, 7, LATENT)
    assert released.winner_fitness.shape == (CLASSES, 2, 7)
    assert np.all(np.asarray(released.best) >= np.asarray(released.mean))


def test_best_never_falls_and_evolution_improves(released: Evolution) -> None:
    best, mean = np.asarray(released.best), np.asarray(released.mean)
    assert np.all(np.diff(best) >= 0)
    assert np.all(best[..., -1] > best[..., 0])
    assert np.all(mean[..., -1] > mean[..., 0])


def test_winners_are_distinct_sorted_and_worth_what_is_said(networks: Networks, released: Evolution) -> None:
    fitness = np.asarray(released.winner_fitness)
    assert np.all(np.diff(fitness) <= 0)
    np.testing.assert_allclose(fitness, fitness_of(networks, released.winners), atol=1e-4)
    np.testing.assert_array_equal(fitness[..., 0], np.asarray(released.best)[..., -1])
    for hall in np.asarray(released.winners).reshape(-1, 7, LATENT):
        assert len(np.unique(hall, axis=0)) == 7


def test_only_changed_individuals_are_evaluated(released: Evolution) -> None:
    everyone = CLASSES * 2 * 10 * 13
    assert 0.7 * everyone < released.evaluations < 0.95 * everyone


def test_same_key_same_result_other_key_another(networks: Networks, released: Evolution) -> None:
    again, other = run(networks), run(networks, seed=1)
    jax.tree.map(np.testing.assert_array_equal, again, released)
    assert not np.array_equal(other.winners, released.winners)


def test_islands_and_classes_differ(released: Evolution) -> None:
    populations = np.asarray(released.winners).reshape(CLASSES * 2, -1)
    assert len(np.unique(populations, axis=0)) == CLASSES * 2


def parts(settings: Evolve = SETTINGS, images_at_once: int = 8) -> dict[str, Any]:
    fitness, _ = make_fitness(settings, Statistics(MEDIAN))
    return {
        "algorithm": make_algorithm(sizes_of(settings), LATENT),
        "fitness": fitness,
        "generations": settings.generations,
        "hall_of_fame": settings.hall_of_fame,
    } | {"measure": make_measure(GENERATOR, DISCRIMINATOR, images_at_once)}


def assert_close(ours: Any, theirs: Any) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), ours, theirs)


def test_an_island_alone_is_the_same_island_in_a_batch(networks: Networks, released: Evolution) -> None:
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 2), 1)
    weights = Weights(1.0, 1.0, MEDIAN[2])
    alone = jax.jit(partial(evolve_island, **parts()), compiler_options=FAST)(
        key, networks, jnp.int32(2), params_from(SETTINGS), weights
    )
    for name in ("best", "mean", "std", "winners", "winner_fitness"):
        assert_close(getattr(alone, name), getattr(released, name)[2, 1])


def test_a_batch_of_experiments_is_each_experiment(networks: Networks, released: Evolution) -> None:
    """Keys and rates vmapped: what a sweep does."""
    statics = parts()
    statics.pop("measure")
    experiment = partial(
        evolve_islands, generator=GENERATOR, discriminator=DISCRIMINATOR, islands=2, images_at_once=8, **statics
    )
    params = params_from(SETTINGS)
    sigmas = jnp.asarray([0.1, 0.5])
    keys = jax.vmap(jax.random.key)(jnp.zeros(2, jnp.uint32))

    def one(key: jax.Array, sigma: jax.Array) -> Island:
        return experiment(key, networks, params.replace(mutation_sigma=sigma), Weights(1.0, 1.0, MEDIAN))

    batch = jax.jit(jax.vmap(one), compiler_options=FAST)(keys, sigmas)
    for name in ("best", "winners", "winner_fitness"):
        assert_close(getattr(batch, name)[0], getattr(released, name))
    assert not np.array_equal(batch.best[0], batch.best[1])


def test_a_class_without_values_leaves_the_others_alone(networks: Networks, released: Evolution) -> None:
    broken = run(networks, broken=1)
    for name in ("best", "mean", "winners", "winner_fitness"):
        assert_close(np.asarray(getattr(broken, name))[[0, 2]], np.asarray(getattr(released, name))[[0, 2]])
    assert np.all(np.asarray(broken.best)[1] == -np.inf)
    assert np.all(np.asarray(broken.winner_fitness)[1] == -np.inf)
    assert np.isnan(broken.winners[1]).all()
    with pytest.raises(UserError, match="no face of fear had a finite fitness in island 0"):
        refuse_not_finite(jax.tree.map(np.asarray, broken), ("neutral", "fear", "anger"))


def test_realism_stops_at_the_real_median(networks: Networks) -> None:
    found = run(networks, Evolve(**{**vars(SETTINGS), "fitness": "realism", "generations": 40}))
    best = np.asarray(found.best)
    ceiling = np.broadcast_to(np.asarray(MEDIAN)[:, None, None], best.shape)
    assert np.all(best <= ceiling)
    assert np.any(np.isclose(best[..., -1], ceiling[..., -1]))


def test_the_flat_batch_is_the_plain_batch(networks: Networks) -> None:
    """Two vmapped axes, chunks with a remainder, and rows that are not needed."""
    latents = jax.random.normal(jax.random.key(3), (CLASSES, 2, 5, LATENT))
    emotion = jnp.broadcast_to(jnp.arange(CLASSES)[:, None, None], (CLASSES, 2, 5))
    needed = jax.random.bernoulli(jax.random.key(4), 0.7, emotion.shape)
    measure = partial(make_measure(GENERATOR, DISCRIMINATOR, 4), networks)
    found = jax.jit(jax.vmap(jax.vmap(measure)))(latents, emotion, needed)
    images = GENERATOR.apply(networks.generator, latents.reshape(-1, LATENT), emotion.reshape(-1), train=False)
    logits = DISCRIMINATOR.apply(networks.discriminator, images, emotion.reshape(-1), train=False)
    for ours, plain in zip(found[:3], (images.mean((1, 2)), images.std((1, 2)), logits), strict=True):
        np.testing.assert_allclose(ours[needed], plain.reshape(needed.shape)[needed], atol=1e-5)
    with pytest.raises(ValueError, match="networks are shared"):
        copies = jax.tree.map(lambda x: jnp.stack([x, x]), networks)
        jax.vmap(make_measure(GENERATOR, None, 4))(copies, latents[:2, 0], emotion[:2, 0], needed[:2, 0])


def test_the_networks_see_one_flat_batch_of_real_faces() -> None:
    """The released networks: vmapped islands lower to convolutions of one flat batch, and weights stay arguments."""
    generator, discriminator = Generator(16, 16, CLASSES), Discriminator(4, CLASSES)
    emotion = jnp.zeros(1, jnp.int32)
    networks = Networks(
        variables_of(generator, jnp.zeros((1, LATENT)), emotion),
        variables_of(discriminator, jnp.zeros((1, 16, 16)), emotion),
    )
    settings = Evolve(population=4, generations=3, islands=2, hall_of_fame=3)
    found = evolve(
        jax.random.key(0),
        networks,
        Statistics(MEDIAN),
        generator=generator,
        discriminator=discriminator,
        settings=settings,
        latent_size=LATENT,
    )
    assert np.isfinite(found.winner_fitness).all() and np.all(np.diff(found.best) >= 0)
    measure = make_measure(generator, None, 100)
    latents, emotions = jnp.zeros((CLASSES, 2, 4, LATENT)), jnp.zeros((CLASSES, 2, 4), jnp.int32)
    lowered = jax.jit(jax.vmap(jax.vmap(measure, (None, 0, 0, 0)), (None, 0, 0, 0))).lower(
        networks, latents, emotions, emotions == 0
    )
    convolutions = [line for line in lowered.as_text().splitlines() if "stablehlo.convolution" in line]
    assert convolutions and all(f"-> tensor<{CLASSES * 2 * 4}x" in line for line in convolutions)
    assert all("feature_group_count = 1" in line for line in convolutions)


def reference_hall(size: int, latents: np.ndarray, cost: np.ndarray) -> list[tuple[float, tuple[float, ...]]]:
    """The best distinct individuals, by a sort in Python."""
    firsts: dict[tuple[float, ...], float] = {}
    for genes, value in zip(latents.tolist(), cost.tolist(), strict=True):
        firsts.setdefault(tuple(genes), value)
    return sorted(((value, genes) for genes, value in firsts.items()), key=lambda item: item[0])[:size]


def populations_with_copies(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pool = rng.integers(0, 3, (40, 2)).astype(np.float32)  # nine points: many copies
    latents = pool[rng.integers(0, 40, (count, 8))]
    return latents, (latents * np.float32([1.0, 3.1])).sum(-1)


def hall_after(size: int, latents: np.ndarray, cost: np.ndarray) -> Hall:
    hall = Hall(jnp.full((size, 2), jnp.nan), jnp.full(size, jnp.inf))
    for people, values in zip(latents, cost, strict=True):
        hall = jax.jit(induct)(hall, jnp.asarray(people), jnp.asarray(values))
    return hall


@pytest.mark.parametrize("size", [3, 20])
def test_hall_holds_the_best_distinct_individuals(size: int) -> None:
    latents, cost = populations_with_copies()
    hall = hall_after(size, latents, cost)
    expected = reference_hall(size, latents.reshape(-1, 2), cost.reshape(-1))
    filled = len(expected)
    np.testing.assert_allclose(hall.cost[:filled], [value for value, _ in expected])
    np.testing.assert_allclose(hall.latents[:filled], [genes for _, genes in expected])
    assert np.isinf(hall.cost[filled:]).all() and np.isnan(hall.latents[filled:]).all()


def test_hall_agrees_with_deaps() -> None:
    pytest.importorskip("deap")
    from deap import base, tools

    class Fitness(base.Fitness):
        weights = (-1.0,)

    class Individual(list):
        pass

    latents, cost = populations_with_copies()
    peer = tools.HallOfFame(4)
    for people, values in zip(latents, cost, strict=True):
        batch = []
        for genes, value in zip(people, values, strict=True):
            batch.append(Individual(genes.tolist()))
            batch[-1].fitness = Fitness((float(value),))
        peer.update(batch)
    hall = hall_after(4, latents, cost)
    np.testing.assert_array_equal(np.asarray(hall.latents), np.asarray(list(peer)))


def test_recall_finds_copies_only() -> None:
    seen, cost = jnp.asarray([[0.0, 1.0], [2.0, 3.0]]), jnp.asarray([5.0, jnp.inf])
    found = np.asarray(recall(jnp.asarray([[2.0, 3.0], [0.0, 1.1], [0.0, 1.0]]), seen, cost))
    np.testing.assert_array_equal(found, [np.inf, np.nan, 5.0])


@pytest.mark.parametrize("elite", [0, 2])
def test_elites_outlive_the_worst_offspring(elite: int) -> None:
    algorithm = PaperGA(4, jnp.zeros(1), elite=elite)
    params = algorithm.default_params
    parents, offspring = jnp.asarray([[1.0], [2.0], [3.0], [4.0]]), jnp.asarray([[10.0], [20.0], [30.0], [40.0]])
    state = algorithm.init(jax.random.key(0), parents, jnp.asarray([5.0, 1.0, 9.0, 2.0]), params)
    state, _ = algorithm.tell(jax.random.key(1), offspring, jnp.asarray([3.0, 8.0, jnp.inf, 4.0]), state, params)
    kept = sorted(np.asarray(state.population)[:, 0].tolist())
    assert kept == ([2.0, 4.0, 10.0, 40.0] if elite else [10.0, 20.0, 30.0, 40.0])


def test_pairs_need_an_even_population() -> None:
    with pytest.raises(ValueError, match="even"):
        PaperGA(5, jnp.zeros(3))
