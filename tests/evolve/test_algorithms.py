"""What every algorithm of the config promises, whichever it is."""

from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import Evolve
from depthjax.evolve.algorithms import ALGORITHMS
from depthjax.evolve.run import Evolution, evolve, faces_within, make_plan
from depthjax.models.dcgan import Generator
from tests.evolve.conftest import CLASSES, LATENT, World

SIZES = {"fitness": "natural", "population": 8, "generations": 4, "islands": 2, "hall_of_fame": 5}
ELITIST = ("paper", "novelty", "mr15_ga")  # whose population keeps its best


def run(world: World, settings: Evolve) -> Evolution:
    return evolve(
        jax.random.key(0, impl="unsafe_rbg"),  # compiles in a third of the time
        world.networks,
        world.real,
        generator=world.generator,
        discriminator=world.discriminator,
        settings=settings,
        latent_size=LATENT,
    )


def without_values(world: World, emotion: int) -> World:
    """The same, but every face of one emotion is NaN."""
    generator: Any = world.networks.generator
    grey = generator["params"]["grey"].at[emotion].set(jnp.nan)
    broken = {"params": generator["params"] | {"grey": grey}}
    return world._replace(networks=world.networks._replace(generator=broken))


def test_the_config_knows_every_algorithm() -> None:
    assert set(ALGORITHMS) == set(get_args(get_type_hints(Evolve)["algorithm"]))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_contract(world: World, name: str) -> None:
    settings = Evolve(algorithm=name, **SIZES)
    found = jax.tree.map(np.asarray, run(world, settings))
    hall = 8 if name == "novelty" else 5
    assert found.winners.shape == (CLASSES, 2, hall, LATENT) and found.winner_fitness.shape == (CLASSES, 2, hall)
    assert found.best.shape == found.mean.shape == found.std.shape == (CLASSES, 2, 5)
    assert all(np.isfinite(part).all() for part in found[:5])
    assert np.all(np.diff(found.winner_fitness) <= 0) and np.all(found.winner_fitness <= 0)
    np.testing.assert_allclose(found.winner_fitness[..., 0], np.maximum.accumulate(found.best, -1)[..., -1], atol=1e-6)
    if name in ELITIST:
        assert np.all(np.diff(found.best) >= 0)
    assert all(len(np.unique(one, axis=0)) == hall for one in found.winners.reshape(-1, hall, LATENT))
    assert len(np.unique(found.winners.reshape(CLASSES * 2, -1), axis=0)) == CLASSES * 2
    everyone = CLASSES * 2 * 8 * 5
    assert found.evaluations <= everyone if name == "paper" else found.evaluations == everyone
    # The same seed once more, with an emotion that has no values: the other one does not notice.
    broken = jax.tree.map(np.asarray, run(without_values(world, 0), settings))
    for part in ("best", "winners", "winner_fitness"):
        np.testing.assert_allclose(getattr(broken, part)[1], getattr(found, part)[1], atol=1e-5)
    assert np.all(broken.best[0] == -np.inf) and np.isnan(broken.winners[0]).all()


def test_bfloat16_is_the_same_generator_but_for_rounding(world: World) -> None:
    parts = {"generator": world.generator, "discriminator": world.discriminator, "latent_size": LATENT}
    plan = make_plan(world.real, settings=Evolve(algorithm="novelty", fitness="natural", dtype="bfloat16"), **parts)
    latents, emotion = jax.random.normal(jax.random.key(0), (4, LATENT)), jnp.zeros(4, jnp.int32)
    nets = (world.generator, plan.static["generator"])
    exact, rounded = (net.apply(world.networks.generator, latents, emotion, train=False) for net in nets)
    assert rounded.dtype == jnp.bfloat16 and not np.array_equal(rounded, exact)
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.03)


def test_a_fitness_that_reads_real_faces_needs_them(world: World) -> None:
    parts = {"generator": world.generator, "discriminator": world.discriminator, "latent_size": LATENT}
    with pytest.raises(ValueError, match="relief"):
        make_plan(world.real._replace(relief=None), settings=Evolve(fitness="natural"), **parts)


def test_the_memory_asked_for_bounds_the_batch() -> None:
    big = Generator(256, 512, 3)
    assert faces_within(1, big) == 1
    assert faces_within(2000, big) == faces_within(2000, Generator(64, 64, 3)) == 10  # the most worth it on a CPU
    plan_of = [faces_within(megabytes, big) for megabytes in (50, 100, 200)]
    assert plan_of == sorted(plan_of) and plan_of[0] < plan_of[-1]
