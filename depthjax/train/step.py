"""One training step of the stabilised conditional GAN, as a pure function, and many of them in one dispatch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from depthjax.config import Config
from depthjax.keys import key_for
from depthjax.train.augment import make_augment
from depthjax.train.distil import discriminator_lesson, generator_lesson, observed
from depthjax.train.losses import adversarial_of_discriminator, adversarial_of_generator, lecam
from depthjax.train.parts import in_parts
from depthjax.train.penalty import penalty_gradient
from depthjax.train.schedules import condition_factor, distillation_factor, ema_decay, penalty_factor, rate_factor
from depthjax.train.sensor import make_sensor
from depthjax.train.state import Pair, TrainState, networks, optimizers

Metrics = dict[str, jax.Array]

METRICS = ("g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd", "d_acc_real", "d_acc_fake")

# What is drawn at random of a step's key beside latents and mirror: split() has taken the first numbers of fold_in().
SENSOR, G_FAKE, G_REAL, G_LESSON, D_REAL, D_FAKE, D_LESSON, D_WRONG = 16, 17, 18, 19, 21, 22, 23, 25
ANCHOR_DECAY = 0.99  # of the running means of the logits that LeCam compares with


class Batch(NamedTuple):
    """Real faces: images (n, h, w) float32 in [-1, 1], emotion (n,) int32."""

    images: jax.Array
    emotion: jax.Array


Update = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]


def make_update(config: Config) -> Update:
    """The learning rule: `update(state, batch, key)` → the next state and the step's metrics (scalars).

    Generator first, then the discriminator on the same fakes, each drawn to its own teacher, and each teacher moved
    after its own network (paper: equations 1 and 4 to 6; order and weights as in the released scripts). The fakes
    claim the emotions of the real batch, so both halves of a batch show the same mix of classes. With
    `train.accumulate` above 1 each network meets the batch in parts (see `in_parts`).
    """
    train, optimizer = config.train, optimizers(config)
    generator_loss, discriminator_gradient = make_generator_loss(config), make_discriminator_gradient(config)

    def update(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        key_latents, key_mirror = jax.random.split(key)
        batch = mirrored(key_mirror, batch) if train.mirror else batch
        latents = jax.random.normal(key_latents, (len(batch.images), config.model.latent_size))

        def of_generator(faces: tuple[jax.Array, Batch], key: jax.Array) -> tuple[Any, jax.Array]:
            gradient = jax.grad(generator_loss, has_aux=True)
            gradient, (fakes, stats, metrics) = gradient(state.params.generator, state, *faces, key)
            return (gradient, stats, metrics), jax.lax.stop_gradient(fakes)

        (g_gradient, stats, g_metrics), fakes = in_parts(of_generator, (latents, batch), key, parts=train.accumulate)
        of_discriminator = partial(discriminator_gradient, state, stats.discriminator)
        (d_gradient, d_stats, d_metrics), _ = in_parts(of_discriminator, (batch, fakes), key, parts=train.accumulate)
        state = descend(optimizer, Pair(g_gradient, d_gradient), state, rate_factor(state.step, train))
        decay = ema_decay(state.step, train)
        state = state._replace(step=state.step + 1, batch_stats=Pair(stats.generator, d_stats))
        return advance_teachers(state, decay, frozen=train.teacher_batch_stats == "frozen"), g_metrics | d_metrics

    return update


def make_generator_loss(config: Config) -> Callable[..., tuple[jax.Array, Any]]:
    """`loss(params, state, latents, batch, key)` of the generator.

    With it come the faces as the sensor sees them, both networks' batch statistics, and metrics.
    """
    train, sense, augment = config.train, make_sensor(config), make_augment(config)

    def generator_loss(
        params: Any, state: TrainState, latents: jax.Array, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        stats, emotion, nets = state.batch_stats, batch.emotion, networks_at(state.step, config)
        faces, g_stats = forward(nets.generator, params, stats.generator, latents, emotion)
        fakes = sense(key, SENSOR, faces)
        # A discriminator in training mode counts these fakes in its running statistics: in PyTorch, so here too.
        net, weights = nets.discriminator, state.params.discriminator
        logits, d_stats = forward(net, weights, stats.discriminator, augment(key, G_FAKE, fakes), emotion)
        on_real = None
        if train.loss == "relativistic":
            on_real, d_stats = forward(net, weights, d_stats, augment(key, G_REAL, batch.images), emotion)

        def view(draw: int, images: jax.Array) -> jax.Array:
            return augment(key, G_LESSON + draw, sense(key, G_LESSON + draw, images))

        lesson = generator_lesson(nets, teacher_variables(state), faces, latents, emotion, view, train)
        adversarial = adversarial_of_generator(logits, on_real, train.loss).mean()
        loss = adversarial + train.generator_kd_weight * distillation_factor(state.step, train) * lesson
        return loss, (fakes, Pair(g_stats, d_stats), {"g_loss": loss, "g_adv": adversarial, "g_kd": lesson})

    return generator_loss


def make_discriminator_gradient(config: Config) -> Callable[..., tuple[Any, None]]:
    """`gradient(state, stats, (batch, fakes), key)` of the discriminator, its gradient penalty included.

    As `in_parts` wants it: the gradient, the batch statistics and metrics are means, and nothing is given a face.
    """
    train, discriminator_loss = config.train, make_discriminator_loss(config)

    def gradient_of(state: TrainState, stats: Any, faces: tuple[Batch, jax.Array], key: jax.Array) -> tuple[Any, None]:
        params = state.params.discriminator
        gradient, (shown, stats, metrics) = jax.grad(discriminator_loss, has_aux=True)(
            params, state, stats, *faces, key
        )
        if train.penalty:
            shown = jax.tree.map(jax.lax.stop_gradient, shown)
            value, more = penalty_of(config, params, stats, faces[0].emotion, shown, state.step)
            gradient = jax.tree.map(jnp.add, gradient, more)
            metrics |= {"d_penalty": value}
        return (gradient, stats, metrics), None

    return gradient_of


def make_discriminator_loss(config: Config) -> Callable[..., tuple[jax.Array, Any]]:
    """`loss(params, state, stats, batch, fakes, key)` of the discriminator, without its gradient penalty.

    With it come the real and generated images as they were shown, the batch statistics, and metrics.
    """
    train, augment = config.train, make_augment(config)

    def discriminator_loss(
        params: Any, state: TrainState, stats: Any, batch: Batch, fakes: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        emotion, pair, nets = batch.emotion, (batch.images, fakes), networks_at(state.step, config)
        shown = (augment(key, D_REAL, batch.images), augment(key, D_FAKE, fakes))
        on_real, stats = observed(nets.discriminator, params, stats, shown[0], emotion, train)
        on_fake, stats = observed(nets.discriminator, params, stats, shown[1], emotion, train)

        def view(draw: int, images: jax.Array) -> jax.Array:
            return augment(key, D_LESSON + draw, images)

        of_lesson = shown if train.kd == "pixel" else (view(0, pair[0]), view(1, pair[1]))
        lesson = discriminator_lesson(nets, teacher_variables(state), (on_real, on_fake), of_lesson, emotion, train)
        terms = adversarial_of_discriminator(on_real.logits, on_fake.logits, train.loss)
        real, fake = (term.mean() for term in terms)
        if train.mismatched:
            wrong = other_emotion(jax.random.fold_in(key, D_WRONG), emotion, len(config.data.emotions))
            on_wrong, stats = observed(nets.discriminator, params, stats, shown[0], wrong, train)
            refused = adversarial_of_discriminator(on_real.logits, on_wrong.logits, train.loss)[1].mean()
            fake = (1 - train.mismatched) * fake + train.mismatched * refused
        loss = (real + fake) / 2 + train.discriminator_kd_weight * distillation_factor(state.step, train) * lesson
        if train.lecam:
            anchors = stats["anchors"]
            loss += train.lecam * lecam(on_real.logits, on_fake.logits, anchors["real"], anchors["fake"]).mean()
            stats = stats | {"anchors": moved_anchors(anchors, on_real.logits, on_fake.logits)}
        metrics = {"d_loss": loss, "d_adv_real": real, "d_adv_fake": fake, "d_kd": lesson}
        against = on_fake.logits if train.loss == "relativistic" else None
        return loss, (shown, stats, metrics | accuracies(on_real.logits, on_fake.logits, against))

    return discriminator_loss


def make_steps(
    config: Config, most: int, *, streamed: bool = False, across: jax.sharding.Sharding | None = None
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]:
    """Many steps in one program: `steps(state, faces, count)` with a traced `count` of at most `most`.

    Args:
        streamed: whether `faces` are the batches of these steps, or the whole training set.
        across: how a batch is split over devices (default: not at all); the rest follows from it.
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
            batch = batch if across is None else jax.lax.with_sharding_constraint(batch, across)
            state, metrics = update(state, batch, key_for(config.train.seed, "train", state.step))
            return state, {name: log[name].at[i].set(value) for name, value in metrics.items()}

        log = {name: jnp.zeros(most) for name in metric_names(config)}
        return jax.lax.fori_loop(0, count, body, (state, log))

    return steps


