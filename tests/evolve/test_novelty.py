"""Dominated novelty search: who lives on against plain Python, its variation against the normal distribution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist

from depthjax.config import Evolve
from depthjax.evolve.novelty import APART, Params, Places, _demands, mix, params_from, survivors, turn, vary
from depthjax.evolve.spread import farthest_first

DRAWS = 4000


def alone(viable: float, **rest: float) -> Params:
    return params_from(Evolve(viable=viable, **rest))


def test_the_fittest_lives_on_then_the_viable_farthest_first_then_the_fit() -> None:
    fitness = jnp.asarray([-0.9, 0.0, 0.0, -0.5, -3.0, -jnp.inf, -2.0])
    descriptors = jnp.asarray([[0.1], [0.0], [5.0], [9.0], [99.0], [999.0], [0.0]])
    kept = survivors(fitness, descriptors, alone(-1.0), count=7)
    assert kept.tolist() == [1, 3, 2, 0, 6, 4, 5]
    assert survivors(fitness, descriptors, alone(-1.0), count=3).tolist() == [1, 3, 2]
    assert survivors(fitness, descriptors, alone(1.0), count=3).tolist() == [1, 2, 3]  # no one is: by fitness alone


def test_of_twins_one_goes() -> None:
    descriptors = jnp.asarray([[0.0], [4.0], [4.0], [1.0]])
    assert sorted(survivors(jnp.zeros(4), descriptors, alone(-1.0), count=3).tolist()) == [0, 1, 3]


def test_descriptors_that_are_not_finite_hurt_no_one() -> None:
    descriptors = jnp.asarray([[0.0], [jnp.nan], [3.0]])
    fitness, places = jnp.zeros(3), Places(jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1))
    for params in (alone(-1.0), alone(-1.0).replace(places=places)):
        assert survivors(fitness, descriptors, params, count=2).tolist() == [0, 2]


def crowd(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 points of which most lie on one side of the real ones, whose mean is 0; the real ones' radii."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((200, 3)) * 2 + [1.0, 0, 0]
    real = rng.standard_normal((30, 3))
    return points, real - real.mean(0), np.full(30, 0.9)


def chosen(count: int = 40, **demands: float) -> np.ndarray:
    points, real, radii = (jnp.asarray(x, jnp.float32) for x in crowd())
    params = alone(-1.0, **demands).replace(places=Places(real, radii, real.mean(0)))
    return np.asarray(survivors(jnp.zeros(len(points)), points, params, count=count))


def covered(kept: np.ndarray) -> np.ndarray:
    """How many of those kept are in the ball of each real point that any could be in."""
    points, real, radii = crowd()
    within = cdist(real, points) <= radii[:, None]
    return within[within.any(1)][:, kept].sum(1)


def test_every_real_face_has_someone_near_it_if_anybody_can_be() -> None:
    without, half, all_of_it = (chosen(cover=share, balance=0.0) for share in (0.0, 0.5, 1.0))
    assert (covered(without) == 0).mean() > 0.1
    assert (covered(half) > 0).all()
    assert covered(all_of_it).mean() > 1.2 * covered(half).mean()


def test_the_cover_is_greedy_layer_by_layer_and_what_follows_farthest_first() -> None:
    points, real, radii = crowd()
    within, count, kept = cdist(points, real) <= radii[None], np.zeros(len(real)), [0]
    while len(kept) < 40:
        count += within[kept[-1]]
        far = cdist(points, points[kept]).min(1)
        serves = within & (far >= APART * 0.9)[:, None]
        wanted = serves.any(0) & (count == count[serves.any(0)].min(initial=np.inf))
        gain = serves[:, wanted].sum(1)
        kept.append(int(gain.argmax() if gain.any() and len(kept) < 0.7 * 40 else far.argmax()))
    assert np.median(count[within.any(0)]) > 1  # beyond the first layer
    assert chosen(cover=0.7, balance=0.0).tolist() == kept


def test_what_can_still_be_covered_comes_before_the_outskirts() -> None:
    """Each of three points covers a place of its own and one that all share; the fourth only the shared one."""
    points = jnp.asarray([[0.0, 0], [10, 0], [20, 0], [30, 0], [1400, 0], [-900, 0]])
    centres = jnp.asarray([[0.0, 0], [10, 0], [20, 0], [15, 0]])
    places = Places(centres, jnp.asarray([1.0, 1, 1, 16]), jnp.zeros(2))
    params = alone(-1.0, cover=1.0, balance=0.0).replace(places=places)
    assert survivors(jnp.zeros(6), points, params, count=4).tolist() == [0, 1, 2, 3]


def test_a_repeated_face_is_no_place() -> None:
    points = jnp.asarray([[0.0], [5.0], [9.0]])
    for radius, kept in ((1.0, [0, 1]), (jnp.nan, [0, 2])):
        places = Places(jnp.asarray([[0.0], [5.0]]), jnp.asarray([1.0, radius]), jnp.zeros(1))
        params = alone(-1.0, cover=1.0, balance=0.0).replace(places=places)
        assert survivors(jnp.zeros(3), points, params, count=2).tolist() == kept


def test_twins_look_alike_by_what_is_compared() -> None:
    rng = np.random.default_rng(3)
    real = jnp.asarray(rng.standard_normal((40, 4)), jnp.float32)
    places = Places(real, jnp.full(40, 1.0), jnp.zeros(4))
    apart = [float(_demands(real, alone(-1.0).replace(places=places), k).apart) for k in (1, 4)]
    assert apart[1] == np.float32(APART) and abs(apart[0] / apart[1] - 0.5) < 0.1  # a quarter of the variance


def test_twins_do_not_serve_a_place_twice() -> None:
    points = jnp.asarray([[0.0], [5.0], [5.1], [6.0], [9.0]])
    places = Places(jnp.asarray([[5.5]]), jnp.asarray([1.0]), jnp.zeros(1))
    params = alone(-1.0, cover=1.0, balance=0.0).replace(places=places)
    assert survivors(jnp.zeros(5), points, params, count=4).tolist() == [0, 1, 3, 4]
    assert survivors(jnp.zeros(5), points, params, count=3).tolist() == [0, 1, 3]


def test_balance_brings_the_mean_to_that_of_the_real_ones() -> None:
    points, real, _ = crowd()
    means = [np.linalg.norm(points[chosen(cover=0.0, balance=b)].mean(0) - real.mean(0)) for b in (0.0, 1.0, 10.0)]
    assert means[0] > 1.5 * means[1] > 3 * means[2]


def test_what_readers_see_is_balanced_and_does_not_count_as_far() -> None:
    rng = np.random.default_rng(1)
    shape, seen = rng.standard_normal((2, 200, 2))
    both = jnp.asarray(np.concatenate([shape, seen + np.array([0.5, 0])], 1), jnp.float32)
    places = Places(jnp.zeros((1, 2)), jnp.zeros(1), jnp.zeros(4))

    def kept(weight: float) -> np.ndarray:
        params = alone(-1.0, cover=0.0, balance=0.0, reading_balance=weight).replace(places=places)
        return np.asarray(survivors(jnp.zeros(200), both, params, count=40, compared=2))

    order = farthest_first(jnp.asarray(shape, jnp.float32), jnp.ones(200, bool), jnp.int32(0), count=40)[0]
    assert kept(0.0).tolist() == order.tolist()
    assert abs(np.asarray(both)[kept(10.0), 2].mean()) < 0.15 < np.asarray(both)[kept(0.0), 2].mean()


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
