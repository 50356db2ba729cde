"""The conditional variational autoencoder, sampled from Gaussians that are fitted to its latents.

The latents of the training faces do not fill the prior: most of its samples lie far from all of them and are decoded
to deformed faces. So after training one Gaussian an emotion is fitted to the aggregate posterior and sampled
instead (ex-post density estimation: Ghosh et al. 2020, arXiv 1903.12436, section 4).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from depthjax.baselines.densities import check_counts
from depthjax.baselines.fits import Settings, settings_of
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError, counted
from depthjax.files import read_arrays, write_arrays
from depthjax.keys import host_seed
from depthjax.models.dcgan import DECODE_BATCH, Generator, decode
from depthjax.models.inversion import Decoder
from depthjax.models.vae import Encoder, Posterior, divergence, optimal_sigma_loss, reparameterised
from depthjax.progress import Log
from depthjax.train.feed import feed_for
from depthjax.train.loop import check_faces_fit
from depthjax.train.not_finite import all_finite
from depthjax.train.step import Batch, batch_of, forward, mirrored

LONGER = ""
FIELDS = (
    "model.discriminator_width", "model.dtype", "train.mirror", "train.batch_size", "baselines.vae_latent_size",
    "baselines.vae_width", "baselines.vae_lr",
)  # fmt: skip
METRICS = ("loss", "reconstruction", "divergence")


class Pair(NamedTuple):
    """The same thing for both networks."""

    encoder: Any
    decoder: Any


class State(NamedTuple):
    """What training carries from step to step."""

    step: jax.Array
    params: Pair
    batch_stats: Pair
    opt_state: Any


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
    """Train both networks, then fit the latents' Gaussians; a fit that was cut short starts over.

    Writes `fit.npz`: the decoder's variables by path, `latent_mean` (classes, d) and `latent_root` (classes, d, d), the
    Cholesky factor of the covariance. A loss that is not finite is a UserError, and nothing is stored.
    """
    check_faces_fit(config, faces)
    check_counts(faces)
    state, metrics = train(key, config, faces, log=log)
    means, roots = aggregate_posterior(config, state, faces)
    decoder = {"params": state.params.decoder, "batch_stats": state.batch_stats.decoder}
    leaves = {name: np.asarray(leaf) for name, leaf in flatten_dict(decoder, sep=".").items()}
    write_arrays(folder / "fit.npz", latent_mean=means, latent_root=roots, **leaves)
    return {"steps": int(state.step), **metrics}


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Sample each emotion's Gaussian, and decode it."""
    stored = read_arrays(folder / "fit.npz")
    means, roots = stored["latent_mean"], stored["latent_root"]
    noise = np.asarray(jax.random.normal(key, (len(emotion), means.shape[1]), np.float32))
    latents = means[emotion] + np.einsum("nij,nj->ni", roots[emotion], noise)
    return decode(*decoder(config, folder), latents.astype(np.float32), emotion)


def decoder(config: Config, folder: Path) -> Decoder:
    """Return the decoder; the latents of training faces are nearly all within the norm of normal ones."""
    stored = read_arrays(folder / "fit.npz")
    leaves = {name: leaf for name, leaf in stored.items() if not name.startswith("latent_")}
    return Decoder(networks(config).decoder, unflatten_dict(leaves, sep="."))


def networks(config: Config) -> Pair:
    """Return the linen encoder and decoder of a config; the decoder is the GAN's generator in another size."""
    classes, dtype = len(config.data.emotions), jnp.dtype(config.model.dtype)
    return Pair(
        Encoder(config.model.discriminator_width, config.baselines.vae_latent_size, classes, dtype),
        Generator(config.data.resolution, config.baselines.vae_width, classes, dtype),
    )


def train(key: jax.Array, config: Config, faces: DepthFaces, *, log: Log) -> tuple[State, dict[str, float]]:
    """Train all epochs; return the state, and the METRICS of the last dispatch."""
    key_init, key_train = jax.random.split(key)
    config = replace(config, train=replace(config.train, seed=host_seed(key)))  # the batches are of this key, too
    epochs, per_epoch = config.baselines.vae_epochs or config.train.epochs, len(faces) // config.train.batch_size
    total, most = epochs * per_epoch, config.train.steps_per_dispatch
    optimizer = optax.adam(optax.cosine_decay_schedule(config.baselines.vae_lr, total))
    feed = feed_for(config, faces, 0)
    state = jax.jit(lambda k: init_state(k, config, optimizer))(key_init)
    steps = jax.jit(make_steps(config, optimizer, key_train, streamed=feed.streamed), donate_argnums=0)
    log(f"{counted(epochs, 'epoch')} of {counted(per_epoch, 'step')}")
    for first in range(0, total, most):
        last = min(first + most, total)
        state, found = steps(state, feed.take(last - first), np.int32(last - first))
        means = dict(zip(METRICS, map(float, found), strict=True))
        if not np.isfinite(means["loss"]):
            raise UserError(f"the VAE's loss is {means['loss']} by step {last}: lower --config.baselines.vae_lr")
        if last * 10 // total > first * 10 // total:
            log(f"step {last}: " + ", ".join(f"{name} {value:.0f}" for name, value in means.items()) + " nats")
    if not all_finite(state):  # a gradient that is not finite shows in no loss before the next step
        raise UserError(f"the VAE's weights are not finite after step {total}: lower --config.baselines.vae_lr")
    return state, means


