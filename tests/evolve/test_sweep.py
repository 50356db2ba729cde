"""A grid of experiments in one program: each is what it is alone."""

from dataclasses import replace

import numpy as np
import pytest

from depthjax.config import Evolve, Sweep
from depthjax.evolve.run import evolve
from depthjax.evolve.sweep import by_shape, grid, run_together
from depthjax.keys import key_for
from tests.evolve.conftest import CLASSES, LATENT, World

SETTINGS = Evolve(algorithm="novelty", fitness="natural", population=6, generations=3, islands=1)


def test_the_grid_has_every_combination_and_is_split_by_shape() -> None:
    made = grid(replace(SETTINGS, seed=5), Sweep(seeds=2, angle=(0.1, 0.2), population=(4, 6, 8)))
    assert len(made) == 12 and len(set(made)) == 12
    assert {s.seed for s in made} == {5, 6} and {s.angle for s in made} == {0.1, 0.2}
    groups = list(by_shape(made))
    assert [len(numbers) for numbers in groups] == [4, 4, 4] and sorted(i for g in groups for i in g) == list(range(12))
    assert all(len({made[i].population for i in numbers}) == 1 for numbers in groups)


def test_experiments_together_are_each_what_it_is_alone(world: World) -> None:
    parts = {"generator": world.generator, "discriminator": world.discriminator, "latent_size": LATENT}
    made = grid(SETTINGS, Sweep(seeds=2, cover=(0.0, 0.8), balance=(5.0,), emotion_weight=(0.5,)))
    found = run_together(made, world.networks, world.real, **parts)
    assert all(np.isfinite(values).all() and values.shape == (4, CLASSES) for values in found)
    for number, settings in enumerate(made):
        alone = evolve(key_for(settings.seed, "evolve"), world.networks, world.real, settings=settings, **parts)
        np.testing.assert_allclose(found.best_fitness[number], alone.best[:, 0, -1], atol=1e-5)
        np.testing.assert_allclose(found.mean_fitness[number], alone.mean[:, 0, -1], atol=1e-5)
        norms = np.linalg.norm(alone.winners, axis=-1).mean((1, 2))
        np.testing.assert_allclose(found.norm[number], norms, atol=1e-5)
    assert not np.allclose(found.norm[0], found.norm[2])  # of one seed, with cover and without
    with pytest.raises(ValueError, match="not of one shape"):
        run_together([SETTINGS, replace(SETTINGS, population=8)], world.networks, world.real, **parts)
