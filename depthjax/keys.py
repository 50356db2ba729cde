"""Random keys, folded from (seed, purpose, step): the same numbers after a restart, none shared by two purposes.

Draws depend on settings of jax too, which a shell can change: `SETTINGS` are those of every run.
"""

import zlib
from typing import Any

import jax

from depthjax.errors import UserError

IMPLEMENTATION = "threefry2x32"
# The numbers of a seed depend on them. Other settings of jax change speed, checks or rounding.
SETTINGS: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": IMPLEMENTATION,
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
}


def fix_settings() -> None:
    """Set jax to `SETTINGS`, whatever the shell says: for a process that is ours alone."""
    for name, value in SETTINGS.items():
        if hasattr(jax.config, name):  # a later jax may have one way only
            jax.config.update(name, value)


def check_settings() -> None:
    """Raise a UserError where the user's own process, or its shell, has set jax otherwise."""
    for name, value in SETTINGS.items():
        found = getattr(jax.config, name, value)
        if found != value:
            raise UserError(
                f"{name} is {found}, and the faces of a seed would be others: unset {name.upper()}, or call "
                f"depthjax.keys.fix_settings()"
            )


def key_for(seed: int, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """Return a key of its arguments alone; a UserError where jax is set so that its draws would be others."""
    check_settings()
    return fold(jax.random.key(seed, impl=IMPLEMENTATION), purpose, step)


def fold(key: jax.Array, purpose: str, step: int | jax.Array = 0) -> jax.Array:
    """Return the key of a purpose and a step under another key."""
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(purpose.encode())), step)


def host_seed(key: jax.Array) -> int:
    """Return a seed in [0, 2^31) for NumPy, scikit-learn or a config, as random as the key."""
    return int(jax.random.bits(key, dtype="uint32") >> 1)
