"""Other ways to train a generator on few people, as updates beside the paper's: `experiments.few_generators`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.scipy.ndimage import map_coordinates

from depthjax.config import Config
from depthjax.models.conv import xavier_uniform
from depthjax.models.dcgan import strided_features, with_label_planes
from depthjax.train.state import BETAS, Pair, TrainState, init_state, networks, optimizers
from depthjax.train.step import (
    CROSS_ENTROPY,
    Batch,
    advance_teachers,
    descend,
    discriminator_distillation,
    forward,
    generator_distillation,
    mirrored,
    teacher_variables,
)

TARGET = 0.6  # of E[sign(D(x))] (ADA: Karras et al. 2020, section 3.1)
RATE = 0.002  # by which the probability of augmentation moves in a step: from 0 to 1 in 500
SHIFT, SCALE, TURN, OFFSET = 0.1, 0.1, 0.15, 0.1  # largest; radians, and units of [-1, 1]
FROZEN = ("conv_1", "conv_2", "norm_2")  # of the discriminator (FreezeD: Mo et al. 2020)
CRITIC_WIDTH = 16


@dataclass(frozen=True)
class Rule:
    """How a training differs from the paper's."""

    augment: bool = False  # faces before the discriminator, with a probability steered by overfitting (ADA)
    frozen: tuple[str, ...] = ()  # layers of the discriminator that keep their weights
    statistics_only: bool = False  # of the generator: only what batch normalisation learns, and the emotions' weights
    identities: bool = False  # half of the latent is a person's, shared by two faces that a critic sees together


class Few(NamedTuple):
    """Training faces, with for each the rows of the same person's other faces, (n, m) int32."""

    batch: Batch
    same_person: jax.Array


class Carry(NamedTuple):
    """What a step reads and writes beside the networks: the critic of pairs, and the probability of augmentation."""

    state: TrainState
    critic: Any
    critic_stats: Any
    critic_opt: Any
    probability: jax.Array


class PairCritic(nn.Module):
    """Map two faces with their emotions to the logit of both being of one person."""

    classes: int

    @nn.compact
    def __call__(self, first: Batch, second: Batch, train: bool) -> jax.Array:
        """Two batches of n faces → (n,) logits."""
        planes = [with_label_planes(*of, self.classes) for of in (first, second)]
        x = strided_features(self, jnp.concatenate(planes, -1), train, width=CRITIC_WIDTH, dtype=jnp.float32)
        return nn.Dense(1, kernel_init=xavier_uniform, name="linear")(x)[:, 0]


@partial(jax.jit, static_argnums=0)
def start(config: Config, key: jax.Array, prior: Pair | None = None) -> Carry:
    """Return a fresh carry; with the variables of a prior's teachers, both networks begin as these."""
    state, critic = init_state(key, config), PairCritic(len(config.data.emotions))
    if prior is not None:
        own, teachers = (jax.tree.map(jnp.copy, prior) for _ in range(2))  # the loop writes over what it is given
        state = state._replace(
            params=Pair(*(of["params"] for of in own)),
            batch_stats=Pair(*(of["batch_stats"] for of in own)),
            teacher_params=Pair(*(of["params"] for of in teachers)),
            teacher_batch_stats=Pair(*(of["batch_stats"] for of in teachers)),
        )
    size = config.data.resolution
    nothing = Batch(jnp.zeros((2, size, size)), jnp.zeros(2, jnp.int32))
    variables = critic.init(key, nothing, nothing, False)
    weights = variables["params"]
    opt = _critic_optimizer(config).init(weights)
    return Carry(state, weights, variables["batch_stats"], opt, jnp.zeros(()))


def make_loop(config: Config, rule: Rule) -> Callable[[Carry, Few, jax.Array, jax.Array], Carry]:
    """Return one program for many steps: `loop(carry, faces, key, count)`."""
    update = make_update(config, rule)

    def loop(carry: Carry, faces: Few, key: jax.Array, count: jax.Array) -> Carry:
        def body(i: jax.Array, carry: Carry) -> Carry:
            key_rows, key_update = jax.random.split(jax.random.fold_in(key, i))
            return update(carry, drawn(key_rows, faces, config.train.batch_size, pairs=rule.identities), key_update)

        return jax.lax.fori_loop(0, count, body, carry)

    return jax.jit(loop, donate_argnums=0)


