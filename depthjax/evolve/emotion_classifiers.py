"""Which emotion a face shows: small convolutional networks, trained on the training faces for evolution.

Subjects are split into four folds, and each network is trained without one. So every training face is classified
by a network that does not know its subject; generated faces are classified by all networks together, which is a
little more accurate. Training takes less than a minute on two CPU cores. The networks share neither training
subjects nor weights with the shipped network that evaluates the run.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from depthjax.data.noise import BACKGROUND
from depthjax.keys import key_for
from depthjax.models.conv import DownConv
from depthjax.parallel import in_threads

FOLDS = 4  # of subjects, each left out by one network
STEEP = 0.1  # difference of neighbouring pixels (of 2 between -1 and 1) at which slopes saturate
BATCH = 32
AT_ONCE = 256  # faces that are classified at once
RATE, DECAY = 2e-3, 1e-3  # of AdamW, with a cosine schedule to zero
SMOOTHING = 0.05  # of the labels: weak expressions are not certain
DROPOUT = 0.3
GAIN, NOISE = 0.1, 0.02  # standard deviations of the augmentation of depths

Variables = Any  # of one network, or of all of them with a leading axis (networks,)
Carry = tuple[Variables, Any]  # variables, and the state of their optimiser


class Fitted(NamedTuple):
    """The networks, and how they classify the training faces: each face by one that has not seen its subject."""

    variables: Variables  # with a leading axis (networks,)
    log_probability: np.ndarray  # (n,) of each face's own emotion
    accuracy: float  # on subjects left out; NaN where there were too few to leave any out
    hidden: np.ndarray  # (n, networks * size) the hidden layers of all networks, as those of `Classified`


class Classified(NamedTuple):
    """The networks' outputs for n faces."""

    log_probability: jax.Array  # (n, classes) of their mean probability
    hidden: jax.Array  # (n, networks * size) their hidden layers side by side, before the rectifier


class EmotionClassifier(nn.Module):
    """Slopes between pixels, three strided convolutions and two dense layers; no batch statistics.

    Slopes are alike on subjects with different heads, and steps at a face's edge count no more than the side
    of a nose. In `apply` with the collection `intermediates` mutable, `features` are the hidden layer.
    """

    classes: int
    width: int = 16  # channels of the first map; doubled twice
    size: int = 64  # of the hidden layer

    @nn.compact
    def __call__(self, shapes: jax.Array, train: bool) -> jax.Array:
        """Return logits (n, classes) of shapes (n, side, side) in [-1, 1]; `train` needs the rng dropout.

        The side is a multiple of 8.
        """
        across = jnp.pad(jnp.diff(shapes, axis=2), ((0, 0), (0, 0), (0, 1)))
        down = jnp.pad(jnp.diff(shapes, axis=1), ((0, 0), (0, 1), (0, 0)))
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
def classify(variables: Variables, shapes: jax.Array) -> Classified:
    """Classify (n, side, side) shapes in [-1, 1], of the side in training, by all networks together."""
    log_probability, hidden = _outputs(variables, shapes)
    mean = jax.nn.logsumexp(log_probability, axis=0) - jnp.log(len(log_probability))
    return Classified(mean, jnp.moveaxis(hidden, 0, 1).reshape(len(shapes), -1))


