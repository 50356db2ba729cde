"""Metrics of a training: `metrics.jsonl`, one JSON object a line, and TensorBoard and Weights & Biases, each optional.

After a restart the file has neither gaps nor doubles.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from depthjax.config import Config, to_dict
from depthjax.errors import UserError
from depthjax.files import digest, parse_json, write_text
from depthjax.train.mesh import is_first

Row = dict[str, Any]
LIBRARIES = {"tensorboard": "tensorboardX", "wandb": "wandb"}
Writer = Callable[[Row], None]


def truncate_metrics(path: Path, step: int) -> list[Row]:
    """Drop the rows after `step`, whose steps will be repeated, and return the rest.

    A last line cut short by a crash is dropped too; any other unreadable line is a UserError that names it.
    """
    if not path.exists():
        return []
    text = path.read_text("utf-8", errors="replace")
    rows = [row for row in _parse(path, text[: text.rfind("\n") + 1]) if row["step"] <= step]
    write_text(path, "".join(_line(row) for row in rows))
    return rows


def append_metrics(path: Path, rows: Sequence[Row]) -> None:
    """Append rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(_line(row) for row in rows))


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _parse(path: Path, text: str) -> list[Row]:
    """Return the rows of a text; in it, bytes that were not UTF-8 make their line invalid."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
            rows.append({**row, "step": int(row["step"])})
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}, line {number}: not a row of metrics; delete the line and run again") from None
    return rows


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
