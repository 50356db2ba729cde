"""The operators against closed forms and against DEAP; the hall of fame and elitism."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import Evolve
from depthjax.evolve.paper_ga import (
    Hall,
    PaperGA,
    Params,
    blend,
    gaussian_mutation,
    known_cost,
    tournament,
    update_hall,
)
from depthjax.evolve.program import with_settings

DRAWS = 20_000
FAST = {"xla_backend_optimization_level": 2}  # as the package compiles: a third of the time
ALPHA = 0.5
COSTS = jnp.asarray([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5, 8.0, 7.0])
RANKS = np.argsort(np.argsort(np.asarray(COSTS)))
PARENTS = jnp.linspace(-1, 1, 40).reshape(2, 20) ** 3


@pytest.fixture(scope="module")
def selected() -> np.ndarray:
    pick = jax.jit(jax.vmap(partial(tournament, size=3), in_axes=(0, None)), compiler_options=FAST)
    return np.asarray(pick(jax.random.split(jax.random.key(0), DRAWS), COSTS))


@pytest.fixture(scope="module")
def children() -> np.ndarray:
    cross = jax.jit(jax.vmap(partial(blend, alpha=ALPHA), in_axes=(0, None, None)), compiler_options=FAST)
    return np.stack(cross(jax.random.split(jax.random.key(1), DRAWS), PARENTS[0], PARENTS[1]))


@pytest.fixture(scope="module")
def mutated() -> np.ndarray:
    mutate = jax.jit(
        jax.vmap(partial(gaussian_mutation, sigma=0.1, gene_probability=0.3), in_axes=(0, None)), compiler_options=FAST
    )
    return np.asarray(mutate(jax.random.split(jax.random.key(2), DRAWS), PARENTS[0]))


def test_tournament_selects_by_rank_as_the_closed_form_says(selected: np.ndarray) -> None:
    n = len(COSTS)
    expected = ((n - RANKS) / n) ** 3 - ((n - RANKS - 1) / n) ** 3
    found = np.bincount(selected, minlength=n) / DRAWS
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / DRAWS) + 1e-9)


def test_an_infinite_cost_only_wins_against_its_like() -> None:
    cost = jnp.asarray([jnp.inf, jnp.inf, jnp.inf, 1.0])
    keys = jax.random.split(jax.random.key(0), 4000)
    pick = jax.jit(jax.vmap(partial(tournament, size=3), in_axes=(0, None)), compiler_options=FAST)
    found = np.asarray(pick(keys, cost))
    assert abs(np.mean(found == 3) - (1 - 0.75**3)) < 0.04


def test_blend_children_have_the_parents_sum_and_the_closed_form_variance(children: np.ndarray) -> None:
    first, second = np.asarray(PARENTS)
    np.testing.assert_allclose(children.sum(0), np.broadcast_to(first + second, (DRAWS, 20)), atol=1e-5)
    gap = np.abs(second - first)
    variance = gap**2 * (1 + 2 * ALPHA) ** 2 / 12
    for child in children:
        assert np.all(np.abs(child.mean(0) - (first + second) / 2) < 5 * np.sqrt(variance / DRAWS))
        np.testing.assert_allclose(child.var(0), variance, rtol=0.05)
        low, high = np.minimum(first, second) - ALPHA * gap, np.maximum(first, second) + ALPHA * gap
        assert np.all((child >= low - 1e-5) & (child <= high + 1e-5))


def test_mutation_moves_the_asked_share_of_genes_by_the_asked_step(mutated: np.ndarray) -> None:
    step = mutated - np.asarray(PARENTS[0])
    moved = step != 0
    assert abs(moved.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / moved.size)
    assert abs(step[moved].std() - 0.1) < 1e-3
    assert abs(step[moved].mean()) < 1e-3
    assert abs(np.corrcoef(moved[:, 0], moved[:, 1])[0, 1]) < 0.04  # genes move independently


def test_operators_agree_with_deap(selected: np.ndarray, children: np.ndarray, mutated: np.ndarray) -> None:
    pytest.importorskip("deap")
    import random

    from deap import tools

    random.seed(0)
    draws, error = 5000, 5 / np.sqrt(5000)
    first, second = np.asarray(PARENTS, np.float64)

    class Individual:
        def __init__(self, number: int) -> None:
            self.number, self.fitness = number, -float(COSTS[number])

    population = [Individual(i) for i in range(len(COSTS))]
    theirs = (
        np.bincount([i.number for i in tools.selTournament(population, draws, 3)], minlength=len(population)) / draws
    )
    assert np.all(np.abs(theirs - np.bincount(selected, minlength=len(population)) / DRAWS) < error / 2)

    pairs = np.asarray([tools.cxBlend(first.tolist(), second.tolist(), ALPHA) for _ in range(draws)])
    for ours, peer in zip(children, pairs.swapaxes(0, 1), strict=True):
        assert np.all(np.abs(ours.mean(0) - peer.mean(0)) < 1.2 * error * peer.std(0) + 1e-6)
        np.testing.assert_allclose(ours.std(0), peer.std(0), rtol=0.05)

    peer = np.asarray([tools.mutGaussian(first.tolist(), 0, 0.1, 0.3)[0] for _ in range(draws)]) - first
    ours = mutated - np.asarray(PARENTS[0])
    np.testing.assert_allclose((ours != 0).mean(), (peer != 0).mean(), atol=0.01)
    np.testing.assert_allclose(ours.std(0), peer.std(0), rtol=0.08)


def offspring_of(settings: Evolve, parents: np.ndarray, cost: np.ndarray, draws: int) -> np.ndarray:
    """(draws, n, d) generations of offspring of the same parents."""
    algorithm = PaperGA(len(parents), jnp.zeros(parents.shape[1]), tournament_size=settings.tournament)
    params = with_settings(Params(), settings)
    state = algorithm.init(jax.random.key(0), jnp.asarray(parents), jnp.asarray(cost), params)
    keys = jax.random.split(jax.random.key(3), draws)
    return np.asarray(jax.jit(jax.vmap(lambda key: algorithm.ask(key, state, params)[0]), compiler_options=FAST)(keys))


@pytest.fixture(scope="module")
def generation() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parents = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    cost = np.arange(20, dtype=np.float32)
    return parents, cost, offspring_of(Evolve(), parents, cost, 3000)


def is_copy(offspring: np.ndarray, parents: np.ndarray) -> np.ndarray:
    return (offspring[..., None, :] == parents).all(-1).any(-1)


def test_a_generation_leaves_as_many_copies_as_varand(generation: tuple[np.ndarray, ...]) -> None:
    parents, _, offspring = generation
    chance = np.asarray([((20 - r) / 20) ** 3 - ((19 - r) / 20) ** 3 for r in range(20)])
    twins = (chance**2).sum()  # a pair of equals: its children are copies too, unless rounding moves them
    unmutated = 0.8 + 0.2 * 0.7**6
    assert 0.2 * unmutated - 0.01 < is_copy(offspring, parents).mean() < (0.2 + 0.8 * twins) * unmutated + 0.01
    assert not np.array_equal(offspring[0], offspring[1])


def test_a_generation_agrees_with_deaps_easimple(generation: tuple[np.ndarray, ...]) -> None:
    pytest.importorskip("deap")
    import copy
    import random

    from deap import algorithms, base, tools

    parents, cost, ours = generation

    class Fitness(base.Fitness):
        weights = (-1.0,)

    class Individual(list):
        pass

    def individual(genes: np.ndarray, value: float) -> Individual:
        made = Individual(genes.tolist())
        made.fitness = Fitness((float(value),))
        return made

    random.seed(1)
    toolbox = base.Toolbox()
    toolbox.register("clone", copy.deepcopy)
    toolbox.register("mate", tools.cxBlend, alpha=0.5)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=0.1, indpb=0.3)
    population = [individual(genes, value) for genes, value in zip(parents, cost, strict=True)]
    peer = np.asarray(
        [algorithms.varAnd(tools.selTournament(population, 20, 3), toolbox, 0.8, 0.2) for _ in range(400)], np.float32
    )
    flat, peer_flat = ours.reshape(-1, 6), peer.reshape(-1, 6)
    error = 6 * peer_flat.std(0) / np.sqrt(400 * 5)  # offspring of a generation share parents: count a quarter of them
    assert np.all(np.abs(flat.mean(0) - peer_flat.mean(0)) < error)
    np.testing.assert_allclose(flat.std(0), peer_flat.std(0), rtol=0.06)
    np.testing.assert_allclose(np.cov(flat.T), np.cov(peer_flat.T), atol=0.1)
    assert abs(is_copy(ours, parents).mean() - is_copy(peer, parents).mean()) < 0.03


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


@jax.jit
def update(hall: Hall, latents: jax.Array, cost: jax.Array) -> Hall:
    return update_hall(hall, latents, cost)


def hall_after(size: int, latents: np.ndarray, cost: np.ndarray) -> Hall:
    hall = Hall(np.full((size, 2), np.nan, np.float32), np.full(size, np.inf, np.float32))
    for population, values in zip(latents, cost, strict=True):
        hall = update(hall, population, values)
    return jax.tree.map(np.asarray, hall)


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
    for population, values in zip(latents, cost, strict=True):
        batch = []
        for genes, value in zip(population, values, strict=True):
            batch.append(Individual(genes.tolist()))
            batch[-1].fitness = Fitness((float(value),))
        peer.update(batch)
    hall = hall_after(4, latents, cost)
    np.testing.assert_array_equal(np.asarray(hall.latents), np.asarray(list(peer)))


def test_known_costs_are_those_of_copies_only() -> None:
    seen, cost = np.float32([[0.0, 1.0], [2.0, 3.0]]), np.float32([5.0, np.inf])
    found = np.asarray(jax.jit(known_cost)(np.float32([[2.0, 3.0], [0.0, 1.1], [0.0, 1.0]]), seen, cost))
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
