"""Dominated novelty search: its selection against plain Python, its variation against the normal distribution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist

from depthjax.config import Evolve
from depthjax.evolve import novelty
from depthjax.evolve.novelty import (
    MIN_DISTANCE,
    Params,
    Targets,
    constraints_of,
    mix,
    no_constraints,
    turn,
    vary,
)
from depthjax.evolve.program import with_settings

DRAWS = 4000
FAST = {"xla_backend_optimization_level": 2}  # as the package compiles: a third of the time
# Compiled once a shape: one by one, their operations would each be compiled.
survivors = jax.jit(novelty.survivors, static_argnames="count")
k_centre_greedy = jax.jit(novelty.k_centre_greedy, static_argnames="count")


def params_with(targets: Targets | None = None, feasible: float = -1.0, **rest: float) -> Params:
    return with_settings(Params(), Evolve(feasible_fitness=feasible, **rest)).replace(targets=targets)


def farthest_first(points: np.ndarray, first: int, count: int) -> tuple[jax.Array, jax.Array]:
    points = jnp.asarray(points, jnp.float32)
    n = len(points)
    return k_centre_greedy(points, jnp.ones(n, bool), jnp.int32(first), no_constraints(n), count=count)


def test_the_fittest_then_the_feasible_farthest_first_then_the_others_by_fitness() -> None:
    fitness = jnp.asarray([-0.9, 0.0, 0.0, -0.5, -3.0, -jnp.inf, -2.0])
    descriptors = jnp.asarray([[0.1], [0.0], [5.0], [9.0], [99.0], [999.0], [0.0]])
    kept = survivors(fitness, descriptors, params_with(), count=7)
    assert kept.tolist() == [1, 3, 2, 0, 6, 4, 5]
    assert survivors(fitness, descriptors, params_with(), count=3).tolist() == [1, 3, 2]
    assert survivors(fitness, descriptors, params_with(feasible=1.0), count=3).tolist() == [
        1,
        2,
        3,
    ]  # none is: by fitness alone


def test_of_two_equal_faces_one_survives() -> None:
    descriptors = jnp.asarray([[0.0], [4.0], [4.0], [1.0]])
    assert sorted(survivors(jnp.zeros(4), descriptors, params_with(), count=3).tolist()) == [0, 1, 3]


def test_descriptors_that_are_not_finite_are_selected_last() -> None:
    descriptors = jnp.asarray([[0.0], [jnp.nan], [3.0]])
    fitness, targets = jnp.zeros(3), Targets(jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1))
    for params in (params_with(), params_with(targets)):
        assert survivors(fitness, descriptors, params, count=2).tolist() == [0, 2]


def crowd(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 points of which most lie on one side of the targets, whose mean is 0; the targets; their radii."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((200, 3)) * 2 + [1.0, 0, 0]
    real = rng.standard_normal((30, 3))
    return points, real - real.mean(0), np.full(30, 0.9)


def chosen(count: int = 40, **constraints: float) -> np.ndarray:
    points, real, radii = (jnp.asarray(x, jnp.float32) for x in crowd())
    params = params_with(Targets(real, radii, real.mean(0)), **constraints)
    return np.asarray(survivors(jnp.zeros(len(points)), points, params, count=count))


def covered(kept: np.ndarray) -> np.ndarray:
    """How many of those kept are in the ball of each real point that any could be in."""
    points, real, radii = crowd()
    within = cdist(real, points) <= radii[:, None]
    return within[within.any(1)][:, kept].sum(1)


def test_every_target_is_covered_if_any_point_can() -> None:
    without, half, all_of_it = (chosen(coverage_share=share, shape_balance=0.0) for share in (0.0, 0.5, 1.0))
    assert (covered(without) == 0).mean() > 0.1
    assert (covered(half) > 0).all()
    assert covered(all_of_it).mean() > 1.2 * covered(half).mean()


def test_coverage_is_greedy_layer_by_layer_then_farthest_first() -> None:
    points, real, radii = crowd()
    within, count, kept = cdist(points, real) <= radii[None], np.zeros(len(real)), [0]
    while len(kept) < 40:
        count += within[kept[-1]]
        far = cdist(points, points[kept]).min(1)
        serves = within & (far >= MIN_DISTANCE * 0.9)[:, None]
        wanted = serves.any(0) & (count == count[serves.any(0)].min(initial=np.inf))
        gain = serves[:, wanted].sum(1)
        kept.append(int(gain.argmax() if gain.any() and len(kept) < 0.7 * 40 else far.argmax()))
    assert np.median(count[within.any(0)]) > 1  # beyond the first layer
    assert chosen(coverage_share=0.7, shape_balance=0.0).tolist() == kept


def test_targets_that_can_still_be_covered_come_before_distant_points() -> None:
    """Each of three points covers a target of its own and one that all share; the fourth only the shared one."""
    points = jnp.asarray([[0.0, 0], [10, 0], [20, 0], [30, 0], [1400, 0], [-900, 0]])
    centres = jnp.asarray([[0.0, 0], [10, 0], [20, 0], [15, 0]])
    targets = Targets(centres, jnp.asarray([1.0, 1, 1, 16]), jnp.zeros(2))
    params = params_with(targets, coverage_share=1.0, shape_balance=0.0)
    assert survivors(jnp.zeros(6), points, params, count=4).tolist() == [0, 1, 2, 3]


def test_a_repeated_training_face_is_no_target() -> None:
    points = jnp.asarray([[0.0], [5.0], [9.0]])
    for radius, kept in ((1.0, [0, 1]), (jnp.nan, [0, 2])):
        targets = Targets(jnp.asarray([[0.0], [5.0]]), jnp.asarray([1.0, radius]), jnp.zeros(1))
        params = params_with(targets, coverage_share=1.0, shape_balance=0.0)
        assert survivors(jnp.zeros(3), points, params, count=2).tolist() == kept


def test_the_least_distance_is_a_share_of_the_median_radius() -> None:
    targets = Targets(jnp.zeros((3, 2)), jnp.asarray([1.0, 4.0, jnp.nan]), jnp.zeros(2))
    assert np.isclose(constraints_of(jnp.zeros((5, 2)), params_with(targets))[1].min_distance, MIN_DISTANCE * 2.5)


def test_near_points_do_not_cover_a_target_twice() -> None:
    points = jnp.asarray([[0.0], [5.0], [5.1], [6.0], [9.0]])
    targets = Targets(jnp.asarray([[5.5]]), jnp.asarray([1.0]), jnp.zeros(1))
    params = params_with(targets, coverage_share=1.0, shape_balance=0.0)
    assert survivors(jnp.zeros(5), points, params, count=4).tolist() == [0, 1, 3, 4]
    assert survivors(jnp.zeros(5), points, params, count=3).tolist() == [0, 1, 3]


def test_balance_brings_the_mean_to_that_of_the_targets() -> None:
    points, real, _ = crowd()
    means = [
        np.linalg.norm(points[chosen(coverage_share=0.0, shape_balance=b)].mean(0) - real.mean(0))
        for b in (0.0, 1.0, 10.0)
    ]
    assert means[0] > 1.5 * means[1] > 3 * means[2]


def test_emotion_features_are_balanced_and_not_compared_by_distance() -> None:
    rng = np.random.default_rng(1)
    shape, seen = rng.standard_normal((2, 200, 2))
    both = jnp.asarray(np.concatenate([shape, seen + np.array([0.5, 0])], 1), jnp.float32)
    targets = Targets(jnp.zeros((1, 2)), jnp.zeros(1), jnp.zeros(4))

    def kept(weight: float) -> np.ndarray:
        params = params_with(targets, coverage_share=0.0, shape_balance=0.0, emotion_balance=weight)
        return np.asarray(survivors(jnp.zeros(200), both, params, count=40))

    order = farthest_first(shape, 0, 40)[0]
    assert kept(0.0).tolist() == order.tolist()
    assert abs(np.asarray(both)[kept(10.0), 2].mean()) < 0.15 < np.asarray(both)[kept(0.0), 2].mean()


def test_farthest_first_is_the_greedy_choice() -> None:
    points = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    order, reached = farthest_first(points, 4, 12)
    chosen, distances = [4], [np.inf]
    for _ in range(11):
        nearest = cdist(points, points[chosen]).min(1)
        chosen.append(int(nearest.argmax()))
        distances.append(float(nearest.max()))
    assert order.tolist() == chosen
    np.testing.assert_allclose(reached, distances, rtol=1e-5)


def test_offspring_are_distributed_as_their_parents() -> None:
    keys = jax.random.split(jax.random.key(0), DRAWS)
    first, second = np.random.default_rng(1).standard_normal((2, DRAWS, 6)).astype(np.float32)
    params = with_settings(Params(), Evolve(angle=0.7, mix_probability=0.5))
    child = np.asarray(jax.jit(jax.vmap(partial(vary, params=params)), compiler_options=FAST)(keys, first, second))
    assert np.all(np.abs(child.mean(0)) < 5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(child.T), np.eye(6), atol=0.1)


def test_turning_keeps_the_cosine_of_the_angle() -> None:
    keys = jax.random.split(jax.random.key(2), DRAWS)
    latents = np.random.default_rng(3).standard_normal((DRAWS, 6)).astype(np.float32)
    turned_by = jax.jit(jax.vmap(turn), compiler_options=FAST)
    turned, same = (np.asarray(turned_by(keys, latents, angle=np.full(DRAWS, angle, np.float32))) for angle in (0.7, 0))
    assert abs((turned * latents).mean() - np.cos(0.7)) < 0.05
    np.testing.assert_array_equal(same, latents)


def test_mixing_ends_at_either_parent() -> None:
    first, second = jnp.ones(3), -jnp.ones(3)
    assert mix(first, second, share=jnp.float32(1.0)).tolist() == [1, 1, 1]
    assert mix(first, second, share=jnp.float32(0.0)).tolist() == [-1, -1, -1]
