"""The cache of compiled programs: a second start compiles only what has changed."""

from __future__ import annotations

import os
from pathlib import Path

from depthjax.errors import UserError

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
MIN_TIME = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
MIN_SECONDS = 0.05  # of compiling; a program that compiles faster is not kept


def folder() -> Path:
    """Return where compiled programs are kept: `JAX_COMPILATION_CACHE_DIR` or else the user's cache folder."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "depthjax" / "jax"


def turn_on() -> Path | None:
    """Make the folder, private to the user, and let jax keep its programs there.

    Whoever can write there can run code here: so the default folder is for its owner alone (0700), and one of another
    user is refused. A folder that the user names is taken as it is.

    Returns:
        The folder, or None where it cannot be written.
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
    # By default jax leaves out what compiles within a second: half of the programs of a small run.
    if MIN_TIME not in os.environ:
        jax.config.update(MIN_TIME.lower(), MIN_SECONDS)
    return place
