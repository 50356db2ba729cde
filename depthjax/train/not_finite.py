"""Numbers that are not finite: training stops, or rolls back to its last checkpoint with lower rates.

Either way nothing of that dispatch is saved. Rollbacks are recorded in `checkpoints/rollbacks.json`, so a training that
is stopped and resumed keeps its lower rates.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError, counted
from depthjax.files import read_json, write_json
from depthjax.train.mesh import is_first
from depthjax.train.state import TrainState

NAME = "rollbacks.json"
MAX_ROLLBACKS = 3  # of a training
FACTOR = 0.5  # of both learning rates, each time
FACES_AT_ONCE = 256


class NotFinite(UserError):
    """A number of the training is NaN or infinite; the message names it and its step."""


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Return () bool: whether no number of any array is NaN or infinite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def check_faces_finite(faces: DepthFaces) -> None:
    """Raise a UserError naming the first face with a NaN or infinite pixel, a few faces in memory at a time."""
    for start in range(0, len(faces), FACES_AT_ONCE):
        finite = np.isfinite(faces.images[start : start + FACES_AT_ONCE]).all((1, 2))
        if not finite.all():
            raise UserError(
                f"face {start + int(np.argmin(finite))} of the training set has pixels that are not finite: "
                "run --stages=prepare again"
            )


def check_finite(values: dict[str, np.ndarray], state: TrainState, first: int) -> None:
    """Raise `NotFinite` if a number of a dispatch is not finite: of its steps' metrics, or of the state after it.

    A gradient that is not finite shows in no loss before the next step. `first` is the step before the dispatch.
    """
    losses_first = sorted(values, key=lambda name: not name.endswith("loss"))
    bad = np.argwhere(~np.isfinite(np.stack([values[name] for name in losses_first], axis=1)))
    if len(bad):
        index, which = bad[0]
        name = losses_first[which]
        raise NotFinite(f"{name} is {values[name][index]} at step {first + index + 1}")
    if not all_finite(state):
        raise NotFinite(f"weights are not finite after step {int(state.step)}")


def roll_back(config: Config, checkpoints: Path, reasons: list[str], failure: NotFinite) -> list[str]:
    """Record and print why a training goes back; return all reasons. A UserError if that is not allowed (any more)."""
    train = config.train
    if train.on_not_finite == "abort" or len(reasons) >= MAX_ROLLBACKS:
        after = f", after {counted(len(reasons), 'rollback')}" if reasons else ""
        or_else = "" if train.on_not_finite == "rollback" else " or set --config.train.on_not_finite=rollback"
        raise UserError(
            f"{failure}{after}: lower the learning rates (--config.train.generator_lr, "
            f"--config.train.discriminator_lr){or_else}; the last checkpoint is untouched"
        )
    reasons = [*reasons, str(failure)]
    if is_first():
        write_json(checkpoints / NAME, reasons)
        print(
            f"{failure}: back to the last checkpoint with half the learning rates, {len(reasons)} of at most "
            f"{MAX_ROLLBACKS} times",
            file=sys.stderr,
        )
    return reasons


def read_rollbacks(checkpoints: Path) -> list[str]:
    """Return the reason of each rollback of a training."""
    path = checkpoints / NAME
    reasons = read_json(path) if path.exists() else []
    if not isinstance(reasons, list):
        raise UserError(f"{path} is damaged: put a copy back, or delete {checkpoints} and train again")
    return reasons


def lowered(config: Config, times: int) -> Config:
    """Return the config with both learning rates halved so many times."""
    g_rate, d_rate = (rate * FACTOR**times for rate in (config.train.generator_lr, config.train.discriminator_lr))
    return replace(config, train=replace(config.train, generator_lr=g_rate, discriminator_lr=d_rate))
