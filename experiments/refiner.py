"""A refiner of rendered faces in the manner of SimGAN (Shrivastava et al. 2017): `experiments.few_generators`.

It changes a rendered face so that patches look like those of a sensor's faces, and stays near the face it was given.
The sensor's faces need no labels. Depth alone is changed: invalid and background pixels stay as they are rendered.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from depthjax.data.augment import BACKGROUND

STEPS, BATCH, RATE, FIRST = 250, 8, 2e-3, 25  # FIRST: steps of the refiner alone, as it were the identity
CHANNELS, BLOCKS, KEEP = 8, 2, 1.0  # KEEP: weight of the distance from the rendered face
PIECE = 100  # faces refined at once


class Refiner(nn.Module):
    """Map faces (n, h, w) in [-1, 1] to faces: a residual network without strides."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """(n, h, w) → (n, h, w)."""
        x = nn.relu(nn.Conv(CHANNELS, (3, 3))(images[..., None]))
        for _ in range(BLOCKS):
            x = x + nn.Conv(CHANNELS, (3, 3))(nn.relu(nn.Conv(CHANNELS, (3, 3))(x)))
        change = nn.Conv(1, (1, 1), kernel_init=nn.initializers.zeros)(x)[..., 0]
        return jnp.where(images < BACKGROUND, jnp.clip(images + change, -1, 1), images)


class PatchCritic(nn.Module):
    """Map faces (n, h, w) to one logit a patch, (n, h / 4, w / 4): whether it is a sensor's."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """(n, h, w) → (n, h / 4, w / 4)."""
        x = images[..., None]
        for width, stride in ((16, 2), (32, 2), (32, 1)):
            x = nn.leaky_relu(nn.Conv(width, (3, 3), (stride, stride))(x), 0.2)
        return nn.Conv(1, (1, 1))(x)[..., 0]


class _State(NamedTuple):
    refiner: Any
    critic: Any
    refiner_opt: Any
    critic_opt: Any


def refined(rendered: np.ndarray, sensor: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the rendered faces (n, h, w), refined by what the sensor's faces (m, h, w) look like."""
    key = jax.random.key(seed)
    refiner, critic = (net.init(k, rendered[:2]) for net, k in zip(_NETS, jax.random.split(key), strict=True))
    solver = optax.adam(RATE)
    state = _State(refiner, critic, solver.init(refiner), solver.init(critic))
    state = _train(state, jnp.asarray(rendered), jnp.asarray(sensor), key)
    pieces = [rendered[i : i + PIECE] for i in range(0, len(rendered), PIECE)]
    return np.concatenate([np.asarray(_apply(state.refiner, piece)) for piece in pieces])


_NETS = (Refiner(), PatchCritic())
_apply = jax.jit(_NETS[0].apply)


@partial(jax.jit, donate_argnums=0)
def _train(state: _State, rendered: jax.Array, sensor: jax.Array, key: jax.Array) -> _State:
    solver, (net, judge) = optax.adam(RATE), _NETS

    def body(i: jax.Array, state: _State) -> _State:
        faces, real = (
            faces[jax.random.randint(jax.random.fold_in(key, 2 * i + n), (BATCH,), 0, len(faces))]
            for n, faces in enumerate((rendered, sensor))
        )

        def refiner_loss(params: Any) -> tuple[jax.Array, jax.Array]:
            made: jax.Array = net.apply(params, faces)  # type: ignore[assignment]
            adversarial = nn.softplus(-judge.apply(state.critic, made)).mean()  # type: ignore[arg-type]
            return jnp.where(i < FIRST, 0, adversarial) + KEEP * jnp.abs(made - faces).mean(), made

        def critic_loss(params: Any) -> jax.Array:
            on_real, on_made = (judge.apply(params, of) for of in (real, jax.lax.stop_gradient(made)))
            loss: jax.Array = nn.softplus(-on_real).mean() + nn.softplus(on_made).mean()  # type: ignore[operator,arg-type]
            return loss

        gradient, made = jax.grad(refiner_loss, has_aux=True)(state.refiner)
        change, refiner_opt = solver.update(gradient, state.refiner_opt)
        refiner = optax.apply_updates(state.refiner, change)
        change, critic_opt = solver.update(jax.grad(critic_loss)(state.critic), state.critic_opt)
        return _State(refiner, optax.apply_updates(state.critic, change), refiner_opt, critic_opt)

    return jax.lax.fori_loop(0, STEPS, body, state)
