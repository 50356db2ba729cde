"""A grid of experiments in one program: each is what it is alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from depthjax.config import Evolve, Sweep
from depthjax.evolve.run import grid, run_together
from depthjax.keys import key_for
from tests.evolve.conftest import CLASSES, DIVERSE, RELEASED, World


def test_the_grid_has_every_combination() -> None:
    sweep = Sweep(seeds=2, grid={"angle": (0.1, 0.2), "population": (4, 6, 8)})
    made = grid(replace(DIVERSE, seed=5), sweep)
    assert len(made) == len(set(made)) == 12
    assert {s.seed for s in made} == {5, 6} and {s.angle for s in made} == {0.1, 0.2}
    assert [s.population for s in made[:4]] == [4, 4, 6, 6]  # the last field varies fastest, but for the seed


def test_sizes_take_a_program_each(world: World) -> None:
    made = grid(DIVERSE, Sweep(seeds=2, grid={"angle": (0.1, 0.2), "population": (4, 6), "islands": (1, 2)}))
    programs = [world.program(settings) for settings in made]
    assert len(set(programs)) == 4 and programs[0] == programs[1] == programs[8]


CASES = (
    (RELEASED, {"mutation_sigma": (0.1, 0.4)}),
    pytest.param(
        DIVERSE,
        {"angle": (0.2, 0.8), "emotion_weight": (0.5,)},
        marks=pytest.mark.nightly,
    ),
)


@pytest.mark.parametrize(("base", "values"), CASES, ids=["released", "k_dpp"])
def test_experiments_together_are_each_what_it_is_alone(world: World, base: Evolve, values: dict[str, Any]) -> None:
    made = grid(base, Sweep(seeds=2, grid=values))
    reports: list[int] = []
    arguments = world.program(base), made, world.networks, world.real
    found = run_together(*arguments, progress=reports.append)
    assert reports == [0, 1, 2, 3]  # once for all
    assert all(np.isfinite(values).all() and values.shape == (4, CLASSES) for values in found)
    for number, settings in enumerate(made):
        alone = world.evolve(settings, key_for(settings.seed, "evolve"))
        np.testing.assert_allclose(found.best_fitness[number], alone.best[..., -1].max(1), atol=1e-5)
        np.testing.assert_allclose(found.mean_fitness[number], alone.mean[..., -1].mean(1), atol=1e-5)
        norms = np.linalg.norm(alone.winners, axis=-1).mean((1, 2))
        np.testing.assert_allclose(found.norm[number], norms, atol=1e-5)
        np.testing.assert_array_equal(found.evaluations[number], alone.evaluations.sum(1))
    assert not np.allclose(found.norm[0], found.norm[2])  # of one seed, with another value


def test_experiments_of_other_sizes_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="not of this program"):
        together = [DIVERSE, replace(DIVERSE, population=10)]
        run_together(world.program(DIVERSE), together, world.networks, world.real)
