"""One evolution on one device and on several, which share the faces: the same populations, only measures sent."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.train.test_mesh import FLAGS, ROOT


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {"XLA_FLAGS": FLAGS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", "tests.evolve.on_devices"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("count", [2, 4, 8])  # neither 4 nor 8 divides what is decoded: 2 emotions x 3 islands x 10
@pytest.mark.parametrize("case", ["paper", "novelty", "sweep"])
def test_any_number_of_devices_makes_the_same_evolution(found, case, count):
    one, several = found[f"{case} 1"], found[f"{case} {count}"]
    assert one.keys() == several.keys()
    for name, values in one.items():
        np.testing.assert_allclose(several[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert found.get(f"told paper {count}") == found.get(f"told novelty {count}") == list(range(7))
    assert np.ptp(one["mean" if case != "sweep" else "mean_fitness"]) > 0


def test_devices_only_ever_send_what_was_measured(found):
    assert not any(found["collectives 1"].values())
    for count in (2, 4, 8):
        counted = found[f"collectives {count}"]
        assert counted.pop("all-gather") > 0
        counted.pop("collective-permute")  # the odd rows of what is gathered
        assert not any(counted.values())
        assert 0 < found[f"largest {count}"] <= 8 * 64  # a few numbers of each face (60, padded): no pixels
