"""A conditional convolutional variational autoencoder out of the GAN's own parts.

The encoder has the layers of the released discriminator, and the decoder is the released generator, given latents of
the posterior instead of the prior.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax.models.conv import xavier_uniform
from depthjax.models.dcgan import strided_features, with_label_planes


class Posterior(NamedTuple):
    """Independent Gaussians over the latents of each face: mean and log variance, (n, d) float32."""

    mean: jax.Array
    log_variance: jax.Array


class Encoder(nn.Module):
    """Map a depth face and its emotion to the posterior of its d latents; sizes as in `Discriminator`."""

    width: int
    latent_size: int
    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, emotion: jax.Array, train: bool) -> Posterior:
        """(n, h, w) images in [-1, 1] and (n,) int emotion → the posterior."""
        planes = with_label_planes(images, emotion, self.classes)
        x = strided_features(self, planes, train, width=self.width, dtype=self.dtype)
        x = nn.Dense(2 * self.latent_size, dtype=self.dtype, kernel_init=xavier_uniform, name="linear")(x)
        return Posterior(*jnp.split(x.astype(jnp.float32), 2, axis=-1))


def reparameterised(key: jax.Array, posterior: Posterior) -> jax.Array:
    """(n, d) latents drawn from the posterior, with a gradient (Kingma and Welling 2014, arXiv 1312.6114, eq. 4)."""
    noise = jax.random.normal(key, posterior.mean.shape, jnp.float32)
    return posterior.mean + jnp.exp(posterior.log_variance / 2) * noise


def divergence(posterior: Posterior) -> jax.Array:
    """(n,) nats: KL from the standard normal prior (Kingma and Welling 2014, appendix B)."""
    mean, log_variance = posterior
    return (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(axis=-1) / 2


def optimal_sigma_loss(images: jax.Array, decoded: jax.Array) -> jax.Array:
    """() nats an image: minus the Gaussian log-likelihood under the one variance that fits the batch best.

    That variance is the mean squared error itself, so the weight of the divergence needs no tuning
    (Rybkin et al. 2021, arXiv 2006.13202, section 4.2). Constants are kept: it is a likelihood.
    """
    pixels = math.prod(images.shape[1:])
    variance = jnp.maximum(jnp.square(images - decoded).mean(), 1e-8)
    return pixels * (jnp.log(2 * math.pi * variance) + 1) / 2
