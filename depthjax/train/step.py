"""One training step of the stabilised conditional GAN, as a pure function, and many of them in one dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from depthjax.config import Config
from depthjax.keys import key_for
from depthjax.train.losses import (
    discriminator_distillation,
    fake_cross_entropy,
    generator_adversarial,
    generator_distillation,
    real_cross_entropy,
)
from depthjax.train.state import Pair, TrainState, networks, optimizers

Metrics = dict[str, jax.Array]

METRICS = ("g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd", "d_acc_real", "d_acc_fake")


class Batch(NamedTuple):
    """Real faces: images (n, h, w) float32 in [-1, 1], emotion (n,) int32."""

    images: jax.Array
    emotion: jax.Array


Update = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_update(config: Config) -> Update:
    """The learning rule: `update(state, batch, key)` → the next state and the step's metrics (scalars).

    Generator first, then the discriminator on the same fakes, each drawn to its own teacher, and each teacher moved
    after its own network (paper: equations 1 and 4 to 6; order and weights as in the released scripts). The fakes
    claim the emotions of the real batch, so both halves of a batch show the same mix of classes.
    """
    train, nets, optimizer = config.train, networks(config), optimizers(config)

    def generator_loss(params: Any, state: TrainState, latents: jax.Array, emotion: jax.Array) -> tuple[jax.Array, Any]:
        stats, teacher = state.batch_stats, teacher_variables(state).generator
        fakes, g_stats = forward(nets.generator, params, stats.generator, latents, emotion)
        # A discriminator in training mode counts these fakes in its running statistics: in PyTorch, so here too.
        logits, d_stats = forward(nets.discriminator, state.params.discriminator, stats.discriminator, fakes, emotion)
        targets = nets.generator.apply(teacher, latents, emotion, False)
        adversarial = generator_adversarial(logits).mean()
        distillation = generator_distillation(fakes, targets, train.generator_kd_norm).mean()
        loss = adversarial + train.generator_kd_weight * distillation
        return loss, (fakes, Pair(g_stats, d_stats), {"g_loss": loss, "g_adv": adversarial, "g_kd": distillation})

    def discriminator_loss(
        params: Any, state: TrainState, stats: Any, batch: Batch, fakes: jax.Array
    ) -> tuple[jax.Array, Any]:
        net, teacher = nets.discriminator, teacher_variables(state).discriminator
        on_real, stats = forward(net, params, stats, batch.images, batch.emotion)
        on_fake, stats = forward(net, params, stats, fakes, batch.emotion)
        real_kd = discriminator_distillation(on_real, net.apply(teacher, batch.images, batch.emotion, False)).mean()
        fake_kd = discriminator_distillation(on_fake, net.apply(teacher, fakes, batch.emotion, False)).mean()
        real, fake = real_cross_entropy(on_real).mean(), fake_cross_entropy(on_fake).mean()
        distillation = (real_kd + fake_kd) / 2
        loss = (real + fake) / 2 + train.discriminator_kd_weight * distillation
        losses = {"d_loss": loss, "d_adv_real": real, "d_adv_fake": fake, "d_kd": distillation}
        return loss, (stats, losses | accuracies(on_real, on_fake))

    def update(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        key_latents, key_mirror = jax.random.split(key)
        batch = mirrored(key_mirror, batch) if train.mirror else batch
        latents = jax.random.normal(key_latents, (len(batch.images), config.model.latent_size))
        g_gradient, (fakes, stats, g_metrics) = jax.grad(generator_loss, has_aux=True)(
            state.params.generator, state, latents, batch.emotion
        )
        fakes = jax.lax.stop_gradient(fakes)
        d_gradient, (d_stats, d_metrics) = jax.grad(discriminator_loss, has_aux=True)(
            state.params.discriminator, state, stats.discriminator, batch, fakes
        )
        state = descend(optimizer, Pair(g_gradient, d_gradient), state)
        state = state._replace(step=state.step + 1, batch_stats=Pair(stats.generator, d_stats))
        return advance_teachers(
            state, train.ema_decay, frozen=train.teacher_batch_stats == "frozen"
        ), g_metrics | d_metrics

    return update


def make_steps(
    config: Config, most: int, *, streamed: bool = False
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]:
    """Many steps in one program: `steps(state, faces, count)` with a traced `count` of at most `most`.

    Args:
        streamed: whether `faces` are the batches of these steps, or the whole training set.
    Args of the function made:
        faces: on the device; images (n, h, w), of which each step takes a batch, or (most, batch, h, w), streamed.
        count: () int32; the program is compiled once for any count, so an epoch may end in mid-dispatch.
    Its result: the state `count` steps on, and metrics of shape (most,), of which the first `count` are filled.

    Batches and keys depend on the seed and the step alone, so a resumed run replays. A loop of traced length and not
    `lax.scan`: XLA makes the same loop of both, and this one is compiled once for every length.
    """
    update = make_update(config)

    def steps(state: TrainState, faces: Batch, count: jax.Array) -> tuple[TrainState, Metrics]:
        def body(i: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, log = carry
            batch = batch_of(config, faces, state.step, i, streamed=streamed)
            state, metrics = update(state, batch, key_for(config.train.seed, "train", state.step))
            return state, {name: log[name].at[i].set(value) for name, value in metrics.items()}

        log = {name: jnp.zeros(most) for name in METRICS}
        return jax.lax.fori_loop(0, count, body, (state, log))

    return steps


def batch_of(config: Config, faces: Batch, step: jax.Array, i: jax.Array, *, streamed: bool) -> Batch:
    """The batch of a step, the i-th of its dispatch, out of what a feed gives (see `depthjax.train.feed`)."""
    return jax.tree.map(lambda array: array[i], faces) if streamed else shuffled_batch(config, faces, step)


def shuffled_batch(config: Config, faces: Batch, step: jax.Array) -> Batch:
    """The batch of a step, of a training set that is on the device.

    Each epoch is a new permutation of all faces, cut into full batches; the rest sits that epoch out.
    """
    size = config.train.batch_size
    per_epoch = len(faces.images) // size
    order = jax.random.permutation(key_for(config.train.seed, "shuffle", step // per_epoch), len(faces.images))
    index = jax.lax.dynamic_slice_in_dim(order, step % per_epoch * size, size)
    return jax.tree.map(lambda array: array[index], faces)


def all_finite(tree: Any) -> jax.Array:
    """() bool: whether no number of any array is NaN or infinite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def forward(net: Any, params: Any, stats: Any, *inputs: jax.Array) -> tuple[jax.Array, Any]:
    """A network in training mode: its output, and its batch statistics with this batch counted in."""
    variables = {"params": params, "batch_stats": stats}
    output, new = net.apply(variables, *inputs, True, mutable=["batch_stats"])
    return output, new["batch_stats"]


