"""A small convolutional network that learns its features from the given faces alone, as a classifier.

It sees no augmented faces but those it is given: what mirrored copies are worth is for the controls to show.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from depthjax.evaluate.spaces import SIDE
from depthjax.keys import IMPLEMENTATION
from depthjax.models.conv import DownConv

STEPS = 200  # whatever the number of faces
BATCH = 32
RATE, DECAY = 2e-3, 1e-2  # of AdamW, with a cosine schedule to zero
WIDTH = 16  # channels of the first map; doubled twice
STEEP = 0.2  # difference of neighbouring boxes (of 2 between -1 and 1) at which slopes saturate
ASKED = 256  # faces that are classified at once

Carry = tuple[Any, Any]  # parameters, and the state of their optimiser


class _Network(nn.Module):
    """Slopes between neighbouring boxes, three strided convolutions and a dense layer: (n, side, side) → logits."""

    classes: int

    @nn.compact
    def __call__(self, faces: jax.Array) -> jax.Array:
        across = jnp.pad(jnp.diff(faces, axis=2), ((0, 0), (0, 0), (0, 1)))
        down = jnp.pad(jnp.diff(faces, axis=1), ((0, 0), (0, 1), (0, 0)))
        x = jnp.tanh(jnp.stack([across, down], -1) / STEEP)
        for i in range(3):
            x = DownConv(WIDTH * 2**i, name=f"conv_{i + 1}")(x)
            x = nn.relu(nn.GroupNorm(8, name=f"norm_{i + 1}")(x))
        return nn.Dense(self.classes, name="emotion")(x.reshape(len(x), -1))


class SmallNetwork:
    """A classifier in the manner of scikit-learn, of 32x32 box means (n, 1024) and labels 0 to classes - 1 (n,)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, boxes: np.ndarray, emotion: np.ndarray, sample_weight: np.ndarray | None = None) -> SmallNetwork:
        """Train for STEPS batches; weights are chances to be in one."""
        faces, labels = np.asarray(boxes, np.float32).reshape(-1, SIDE, SIDE), emotion.astype(np.int32)
        self.net = _Network(int(emotion.max()) + 1)
        carry = _begin(self.net, jax.random.key(self.seed, impl=IMPLEMENTATION))
        # A loop inside the program is ten times slower on a CPU.
        for number, rows in enumerate(_batches(emotion, sample_weight, np.random.default_rng(self.seed))):
            carry = _step(self.net, carry, faces[rows], labels[rows], number)
        self.parameters = carry[0]
        return self

    def predict(self, boxes: np.ndarray) -> np.ndarray:
        """Return the (n,) most probable emotions."""
        faces = np.asarray(boxes, np.float32).reshape(-1, SIDE, SIDE)
        padded = np.zeros((-(-len(faces) // ASKED) * ASKED, SIDE, SIDE), np.float32)
        padded[: len(faces)] = faces
        chunks = [_classify(self.net, self.parameters, padded[i : i + ASKED]) for i in range(0, len(padded), ASKED)]
        return np.concatenate([np.asarray(chunk) for chunk in chunks])[: len(faces)]


def _batches(emotion: np.ndarray, weight: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Draw (STEPS, BATCH) rows, each emotion in turn."""
    members = [np.flatnonzero(emotion == label) for label in np.unique(emotion)]
    chances = [None if weight is None else weight[rows] / weight[rows].sum() for rows in members]
    places = [place % len(members) for place in range(BATCH)]
    return np.stack([rng.choice(members[place], STEPS, p=chances[place]) for place in places], axis=1)


@partial(jax.jit, static_argnums=0)
def _begin(net: _Network, key: jax.Array) -> Carry:
    parameters = net.init(key, jnp.zeros((1, SIDE, SIDE)))
    return parameters, optax.adamw(RATE).init(parameters)


@partial(jax.jit, static_argnums=0)
def _step(net: _Network, carry: Carry, faces: jax.Array, emotion: jax.Array, number: jax.Array) -> Carry:
    def loss(parameters: Any) -> jax.Array:
        logits: Any = net.apply(parameters, faces)
        return optax.softmax_cross_entropy_with_integer_labels(logits, emotion).mean()

    parameters, state = carry
    rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * number / STEPS))
    updates, state = optax.adamw(rate, weight_decay=DECAY).update(jax.grad(loss)(parameters), state, parameters)
    return optax.apply_updates(parameters, updates), state


@partial(jax.jit, static_argnums=0)
def _classify(net: _Network, parameters: Any, faces: jax.Array) -> jax.Array:
    logits: Any = net.apply(parameters, faces)
    return logits.argmax(1)
