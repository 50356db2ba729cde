"""The autoencoder's parts and its two losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from depthjax.models.vae import Encoder, Posterior, divergence, optimal_sigma_loss, reparameterised

LABELS = jnp.array([0, 1, 2, 0], jnp.int32)


@pytest.fixture(scope="module")
def posterior():
    rng = np.random.default_rng(0)
    return Posterior(*rng.normal(size=(2, 3, 4)).astype(np.float32))


def test_encoder_shapes_and_condition(filled):
    net = Encoder(8, 5, 3)
    variables = filled(net, jnp.zeros((2, 32, 32)))
    images = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32)).astype(np.float32)
    encode = jax.jit(net.apply, static_argnums=3)
    mean, log_variance = encode(variables, images, LABELS, False)
    assert mean.shape == log_variance.shape == (4, 5) and mean.dtype == jnp.float32
    other = encode(variables, images, (LABELS + 1) % 3, False)
    assert not np.allclose(other[0], mean, atol=1e-4)
    np.testing.assert_allclose(encode(variables, images[:1], LABELS[:1], False)[0], mean[:1], atol=1e-4)


def test_divergence_is_the_integral(posterior):
    x, found = np.linspace(-12, 12, 20001), np.asarray(jax.jit(divergence)(posterior))
    for n in range(3):
        total = 0.0
        for mean, log_variance in zip(posterior.mean[n], posterior.log_variance[n], strict=True):
            q = stats.norm(float(mean), float(np.exp(log_variance / 2)))
            total += np.trapezoid(q.pdf(x) * (q.logpdf(x) - stats.norm.logpdf(x)), x)
        np.testing.assert_allclose(found[n], total, rtol=1e-4)
    assert not jax.jit(divergence)(Posterior(*np.zeros((2, 3, 4), np.float32))).any()


def test_draws_have_the_posteriors_moments_and_gradient(posterior):
    many = Posterior(*(np.tile(leaf[:1], (20000, 1)) for leaf in posterior))
    drawn = np.asarray(jax.jit(reparameterised)(jax.random.key(0), many))
    np.testing.assert_allclose(drawn.mean(0), posterior.mean[0], atol=0.06)
    np.testing.assert_allclose(np.log(drawn.var(0)), posterior.log_variance[0], atol=0.06)
    total = lambda mean: reparameterised(jax.random.key(0), posterior._replace(mean=mean)).sum()  # noqa: E731
    gradient = jax.jit(jax.grad(total))(posterior.mean)
    np.testing.assert_array_equal(gradient, 1)


def test_the_loss_is_the_best_of_all_single_variances():
    rng = np.random.default_rng(0)
    images, decoded = rng.uniform(-1, 1, (2, 5, 6, 6)).astype(np.float32)
    error, loss = images - decoded, jax.jit(optimal_sigma_loss)
    mine = [-stats.norm.logpdf(error, scale=s).sum() / 5 for s in np.linspace(0.2, 3, 2000)]
    np.testing.assert_allclose(loss(images, decoded), min(mine), rtol=1e-5)
    assert np.isfinite(loss(images, images))
