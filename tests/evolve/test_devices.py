"""One evolution on one device and on several, which share the faces: the same populations, only measures sent."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.train.test_mesh import FLAGS, ROOT

pytestmark = pytest.mark.nightly  # test_run.py measures faces over a mesh of one device
MANY = (2, 3, 8)


@pytest.fixture(scope="module")
def found():
    counts = ",".join(map(str, (1, *MANY)))
    environment = os.environ | {"XLA_FLAGS": FLAGS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", "tests.evolve.on_devices", counts]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("case", ["paper", "k_dpp", "sweep"])
def test_any_number_of_devices_makes_the_same_evolution(found, case, count):
    # Neither 3 nor 8 x images_at_once divides the 2 emotions x 2 islands x 8 latents.
    one, several = found[f"{case} 1"], found[f"{case} {count}"]
    assert one.keys() == several.keys()
    for name, values in one.items():
        np.testing.assert_allclose(several[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert found[f"reports paper {count}"] == found[f"reports k_dpp {count}"] == list(range(4))
    assert np.ptp(one["mean" if case != "sweep" else "mean_fitness"]) > 0


@pytest.mark.parametrize("count", MANY)
def test_devices_send_only_measures(found, count):
    assert not any(found["collectives 1"].values())
    counted = dict(found[f"collectives {count}"])
    assert counted.pop("all-gather") > 0
    counted.pop("collective-permute")  # the odd rows of what is gathered
    if count < 8:  # for eight, XLA exchanges and sums some measures too
        assert not any(counted.values())
    assert 0 < found[f"largest {count}"] <= 8 * 40  # a few numbers of each face (32, padded): no pixels