def init_state(key: jax.Array, config: Config, optimizer: optax.GradientTransformation) -> State:
    """Return a fresh state."""
    nets, size, emotion = networks(config), config.data.resolution, jnp.zeros(2, jnp.int32)
    key_encoder, key_decoder = jax.random.split(key)
    encoder = nets.encoder.init(key_encoder, jnp.zeros((2, size, size)), emotion, False)
    decoder = nets.decoder.init(key_decoder, jnp.zeros((2, config.baselines.vae_latent_size)), emotion, False)
    params, stats = (Pair(encoder[name], decoder[name]) for name in ("params", "batch_stats"))
    return State(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))


def make_update(
    config: Config, optimizer: optax.GradientTransformation
) -> Callable[[State, Batch, jax.Array], tuple[State, jax.Array]]:
    """Return the learning rule: (state, batch, key) → the next state and the step's METRICS, (3,) nats an image."""
    nets = networks(config)

    def loss_of(params: Pair, stats: Pair, batch: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
        encoded, e_stats = forward(nets.encoder, params.encoder, stats.encoder, batch.images, batch.emotion)
        posterior = Posterior(*encoded)
        latents = reparameterised(key, posterior)
        images, d_stats = forward(nets.decoder, params.decoder, stats.decoder, latents, batch.emotion)
        reconstruction, kl = optimal_sigma_loss(batch.images, images), divergence(posterior).mean()
        loss = reconstruction + kl
        return loss, (Pair(e_stats, d_stats), jnp.stack([loss, reconstruction, kl]))

    def update(state: State, batch: Batch, key: jax.Array) -> tuple[State, jax.Array]:
        key_mirror, key_noise = jax.random.split(key)
        batch = mirrored(key_mirror, batch) if config.train.mirror else batch
        gradient, (stats, metrics) = jax.grad(loss_of, has_aux=True)(state.params, state.batch_stats, batch, key_noise)
        change, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        return State(state.step + 1, optax.apply_updates(state.params, change), stats, opt_state), metrics

    return update


def make_steps(
    config: Config, optimizer: optax.GradientTransformation, key: jax.Array, *, streamed: bool
) -> Callable[[State, Batch, jax.Array], tuple[State, jax.Array]]:
    """Return (state, faces, count) → the state `count` steps on, and the mean METRICS; as `train.step.make_steps`."""
    update = make_update(config, optimizer)

    def steps(state: State, faces: Batch, count: jax.Array) -> tuple[State, jax.Array]:
        def body(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, total = carry
            batch = batch_of(config, faces, state.step, i, streamed=streamed)
            state, metrics = update(state, batch, jax.random.fold_in(key, state.step))
            return state, total + metrics

        state, total = jax.lax.fori_loop(0, count, body, (state, jnp.zeros(len(METRICS))))
        return state, total / count

    return steps


def aggregate_posterior(config: Config, state: State, faces: DepthFaces) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (classes, d) and Cholesky factor (classes, d, d) of the latents of each emotion's faces."""
    encoder = networks(config).encoder
    variables = {"params": state.params.encoder, "batch_stats": state.batch_stats.encoder}
    encode = jax.jit(lambda images, emotion: encoder.apply(variables, images, emotion, False))
    means, roots = [], []
    for label in range(len(faces.emotions)):
        images = faces.images[faces.emotion == label]
        images = np.concatenate([images, images[:, :, ::-1]]) if config.train.mirror else images
        cuts = [images[i : i + DECODE_BATCH] for i in range(0, len(images), DECODE_BATCH)]
        parts = [encode(cut, np.full(len(cut), label, np.int32)) for cut in cuts]
        centre = np.concatenate([np.asarray(part.mean, np.float64) for part in parts])
        spread = np.exp(np.concatenate([np.asarray(part.log_variance, np.float64) for part in parts]))
        # The covariance of a mixture of posteriors is that of their means plus the mean of their variances.
        means.append(centre.mean(0))
        roots.append(np.linalg.cholesky(np.cov(centre, rowvar=False) + np.diag(spread.mean(0))))
    return np.stack(means), np.stack(roots)


def settings(config: Config) -> Settings:
    """Return the settings that a fit depends on."""
    return settings_of(config, *FIELDS) | {"baselines.vae_epochs": config.baselines.vae_epochs or config.train.epochs}
