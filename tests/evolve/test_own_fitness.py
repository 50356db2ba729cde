"""A fitness of the user's own: a file and a function in it, checked before anything is trained."""

import shutil

import numpy as np
import pytest

from depthjax.__main__ import main
from depthjax.config import Config
from depthjax.config_values import override
from depthjax.errors import ConfigError
from depthjax.evolve.fitness import EVERYTHING, reads_of
from depthjax.evolving import load_fitness
from depthjax.pipeline import EVOLVE
from tests.conftest import CHEAP, SMOKE

FLAT = """
def flat(face, latent, weights):
    return -face.std
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write mine.py into the folder that the user is in."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)

    return write


def asked(name):
    return override(Config(), {"evolve.fitness": name})


def test_unknown_names_are_errors_with_a_hint():
    with pytest.raises(ConfigError, match=r"'realsm' is neither one of realism.*did you mean 'realism'\?"):
        asked("realsm")
    for name in ("mine.py", "mine.py:", "mine.py:a b", "mine.txt:flat", ":flat"):
        with pytest.raises(ConfigError, match=r"nor FILE\.py:FUNCTION"):
            asked(name)


def test_a_named_fitness_is_no_file():
    assert load_fitness(asked("natural")) is None


def test_one_content_of_a_file_is_one_function(written):
    written(FLAT)
    first = load_fitness(asked("mine.py:flat"))
    assert load_fitness(asked("mine.py:flat")) is first
    written(FLAT + "\n# another\n")
    assert load_fitness(asked("mine.py:flat")) is not first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def flat(:", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("x = 1", "has no function 'flat'"),
        ("def flat(face): return face.std", "TypeError"),
        ("def flat(face, latent, weights): return face.colour", "no attribute 'colour'"),
        ("def flat(face, latent, weights): return latent", r"one real number for one face, and gave .*256"),
        ("def flat(face, latent, weights): return 'x'", "TypeError"),
        ("def flat(face, latent, weights): return float(face.std)", "Abstract tracer|ConcretizationTypeError"),
        ("def flat(face, latent, weights): return 1", "one real number"),
    ],
)
def test_a_fitness_that_cannot_be_run_is_one_line_before_training(written, tmp_path, capsys, text, says):
    written(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_fitness(asked("mine.py:flat"))
    assert "mine.py" in str(caught.value)
    assert main(["--config", SMOKE, "--workdir", str(tmp_path / "run"), "--config.evolve.fitness=mine.py:flat"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("depthjax: --config.evolve.fitness mine.py") and output.err.count("\n") == 1
    assert "starting" not in output.out


def test_a_file_that_is_gone_is_named(written, tmp_path, capsys):
    written(FLAT)
    assert main(["--config", SMOKE, "--workdir", str(tmp_path / "run"), "--config.evolve.fitness=no.py:flat"]) == 2
    assert capsys.readouterr().err == "depthjax: --config.evolve.fitness no.py: no such file\n"


def test_evolution_follows_it_and_begins_anew_when_it_changes(finished, written, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    written(FLAT)
    command = ["--config", SMOKE, "--workdir", "run", *CHEAP, "--stages=evolve", "--config.evolve.fitness=mine.py:flat"]
    assert main(command) == 0
    best = np.load("run/evolve/history.npz")["best"]
    assert (best <= 0).all() and (best >= -1).all() and (np.diff(best, axis=-1) >= 0).all()
    assert (tmp_path / "run" / "evolve" / "fitness.py").read_text() == FLAT
    assert main(command) == 0 and "evolve: done before" in capsys.readouterr().out
    before = EVOLVE.fingerprint(asked("mine.py:flat"))
    written(FLAT.replace("-face.std", "-2 * face.std"))
    assert EVOLVE.fingerprint(asked("mine.py:flat")) != before
    assert main(command[:-1]) == 0  # with the config's own fitness, as the run evolved: compiled before
    assert "evolve: starting" in capsys.readouterr().out
    assert not (tmp_path / "run" / "evolve" / "fitness.py").exists()


def test_it_reads_every_measure(written):
    written(
        "def flat(face, latent, weights):\n    return sum(x.sum() for x in face) + latent.sum() + weights.copy_distance"
    )
    fitness = load_fitness(asked("mine.py:flat"))
    assert reads_of(fitness) == EVERYTHING
