"""Whole experiments on a small generator: invariants of the scan, the islands, the batch and the hall of fame."""

from functools import partial
from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from depthjax.config import Evolve
from depthjax.errors import UserError
from depthjax.evolve import run
from depthjax.evolve.fitness import EVERYTHING
from depthjax.evolve.program import EVOSAX, Networks, images_within, make_program, measure_faces
from depthjax.evolve.run import Evolution, check_finite, evolve
from depthjax.evolve.statistics import Statistics
from depthjax.models.dcgan import Generator
from tests.evolve.conftest import CLASSES, DIVERSE, LATENT, PAPER, RELEASED, SIZES, World

ELITIST = ("paper", "k_dpp", "mr15_ga")  # whose population keeps its best
LONG = ("mr15_ga", "samr_ga", "sep_cma_es")
ALGORITHMS = ("paper", "k_dpp", *EVOSAX)


@pytest.fixture(scope="module")
def released(world: World) -> Evolution:
    return world.evolve(RELEASED)


def assert_close(ours: Any, theirs: Any) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), ours, theirs)


def fitness_of(world: World, latents: np.ndarray) -> np.ndarray:
    """10 std - 5 |mean| of (classes, islands, n, d) latents, decoded plainly and reduced by numpy."""
    emotion = np.broadcast_to(np.arange(CLASSES)[:, None, None], latents.shape[:-1]).reshape(-1)
    images = world.generator.apply(world.networks.generator, latents.reshape(-1, LATENT), emotion, train=False)
    flat = np.asarray(images).reshape(len(images), -1).astype(np.float64)
    return (10 * flat.std(1) - 5 * np.abs(flat.mean(1))).reshape(latents.shape[:-1])


def test_the_config_knows_every_algorithm() -> None:
    assert set(ALGORITHMS) == set(get_args(get_type_hints(Evolve)["algorithm"]))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.nightly] if n in LONG else []) for n in ALGORITHMS]
)
def test_contract_of_every_algorithm(world: World, name: str) -> None:
    # k_dpp reads training faces in any case; elsewhere `natural`, which does so too, takes long to compile.
    fitness, most = ("natural", 0.0) if name == "k_dpp" else ("released", 10.0)
    settings = Evolve(algorithm=name, fitness=fitness, **SIZES)
    # Keys of this kind compile in a third of the time; the paper's program is compiled for the others here.
    key = jax.random.key(0, impl=None if name == "paper" else "unsafe_rbg")
    found = world.evolve(settings, key)
    hall = 8 if name == "k_dpp" else 5
    assert found.winners.shape == (CLASSES, 2, hall, LATENT) and found.winner_fitness.shape == (CLASSES, 2, hall)
    assert found.best.shape == found.mean.shape == found.std.shape == found.variety.shape == (CLASSES, 2, 4)
    numbers = (found.best, found.mean, found.std, found.winners, found.winner_fitness)
    assert all(np.isfinite(part).all() and part.dtype == np.float32 for part in numbers)
    assert np.all((found.variety > 1) & (found.variety <= hall)) if name == "k_dpp" else np.isnan(found.variety).all()
    assert np.all(np.diff(found.winner_fitness) <= 0) and np.all(found.winner_fitness <= most)
    assert np.all(found.best >= found.mean)
    np.testing.assert_allclose(found.winner_fitness[..., 0], np.maximum.accumulate(found.best, -1)[..., -1], atol=1e-6)
    if name in ELITIST:
        assert np.all(np.diff(found.best) >= 0)
    assert all(len(np.unique(one, axis=0)) == hall for one in found.winners.reshape(-1, hall, LATENT))
    assert len(np.unique(found.winners.reshape(CLASSES * 2, -1), axis=0)) == CLASSES * 2
    everyone = CLASSES * 2 * 8 * 4
    total = found.evaluations.sum()
    assert 0.7 * everyone < total < everyone if name == "paper" else total == everyone
    # The same key, with an emotion that has no values: the other one is not affected.
    broken = world.without_values(0).evolve(settings, key)
    for part in ("best", "mean", "winners", "winner_fitness"):
        np.testing.assert_allclose(getattr(broken, part)[1], getattr(found, part)[1], atol=1e-5)
    assert np.all(broken.best[0] == -np.inf) and np.all(broken.winner_fitness[0] == -np.inf)
    assert np.isnan(broken.winners[0]).all()
    check_finite(found, ("fear", "anger"))
    with pytest.raises(UserError, match="no face of fear had a finite fitness in island 0"):
        check_finite(broken, ("fear", "anger"))


def test_winners_are_distinct_sorted_and_of_the_stated_fitness(world: World, released: Evolution) -> None:
    fitness = released.winner_fitness
    assert np.all(np.diff(fitness) <= 0)
    np.testing.assert_allclose(fitness, fitness_of(world, released.winners), atol=1e-4)
    np.testing.assert_array_equal(fitness[..., 0], released.best[..., -1])
    for hall in released.winners.reshape(-1, 5, LATENT):
        assert len(np.unique(hall, axis=0)) == 5


