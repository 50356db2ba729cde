"""Losses against their equations, written out in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.train import step as losses

LOGITS = np.array([-3.0, -0.2, 0.0, 1.5, 6.0])
P = 1 / (1 + np.exp(-LOGITS))


def test_cross_entropies_from_logits():
    logits = jnp.array(LOGITS)
    np.testing.assert_allclose(losses.CROSS_ENTROPY.generator(logits, -logits), -np.log(P), rtol=1e-5)
    real, fake = losses.CROSS_ENTROPY.discriminator(logits, logits)
    np.testing.assert_allclose(real, -np.log(P), rtol=1e-5)
    np.testing.assert_allclose(fake, -np.log(1 - P), rtol=1e-5)


def test_cross_entropies_stay_finite_where_probabilities_do_not():
    extreme = jnp.array([-1e4, 1e4])
    np.testing.assert_allclose(losses.CROSS_ENTROPY.generator(extreme, extreme), [1e4, 0])
    np.testing.assert_allclose(losses.CROSS_ENTROPY.discriminator(extreme, extreme)[1], [0, 1e4])


@pytest.mark.parametrize(("norm", "equation"), [("l1", np.abs), ("l2", np.square)])
def test_generator_distillation_is_a_mean_over_pixels(norm, equation):
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)
    expected = [equation(x - y).mean() for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(losses.generator_distillation(a, b, norm), expected, rtol=1e-5)
    assert not losses.generator_distillation(a, a, norm).any()


def test_discriminator_distillation_compares_probabilities():
    value = losses.discriminator_distillation(jnp.array(LOGITS), jnp.array(LOGITS[::-1]))
    np.testing.assert_allclose(value, (P - P[::-1]) ** 2, rtol=1e-5, atol=1e-9)
