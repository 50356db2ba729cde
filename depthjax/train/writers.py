"""Metrics for other programs, beside `metrics.jsonl`: TensorBoard and Weights & Biases, each optional."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from depthjax.config import Config, to_dict
from depthjax.errors import UserError
from depthjax.files import digest
from depthjax.train.metrics_log import Row
from depthjax.train.processes import is_first

LIBRARIES = {"tensorboard": "tensorboardX", "wandb": "wandb"}
Writer = Callable[[Row], None]


def check_writers(config: Config) -> None:
    """Raise a UserError for a writer whose library is missing, before anything is computed."""
    for name in config.train.writers:
        if importlib.util.find_spec(LIBRARIES[name]) is None:
            raise UserError(f"--config.train.writers: {name} needs {LIBRARIES[name]}: pip install 'depthjax[writers]'")


@contextmanager
def writers(config: Config, workdir: Path, done: int) -> Iterator[Writer]:
    """Yield a function that gives a row of metrics to every writer of `config.train.writers`; close them at the end.

    Rows logged after the `done` steps of a checkpoint are withdrawn where a writer can (TensorBoard).
    """
    opened = {"tensorboard": _tensorboard, "wandb": _wandb}
    with ExitStack() as stack:
        names = config.train.writers if is_first() else ()
        writing = [stack.enter_context(opened[name](config, workdir, done)) for name in names]

        def write(row: Row) -> None:
            for one in writing:
                one(row)

        yield write


@contextmanager
def _tensorboard(config: Config, workdir: Path, done: int) -> Iterator[Writer]:
    """Event files in `workdir/tensorboard`, for `tensorboard --logdir`."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(workdir / "tensorboard"), purge_step=done + 1 if done else None) as events:

        def write(row: Row) -> None:
            for name, value in _numbers(row).items():
                events.add_scalar(name, value, row["step"])

        yield write


@contextmanager
def _wandb(config: Config, workdir: Path, done: int) -> Iterator[Writer]:
    """A run named after the work folder; WANDB_MODE decides where it is sent, and whether at all."""
    import wandb

    identity = digest(str(workdir.resolve()))[:16]
    with wandb.init(
        project="depthjax", id=identity, name=workdir.name, dir=str(workdir), config=to_dict(config), resume="allow"
    ) as run:
        yield lambda row: run.log(_numbers(row), step=row["step"])


def _numbers(row: Row) -> dict[str, Any]:
    return {f"train/{name}": value for name, value in row.items() if name != "step"}
