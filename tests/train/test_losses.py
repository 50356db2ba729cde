"""Losses against their equations, written out in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.train import losses

LOGITS = np.array([-3.0, -0.2, 0.0, 1.5, 6.0])
P = 1 / (1 + np.exp(-LOGITS))


def test_cross_entropies_from_logits():
    np.testing.assert_allclose(losses.generator_adversarial(jnp.array(LOGITS)), -np.log(P), rtol=1e-5)
    np.testing.assert_allclose(losses.real_cross_entropy(jnp.array(LOGITS)), -np.log(P), rtol=1e-5)
    np.testing.assert_allclose(losses.fake_cross_entropy(jnp.array(LOGITS)), -np.log(1 - P), rtol=1e-5)


def test_cross_entropies_stay_finite_where_probabilities_do_not():
    extreme = jnp.array([-1e4, 1e4])
    np.testing.assert_allclose(losses.generator_adversarial(extreme), [1e4, 0])
    np.testing.assert_allclose(losses.fake_cross_entropy(extreme), [0, 1e4])


@pytest.mark.parametrize(("norm", "equation"), [("l1", np.abs), ("l2", np.square)])
def test_generator_distillation_is_a_mean_over_pixels(norm, equation):
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)
    expected = [equation(x - y).mean() for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(losses.generator_distillation(a, b, norm), expected, rtol=1e-5)
    assert not losses.generator_distillation(a, a, norm).any()


def test_discriminator_distillation_compares_probabilities():
    value = losses.discriminator_distillation(jnp.array(LOGITS), jnp.array(LOGITS[::-1]))
    np.testing.assert_allclose(value, (P - P[::-1]) ** 2, rtol=1e-5, atol=1e-9)


def test_relativistic_and_hinge_by_their_equations():
    fake, real = LOGITS, LOGITS[::-1] + 0.3
    a, b = losses.adversarial_of_discriminator(jnp.array(real), jnp.array(fake), "relativistic")
    np.testing.assert_allclose(a, -np.log(1 / (1 + np.exp(fake - real))), rtol=1e-5)
    np.testing.assert_array_equal(a, b)
    g = losses.adversarial_of_generator(jnp.array(fake), jnp.array(real), "relativistic")
    np.testing.assert_allclose(g, -np.log(1 / (1 + np.exp(real - fake))), rtol=1e-5)
    a, b = losses.adversarial_of_discriminator(jnp.array(real), jnp.array(fake), "hinge")
    np.testing.assert_allclose(a, np.maximum(0, 1 - real), rtol=1e-5)
    np.testing.assert_allclose(b, np.maximum(0, 1 + fake), rtol=1e-5)
    np.testing.assert_allclose(losses.adversarial_of_generator(jnp.array(fake), None, "hinge"), -fake, rtol=1e-6)
    with pytest.raises(ValueError, match="real faces"):
        losses.adversarial_of_generator(jnp.array(fake), None, "relativistic")


def test_lecam_pulls_each_side_to_the_other_s_mean():
    value = losses.lecam(jnp.array([1.0, 2.0]), jnp.array([-1.0, 0.0]), jnp.array(0.5), jnp.array(-0.5))
    np.testing.assert_allclose(value, [1.5**2 + 1.5**2, 2.5**2 + 0.5**2])


def test_feature_distance_has_no_unit_and_a_fixed_teacher():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 7)).astype(np.float32)
    expected = ((a - b) ** 2).mean(1) / (b**2).mean()
    np.testing.assert_allclose(losses.feature_distance(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(losses.feature_distance(10 * a, 10 * b), expected, rtol=1e-5)
    assert not jax.grad(lambda t: losses.feature_distance(a, t).sum())(b).any()
