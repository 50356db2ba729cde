"""The learning rule as one pure function, its losses, and many steps of it in one program."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from depthjax.config import Config
from depthjax.keys import key_for
from depthjax.train.state import Pair, TrainState, networks, optimizers

Metrics = dict[str, jax.Array]


class GanObjective(NamedTuple):
    """The adversarial losses of both networks, from logits; each returns one value per sample.

    Generated and training faces of one index claim the same emotion. The discriminator descends the mean of its two
    losses, (n,) each: of logits of training faces, and of generated faces.
    """

    generator: Callable[[jax.Array, jax.Array], jax.Array]  # (logits (n,) of generated faces, of training faces) → (n,)
    discriminator: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def generator_cross_entropy(fake_logits: jax.Array, real_logits: jax.Array) -> jax.Array:
    """Return -log D(G(z)), the non-saturating loss, (n,) (paper: equation 1, as released)."""
    del real_logits
    return jax.nn.softplus(-fake_logits)


def discriminator_cross_entropy(real_logits: jax.Array, fake_logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log D(x) and -log(1 - D(G(z))), (n,) each (paper: equation 1)."""
    return jax.nn.softplus(-real_logits), jax.nn.softplus(fake_logits)


CROSS_ENTROPY = GanObjective(generator_cross_entropy, discriminator_cross_entropy)


def generator_distillation(images: jax.Array, teacher_images: jax.Array, norm: Literal["l1", "l2"]) -> jax.Array:
    """Return the distance (n,) of the student's images (n, h, w) from the teacher's for the same latents and emotions.

    A mean over pixels: `l1`, of absolute differences (released), or `l2`, of squared ones (paper: equation 5).
    """
    difference = images - teacher_images
    return (jnp.abs(difference) if norm == "l1" else jnp.square(difference)).mean((1, 2))


def discriminator_distillation(logits: jax.Array, teacher_logits: jax.Array) -> jax.Array:
    """Return the squared difference of the student's and the teacher's probabilities, (n,) (as released)."""
    return jnp.square(jax.nn.sigmoid(logits) - jax.nn.sigmoid(teacher_logits))


class Batch(NamedTuple):
    """Training faces: images (n, h, w) float32 in [-1, 1], emotion (n,) int32."""

    images: jax.Array
    emotion: jax.Array


class Aux(NamedTuple):
    """What a loss returns beside its value: generated faces (n, h, w), new batch statistics, metrics."""

    fakes: jax.Array
    stats: Any
    metrics: Metrics


