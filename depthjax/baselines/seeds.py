"""From a device key to the seed of a host generator."""

from __future__ import annotations

import jax


def host_seed(key: jax.Array) -> int:
    """A seed in [0, 2^31) for NumPy, scikit-learn or a config, as random as the key."""
    return int(jax.random.bits(key) >> 1)
