"""A small generator, discriminator and set of training faces, and one size of evolution: programs compile once."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthjax.config import Evolve
from depthjax.evolve import statistics
from depthjax.evolve.program import Networks, Program, make_program
from depthjax.evolve.run import Evolution, evolve
from depthjax.evolve.statistics import Statistics, statistics_of

CLASSES, LATENT, SIDE, SUBJECTS, FRAMES = 2, 8, 16, 12, 2
SIZES = {"population": 8, "generations": 3, "islands": 2, "hall_of_fame": 5}
PAPER = Evolve(fitness="paper", **SIZES)
RELEASED = Evolve(fitness="released", **SIZES)
DIVERSE = Evolve(algorithm="k_dpp", fitness="natural", **SIZES)
compare_faces = jax.jit(statistics.compare_faces)  # as the package runs it, in a larger program


class SmallGenerator(nn.Module):
    """Latent and emotion to a (16, 16) image by one dense layer, and a grey level of each emotion's own."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        x = jnp.concatenate([latents, 2 * jax.nn.one_hot(emotion, CLASSES)], -1)
        images = jnp.tanh(nn.Dense(SIDE * SIDE, dtype=self.dtype)(x)).reshape(-1, SIDE, SIDE)
        grey = self.param("grey", nn.initializers.zeros, (CLASSES,))
        return images + jnp.asarray(grey, images.dtype)[emotion][:, None, None]


class SmallDiscriminator(nn.Module):
    """Logit by one dense layer."""

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> jax.Array:
        return nn.Dense(1)(images.reshape(-1, SIDE * SIDE))[:, 0]


class World(NamedTuple):
    """What an experiment needs; `faces` are the training faces: images, emotion, subject, logit."""

    generator: nn.Module
    discriminator: nn.Module
    networks: Networks
    real: Statistics
    faces: tuple[np.ndarray, ...]

    def program(self, settings: Evolve, **options: Any) -> Program:
        nets = {"generator": self.generator, "discriminator": self.discriminator}
        return make_program(settings, **nets, latent_size=LATENT, images_at_once=7, **options)

    def evolve(self, settings: Evolve, key: jax.Array | None = None, **options: Any) -> Evolution:
        key = jax.random.key(0) if key is None else key
        found = evolve(self.program(settings), key, self.networks, self.real, settings, **options)
        return jax.tree.map(np.asarray, found)

    def without_values(self, emotion: int) -> "World":
        """The same, but every face of one emotion is NaN."""
        generator: Any = self.networks.generator
        grey = generator["params"]["grey"].at[emotion].set(jnp.nan)
        broken = {"params": generator["params"] | {"grey": grey}}
        return self._replace(networks=self.networks._replace(generator=broken))


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


def make_world() -> World:
    """Training faces are what the generator makes of other latents, so that evolution can come near them."""
    generator, discriminator = SmallGenerator(), SmallDiscriminator()
    none = jnp.zeros(1, jnp.int32)
    variables = Networks(
        jax.jit(partial(generator.init, train=False))(jax.random.key(0), jnp.zeros((1, LATENT)), none),
        jax.jit(partial(discriminator.init, train=False))(jax.random.key(1), jnp.zeros((1, SIDE, SIDE)), none),
    )
    subject = np.repeat(np.arange(SUBJECTS), FRAMES * CLASSES)
    emotion = np.tile(np.arange(CLASSES), SUBJECTS * FRAMES)
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((SUBJECTS, LATENT))[subject] + 0.1 * rng.standard_normal((len(subject), LATENT))
    images = jax.jit(partial(generator.apply, train=False))(variables.generator, np.float32(latents), emotion)
    logit = jax.jit(partial(discriminator.apply, train=False))(variables.discriminator, images, emotion)
    faces = (np.asarray(images), emotion, subject, np.asarray(logit))
    real = statistics_of(*faces, classes=CLASSES, classifier_steps=60, seed=0)
    return World(generator, discriminator, variables, real, faces)
