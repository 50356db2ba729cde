"""Random keys, folded from (seed, purpose, step): the same numbers after a restart, none shared by two purposes."""

from __future__ import annotations

import zlib

import jax


def key_for(seed: int, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """Return a key that depends on its arguments alone; of the word `purpose`, the CRC-32 is folded in."""
    return fold(jax.random.key(seed), purpose, step)


def fold(key: jax.Array, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """Return the key of a purpose and a step under another key."""
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(purpose.encode())), step)


def host_seed(key: jax.Array) -> int:
    """Return a seed in [0, 2^31) for NumPy, scikit-learn or a config, as random as the key."""
    return int(jax.random.bits(key) >> 1)
