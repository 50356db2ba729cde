"""The draws of a seed are the same whatever the shell says to jax."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from depthjax import keys
from depthjax.errors import UserError

OTHERWISE = {
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
}
DRAW = """
import jax
from depthjax.environment import start_jax
start_jax()
from depthjax.keys import host_seed, key_for
key = key_for(3, "faces", 2)
print(jax.random.normal(key, (5,)).dtype, jax.random.bits(key, (4,), "uint32").tolist(), host_seed(key))
"""
# Draws whose dtype follows a setting of jax unless it is named: how many arguments stand before it.
BEFORE_DTYPE = {"normal": 2, "uniform": 2, "logistic": 2, "randint": 4, "bits": 2}


def test_a_shell_that_sets_jax_otherwise_changes_no_draw():
    done = subprocess.run([sys.executable, "-c", DRAW], env=os.environ | OTHERWISE, capture_output=True, text=True)
    key = keys.key_for(3, "faces", 2)
    expected = f"float32 {jax.random.bits(key, (4,), 'uint32').tolist()} {keys.host_seed(key)}"
    assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize(("name", "value"), [("jax_enable_x64", True), ("jax_threefry_partitionable", False)])
def test_a_process_that_sets_jax_otherwise_is_refused_and_can_be_mended(name, value):
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        with pytest.raises(UserError, match=f"{name} is {value}.*unset {name.upper()}"):
            keys.key_for(0, "faces")
        keys.fix_settings()
        keys.check_settings()
        assert getattr(jax.config, name) == before
    finally:
        jax.config.update(name, before)


def test_a_key_is_of_the_named_implementation_and_of_its_arguments_alone():
    words = [jax.random.key_data(keys.key_for(*of)) for of in ((0, "a"), (0, "a"), (1, "a"), (0, "b"), (0, "a", 1))]
    assert str(jax.random.key_impl(keys.key_for(0, "a"))) == keys.IMPLEMENTATION
    assert np.array_equal(words[0], words[1]) and len({tuple(w.tolist()) for w in words}) == 4


def test_every_draw_names_its_dtype_and_every_new_key_its_implementation():
    for path in sorted(Path(keys.__file__).parent.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            module, _, name = ast.unparse(call.func).rpartition(".")
            named = {keyword.arg for keyword in call.keywords}
            if module == "jax.random":
                where = f"{path}:{call.lineno}"
                assert name != "key" or "impl" in named, where
                assert name not in BEFORE_DTYPE or len(call.args) > BEFORE_DTYPE[name] or "dtype" in named, where
