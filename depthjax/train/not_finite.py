"""What happens when training is no longer finite: it stops, or goes back to its last checkpoint with lower rates.

Either way nothing of the dispatch at fault is saved. Each time that a training went back stands in
`checkpoints/rollbacks.json`, so that a training that is stopped and started again takes the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import read_json, write_json
from depthjax.train.state import TrainState
from depthjax.train.step import METRICS, all_finite

NAME = "rollbacks.json"
FACTOR = 0.5  # of both learning rates, each time
FACES_AT_ONCE = 256
NAMED_FIRST = ("g_loss", "d_loss", *METRICS)

_all_finite = jax.jit(all_finite)


class NotFinite(UserError):
    """A number of the training is NaN or infinite; the message says which, and at which step."""


class Rollback(NamedTuple):
    """A training went back to `step`, for the reason given, and from there on with lower rates."""

    step: int
    reason: str


def refuse_faces(faces: DepthFaces) -> None:
    """Raise a UserError naming the first face with a NaN or infinite pixel, a few faces in memory at a time."""
    for start in range(0, len(faces), FACES_AT_ONCE):
        finite = np.isfinite(faces.images[start : start + FACES_AT_ONCE]).all((1, 2))
        if not finite.all():
            raise UserError(
                f"face {start + int(np.argmin(finite))} of the training set has pixels that are not finite: "
                "run --stages=prepare again"
            )


def refuse_not_finite(values: dict[str, np.ndarray], state: TrainState, first: int) -> None:
    """Raise `NotFinite` for a dispatch that went wrong.

    Args:
        values: the metrics of its steps, (n,) each.
        state: after it: a gradient that is not finite shows in no loss before the next step.
        first: the step, counted from one, before it.
    """
    names = [name for name in NAMED_FIRST if name in values and not np.isfinite(values[name]).all()]
    bad = [(int(np.argmin(np.isfinite(values[name]))), order, name) for order, name in enumerate(names)]
    if bad:
        index, _, name = min(bad)
        raise NotFinite(f"{name} is {values[name][index]} at step {first + index + 1}")
    if not _all_finite(state):
        raise NotFinite(f"weights are not finite after step {int(state.step)}")


def aborted(failure: NotFinite, config: Config, tries: int) -> UserError:
    """The line that ends a training, after `tries` rollbacks."""
    after = f", {tries} times with lower rates" if tries else ""
    return UserError(
        f"{failure}{after}: lower the learning rates (--config.train.generator_lr, --config.train.discriminator_lr)"
        + ("" if config.train.on_not_finite == "rollback" else " or set --config.train.on_not_finite=rollback")
        + "; the last checkpoint is untouched"
    )


def read_rollbacks(checkpoints: Path) -> list[Rollback]:
    """Every rollback of a training, oldest first."""
    path = checkpoints / NAME
    if not path.exists():
        return []
    try:
        return [Rollback(int(row["step"]), str(row["reason"])) for row in read_json(path)]
    except (TypeError, KeyError, ValueError):
        raise UserError(f"{path} is damaged: put a copy back, or delete {checkpoints} and train again") from None


def add_rollback(checkpoints: Path, rollback: Rollback) -> list[Rollback]:
    """Record one more, and give them all."""
    all_of_them = [*read_rollbacks(checkpoints), rollback]
    write_json(checkpoints / NAME, [row._asdict() for row in all_of_them])
    return all_of_them


def halvings(rollbacks: Sequence[Rollback], step: int) -> int:
    """How often the rates were lowered by `step`."""
    return sum(rollback.step <= step for rollback in rollbacks)


def lowered(config: Config, times: int) -> Config:
    """The config with both learning rates halved so many times."""
    g_rate, d_rate = (rate * FACTOR**times for rate in (config.train.generator_lr, config.train.discriminator_lr))
    return replace(config, train=replace(config.train, generator_lr=g_rate, discriminator_lr=d_rate))
