"""Many experiments as one program: a grid of rates, weights and seeds is vmapped, shapes are looped outside."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh

from depthjax import config
from depthjax.evolve.fitness import BALL, Fitness
from depthjax.evolve.measure import Networks, everywhere, make_measure
from depthjax.evolve.run import STATIC, Island, compiler_options, evolve_islands, make_plan
from depthjax.evolve.statistics import Statistics
from depthjax.evolve.watch import Progress, listening
from depthjax.keys import key_for

SHAPES = ("population", "generations")  # a program for each of their values


class Outcome(NamedTuple):
    """What experiments came to, each array (experiments, classes)."""

    best_fitness: jax.Array
    mean_fitness: jax.Array  # of the last populations
    logit: jax.Array  # from here on of the winners: means over them
    log_probability: jax.Array
    inside: jax.Array  # share within the ball about some real face
    copies: jax.Array  # share too near to a training face
    apart: jax.Array  # distance to the nearest other winner, in the space of shapes
    norm: jax.Array  # of their latents
    evaluations: jax.Array  # faces decoded


def grid(settings: config.Evolve, sweep: config.Sweep) -> list[config.Evolve]:
    """Every combination of the values that a sweep names, for each seed; the first field varies slowest."""
    given = {f.name: getattr(sweep, f.name) for f in fields(sweep) if f.name != "seeds"}
    named = {name: values for name, values in given.items() if values}
    seeds = range(settings.seed, settings.seed + sweep.seeds)
    combinations = itertools.product(*named.values(), seeds)
    return [replace(settings, **dict(zip([*named, "seed"], point, strict=True))) for point in combinations]


def by_shape(experiments: Sequence[config.Evolve]) -> Iterator[list[int]]:
    """Numbers of the experiments that one program can run, a list a program."""
    shapes = [tuple(getattr(settings, name) for name in SHAPES) for settings in experiments]
    for shape in dict.fromkeys(shapes):
        yield [number for number, own in enumerate(shapes) if own == shape]


def run_together(
    experiments: Sequence[config.Evolve],
    networks: Networks,
    real: Statistics,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_size: int,
    fitness: Fitness | None = None,
    images_at_once: int | None = None,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Experiments of one shape, in one dispatch; each is what it would be alone (`run.evolve` with its seed).

    Args:
        experiments: which differ in rates, weights and seeds only.
        networks, real, generator, discriminator, latent_size, fitness, images_at_once, mesh, progress: as of
            `run.evolve`; `real` has its relief.
    """
    parts: dict[str, Any] = {"generator": generator, "discriminator": discriminator, "latent_size": latent_size}
    parts |= {"fitness": fitness, "images_at_once": images_at_once, "mesh": mesh, "watched": progress is not None}
    plans = [make_plan(real, settings=settings, **parts) for settings in experiments]
    if any(plan.static != plans[0].static for plan in plans) or real.relief is None:
        raise ValueError("these experiments are not of one shape, or there is no relief to measure their winners by")
    keys = jnp.stack([key_for(s.seed, "evolve") for s in experiments])
    params, weights = (_stacked([getattr(plan, name) for plan in plans]) for name in ("params", "weights"))
    arguments = (keys, networks._replace(relief=real.relief), params, weights, real.copy_distance)
    program = _compiled(jax.default_backend())
    with listening(progress, experiments[0].generations):
        return program(*everywhere(arguments, mesh), read=plans[0].relief is not None, **plans[0].static)


@lru_cache
def _compiled(platform: str) -> Callable[..., Outcome]:
    """`_outcomes` under jit: sweeps of one shape share a program."""
    return jax.jit(_outcomes, static_argnames=("read", *STATIC), compiler_options=compiler_options(platform))


def _outcomes(
    keys: jax.Array,
    networks: Networks,
    params: Any,
    weights: Any,
    copy_distance: jax.Array,
    *,
    read: bool,
    **static: Any,
) -> Outcome:
    own = networks if read else networks._replace(relief=None)

    def alone(key: jax.Array, params: Any, weights: Any) -> Island:
        return evolve_islands(key, own, params, weights, **static)

    islands = jax.vmap(alone)(keys, params, weights)
    x, classes, _, _, d = islands.winners.shape
    winners = islands.winners.reshape(x, classes, -1, d)
    emotion = jnp.broadcast_to(jnp.arange(classes)[None, :, None], winners.shape[:3])
    there = jnp.isfinite(winners).all(-1)
    parts = (static[name] for name in ("generator", "discriminator", "images_at_once", "mesh"))
    measure = partial(make_measure(*parts), networks)
    faces = jax.vmap(jax.vmap(measure))(jnp.where(there[..., None], winners, 0), emotion, there)
    mean = partial(jnp.mean, axis=-1, where=there)
    return Outcome(
        islands.best[..., -1].max(-1),
        islands.mean[..., -1].mean(-1),
        mean(faces.logit),
        mean(faces.log_probability),
        mean(faces.outside <= BALL),
        mean(faces.nearest < copy_distance[None, :, None]),
        mean(jax.vmap(jax.vmap(_to_next))(faces.descriptor, there)),
        mean(jnp.linalg.norm(winners, axis=-1)),
        islands.evaluations.sum(-1),
    )


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _to_next(descriptors: jax.Array, there: jax.Array) -> jax.Array:
    """(n,) distance of each of (n, k) to the nearest other one that is there; 0 where there is none."""
    gap = jnp.sqrt(((descriptors[:, None] - descriptors[None]) ** 2).sum(-1))
    nearest = jnp.where(there[None] & ~jnp.eye(len(gap), dtype=bool), gap, jnp.inf).min(1)
    return jnp.where(jnp.isfinite(nearest), nearest, 0)
