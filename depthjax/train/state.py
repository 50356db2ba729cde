"""What training carries from step to step: both networks, both teachers, both optimisers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from depthjax.config import Config
from depthjax.models.dcgan import Discriminator, Generator

BETAS = (0.5, 0.999)  # of Adam, as released


class Pair(NamedTuple):
    """The same thing for each of the two networks."""

    generator: Any
    discriminator: Any


class TrainState(NamedTuple):
    """Everything that a step reads and writes."""

    step: jax.Array  # () int32, steps done
    params: Pair  # the students' weights
    batch_stats: Pair  # the students' running mean and variance
    opt_state: Pair  # Adam's moments
    teacher_params: Pair  # averaged weights; the teacher generator is the net that samples
    teacher_batch_stats: Pair  # averaged running statistics (always 0 and 1 if `teacher_batch_stats = frozen`)


def networks(config: Config) -> Pair:
    """Return the linen generator and discriminator of a config; neither holds any weights."""
    model, classes, dtype = config.model, len(config.data.emotions), jnp.dtype(config.model.dtype)
    size, remat, lowpass, mask = config.data.resolution, config.train.remat, model.output_lowpass, model.validity_mask
    generator = Generator(size, model.generator_width, classes, dtype, lowpass, remat, mask)
    return Pair(generator, Discriminator(model.discriminator_width, classes, dtype, remat))


def optimizers(config: Config) -> Pair:
    """Return Adam for each network, with its own rate."""
    rates = (config.train.generator_lr, config.train.discriminator_lr)
    return Pair(*(optax.adam(rate, *BETAS) for rate in rates))


def init_state(key: jax.Array, config: Config) -> TrainState:
    """Return a fresh state; the teachers start as copies of their students (so donating the state is safe)."""
    nets, optimizer = networks(config), optimizers(config)
    key_g, key_d = jax.random.split(key)
    size, emotion = config.data.resolution, jnp.zeros(2, jnp.int32)
    generator = nets.generator.init(key_g, jnp.zeros((2, config.model.latent_size)), emotion, False)
    discriminator = nets.discriminator.init(key_d, jnp.zeros((2, size, size)), emotion, False)
    params, stats = (Pair(generator[name], discriminator[name]) for name in ("params", "batch_stats"))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=stats,
        opt_state=Pair(*(o.init(p) for o, p in zip(optimizer, params, strict=True))),
        teacher_params=jax.tree.map(jnp.copy, params),
        teacher_batch_stats=jax.tree.map(jnp.copy, stats),
    )
