"""A small generator, discriminator and set of real faces, for whole experiments in a second."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthjax.evolve.run import Networks
from depthjax.evolve.statistics import Statistics, statistics_of

CLASSES, LATENT, SIDE, PEOPLE, FRAMES = 2, 8, 16, 12, 2


class SmallGenerator(nn.Module):
    """Latent and emotion to a (16, 16) image by one dense layer, and a grey level of each emotion's own."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        x = jnp.concatenate([latents, 2 * jax.nn.one_hot(emotion, CLASSES)], -1)
        images = jnp.tanh(nn.Dense(SIDE * SIDE, dtype=self.dtype)(x)).reshape(-1, SIDE, SIDE)
        return (
            images
            + jnp.asarray(self.param("grey", nn.initializers.zeros, (CLASSES,)), images.dtype)[emotion][:, None, None]
        )


class SmallDiscriminator(nn.Module):
    """Logit by one dense layer."""

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        return nn.Dense(1)(images.reshape(-1, SIDE * SIDE))[:, 0]


class World(NamedTuple):
    """What an experiment needs; `faces` are the real ones: images, emotion, subject, logit."""

    generator: nn.Module
    discriminator: nn.Module
    networks: Networks
    real: Statistics
    faces: tuple[np.ndarray, ...]


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


def make_world() -> World:
    """Real faces are what the generator makes of other latents, so that evolution can come near them."""
    generator, discriminator = SmallGenerator(), SmallDiscriminator()
    none = jnp.zeros(1, jnp.int32)
    variables = Networks(
        jax.jit(partial(generator.init, train=False))(jax.random.key(0), jnp.zeros((1, LATENT)), none),
        jax.jit(partial(discriminator.init, train=False))(jax.random.key(1), jnp.zeros((1, SIDE, SIDE)), none),
    )
    subject = np.repeat(np.arange(PEOPLE), FRAMES * CLASSES)
    emotion = np.tile(np.arange(CLASSES), PEOPLE * FRAMES)
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((PEOPLE, LATENT))[subject] + 0.1 * rng.standard_normal((len(subject), LATENT))
    images = generator.apply(variables.generator, jnp.asarray(latents, jnp.float32), jnp.asarray(emotion), train=False)
    logit = discriminator.apply(variables.discriminator, images, jnp.asarray(emotion), train=False)
    faces = (np.asarray(images), emotion, subject, np.asarray(logit))
    real = statistics_of(*faces, classes=CLASSES, reader_steps=60, seed=0)
    return World(generator, discriminator, variables, real, faces)
