"""A batch done in parts, one after the other: the memory of a part, the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

PART = 32  # folded into a step's key with a part's number: beyond the draws that `depthjax.train.step` numbers

# Faces of a part (a tree of (n, ...) arrays) and a key → what is averaged over parts, and what each face has (n, ...).
OfPart = Callable[[Any, jax.Array], tuple[Any, Any]]


def in_parts(of_part: OfPart, faces: Any, key: jax.Array, *, parts: int) -> tuple[Any, Any]:
    """`of_part(faces, key)` by a scan over `parts` equal parts of the faces; with one part, nothing but that call.

    What is a mean over faces (losses, gradients, LeCam's running means) is that of the whole batch, up to the order of
    sums. What ties faces together is of a part alone, and then averaged over parts: a part is normalised by its own
    statistics, and running statistics move once, by the mean of what the parts would have moved them by. The vectors of
    spectral normalisation depend on no face, so they are those of the whole batch.

    Args:
        of_part: pure; it never sees how many parts there are.
        faces: a tree of (n, ...) arrays, n a multiple of `parts`.
        key: of the step; each part gets one of its own.
    Returns:
        As `of_part`: means over all, and (n, ...) in the order of `faces`.
    """
    if parts == 1:
        return of_part(faces, key)
    cut = jax.tree.map(lambda array: _cut(array, parts), faces)
    first = jax.tree.map(lambda array: array[0], cut)
    shapes, _ = jax.eval_shape(of_part, first, key)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def body(total: Any, part: tuple[jax.Array, Any]) -> tuple[Any, Any]:
        number, here = part
        means, each = of_part(here, jax.random.fold_in(key, PART + number))
        return jax.tree.map(jnp.add, total, means), each

    total, each = jax.lax.scan(body, zeros, (jnp.arange(parts), cut))
    return jax.tree.map(lambda leaf: leaf / parts, total), jax.tree.map(_joined, each)


def _cut(array: jax.Array, parts: int) -> jax.Array:
    """(n, ...) → (parts, n / parts, ...), dealt out like cards.

    Not in runs: where the faces of a batch lie on several devices, a run would be those of one of them.
    """
    return array.reshape(-1, parts, *array.shape[1:]).swapaxes(0, 1)


def _joined(array: jax.Array) -> jax.Array:
    """(parts, n / parts, ...) → (n, ...), as before `_cut`."""
    return array.swapaxes(0, 1).reshape(-1, *array.shape[2:])