def test_evolution_improves_the_population(released: Evolution) -> None:
    assert np.all(released.best[..., -1] >= released.best[..., 0])
    assert np.all(released.mean[..., -1] > released.mean[..., 0])


def test_same_key_same_result_other_key_another(world: World, released: Evolution) -> None:
    jax.tree.map(np.testing.assert_array_equal, world.evolve(RELEASED), released)
    assert not np.array_equal(world.evolve(RELEASED, jax.random.key(1)).winners, released.winners)


def test_an_island_does_not_depend_on_the_others(world: World, released: Evolution) -> None:
    alone = world.evolve(Evolve(fitness="released", **{**SIZES, "islands": 1}))
    assert_close(tuple(part[:, 0] for part in alone), tuple(part[:, 0] for part in released))


@pytest.mark.nightly
def test_realism_stops_at_the_median_of_training_faces(world: World) -> None:
    found = world.evolve(Evolve(**{**vars(PAPER), "fitness": "realism", "generations": 40}))
    ceiling = np.broadcast_to(np.asarray(world.real.logit_median)[:, None, None], found.best.shape)
    assert np.all(found.best <= ceiling + 1e-6)
    assert np.any(np.isclose(found.best[..., -1], ceiling[..., -1]))


@pytest.mark.parametrize("mesh", [None, Mesh(jax.devices()[:1], ("faces",))], ids=["plain", "mesh"])
def test_chunks_are_the_plain_batch(world: World, mesh: Mesh | None) -> None:
    """Chunks with a remainder, and rows that are not needed; test_devices.py has meshes of several devices."""
    program = world.program(Evolve(fitness="realism", **SIZES), mesh=mesh)
    latents = jax.random.normal(jax.random.key(3), (30, LATENT))
    emotion, needed = jnp.arange(30) % CLASSES, jax.random.bernoulli(jax.random.key(4), 0.7, (30,))
    found = jax.jit(measure_faces, static_argnums=0)(program, world.networks, latents, emotion, needed)
    images = world.generator.apply(world.networks.generator, latents, emotion, train=False)
    logits = world.discriminator.apply(world.networks.discriminator, images, emotion, train=False)
    for ours, plain in zip(found[:3], (images.mean((1, 2)), images.std((1, 2)), logits), strict=True):
        np.testing.assert_allclose(ours[needed], plain[needed], atol=1e-5)
    assert np.isnan(found.outside[needed]).all() and found.descriptor.shape == (30, 0)  # not read by realism


def test_the_generator_sees_one_flat_batch_and_weights_stay_arguments() -> None:
    """The released generator: populations lower to convolutions of one batch, ungrouped."""
    generator = Generator(16, 16, CLASSES)
    shapes = jax.eval_shape(
        partial(generator.init, train=False), jax.random.key(0), jnp.zeros((1, LATENT)), jnp.zeros(1, jnp.int32)
    )
    nets = {"generator": generator, "discriminator": generator}  # the fitness reads no discriminator
    program = make_program(RELEASED, **nets, latent_size=LATENT, images_at_once=100)
    networks, real = Networks(shapes, {}), Statistics(jnp.zeros(CLASSES))
    arguments = run.arguments_of(program, jax.random.key(0)[None], networks, real, [RELEASED])
    text = run.compiled(run.run_experiments).lower(program, *arguments).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert convolutions and all(f"-> tensor<{CLASSES * 2 * 8}x" in line for line in convolutions)
    assert all("feature_group_count = 1" in line for line in convolutions)


def test_bfloat16_is_the_same_generator_except_for_rounding(world: World) -> None:
    program = world.program(Evolve(algorithm="k_dpp", fitness="natural", dtype="bfloat16"))
    latents, emotion = jax.random.normal(jax.random.key(0), (4, LATENT)), jnp.zeros(4, jnp.int32)
    nets = (world.generator, program.generator)
    exact, rounded = (net.apply(world.networks.generator, latents, emotion, train=False) for net in nets)
    assert rounded.dtype == jnp.bfloat16 and not np.array_equal(rounded, exact)
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.03)


def test_a_program_is_hashable_and_says_what_is_read(world: World) -> None:
    assert world.program(PAPER) == world.program(PAPER) and len({world.program(PAPER), world.program(PAPER)}) == 1
    assert world.program(PAPER) != world.program(Evolve(**{**vars(PAPER), "population": 10}))
    assert world.program(PAPER).reads == () and world.program(DIVERSE).reads == ("relief",)
    own = world.program(PAPER, fitness=lambda face, latent, weights: face.std)
    assert own.reads == EVERYTHING


def test_a_fitness_that_reads_training_faces_needs_them(world: World) -> None:
    program, bare = world.program(DIVERSE), Statistics(world.real.logit_median)
    with pytest.raises(ValueError, match="relief"):
        evolve(program, jax.random.key(0), world.networks, bare, DIVERSE)


def test_the_memory_budget_bounds_the_batch() -> None:
    big = Generator(256, 512, 3)
    assert images_within(1, big) == 1
    assert images_within(2000, big) == images_within(2000, Generator(64, 64, 3)) == 10  # the largest on a CPU
    sizes = [images_within(megabytes, big) for megabytes in (50, 100, 200)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