def drawn(key: jax.Array, faces: Few, size: int, *, pairs: bool) -> Batch:
    """Draw a batch; of pairs, its second half are other faces of the people of the first."""
    key_rows, key_partner = jax.random.split(key)
    rows = jax.random.randint(key_rows, (size,), 0, len(faces.batch.emotion))
    if pairs:
        first = rows[: size // 2]
        place = jax.random.randint(key_partner, first.shape, 0, faces.same_person.shape[1])
        rows = jnp.concatenate([first, faces.same_person[first, place]])
    return jax.tree.map(lambda array: array[rows], faces.batch)


def make_update(config: Config, rule: Rule) -> Callable[[Carry, Batch, jax.Array], Carry]:
    """Return the paper's rule (`depthjax.train.step.make_update`) with what `rule` adds."""
    train, nets, optimizer = config.train, networks(config), optimizers(config)
    critic, critic_optimizer = PairCritic(len(config.data.emotions)), _critic_optimizer(config)

    def update(carry: Carry, batch: Batch, key: jax.Array) -> Carry:
        state = carry.state
        key_latents, key_mirror = jax.random.split(key)
        keys = jax.random.split(jax.random.fold_in(key, 1), 3)
        batch, emotion = mirrored(key_mirror, batch), batch.emotion
        seen = partial(augmented, probability=carry.probability) if rule.augment else lambda _, images: images
        latents = jax.random.normal(key_latents, (len(emotion), config.model.latent_size))
        if rule.identities:
            latents = share_identity(latents)

        def generator_loss(params: Any) -> tuple[jax.Array, Any]:
            fakes, g_stats = forward(nets.generator, params, state.batch_stats.generator, latents, emotion)
            weights, stats = state.params.discriminator, state.batch_stats.discriminator
            logits, d_stats = forward(nets.discriminator, weights, stats, seen(keys[0], fakes), emotion)
            targets = nets.generator.apply(teacher_variables(state).generator, latents, emotion, False)
            distillation = generator_distillation(fakes, targets, train.generator_kd_norm).mean()
            loss = CROSS_ENTROPY.generator(logits, logits).mean() + train.generator_kd_weight * distillation
            if rule.identities:
                pair, _ = forward(critic, carry.critic, carry.critic_stats, *halves(Batch(fakes, emotion)))
                loss += jax.nn.softplus(-pair).mean()
            return loss, (fakes, g_stats, d_stats)

        def discriminator_loss(params: Any, fakes: jax.Array, stats: Any) -> tuple[jax.Array, Any]:
            real_seen, fake_seen = seen(keys[1], batch.images), seen(keys[2], fakes)
            on_real, stats = forward(nets.discriminator, params, stats, real_seen, emotion)
            on_fake, stats = forward(nets.discriminator, params, stats, fake_seen, emotion)
            teacher = teacher_variables(state).discriminator
            targets = [nets.discriminator.apply(teacher, x, emotion, False) for x in (real_seen, fake_seen)]
            pairs = zip((on_real, on_fake), targets, strict=True)
            distillation = sum(discriminator_distillation(*pair).mean() for pair in pairs) / 2
            real, fake = (losses.mean() for losses in CROSS_ENTROPY.discriminator(on_real, on_fake))
            return (real + fake) / 2 + train.discriminator_kd_weight * distillation, (stats, jnp.sign(on_real).mean())

        g_gradient, (fakes, g_stats, d_stats) = jax.grad(generator_loss, has_aux=True)(state.params.generator)
        fakes = jax.lax.stop_gradient(fakes)
        d_gradient, (d_stats, sign) = jax.grad(discriminator_loss, has_aux=True)(
            state.params.discriminator, fakes, d_stats
        )
        gradients = Pair(
            statistics_alone(g_gradient, config.model.latent_size) if rule.statistics_only else g_gradient,
            {name: jax.tree.map(jnp.zeros_like, of) if name in rule.frozen else of for name, of in d_gradient.items()},
        )
        state = descend(optimizer, gradients, state)
        state = state._replace(step=state.step + 1, batch_stats=Pair(g_stats, d_stats))
        state = advance_teachers(state, train.ema_decay, frozen=False)
        probability = jnp.clip(carry.probability + RATE * jnp.sign(sign - TARGET), 0, 1)
        carry = carry._replace(state=state, probability=probability)
        return learn_pairs(carry, batch, Batch(fakes, emotion)) if rule.identities else carry

    def learn_pairs(carry: Carry, batch: Batch, fakes: Batch) -> Carry:
        """Take a step of the critic: two faces of one person, against two generated ones, and two people's."""

        def loss(params: Any) -> tuple[jax.Array, Any]:
            (first, second), stats = halves(batch), carry.critic_stats
            on_real, stats = forward(critic, params, stats, first, second)
            on_fake, stats = forward(critic, params, stats, *halves(fakes))
            other = jax.tree.map(partial(jnp.roll, shift=1, axis=0), second)
            on_other, stats = forward(critic, params, stats, first, other)
            mean = jnp.mean(jax.nn.softplus(-on_real)) + jnp.mean(jax.nn.softplus(on_fake)) / 2
            return mean + jnp.mean(jax.nn.softplus(on_other)) / 2, stats

        gradient, stats = jax.grad(loss, has_aux=True)(carry.critic)
        change, opt = critic_optimizer.update(gradient, carry.critic_opt)
        weights = optax.apply_updates(carry.critic, change)
        return carry._replace(critic=weights, critic_stats=stats, critic_opt=opt)

    return update


def augmented(key: jax.Array, images: jax.Array, probability: jax.Array) -> jax.Array:
    """Move, turn and scale (n, h, w) faces, and shift their depth, each with a probability; background stays 1."""
    side = images.shape[1]
    grid = jnp.stack(jnp.meshgrid(*[jnp.arange(side) - (side - 1) / 2] * 2, indexing="ij"))

    def change(key: jax.Array, image: jax.Array) -> jax.Array:
        moves, offsets, *draws = jax.random.split(key, 4)
        size, turn, *shift = jax.random.uniform(moves, (4,), minval=-1) * (draw(draws[0]))
        angle, scale = TURN * turn, 1 + SCALE * size
        matrix = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]]) / scale
        places = jnp.tensordot(matrix, grid, 1) + (side - 1) / 2 + SHIFT * side * jnp.stack(shift)[:, None, None]
        moved = map_coordinates(image, places, order=1, mode="constant", cval=1.0)
        offset = OFFSET * jax.random.uniform(offsets, minval=-1) * draw(draws[1])
        return jnp.where(moved < 1, jnp.clip(moved + offset, -1, 1), 1)

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, probability).astype(jnp.float32)

    return jax.vmap(change)(jax.random.split(key, len(images)), images)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return the first and the second half of a batch."""
    half = len(batch.emotion) // 2
    return jax.tree.map(lambda array: array[:half], batch), jax.tree.map(lambda array: array[half:], batch)


def share_identity(latents: jax.Array) -> jax.Array:
    """Return (n, d) latents whose second half of rows has the first d / 2 numbers of the first half."""
    half, size = len(latents) // 2, latents.shape[1] // 2
    return latents.at[half:, :size].set(latents[:half, :size])


def statistics_alone(gradient: Any, latent_size: int) -> Any:
    """Return a generator's gradient in its scales, shifts and emotions' weights alone (Noguchi and Harada 2019)."""
    zeros = jax.tree.map(jnp.zeros_like, gradient)
    kept = {name: of for name, of in gradient.items() if name.startswith("norm_")}
    emotions = gradient["linear"]["kernel"].at[:latent_size].set(0)
    return zeros | kept | {"linear": zeros["linear"] | {"kernel": emotions}}


def _critic_optimizer(config: Config) -> optax.GradientTransformation:
    return optax.adam(config.train.discriminator_lr, *BETAS)
