"""The same run from Python, without the launcher."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import depthjax
from depthjax.errors import ConfigError, UserError
from depthjax.files import read_arrays, read_json
from depthjax.methods import inversions
from tests.conftest import METHODS, SMOKE


@pytest.fixture
def config(smoke_config):
    return smoke_config


def quiet(line):
    del line


def test_settings_are_those_of_the_command_line(config):
    assert config.sample.methods == METHODS
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        depthjax.load_config(SMOKE, {"train.epoch": 3})
    with pytest.raises(ConfigError, match="no such file"):
        depthjax.load_config("configs/none.py")


@pytest.mark.parametrize("method", METHODS)
def test_samples_are_those_that_the_run_wrote(finished, config, method):
    faces = depthjax.sample_faces(config, finished, method=method)
    stored = read_arrays(finished / "samples" / method / "samples.npz")
    assert np.array_equal(faces.images, stored["images"]) and np.array_equal(faces.emotion, stored["emotion"])


def test_other_seeds_counts_and_emotions(finished, config):
    one, other = (depthjax.sample_faces(config, finished, emotions=("fear",), count=3, seed=seed) for seed in (1, 2))
    assert one.images.shape == (3, 32, 32) and set(one.emotion) == {config.data.emotions.index("fear")}
    assert not np.array_equal(one.images, other.images)
    with pytest.raises(ConfigError, match="envy"):
        depthjax.sample_faces(config, finished, emotions=("envy",))
    with pytest.raises(UserError, match="method 'vae' is not one of"):
        depthjax.sample_faces(config, finished, method="vae")


def test_a_finished_run_is_not_done_again(finished, config):
    said = []
    depthjax.train_methods(config, finished, log=said.append)
    train, test = depthjax.load_faces(config, finished, log=quiet)
    assert said == [
        "prepare: done before, unchanged",
        "train: done before, unchanged",
        "baselines: done before, unchanged",
    ]
    assert not set(train.subject) & set(test.subject)


def test_faces_from_anywhere_are_judged_as_the_run_judged_its_own(finished, config):
    faces = {name: depthjax.sample_faces(config, finished, method=name) for name in METHODS}
    found = depthjax.evaluate_faces(config, finished, faces, inversions=inversions(config, finished), log=quiet)
    assert found.to_json() == read_json(finished / "evaluation.json")
    train, _ = depthjax.load_faces(config, finished, log=quiet)
    small = replace(train, images=train.images[:, ::2, ::2])
    with pytest.raises(UserError, match="images of method mine"):
        depthjax.evaluate_faces(config, finished, {"mine": small}, log=quiet)


def test_nothing_heavy_is_imported_for_the_name_alone():
    code = "import sys, depthjax; print([m for m in ('jax', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n" and callable(depthjax.sample_faces)
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        depthjax.smaple  # noqa: B018
