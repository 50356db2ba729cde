"""Progress of an evolution: reported while it runs, without changing it."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from configs import smoke
from depthjax import evolving
from depthjax.config import Evolve
from depthjax.evolve import run
from tests.evolve.conftest import CLASSES, DIVERSE, LATENT, SIDE, World


@pytest.mark.nightly  # test_sweep.py looks at the reports of several experiments
def test_generations_are_reported_and_nothing_is_changed(world: World) -> None:
    reports: list[int] = []
    watched = world.evolve(DIVERSE, progress=reports.append)
    assert reports == [0, 1, 2, 3]
    plain = world.evolve(DIVERSE)
    assert reports == [0, 1, 2, 3] and not run._listeners
    jax.tree.map(np.testing.assert_array_equal, watched, plain)
    again: list[int] = []
    world.evolve(DIVERSE, progress=again.append)  # the same program, another listener
    assert again == [0, 1, 2, 3]


@pytest.mark.nightly
def test_a_long_evolution_reports_at_most_twenty_times(world: World) -> None:
    reports: list[int] = []
    world.evolve(replace(DIVERSE, generations=45), progress=reports.append)
    assert reports == list(range(0, 46, 3))


def test_a_listener_is_removed_after_an_error() -> None:
    with pytest.raises(RuntimeError), run.listening(print, 1):
        raise RuntimeError
    assert not run._listeners


def test_long_depends_on_the_operations_of_all_faces(world: World) -> None:
    one = 2 * (LATENT + CLASSES) * SIDE**2  # of its dense layer alone
    few, many = int(0.1 * evolving.LONG["cpu"] / one), int(1.1 * evolving.LONG["cpu"] / one)
    assert not evolving.is_long(world.generator, world.networks.generator, LATENT, few)
    assert evolving.is_long(world.generator, world.networks.generator, LATENT, many)


@pytest.mark.parametrize(("long", "quiet"), [(True, False), (False, False), (True, True)])
def test_a_long_evolution_shows_its_progress(monkeypatch, capsys, long: bool, quiet: bool) -> None:
    monkeypatch.setattr(evolving, "is_long", lambda *_: long)
    config = smoke.get_config()
    inputs = evolving.Inputs(evolving.Networks({}, {}), None)
    with evolving._shown_progress(config, inputs, [Evolve(generations=20)], quiet=quiet) as progress:
        assert (progress is None) == (quiet or not long)
        for done in range(21 if progress else 0):
            progress(done)
    lines = capsys.readouterr().err.splitlines()
    if quiet or not long:
        assert lines == ([] if quiet else ["compiling the evolution, and evolving…"])
    else:
        assert lines[0] == "compiling the evolution…"
        assert [line.split(",")[0] for line in lines[1:]] == [f"generation {n}/20" for n in range(2, 21, 2)]
        assert lines[-1].endswith("0:00 left")