Update = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_update(config: Config, objective: GanObjective = CROSS_ENTROPY) -> Update:
    """Return the learning rule: `update(state, batch, key)` → the next state and the step's metrics (scalars).

    Generator first, then the discriminator on the same fakes, each with its distillation loss; then each teacher moves
    towards its student (paper: equations 1 and 4 to 6; order and weights as in the released scripts). The fakes claim
    the emotions of the batch, so both halves show the same mix of classes.
    """
    train, parts = config.train, config.train.accumulate
    nets, optimizer = networks(config), optimizers(config)

    def generator_loss(params: Any, latents: jax.Array, batch: Batch, *, state: TrainState) -> tuple[jax.Array, Aux]:
        emotion, weights, stats = batch.emotion, state.params.discriminator, state.batch_stats
        fakes, g_stats = forward(nets.generator, params, stats.generator, latents, emotion)
        # These fakes count in the discriminator's running statistics, as in the released PyTorch code.
        on_fake, d_stats = forward(nets.discriminator, weights, stats.discriminator, fakes, emotion)
        # Compiled away if the objective ignores it.
        on_real, _ = forward(nets.discriminator, weights, stats.discriminator, batch.images, emotion)
        targets = nets.generator.apply(teacher_variables(state).generator, latents, emotion, False)
        adversarial = objective.generator(on_fake, on_real).mean()
        distillation = generator_distillation(fakes, targets, train.generator_kd_norm).mean()
        loss = adversarial + train.generator_kd_weight * distillation
        return loss, Aux(fakes, Pair(g_stats, d_stats), {"g_loss": loss, "g_adv": adversarial, "g_kd": distillation})

    def discriminator_loss(
        params: Any, fakes: jax.Array, batch: Batch, *, state: TrainState, stats: Any
    ) -> tuple[jax.Array, Aux]:
        net, teacher, emotion = nets.discriminator, teacher_variables(state).discriminator, batch.emotion
        on_real, stats = forward(net, params, stats, batch.images, emotion)
        on_fake, stats = forward(net, params, stats, fakes, emotion)
        real_targets, fake_targets = (net.apply(teacher, x, emotion, False) for x in (batch.images, fakes))
        real, fake = (losses.mean() for losses in objective.discriminator(on_real, on_fake))
        real_kd = discriminator_distillation(on_real, real_targets).mean()
        fake_kd = discriminator_distillation(on_fake, fake_targets).mean()
        distillation = (real_kd + fake_kd) / 2
        loss = (real + fake) / 2 + train.discriminator_kd_weight * distillation
        metrics = {"d_loss": loss, "d_adv_real": real, "d_adv_fake": fake, "d_kd": distillation}
        metrics["d_acc_real"] = (on_real > 0).mean(dtype=jnp.float32)
        metrics["d_acc_fake"] = (on_fake < 0).mean(dtype=jnp.float32)
        return loss, Aux(fakes, stats, metrics)

    def update(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        key_latents, key_mirror = jax.random.split(key)
        batch = mirrored(key_mirror, batch) if train.mirror else batch
        latents = jax.random.normal(key_latents, (len(batch.images), config.model.latent_size), jnp.float32)

        loss = partial(generator_loss, state=state)
        g_gradient, g = accumulate_gradients(loss, state.params.generator, (latents, batch), parts=parts)
        loss = partial(discriminator_loss, state=state, stats=g.stats.discriminator)
        d_gradient, d = accumulate_gradients(loss, state.params.discriminator, (g.fakes, batch), parts=parts)

        state = descend(optimizer, Pair(g_gradient, d_gradient), state)
        state = state._replace(step=state.step + 1, batch_stats=Pair(g.stats.generator, d.stats))
        frozen = train.teacher_batch_stats == "frozen"
        return advance_teachers(state, train.ema_decay, frozen=frozen), g.metrics | d.metrics

    return update


def accumulate_gradients(
    loss: Callable[..., tuple[jax.Array, Aux]], params: Any, faces: Any, *, parts: int
) -> tuple[Any, Aux]:
    """Return the gradient of `loss(params, *faces)`, by a scan over microbatches: the memory of one, the mean of all.

    Losses and gradients are those of the whole batch, up to the order of sums. Batch normalisation is within a
    microbatch: each is normalised by its own statistics, and running statistics move once, by the mean over
    microbatches. A single one is a plain call.

    Args:
        faces: a tuple of trees of (n, ...) arrays, n a multiple of `parts`.
    Returns:
        The gradient, and beside it the means over microbatches and the fakes of all, in the order of `faces`.
    """

    def gradient(*faces: Any) -> tuple[Any, Aux]:
        found, aux = jax.grad(loss, has_aux=True)(params, *faces)
        return found, aux._replace(fakes=jax.lax.stop_gradient(aux.fakes))

    if parts == 1:
        return gradient(*faces)

    # Every `parts`-th face, not runs of them: a run would lie on one device of a mesh.
    cut = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), faces)  # (parts, n / parts, ...)
    shapes = jax.eval_shape(gradient, *jax.tree.map(lambda x: x[0], cut))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), _without_fakes(*shapes))

    def body(total: Any, part: Any) -> tuple[Any, jax.Array]:
        found, aux = gradient(*part)
        return jax.tree.map(jnp.add, total, _without_fakes(found, aux)), aux.fakes

    total, fakes = jax.lax.scan(body, zeros, cut)
    mean, stats, metrics = jax.tree.map(lambda leaf: leaf / parts, total)
    return mean, Aux(fakes.swapaxes(0, 1).reshape(-1, *fakes.shape[2:]), stats, metrics)


def _without_fakes(gradient: Any, aux: Aux) -> tuple[Any, Any, Metrics]:
    return gradient, aux.stats, aux.metrics


