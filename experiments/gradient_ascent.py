"""Gradient ascent through the generator: latents that climb the fitness, each on the sphere that it was drawn on.

The generator is differentiable, so this is what evolution must beat at equal floating-point operations. Of `natural`
every term has a gradient (at clips and hinges, one side's) but the step that forbids copies: it has none, and counts
where the best latent of a climb is taken. Drawn pixels of a validity mask pass the straight-through gradient that the
generator is trained by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthjax import config
from depthjax.evolve.fitness import Weights, of_emotion, weights_of, worst_if_not_finite
from depthjax.evolve.program import Networks, Program, compiled, measure_batch
from depthjax.evolve.statistics import Statistics
from experiments.references import random_latents

ANGLE = 0.3  # radians of a step: of 0.05 to 0.4, about the best on one run


class Climb(NamedTuple):
    """Latents on their way, and the best that each has been."""

    latents: jax.Array  # (n, d)
    best: jax.Array  # (n, d)
    fitness: jax.Array  # (n,) of the best


def ascend(
    program: Program,
    key: jax.Array,
    networks: Networks,
    real: Statistics,
    settings: config.Evolve,
    *,
    count: int,
    evaluations: int,
) -> tuple[np.ndarray, int]:
    """Return the best latents (classes, count, d) of climbs from random ones, and how many steps they took.

    The climbs cost as much as `evaluations` faces of each emotion decoded and measured, rounded down to whole steps.
    """
    program = replace(program, mesh=None)
    networks, weights = networks._replace(relief=real.relief), weights_of(settings, real)
    latents = random_latents(key, len(real.logit_median), count, program.algorithm.num_dims)
    flat = latents.reshape(-1, latents.shape[-1])
    emotion = jnp.repeat(jnp.arange(len(latents)), count)
    steps = affordable_steps(program, networks, weights, evaluations / count)
    climb, size = compiled(_climb), min(program.images_at_once, len(flat))
    found = []
    for start in range(0, len(flat), size):
        rows = jnp.arange(start, start + size).clip(max=len(flat) - 1)
        found.append(climb(program, networks, weights, flat[rows], emotion[rows], steps))
    best = np.concatenate([np.asarray(part) for part in found])[: len(flat)]
    return best.reshape(latents.shape), steps


def affordable_steps(program: Program, networks: Networks, weights: Weights, faces: float) -> int:
    """Return how many steps of a face, and one look at the last, cost no more than decoding and measuring `faces`."""
    look, step = flops(program, networks, weights, gradient=False), flops(program, networks, weights, gradient=True)
    return max(0, int((faces - 1) * look / step))


def flops(program: Program, networks: Networks, weights: Weights, *, gradient: bool) -> float:
    """Return the floating-point operations of one face's fitness, or of fitness and gradient, by XLA's count.

    XLA counts a loop's body once, so the emotion classifiers but the first are added.
    """
    relief = networks.relief

    def counted(networks: Networks) -> float:
        function = jax.jit(_with_gradient if gradient else _fitness, static_argnums=0)
        latents = jax.ShapeDtypeStruct((1, program.algorithm.num_dims), jnp.float32)
        lowered = function.lower(program, networks, weights, latents, jax.ShapeDtypeStruct((1,), jnp.int32))
        cost: Any = lowered.cost_analysis()
        return float(cost["flops"])

    total = counted(networks)
    if relief is None or relief.classifiers is None:
        return total
    without = counted(networks._replace(relief=relief._replace(classifiers=None, emotion_features=None)))
    return total + (len(jax.tree.leaves(relief.classifiers)[0]) - 1) * (total - without)


def step_on_sphere(latents: jax.Array, gradient: jax.Array, *, angle: float) -> jax.Array:
    """Turn latents (n, d) by an angle towards their gradients, so that norms stay; without a gradient they stay too."""
    norm = jnp.linalg.norm(latents, axis=1, keepdims=True)
    unit = latents / norm
    tangent = gradient - (gradient * unit).sum(1, keepdims=True) * unit
    length = jnp.linalg.norm(tangent, axis=1, keepdims=True)
    moves = jnp.isfinite(length) & (length > 0)
    turned = jnp.cos(angle) * unit + jnp.sin(angle) * tangent / jnp.where(moves, length, 1)
    return jnp.where(moves, norm * turned, latents)


def _climb(
    program: Program, networks: Networks, weights: Weights, latents: jax.Array, emotion: jax.Array, steps: int
) -> jax.Array:
    """Return the best of (n, d) latents after each of `steps`, a number that may be traced."""

    def step(number: jax.Array, climb: Climb) -> Climb:
        fitness, gradient = _with_gradient(program, networks, weights, climb.latents, emotion)
        climb = _better(climb, fitness)
        return climb._replace(latents=step_on_sphere(climb.latents, gradient, angle=ANGLE))

    begin = Climb(latents, latents, jnp.full(len(latents), -jnp.inf))
    climb = jax.lax.fori_loop(0, steps, step, begin)
    return _better(climb, _fitness(program, networks, weights, climb.latents, emotion)).best


def _better(climb: Climb, fitness: jax.Array) -> Climb:
    better = fitness > climb.fitness
    best = jnp.where(better[:, None], climb.latents, climb.best)
    return climb._replace(best=best, fitness=jnp.where(better, fitness, climb.fitness))


def _fitness(
    program: Program, networks: Networks, weights: Weights, latents: jax.Array, emotion: jax.Array
) -> jax.Array:
    faces = measure_batch(program, networks, latents, emotion)
    of_faces = jax.vmap(of_emotion, in_axes=(None, 0))(weights, emotion)
    return worst_if_not_finite(jax.vmap(program.fitness)(faces, latents, of_faces))


def _with_gradient(
    program: Program, networks: Networks, weights: Weights, latents: jax.Array, emotion: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return fitness (n,) and its gradient (n, d)."""

    def total(latents: jax.Array) -> tuple[jax.Array, jax.Array]:
        fitness = _fitness(program, networks, weights, latents, emotion)
        return fitness.sum(), fitness

    (_, fitness), gradient = jax.value_and_grad(total, has_aux=True)(latents)
    return fitness, gradient
