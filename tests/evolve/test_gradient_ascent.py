"""Gradient ascent: its step by geometry, its cost by hand, its climbs by what they reach."""

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.config import Evolve
from depthjax.evolve.fitness import weights_of
from depthjax.evolve.program import compiled
from experiments.gradient_ascent import affordable_steps, ascend, flops, step_on_sphere
from experiments.references import measured, random_latents
from tests.evolve.conftest import CLASSES, DIVERSE, LATENT, SIZES, World

REALISM = Evolve(fitness="realism", **SIZES)


def test_a_step_turns_by_its_angle_towards_the_gradient_and_keeps_the_norm() -> None:
    latents = jnp.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    gradient = jnp.array([[7.0, 1e-3], [0.0, 5.0], [jnp.nan, 0.0]])
    found = np.asarray(step_on_sphere(latents, gradient, angle=0.3))
    np.testing.assert_allclose(found[0], [3 * np.cos(0.3), 3 * np.sin(0.3)], rtol=1e-6)
    np.testing.assert_array_equal(found[1:], latents[1:])  # straight outwards, and none: they stay


def test_climbs_end_higher_on_their_sphere(world: World) -> None:
    program, key = world.program(REALISM), jax.random.key(5)
    found, steps = ascend(program, key, world.networks, world.real, REALISM, count=6, evaluations=150)
    begin = np.asarray(random_latents(key, CLASSES, 6, LATENT))
    assert found.shape == begin.shape and 4 <= steps < 25
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), np.linalg.norm(begin, axis=-1), rtol=1e-5)

    weights = weights_of(REALISM, world.real)
    before, after = (
        np.asarray(compiled(measured)(program, world.networks, weights, jnp.asarray(latents))[0])
        for latents in (begin, found)
    )
    best = np.asarray(world.real.logit_median)[:, None]
    assert (after >= before - 1e-4).all() and (best - after).sum() < 0.5 * (best - before).sum()


def test_steps_are_those_that_the_same_operations_pay_for(world: World) -> None:
    program = world.program(DIVERSE)
    networks = world.networks._replace(relief=world.real.relief)
    weights = weights_of(DIVERSE, world.real)
    look, step = (flops(program, networks, weights, gradient=gradient) for gradient in (False, True))
    assert 1.5 * look < step < 5 * look
    steps = affordable_steps(program, networks, weights, 21)
    assert look + steps * step <= 21 * look < look + (steps + 1) * step


def test_every_classifier_is_counted(world: World) -> None:
    program, weights = world.program(DIVERSE), weights_of(DIVERSE, world.real)
    relief = world.real.relief
    assert relief is not None
    features = relief.emotion_features
    assert features is not None
    half = features._replace(projection=features.projection[: len(features.projection) // 2])
    two = relief._replace(classifiers=jax.tree.map(lambda leaf: leaf[:2], relief.classifiers), emotion_features=half)
    bare = relief._replace(classifiers=None, emotion_features=None)
    none, few, all_four = (
        flops(program, world.networks._replace(relief=own), weights, gradient=False) for own in (bare, two, relief)
    )
    np.testing.assert_allclose((all_four - none) / (few - none), 2, rtol=0.05)