@jax.jit
def _outputs(variables: Variables, shapes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return log-probabilities (networks, n, classes) and hidden layers (networks, n, size) of n shapes."""
    classes = variables["params"]["emotion"]["bias"].shape[-1]

    def one(own: Variables) -> tuple[jax.Array, jax.Array]:
        logits, kept = EmotionClassifier(classes).apply(own, shapes, False, mutable=["intermediates"])
        return jax.nn.log_softmax(logits), kept["intermediates"]["features"][0]

    # A loop compiles one network; vmapped, its convolutions become grouped ones, at half the speed on a CPU.
    found: tuple[jax.Array, jax.Array] = jax.lax.map(one, variables)
    return found


def fit_classifiers(
    shapes: np.ndarray, emotion: np.ndarray, subject: np.ndarray, *, classes: int, steps: int, seed: int
) -> Fitted:
    """Train one network without each fold of subjects, in steps of 32 faces, and classify the fold by it.

    Where an emotion would be missing without a fold, its network sees all subjects. Shapes (n, side, side) lie in
    [-1, 1], emotions (n,) below `classes`, all of them present.
    """
    fold = np.unique(subject, return_inverse=True)[1] % FOLDS
    numbers = np.unique(fold)
    seen = fold[None] != numbers[:, None]  # (networks, n)
    complete = np.array([len(np.unique(emotion[own])) == classes for own in seen])
    seen[~complete] = True
    variables = _trained(shapes, emotion, seen, classes=classes, steps=steps, seed=seed)

    # Padded, so that one program serves any number of faces.
    padded = np.pad(shapes, ((0, -len(shapes) % AT_ONCE), (0, 0), (0, 0)))
    parts = [_outputs(variables, padded[i : i + AT_ONCE]) for i in range(0, len(padded), AT_ONCE)]
    found, hidden = (np.concatenate(column, axis=1)[:, : len(shapes)] for column in zip(*parts, strict=True))
    rows = np.arange(len(shapes))
    own = found[np.searchsorted(numbers, fold), rows]  # (n, classes)
    accuracy = float((own.argmax(1) == emotion).mean()) if complete.all() else float("nan")
    by_face = hidden.swapaxes(0, 1).reshape(len(shapes), -1)
    return Fitted(variables, own[rows, emotion].astype(np.float64), accuracy, by_face)


def _trained(
    shapes: np.ndarray, emotion: np.ndarray, seen: np.ndarray, *, classes: int, steps: int, seed: int
) -> Variables:
    """Train a network on each row of `seen` (networks, n), and stack their variables.

    Each runs by itself: vmapped, their convolutions become grouped ones, at two thirds of the speed on a CPU.
    """
    faces, labels = jnp.asarray(shapes, jnp.float32), jnp.asarray(emotion, jnp.int32)
    net = EmotionClassifier(classes)

    def trained(network: int) -> Variables:
        # The faces that a network may see come first; it draws from as many as there are.
        order = jnp.asarray(np.argsort(~seen[network], kind="stable"), jnp.int32)
        count = jnp.int32(seen[network].sum())
        # These words fix the random draws of stored runs.
        init, key = (key_for(seed, word, network) for word in ("reader init", "reader"))
        carry = _begin(net, init, faces[:1])
        for i in range(steps):  # a loop inside the program is ten times slower on a CPU
            carry = _step(net, carry, faces, labels, order, count, key, i, steps)
        return carry[0]

    every = in_threads(trained, range(len(seen)))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *every)


@partial(jax.jit, static_argnums=0)
def _begin(net: EmotionClassifier, key: jax.Array, face: jax.Array) -> Carry:
    variables = net.init(key, face, False)
    return variables, optax.adamw(RATE).init(variables)


@partial(jax.jit, static_argnums=0)
def _step(
    net: EmotionClassifier,
    carry: Carry,
    shapes: jax.Array,
    emotion: jax.Array,
    order: jax.Array,
    count: jax.Array,
    key: jax.Array,
    number: jax.Array | int,
    steps: jax.Array | int,
) -> Carry:
    """Train a network on a batch drawn from the first `count` faces of its `order`."""
    draw, vary, drop = jax.random.split(jax.random.fold_in(key, number), 3)
    rows = order[jax.random.randint(draw, (BATCH,), 0, count, jnp.int32)]
    faces = augmented(vary, shapes[rows])
    wanted = optax.smooth_labels(jax.nn.one_hot(emotion[rows], net.classes), SMOOTHING)

    def loss(variables: Variables) -> jax.Array:
        logits: Any = net.apply(variables, faces, True, rngs={"dropout": drop})
        return optax.softmax_cross_entropy(logits, wanted).mean()

    variables, state = carry
    rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * number / steps))
    optimiser = optax.adamw(rate, weight_decay=DECAY)
    updates, state = optimiser.update(jax.grad(loss)(variables), state, variables)
    return optax.apply_updates(variables, updates), state


def augmented(key: jax.Array, shapes: jax.Array) -> jax.Array:
    """Return (n, side, side) faces mirrored or not, shifted by at most a pixel, scaled in depth, and noisier."""
    flip, where, gain, noise = jax.random.split(key, 4)
    n, ones = len(shapes), (len(shapes), 1, 1)
    mirrored = jnp.where(jax.random.bernoulli(flip, 0.5, ones), shapes[:, :, ::-1], shapes)
    wide = jnp.pad(mirrored, ((0, 0), (1, 1), (1, 1)), mode="edge")
    cut = jax.vmap(lambda face, start: jax.lax.dynamic_slice(face, start, shapes.shape[1:]))
    moved = cut(wide, jax.random.randint(where, (n, 2), 0, 3, jnp.int32))
    gains = 1 + GAIN * jax.random.normal(gain, ones, jnp.float32)
    scaled = moved * gains + NOISE * jax.random.normal(noise, moved.shape, jnp.float32)
    return jnp.where(moved > BACKGROUND, moved, scaled)