def metric_names(config: Config) -> tuple[str, ...]:
    """The metrics of a step: METRICS, and `d_penalty` if there is one (zero at the steps that do without)."""
    return (*METRICS, "d_penalty") if config.train.penalty else METRICS


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


def networks_at(step: jax.Array, config: Config) -> Pair:
    """Both networks as they are at a step: under transitional training they hear of the emotion by and by."""
    nets, share = networks(config), condition_factor(step, config.train)
    if share is None:
        return nets
    gains = (nets.generator.emotion_gain * share, share)
    return Pair(*(net.clone(emotion_gain=gain) for net, gain in zip(nets, gains, strict=True)))


def forward(net: Any, params: Any, stats: Any, *inputs: jax.Array) -> tuple[jax.Array, Any]:
    """A network in training mode: its output, and its batch statistics with this batch counted in."""
    variables = {"params": params, "batch_stats": stats}
    output, new = net.apply(variables, *inputs, True, mutable=["batch_stats"])
    return output, new.get("batch_stats", {})


def penalty_of(
    config: Config, params: Any, stats: Any, emotion: jax.Array, shown: tuple[jax.Array, jax.Array], step: jax.Array
) -> tuple[jax.Array, Any]:
    """R1 + R2 at the images that a discriminator was shown, weighted, and the gradient in its parameters."""
    net, train = networks_at(step, config).discriminator, config.train

    def judge(params: Any, images: jax.Array) -> jax.Array:
        return forward(net, params, stats, images, emotion)[0]

    weight = train.penalty * penalty_factor(step, train)
    return penalty_gradient(judge, params, *shown, step=step, weight=weight, every=train.penalty_every)


