"""Dominated novelty search: who lives on against plain Python, its variation against the normal distribution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist

from depthjax.config import Evolve
from depthjax.evolve.novelty import mix, params_from, survivors, turn, vary
from depthjax.evolve.spread import farthest_first

DRAWS = 4000


def test_the_fittest_lives_on_then_the_viable_farthest_first_then_the_fit() -> None:
    fitness = jnp.asarray([-0.9, 0.0, 0.0, -0.5, -3.0, -jnp.inf, -2.0])
    descriptors = jnp.asarray([[0.1], [0.0], [5.0], [9.0], [99.0], [999.0], [0.0]])
    kept = survivors(fitness, descriptors, count=7, viable=-1.0)
    assert kept.tolist() == [1, 3, 2, 0, 6, 4, 5]
    assert survivors(fitness, descriptors, count=3, viable=-1.0).tolist() == [1, 3, 2]
    assert survivors(fitness, descriptors, count=3, viable=1.0).tolist() == [1, 2, 3]  # no one is: by fitness alone


def test_of_twins_one_goes() -> None:
    descriptors = jnp.asarray([[0.0], [4.0], [4.0], [1.0]])
    assert sorted(survivors(jnp.zeros(4), descriptors, count=3, viable=-1.0).tolist()) == [0, 1, 3]


def test_descriptors_that_are_not_finite_hurt_no_one() -> None:
    descriptors = jnp.asarray([[0.0], [jnp.nan], [3.0]])
    assert survivors(jnp.asarray([0.0, -jnp.inf, 0.0]), descriptors, count=2, viable=-1.0).tolist() == [0, 2]


def test_farthest_first_is_the_greedy_choice() -> None:
    points = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    order, reached = farthest_first(jnp.asarray(points), jnp.ones(30, bool), jnp.int32(4), count=12)
    chosen, distances = [4], [np.inf]
    for _ in range(11):
        nearest = cdist(points, points[chosen]).min(1)
        chosen.append(int(nearest.argmax()))
        distances.append(float(nearest.max()))
    assert order.tolist() == chosen
    np.testing.assert_allclose(reached, distances, rtol=1e-5)


def test_offspring_are_distributed_as_their_parents() -> None:
    keys = jax.random.split(jax.random.key(0), DRAWS)
    first, second = jax.random.normal(jax.random.key(1), (2, DRAWS, 6))
    params = params_from(Evolve(angle=0.7, mix_probability=0.5))
    child = np.asarray(jax.vmap(partial(vary, params=params))(keys, first, second))
    assert np.all(np.abs(child.mean(0)) < 5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(child.T), np.eye(6), atol=0.1)


def test_turning_keeps_the_cosine_of_the_angle() -> None:
    keys, latents = jax.random.split(jax.random.key(2), DRAWS), jax.random.normal(jax.random.key(3), (DRAWS, 6))
    turned = np.asarray(jax.vmap(partial(turn, angle=0.7))(keys, latents))
    assert abs((turned * np.asarray(latents)).mean() - np.cos(0.7)) < 0.05
    np.testing.assert_array_equal(turn(keys[0], latents[0], angle=0.0), latents[0])


def test_mixing_ends_at_either_parent() -> None:
    first, second = jnp.ones(3), -jnp.ones(3)
    assert mix(first, second, share=jnp.float32(1.0)).tolist() == [1, 1, 1]
    assert mix(first, second, share=jnp.float32(0.0)).tolist() == [-1, -1, -1]
