"""How far an evolution is: told while it runs, and nothing of it changed."""

from dataclasses import replace

import numpy as np
import pytest

from configs import smoke
from depthjax import evolving
from depthjax.config import Evolve, Sweep
from depthjax.evolve import watch
from depthjax.evolve.run import evolve
from depthjax.evolve.sweep import grid, run_together
from depthjax.keys import key_for
from tests.evolve.conftest import CLASSES, LATENT, SIDE, World

SETTINGS = Evolve(algorithm="novelty", fitness="natural", population=6, generations=3, islands=2)


def test_generations_are_told_and_nothing_is_changed(world: World) -> None:
    parts = {"generator": world.generator, "discriminator": world.discriminator, "latent_size": LATENT}
    parts |= {"settings": SETTINGS}
    told: list[int] = []
    key = key_for(0, "evolve")
    watched = evolve(key, world.networks, world.real, **parts, progress=told.append)
    assert told == [0, 1, 2, 3]
    plain = evolve(key, world.networks, world.real, **parts)
    assert told == [0, 1, 2, 3] and not watch._listeners
    for ours, theirs in zip(watched, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    long: list[int] = []
    evolve(
        key,
        world.networks,
        world.real,
        **(parts | {"settings": replace(SETTINGS, generations=45)}),
        progress=long.append,
    )
    assert long == list(range(0, 46, 3))
    again: list[int] = []
    evolve(key, world.networks, world.real, **parts, progress=again.append)  # the same program, another listener
    assert again == told == [0, 1, 2, 3]


def test_experiments_together_tell_a_generation_once_for_all(world: World) -> None:
    told: list[int] = []
    run_together(
        grid(replace(SETTINGS, islands=1), Sweep(seeds=2)),
        world.networks,
        world.real,
        generator=world.generator,
        discriminator=world.discriminator,
        latent_size=LATENT,
        progress=told.append,
    )
    assert told == [0, 1, 2, 3]


def test_a_listener_goes_with_an_error() -> None:
    with pytest.raises(RuntimeError), watch.listening(print, 1):
        raise RuntimeError
    assert not watch._listeners


def test_long_goes_by_the_operations_of_all_faces(world: World) -> None:
    one = 2 * (LATENT + CLASSES) * SIDE**2  # of its dense layer alone
    few, many = int(0.1 * watch.LONG["cpu"] / one), int(1.1 * watch.LONG["cpu"] / one)
    assert not watch.is_long(world.generator, world.networks.generator, LATENT, few)
    assert watch.is_long(world.generator, world.networks.generator, LATENT, many)


@pytest.mark.parametrize(("long", "quiet"), [(True, False), (False, False), (True, True)])
def test_a_long_evolution_says_how_far_it_is(monkeypatch, capsys, long: bool, quiet: bool) -> None:
    monkeypatch.setattr(evolving, "is_long", lambda *_: long)
    config = smoke.get_config()
    inputs = evolving.Inputs(evolving.Networks({}, {}), None)
    with evolving._watched(config, inputs, [Evolve(generations=20)], quiet=quiet) as progress:
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