def moved_anchors(anchors: dict[str, jax.Array], on_real: jax.Array, on_fake: jax.Array) -> dict[str, jax.Array]:
    """The running means of real and generated faces' logits, these (n,) counted in."""
    means = {"real": on_real.mean(), "fake": on_fake.mean()}
    return {name: ANCHOR_DECAY * anchors[name] + (1 - ANCHOR_DECAY) * mean for name, mean in means.items()}


def accuracies(on_real: jax.Array, on_fake: jax.Array, against: jax.Array | None = None) -> Metrics:
    """Shares of real and of generated faces that (n,) logits put on the right side.

    The right side is that of zero; with `against`, the (n,) logits of the paired fakes, both are the share of pairs in
    which the real face has the higher one.
    """
    if against is not None:
        right = (on_real > against).mean(dtype=jnp.float32)
        return {"d_acc_real": right, "d_acc_fake": right}
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


def other_emotion(key: jax.Array, emotion: jax.Array, classes: int) -> jax.Array:
    """(n,) emotions, each another one than that of (n,), all others alike probable."""
    return (emotion + jax.random.randint(key, emotion.shape, 1, classes)) % classes


def descend(optimizer: Pair, gradients: Pair, state: TrainState, factor: jax.Array | None = None) -> TrainState:
    """One step of each network's optimiser; both rates are multiplied by `factor`."""
    params, opt_state = [], []
    for adam, gradient, old, weights in zip(optimizer, gradients, state.opt_state, state.params, strict=True):
        change, new = adam.update(gradient, old, weights)
        if factor is not None:
            change = jax.tree.map(lambda delta: factor * delta, change)
        params.append(optax.apply_updates(weights, change))
        opt_state.append(new)
    return state._replace(params=Pair(*params), opt_state=Pair(*opt_state))


def advance_teachers(state: TrainState, decay: float | jax.Array, *, frozen: bool) -> TrainState:
    """Both teachers moved by `1 - decay` towards their students (paper: equation 4).

    Batch statistics are averaged as the parameters are; `frozen` repeats the released scripts, whose teachers keep
    mean 0 and variance 1 for ever.
    """
    params = optax.incremental_update(state.params, state.teacher_params, 1 - decay)
    stats = optax.incremental_update(state.batch_stats, state.teacher_batch_stats, 1 - decay)
    return state._replace(teacher_params=params, teacher_batch_stats=state.teacher_batch_stats if frozen else stats)
