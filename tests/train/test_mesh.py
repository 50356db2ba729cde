"""One training on one device and on several: the same losses, the same weights, nothing but sums between devices."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from depthjax.config import Config
from depthjax.errors import UserError
from depthjax.train.mesh import mesh_for

ROOT = Path(__file__).parents[2]
FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
if jax.__version_info__ < (0, 11):  # compiles in half of the time; later there is no other way, nor this flag
    FLAGS += " --xla_cpu_use_fusion_emitters=false"


def _ran(folder, wanted, counts):
    """What tests/train/on_devices.py prints, run with eight devices."""
    command = [sys.executable, "-m", "tests.train.on_devices", str(folder), wanted, *map(str, counts)]
    environment = os.environ | {"XLA_FLAGS": FLAGS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _only_sums(counted):
    return counted.pop("all-reduce") > 0 and not any(counted.values())


@pytest.mark.nightly
@pytest.mark.parametrize("counts", [(1, 2), (1, 4, 8)])
def test_any_number_of_devices_makes_the_same_training(counts, tmp_path):
    found = _ran(tmp_path, "resident", counts)
    one = found["resident 1"]
    assert len(one["losses"]) == 3 and one["losses"][0] != one["losses"][2]
    assert not any(one["collectives"].values())
    for count in counts[1:]:
        several = found[f"resident {count}"]
        np.testing.assert_allclose(several["losses"], one["losses"], atol=1e-5)
        assert several["apart"] < 1e-5
        assert _only_sums(several["collectives"])
    for count in counts[:-1]:  # a checkpoint of the most devices goes on with fewer
        resumed = found[f"resumed {count}"]
        assert resumed["steps"] == [9, 12] and resumed["apart"] < 1e-5


@pytest.mark.nightly
def test_so_do_streamed_faces_in_microbatches(tmp_path):
    found = _ran(tmp_path, "streamed", (1, 4))
    one, four = found["streamed 1"], found["streamed 4"]
    np.testing.assert_allclose(four["losses"], one["losses"], atol=1e-5)
    assert four["apart"] < 1e-5 and _only_sums(four["collectives"])


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "wanted", "there", "used"),
    [(32, 1, 0, 8, 8), (300, 1, 0, 8, 6), (32, 8, 0, 8, 4), (32, 1, 2, 8, 2), (31, 1, 0, 8, None), (32, 1, 1, 8, None)],
)
def test_as_many_devices_as_divide_a_part_of_the_batch(batch_size, accumulate, wanted, there, used):
    train = replace(Config().train, batch_size=batch_size, accumulate=accumulate, devices=wanted)
    mesh = mesh_for(replace(Config(), train=train), jax.devices() * there)
    assert (mesh and mesh.size) == used


@pytest.mark.parametrize(("wanted", "says"), [(9, "there are 8"), (5, "does not divide 32 faces")])
def test_devices_that_are_not_there_or_do_not_divide_are_refused(wanted, says):
    config = replace(Config(), train=replace(Config().train, devices=wanted))
    with pytest.raises(UserError, match=says):
        mesh_for(config, jax.devices() * 8)
