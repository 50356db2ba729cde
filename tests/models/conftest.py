"""Networks filled by numpy: initialising by JAX would spend the tests' time on compiling random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="session")
def filled():
    """(net, *inputs) → variables of the right shapes, with nothing at its start value."""

    def fill(net, *inputs):
        labels, rng = jnp.zeros(2, jnp.int32), np.random.default_rng(0)
        shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), *inputs, labels, False))

        def values(path, leaf):
            kind = path[-1].key
            if kind == "kernel":
                return rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(np.float32)
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32) - (kind in ("bias", "mean"))

        return jax.tree_util.tree_map_with_path(values, shapes)

    return fill
