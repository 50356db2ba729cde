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
from flax import linen as nn

Progress = Callable[[int], None]  # given how many generations are done; not to raise
TOLD = 20  # times, at most, and at the end
LONG = {"cpu": 1e13}  # floating-point operations of the faces decoded: a minute on two cores. Elsewhere:
LONG_ELSEWHERE = 1e15

_listeners: list[Progress] = []


def every(generations: int) -> int:
    """After how many generations the program tells again."""
    return max(1, -(-generations // TOLD))


def tell(done: jax.Array) -> None:
    """Called by the program, from a thread of its own."""
    for listener in _listeners[-1:]:
        listener(int(done))


@contextmanager
def listening(progress: Progress | None, generations: int) -> Iterator[None]:
    """Within the block, an evolution tells this one how far it is; at its end, that all generations are done.

    One at a time: a second one that is watched meanwhile, in another thread, would be told what the first has done.
    """
    if progress is None:
        yield
        return
    _listeners.append(progress)
    try:
        yield
        jax.effects_barrier()  # all that the program has to tell
    finally:
        _listeners.remove(progress)
    progress(generations)


def is_long(generator: nn.Module, variables: Any, latent_size: int, faces: int) -> bool:
    """Whether so many faces take long enough to decode that one wants to know how far it is.

    Operations are counted on the host's CPU device: those of GPUs do not tell. Where jax was given no CPU, nothing is
    long, for no program could call back.
    """
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return False
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    latents, emotion = jax.ShapeDtypeStruct((1, latent_size), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32)
    with jax.default_device(host):
        program = jax.jit(lambda v, z, e: generator.apply(v, z, e, train=False)).lower(shapes, latents, emotion)
        cost: Any = program.cost_analysis()
    return faces * cost["flops"] > LONG.get(jax.default_backend(), LONG_ELSEWHERE)