def make_steps(
    config: Config,
    max_steps: int,
    *,
    streamed: bool = False,
    across: jax.sharding.Sharding | None = None,
    make_update: Callable[[Config], Update] = make_update,
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]:
    """Return one program for many steps: `steps(state, faces, count)`.

    It returns the state `count` steps on, and metrics (max_steps,), of which the first `count` are filled. Batches and
    keys depend on the seed and the step alone, so a resumed run replays. The loop's length is traced, unlike that of
    `lax.scan`: the program is compiled once for every count, so an epoch may end in mid-dispatch.

    Args:
        streamed: whether `faces` are the batches of these steps, images (max_steps, batch, h, w), or the whole
            training set (n, h, w).
        across: how a batch is split over devices (default: not at all); the rest follows from it.
        make_update: the learning rule; an experiment passes its own.
    """
    update = jax.jit(make_update(config), inline=True)  # traced once: for the metrics' names, and for the loop

    def steps(state: TrainState, faces: Batch, count: jax.Array) -> tuple[TrainState, Metrics]:
        def next_state(state: TrainState, i: jax.Array) -> tuple[TrainState, Metrics]:
            batch = batch_of(config, faces, state.step, i, streamed=streamed)
            batch = batch if across is None else jax.lax.with_sharding_constraint(batch, across)
            return update(state, batch, key_for(config.train.seed, "train", state.step))

        def body(i: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, log = carry
            state, metrics = next_state(state, i)
            return state, {name: log[name].at[i].set(value) for name, value in metrics.items()}

        names = jax.eval_shape(next_state, state, jnp.int32(0))[1]
        log = {name: jnp.zeros(max_steps) for name in names}
        return jax.lax.fori_loop(0, count, body, (state, log))

    return steps


def batch_of(config: Config, faces: Batch, step: jax.Array, i: jax.Array, *, streamed: bool) -> Batch:
    """Return the batch of a step, the i-th of its dispatch, from what a feed gives (see `depthjax.train.feed`)."""
    if streamed:
        return jax.tree.map(lambda array: array[i], faces)
    size = config.train.batch_size
    per_epoch = len(faces.images) // size
    order = jax.random.permutation(key_for(config.train.seed, "shuffle", step // per_epoch), len(faces.images))
    index = jax.lax.dynamic_slice_in_dim(order, step % per_epoch * size, size)
    return jax.tree.map(lambda array: array[index], faces)


def forward(net: Any, params: Any, stats: Any, *inputs: jax.Array) -> tuple[jax.Array, Any]:
    """Apply a network in training mode; return its output, and its batch statistics updated by this batch."""
    variables = {"params": params, "batch_stats": stats}
    output, new = net.apply(variables, *inputs, True, mutable=["batch_stats"])
    return output, new["batch_stats"]


def teacher_variables(state: TrainState) -> Pair:
    """Return what linen's `apply` takes, for both teachers."""
    both = zip(state.teacher_params, state.teacher_batch_stats, strict=True)
    return Pair(*({"params": params, "batch_stats": stats} for params, stats in both))


def mirrored(key: jax.Array, batch: Batch) -> Batch:
    """Flip each face left to right with probability one half."""
    flip = jax.random.bernoulli(key, shape=(len(batch.images),)).reshape(-1, 1, 1)
    return batch._replace(images=jnp.where(flip, batch.images[:, :, ::-1], batch.images))


def descend(optimizer: Pair, gradients: Pair, state: TrainState) -> TrainState:
    """Take one step of each network's optimiser."""
    params, opt_state = [], []
    for adam, gradient, old, weights in zip(optimizer, gradients, state.opt_state, state.params, strict=True):
        change, new = adam.update(gradient, old, weights)
        params.append(optax.apply_updates(weights, change))
        opt_state.append(new)
    return state._replace(params=Pair(*params), opt_state=Pair(*opt_state))


def advance_teachers(state: TrainState, decay: float, *, frozen: bool) -> TrainState:
    """Move both teachers by `1 - decay` to their students (paper: equation 4), their statistics unless `frozen`."""
    # Frozen ones stay at mean 0 and variance 1, as in the released scripts.
    params = optax.incremental_update(state.params, state.teacher_params, 1 - decay)
    stats = optax.incremental_update(state.batch_stats, state.teacher_batch_stats, 1 - decay)
    return state._replace(teacher_params=params, teacher_batch_stats=state.teacher_batch_stats if frozen else stats)
