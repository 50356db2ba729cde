"""What changes over a training: learning rates, what weighs how much, the teachers' memory. From the step alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from depthjax.config import Train


def progress(step: jax.Array, train: Train) -> jax.Array:
    """() in [0, 1]: the share of `schedule_steps` that is done."""
    return jnp.minimum(step / train.schedule_steps, 1)


def half_cosine(step: jax.Array, train: Train) -> jax.Array:
    """() from 1 to 0 over `schedule_steps`."""
    return (1 + jnp.cos(jnp.pi * progress(step, train))) / 2


def rate_factor(step: jax.Array, train: Train) -> jax.Array | None:
    """What both learning rates are multiplied by: half a cosine from 1 to 0 (arXiv 1608.03983); None if constant."""
    if train.schedule == "constant":
        return None
    return half_cosine(step, train)


def distillation_factor(step: jax.Array, train: Train) -> jax.Array | float:
    """What both distillation weights are multiplied by: 1, or falling evenly from 1 to 0 if annealed."""
    return 1 - progress(step, train) if train.kd_anneal else 1.0


def penalty_factor(step: jax.Array, train: Train) -> jax.Array | float:
    """What the gradient penalty's weight is multiplied by: half a cosine from 1 to `penalty_end`; 1 if constant.

    As R3GAN's (Huang et al. 2024, arXiv 2501.05441): generated faces come near real ones, and need less of it.
    """
    if train.penalty_end == 1:
        return 1.0
    return train.penalty_end + (1 - train.penalty_end) * half_cosine(step, train)


def condition_factor(step: jax.Array, train: Train) -> jax.Array | None:
    """How loudly both networks hear the emotion: rising evenly from 0 to 1, and there for good; None if always 1.

    Transitional training (Shahbazi et al. 2022, arXiv 2201.06578): with few faces of each class a network that is
    conditioned from the start collapses, and one that first learns what all have in common does not.
    """
    return jnp.minimum(progress(step, train) / train.transition, 1) if train.transition else None


def ema_decay(step: jax.Array, train: Train) -> jax.Array | float:
    """Of the teachers after `step` steps: the half-life is at most `ema_ramp` times the steps done.

    As StyleGAN2's (arXiv 1912.04958, its released code): an early teacher must forget the start.
    """
    if train.ema_ramp == 0:
        return train.ema_decay
    return jnp.minimum(train.ema_decay, 0.5 ** (1 / (train.ema_ramp * (step + 1))))
