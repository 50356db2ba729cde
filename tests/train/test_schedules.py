"""Schedules at their ends and in between."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from depthjax.config import Train
from depthjax.train.schedules import distillation_factor, ema_decay, rate_factor

TRAIN = Train(schedule="cosine", schedule_steps=100, kd_anneal=True, ema_decay=0.99, ema_ramp=0.05)


def test_rates_fall_by_half_a_cosine_and_weights_evenly():
    steps = [jnp.int32(step) for step in (0, 50, 100, 400)]
    np.testing.assert_allclose([rate_factor(s, TRAIN) for s in steps], [1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose([distillation_factor(s, TRAIN) for s in steps], [1, 0.5, 0, 0], atol=1e-6)


def test_the_teachers_memory_grows_to_its_length():
    half_lives = [np.log(0.5) / np.log(float(ema_decay(jnp.int32(s), TRAIN))) for s in (99, 999, 10**6)]
    np.testing.assert_allclose(half_lives, [5, 50, np.log(0.5) / np.log(0.99)], rtol=1e-3)
    assert ema_decay(jnp.int32(9), replace(TRAIN, ema_decay=0.0)) == 0


def test_without_schedules_nothing_is_traced():
    plain = Train()
    assert rate_factor(jnp.int32(3), plain) is None
    assert distillation_factor(jnp.int32(3), plain) == 1.0 and ema_decay(jnp.int32(3), plain) == plain.ema_decay
