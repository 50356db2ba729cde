"""The evolution `k_dpp`: its selection against determinants by numpy, its variation against the normal distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from depthjax.config import Evolve
from depthjax.evaluate.diversity import gaussian_kernel, rke_score
from depthjax.evolve import k_dpp as diverse
from depthjax.evolve.k_dpp import turn
from depthjax.evolve.run import Evolution
from tests.evolve.conftest import CLASSES, DIVERSE, LATENT, World, compare_faces

DRAWS = 4000
k_dpp = jax.jit(diverse.k_dpp, static_argnames="count")


def log_determinant(log_quality: np.ndarray, features: np.ndarray, bandwidth: float) -> float:
    """The logarithm of det L, L_ij = exp(l_i / 2) K_ij exp(l_j / 2)."""
    kernel = np.exp(-cdist(features, features, "sqeuclidean") / (2 * bandwidth**2))
    quality = np.exp(log_quality / 2)
    return float(np.linalg.slogdet(quality[:, None] * kernel * quality[None])[1])


@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
def test_each_choice_has_the_largest_determinant_with_those_before(spread: float) -> None:
    rng = np.random.default_rng(0)
    features, quality = rng.standard_normal((30, 3)), -spread * rng.random(30)
    chosen: list[int] = []
    for _ in range(8):
        gains = [
            -np.inf if i in chosen else log_determinant(quality[[*chosen, i]], features[[*chosen, i]], 1.3)
            for i in range(30)
        ]
        chosen.append(int(np.argmax(gains)))
    found = k_dpp(jnp.float32(quality), jnp.float32(features), 1.3, count=8)
    assert found.tolist() == chosen


def test_the_fittest_is_first_and_of_two_equal_faces_one_survives() -> None:
    fitness, features = jnp.asarray([-0.4, -0.1, -0.1, -0.2]), jnp.asarray([[0.0], [4.0], [4.0], [1.0]])
    assert k_dpp(fitness, features, 2.0, count=3).tolist() == [1, 3, 0]


def test_a_face_that_differs_is_worth_some_fitness_and_no_more() -> None:
    features = jnp.asarray([[0.0], [0.1], [3.0]])
    for loss, second in ((1.0, 2), (20.0, 1)):
        assert k_dpp(jnp.asarray([0.0, 0.0, -loss]), features, 1.0, count=2).tolist() == [0, second]


def test_all_are_chosen_once_and_those_without_a_finite_value_last() -> None:
    fitness = jnp.asarray([0.0, jnp.nan, -3.0, -jnp.inf, 0.0])
    features = jnp.asarray([[0.0], [1.0], [0.0], [2.0], [jnp.inf]])
    found = k_dpp(fitness, features, 1.0, count=5).tolist()
    assert found[:2] == [0, 2] and sorted(found) == list(range(5))


def test_the_effective_number_of_faces_is_the_rke_of_the_evaluation() -> None:
    features = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    found = diverse.effective_number(jnp.asarray(features), 1.7)
    assert np.isclose(found, rke_score(gaussian_kernel(features, 1.7)), rtol=1e-5)
    assert np.isclose(diverse.effective_number(jnp.repeat(jnp.eye(4) * 100, 3, axis=0), 1.0), 4)  # four faces, thrice


@pytest.mark.parametrize("dimensions, jitter", [(2, 0.0), (3, 0.0), (32, 1e-3)])
def test_no_point_is_chosen_twice_where_float32_sees_no_difference(dimensions: int, jitter: float) -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((200, dimensions)), 4, 0) + jitter * rng.standard_normal((800, dimensions))
    found = np.asarray(k_dpp(jnp.zeros(800), jnp.float32(features), 2.0, count=400))
    assert len(set(found.tolist())) == 400


def test_the_population_becomes_likelier_under_the_k_dpp(world: World) -> None:
    settings = Evolve(**{**vars(DIVERSE), "generations": 12})
    relief = world.real.relief
    assert relief is not None

    def value(found: Evolution, label: int) -> float:
        latents = found.winners[label].reshape(-1, LATENT)[:8]  # of the first island
        emotion = jnp.full(8, label)
        images = world.generator.apply(world.networks.generator, latents, emotion, train=False)
        seen = compare_faces(relief, images, emotion)
        features = np.concatenate([seen.descriptor, seen.emotion_features], 1).astype(np.float64)
        fitness = found.winner_fitness[label].reshape(-1)[:8].astype(np.float64)
        return log_determinant(fitness, features, float(relief.bandwidth[label]))

    # One generation is nearly the random population of the same key.
    early, late = (world.evolve(one) for one in (Evolve(**{**vars(DIVERSE), "generations": 1}), settings))
    for label in range(CLASSES):
        assert value(late, label) > value(early, label)


def test_each_emotion_has_its_own_bandwidth(world: World) -> None:
    settings, relief = Evolve(**{**vars(DIVERSE), "generations": 1}), world.real.relief
    assert relief is not None
    wide = relief._replace(bandwidth=relief.bandwidth.at[0].multiply(100))
    before = world.evolve(settings).winners
    after = world._replace(real=world.real._replace(relief=wide)).evolve(settings).winners
    assert not np.array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2])
def test_offspring_are_distributed_as_their_parents_and_correlated_by_the_cosine(angle: float) -> None:
    latents = np.random.default_rng(1).standard_normal((DRAWS, 6)).astype(np.float32)
    child = np.asarray(jax.jit(turn)(jax.random.key(0), latents, angle=angle))
    assert np.all(np.abs(child.mean(0)) < 5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(child.T), np.eye(6), atol=0.1)
    assert abs((child * latents).mean() - np.cos(angle)) < 0.05
    if angle == 0:
        np.testing.assert_array_equal(child, latents)