def accuracies(on_real: jax.Array, on_fake: jax.Array) -> Metrics:
    """Shares of real and of generated faces that (n,) logits put on the right side."""
    return {"d_acc_real": (on_real > 0).mean(dtype=jnp.float32), "d_acc_fake": (on_fake < 0).mean(dtype=jnp.float32)}


def teacher_variables(state: TrainState) -> Pair:
    """What linen's `apply` takes, for both teachers."""
    return Pair(
        *(
            {"params": params, "batch_stats": stats}
            for params, stats in zip(state.teacher_params, state.teacher_batch_stats, strict=True)
        )
    )


def mirrored(key: jax.Array, batch: Batch) -> Batch:
    """Each face flipped left to right with probability one half."""
    flip = jax.random.bernoulli(key, shape=(len(batch.images),)).reshape(-1, 1, 1)
    return batch._replace(images=jnp.where(flip, batch.images[:, :, ::-1], batch.images))


def descend(optimizer: Pair, gradients: Pair, state: TrainState) -> TrainState:
    """One step of each network's optimiser."""
    params, opt_state = [], []
    for adam, gradient, old, weights in zip(optimizer, gradients, state.opt_state, state.params, strict=True):
        change, new = adam.update(gradient, old, weights)
        params.append(optax.apply_updates(weights, change))
        opt_state.append(new)
    return state._replace(params=Pair(*params), opt_state=Pair(*opt_state))


def advance_teachers(state: TrainState, decay: float, *, frozen: bool) -> TrainState:
    """Both teachers moved by `1 - decay` towards their students (paper: equation 4).

    Batch statistics are averaged as the parameters are; `frozen` repeats the released scripts, whose teachers keep
    mean 0 and variance 1 for ever.
    """
    params = optax.incremental_update(state.params, state.teacher_params, 1 - decay)
    stats = optax.incremental_update(state.batch_stats, state.teacher_batch_stats, 1 - decay)
    return state._replace(teacher_params=params, teacher_batch_stats=state.teacher_batch_stats if frozen else stats)
