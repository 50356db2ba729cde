"""Compiled programs are kept between runs: a second start compiles nothing that has not changed."""

from __future__ import annotations

import os
from pathlib import Path

from depthjax.errors import UserError

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
LEAST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
LEAST_SECONDS = 0.05  # of compiling, from which on a program is kept


def folder() -> Path:
    """Where compiled programs are kept: what `JAX_COMPILATION_CACHE_DIR` says, else the user's cache folder."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "depthjax" / "jax"


def turn_on() -> Path | None:
    """Make the folder, private to the user, and let jax keep its programs there; None where it can't be written.

    Whoever can write there can run code here: so a folder of our choosing is for its owner alone (0700), and one that
    belongs to somebody else is refused. A folder that the user names is the user's affair.

    Raises:
        UserError: the folder belongs to another user.
    """
    import jax

    place = folder()
    if not os.environ.get(VARIABLE):
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if place.stat().st_uid != os.getuid():
                raise UserError(
                    f"{place} belongs to another user, who could run code here: remove it, or set {VARIABLE}"
                )
            place.chmod(0o700)
        except OSError:  # a home that is missing or read-only: compile anew, as without a cache
            return None
    jax.config.update("jax_compilation_cache_dir", str(place))
    # jax leaves out what compiles in less than a second: of a small run, half of its programs.
    if LEAST not in os.environ:
        jax.config.update(LEAST.lower(), LEAST_SECONDS)
    return place
