"""A training small enough for a test: 16x16, a few channels, faces of noise."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import Config, Data, Model, Train
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.train.state import init_state
from depthjax.train.step import Batch


@pytest.fixture(scope="session")
def config():
    """Four steps an epoch on `faces`; cut into dispatches of three."""
    return Config(
        name="test",
        data=Data(resolution=16),
        model=Model(latent_size=8, generator_width=16, discriminator_width=4),
        train=Train(
            epochs=5,
            batch_size=6,
            generator_lr=2e-4,
            discriminator_lr=1e-4,
            steps_per_dispatch=3,
            samples_every_epochs=5,
            save_every_epochs=5,
            mirror=True,
        ),
    )


@pytest.fixture(scope="session")
def faces(config):
    rng, n = np.random.default_rng(0), 26
    images = rng.uniform(-1, 1, (n, 16, 16)).astype(np.float32)
    labels = (np.arange(n) % 3).astype(np.int32)
    window = DepthRange(config.data.near_mm, config.data.far_mm)
    return DepthFaces(images, labels, np.arange(n, dtype=np.int32), np.zeros(n, np.int32), config.data.emotions, window)


@pytest.fixture(scope="session")
def state(config):
    """A state in which every array is distinct and none at its start value. Never donate it."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: init_state(jax.random.key(0), config))

    def values(leaf):
        dtype, shape = leaf.dtype, leaf.shape
        return jnp.asarray(rng.uniform(0.05, 0.2, shape) if dtype == jnp.float32 else np.zeros(shape), dtype)

    return jax.tree.map(values, shapes)


@pytest.fixture(scope="session")
def batch(faces):
    return Batch(jnp.asarray(faces.images[:6]), jnp.asarray(faces.emotion[:6]))


@pytest.fixture(scope="session")
def trained(config):
    """(config, **fields of its train section) → the config with those replaced."""
    return lambda **fields: replace(config, train=replace(config.train, **fields))
