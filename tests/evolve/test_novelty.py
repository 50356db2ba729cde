"""Dominated novelty search: its score against plain Python, its variation against the normal distribution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.config import Evolve
from depthjax.evolve.novelty import dominated_novelty, mix, params_from, survival, turn, vary

DRAWS = 4000


def reference(fitness: np.ndarray, descriptors: np.ndarray, k: int) -> list[float]:
    """Equation 2 of arXiv 2502.00593, the earlier of equals as the fitter one, in loops."""
    scores = []
    for i, own in enumerate(fitness):
        apart = sorted(
            float(np.linalg.norm(descriptors[i] - descriptors[j]))
            for j, other in enumerate(fitness)
            if other > own or (other == own and j < i)
        )
        scores.append(float(np.mean(apart[:k])) if apart else np.inf)
    return scores


def test_score_is_the_mean_distance_to_the_nearest_fitter_ones() -> None:
    rng = np.random.default_rng(0)
    fitness = np.minimum(rng.standard_normal(40), 0.0).astype(np.float32)  # many equals at the top, as it saturates
    descriptors = rng.standard_normal((40, 3)).astype(np.float32)
    found = np.asarray(dominated_novelty(jnp.asarray(fitness), jnp.asarray(descriptors), neighbours=4))
    np.testing.assert_allclose(found, reference(fitness, descriptors, 4), rtol=1e-5)
    assert np.isinf(found).sum() == 1


def test_the_fittest_lives_on_then_the_novel_among_the_viable() -> None:
    fitness = jnp.asarray([0.0, 0.0, 0.0, -0.5, -3.0, -jnp.inf])
    descriptors = jnp.asarray([[0.0], [0.1], [5.0], [9.0], [99.0], [999.0]])
    order = np.argsort(-np.asarray(survival(fitness, descriptors, neighbours=1, viable=-1.0)), kind="stable")
    assert order.tolist() == [0, 2, 3, 1, 4, 5]


def test_descriptors_that_are_not_finite_hurt_no_one() -> None:
    descriptors = jnp.asarray([[0.0], [3.0], [jnp.nan]])
    score = np.asarray(survival(jnp.asarray([0.0, 0.0, -jnp.inf]), descriptors, neighbours=2, viable=-1.0))
    assert score[0] == 1 and np.isclose(score[1], 0.75) and score[2] == -np.inf


def test_offspring_are_distributed_as_their_parents() -> None:
    keys = jax.random.split(jax.random.key(0), DRAWS)
    first, second = jax.random.normal(jax.random.key(1), (2, DRAWS, 6))
    params = params_from(Evolve(angle=0.7, crossover_probability=0.5))
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
