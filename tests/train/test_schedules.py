"""Schedules at their ends and in between."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from depthjax.config import Train
from depthjax.train.schedules import condition_factor, distillation_factor, ema_decay, penalty_factor, rate_factor

TRAIN = Train(schedule="cosine", schedule_steps=100, kd_anneal=True, ema_decay=0.99, ema_ramp=0.05)


def test_rates_fall_by_half_a_cosine_and_weights_evenly():
    steps = [jnp.int32(step) for step in (0, 50, 100, 400)]
    np.testing.assert_allclose([rate_factor(s, TRAIN) for s in steps], [1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose([distillation_factor(s, TRAIN) for s in steps], [1, 0.5, 0, 0], atol=1e-6)


def test_the_penalty_falls_to_its_end_and_the_emotion_comes_in():
    train, steps = replace(TRAIN, penalty_end=0.2, transition=0.5), [jnp.int32(s) for s in (0, 25, 50, 100, 400)]
    expected = 0.2 + 0.8 * (1 + np.cos(np.pi * np.array([0, 0.25, 0.5, 1, 1]))) / 2
    np.testing.assert_allclose([penalty_factor(s, train) for s in steps], expected, atol=1e-6)
    np.testing.assert_allclose([condition_factor(s, train) for s in steps], [0, 0.5, 1, 1, 1], atol=1e-6)


def test_the_teachers_memory_grows_to_its_length():
    half_lives = [np.log(0.5) / np.log(float(ema_decay(jnp.int32(s), TRAIN))) for s in (99, 999, 10**6)]
    np.testing.assert_allclose(half_lives, [5, 50, np.log(0.5) / np.log(0.99)], rtol=1e-3)
    assert ema_decay(jnp.int32(9), replace(TRAIN, ema_decay=0.0)) == 0


def test_without_schedules_nothing_is_traced():
    plain = Train()
    assert rate_factor(jnp.int32(3), plain) is condition_factor(jnp.int32(3), plain) is None
    assert penalty_factor(jnp.int32(3), plain) == 1.0
    assert distillation_factor(jnp.int32(3), plain) == 1.0 and ema_decay(jnp.int32(3), plain) == plain.ema_decay
