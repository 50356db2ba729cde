"""How far an evolution is, told from inside its one program, without a round trip between generations.

The program calls `tell` as generations begin; who listens is decided outside, so the program is the same for every
listener. A call takes it a millisecond, so there are twenty of them at most. A program with such calls is compiled at
every start: jax's cache on disk takes none of them. So short evolutions go unwatched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Progress = Callable[[int], None]  # given how many generations are done; not to raise
TOLD = 20  # times, at most, and at the end
LONG = {"cpu": 1e13}  # floating-point operations of the faces decoded: a minute on two cores. Elsewhere:
LONG_ELSEWHERE = 1e15

_listeners: list[Progress] = []


def every(generations: int) -> int:
    """After how many generations the program tells again."""
    return max(1, -(-generations // TOLD))


def tell(done: np.ndarray) -> None:
    """Called by the program, from a thread of its own."""
    for listener in _listeners[-1:]:
        listener(int(done))


@contextmanager
def listening(progress: Progress | None) -> Iterator[None]:
    """Within the block, evolutions tell this one how far they are; all they have to tell is told before it ends."""
    if progress is None:
        yield
        return
    _listeners.append(progress)
    try:
        yield
        jax.effects_barrier()
    finally:
        _listeners.remove(progress)


def is_long(generator: nn.Module, variables: Any, latent_size: int, faces: int) -> bool:
    """Whether so many faces take long enough to decode that one wants to know how far it is."""
    latents, emotion = jnp.zeros((1, latent_size)), jnp.zeros(1, jnp.int32)
    program = jax.jit(lambda v, z, e: generator.apply(v, z, e, train=False)).lower(variables, latents, emotion)
    cost: Any = program.cost_analysis() or {}  # some backends tell none
    return faces * cost.get("flops", 0.0) > LONG.get(jax.default_backend(), LONG_ELSEWHERE)
