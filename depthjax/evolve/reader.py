"""Which emotion a face shows, as evolution reads it: small convolutional networks, fitted on real training faces.

Each of them has seen all people but a quarter, another quarter each (of fewer than four people, all but one). So every
real face is read by one that does not know the person; generated faces are read by all of them together, which is a
little surer. They learn in less than a minute on two CPU cores, and share nothing with the shipped network that judges
the run: neither its training people nor its weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from depthjax.data.noise import BACKGROUND
from depthjax.keys import key_for
from depthjax.models.conv import DownConv

FOLDS = 4  # of people, each left out by one network
STEEP = 0.1  # of the 2 between -1 and 1, from one pixel to the next: slopes saturate about there
BATCH = 32
RATE, DECAY = 2e-3, 1e-3  # of AdamW, the rate falling to zero by a cosine
SMOOTHING = 0.05  # of the labels: weak expressions are not certain
DROPOUT = 0.3
GAIN, NOISE = 0.1, 0.02  # of depths while learning: standard deviations

Variables = Any  # of one network, or of all of them with a leading axis (readers,)
Carry = tuple[Variables, Any]  # of one network, and what its optimiser remembers


class Fitted(NamedTuple):
    """The networks, and how they read real faces: each face by the network that has not seen the person."""

    variables: Variables  # with a leading axis (readers,)
    log_probability: np.ndarray  # (n,) of each face's own emotion
    right: float  # share of faces whose emotion is read as it is; NaN if somebody was read by who knows them


class Read(NamedTuple):
    """What the readers make of faces."""

    log_probability: jax.Array  # (n, classes) of their mean probability
    hidden: jax.Array  # (n, readers * size) their hidden layers side by side, before they are rectified


class Reader(nn.Module):
    """Slopes between pixels, three strided convolutions and two dense layers; no statistics of the batch.

    Slopes are alike on people of different heads, and the steps at a face's edge count no more than a nose's side. In
    `apply` with the collection `intermediates` mutable, `features` are the hidden layer.

    Attributes:
        classes: emotions.
        width: channels of the first map; doubled twice.
        size: of the hidden layer.
    """

    classes: int
    width: int = 16
    size: int = 64

    @nn.compact
    def __call__(self, shapes: jax.Array, train: bool) -> jax.Array:
        """(n, side, side) in [-1, 1], the side a multiple of 8 → logits (n, classes); `train` needs the rng dropout."""
        ahead = ((0, 0), (0, 0), (0, 1)), ((0, 0), (0, 1), (0, 0))
        across, down = (jnp.pad(jnp.diff(shapes, axis=axis), pad) for axis, pad in zip((2, 1), ahead, strict=True))
        x = jnp.tanh(jnp.stack([across, down], -1) / STEEP)
        for i in range(3):
            x = DownConv(self.width * 2**i, name=f"conv_{i + 1}")(x)
            x = nn.relu(nn.GroupNorm(8, name=f"norm_{i + 1}")(x))
        x = nn.Dropout(DROPOUT, deterministic=not train)(x.reshape(len(x), -1))
        x = nn.Dense(self.size, name="hidden")(x)
        if not self.is_initializing():
            self.sow("intermediates", "features", x)
        x = nn.relu(x)
        return nn.Dense(self.classes, name="emotion")(nn.Dropout(DROPOUT, deterministic=not train)(x))


@jax.jit
def read_emotions(readers: Variables, shapes: jax.Array) -> Read:
    """What all readers together make of (n, side, side) shapes.

    Args:
        readers: from `fit_readers`.
        shapes: in [-1, 1], of the side that they were fitted on.
    """
    count, classes = readers["params"]["emotion"]["bias"].shape
    logits, hidden = [], []
    for i in range(count):
        one = jax.tree.map(lambda x, i=i: x[i], readers)
        found, kept = Reader(classes).apply(one, shapes, False, mutable=["intermediates"])
        logits.append(found)
        hidden.append(kept["intermediates"]["features"][0])
    shared = jax.nn.logsumexp(jax.nn.log_softmax(jnp.stack(logits)), axis=0) - jnp.log(count)
    return Read(shared, jnp.concatenate(hidden, 1))


def fit_readers(
    shapes: np.ndarray, emotion: np.ndarray, subject: np.ndarray, *, classes: int, steps: int, seed: int
) -> Fitted:
    """Fit a network without each fold of people, and read these people with it.

    Args:
        shapes: (n, side, side) in [-1, 1].
        emotion: (n,) below `classes`, all of them among it.
        subject: (n,) who it is.
        classes: how many emotions.
        steps: of training, each of 32 faces.
        seed: of the config.
    Where an emotion would be missing without a fold, its network knows everybody: too few people to leave any out.
    """
    fold = np.unique(subject, return_inverse=True)[1] % FOLDS
    net, optimiser, step = _learner(classes, steps)
    read, right, found = np.zeros(len(emotion)), np.zeros(len(emotion)), []
    faces, labels = jnp.asarray(shapes, jnp.float32), jnp.asarray(emotion, jnp.int32)
    for number in np.unique(fold):
        others = fold != number
        if len(np.unique(emotion[others])) < classes:
            others, right[:] = np.ones_like(others), np.nan
        # The others first, and how many: so all folds share one program.
        known = jnp.asarray(np.argsort(~others, kind="stable"), jnp.int32), jnp.int32(others.sum())
        key = key_for(seed, "reader", int(number))
        variables = net.init(key_for(seed, "reader init", int(number)), faces[:1], False)
        carry = variables, optimiser.init(variables)
        for i in range(steps):  # a loop within the program is ten times slower on a CPU
            carry = step(carry, faces, labels, *known, jax.random.fold_in(key, i))
        rows = np.flatnonzero(fold == number)
        shares = np.asarray(jax.nn.log_softmax(_logits(carry[0], faces[rows], classes)))
        read[rows] = shares[np.arange(len(rows)), emotion[rows]]
        right[rows] += shares.argmax(1) == emotion[rows]  # what is NaN stays so
        found.append(carry[0])
    return Fitted(jax.tree.map(lambda *x: jnp.stack(x), *found), read, float(right.mean()))


@lru_cache
def _learner(classes: int, steps: int) -> tuple[Reader, optax.GradientTransformation, Callable[..., Carry]]:
    """The network, its optimiser and the compiled step, the same ones for every set of faces."""
    net = Reader(classes)
    optimiser = optax.adamw(optax.cosine_decay_schedule(RATE, steps), weight_decay=DECAY)
    return net, optimiser, jax.jit(partial(_step, net=net, optimiser=optimiser))


@partial(jax.jit, static_argnames="classes")
def _logits(variables: Variables, shapes: jax.Array, classes: int) -> jax.Array:
    return Reader(classes).apply(variables, shapes, False)  # type: ignore[return-value]


def _step(
    carry: Carry,
    shapes: jax.Array,
    emotion: jax.Array,
    order: jax.Array,
    count: jax.Array,
    key: jax.Array,
    *,
    net: Reader,
    optimiser: optax.GradientTransformation,
) -> Carry:
    """One step on a batch drawn from the faces that this network may know: the first `count` of `order`."""
    draw, vary, drop = jax.random.split(key, 3)
    rows = order[jax.random.randint(draw, (BATCH,), 0, count)]
    faces = augmented(vary, shapes[rows])
    wanted = optax.smooth_labels(jax.nn.one_hot(emotion[rows], net.classes), SMOOTHING)

    def loss(variables: Variables) -> jax.Array:
        logits: Any = net.apply(variables, faces, True, rngs={"dropout": drop})
        return optax.softmax_cross_entropy(logits, wanted).mean()

    variables, memory = carry
    updates, memory = optimiser.update(jax.grad(loss)(variables), memory, variables)
    return optax.apply_updates(variables, updates), memory


def augmented(key: jax.Array, shapes: jax.Array) -> jax.Array:
    """(n, side, side) faces, each mirrored or not, moved by a pixel or none, deeper or flatter, and noisier.

    What is background or a hole stays so; where a side comes in, its edge is repeated.
    """
    whether, where, gain, noise = jax.random.split(key, 4)
    n, ones = len(shapes), (len(shapes), 1, 1)
    mirrored = jnp.where(jax.random.bernoulli(whether, 0.5, ones), shapes[:, :, ::-1], shapes)
    wide = jnp.pad(mirrored, ((0, 0), (1, 1), (1, 1)), mode="edge")
    cut = jax.vmap(lambda x, by: jax.lax.dynamic_slice(x, by, shapes.shape[1:]))
    moved = cut(wide, jax.random.randint(where, (n, 2), 0, 3))
    scaled = moved * (1 + GAIN * jax.random.normal(gain, ones)) + NOISE * jax.random.normal(noise, moved.shape)
    return jnp.where(moved > BACKGROUND, moved, scaled)
