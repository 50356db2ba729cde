"""Training by several processes, on one or several machines: all compute and read, only the first writes and logs."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils

from depthjax.config import Distributed
from depthjax.errors import UserError
from depthjax.signals import TrainingInterrupted, exit_now

START_SECONDS, END_SECONDS = 300, 30  # that processes wait for each other


def join(settings: Distributed) -> None:
    """Call `jax.distributed.initialize`, before anything else asks jax for devices. Without a coordinator, do nothing.

    If the others do not come, or there is no cluster to be found, it is a UserError.
    """
    if not settings.coordinator or jax.distributed.is_initialized():
        return
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM, which is ours
    found = settings.coordinator == "auto"
    try:
        jax.distributed.initialize(
            None if found else settings.coordinator,
            None if found else settings.process_count,
            None if found else settings.process_id,
            initialization_timeout=START_SECONDS,
            shutdown_timeout_seconds=END_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--config.distributed.coordinator={settings.coordinator}: {reason}") from None


def is_first() -> bool:
    """Return whether this process is the one that writes files and logs; a single one is."""
    return jax.process_index() == 0


def max_over_processes(number: int | None) -> int | None:
    """Return the largest of the processes' numbers; None if all are None."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number or 0)).max()) or None


def check_same_everywhere(what: str) -> None:
    """Raise a UserError unless all processes give the same description of what they are about to do."""
    if jax.process_count() == 1:
        return
    checksums = multihost_utils.process_allgather(np.uint32(zlib.crc32(what.encode())))
    if len(set(checksums.tolist())) > 1:
        raise UserError("the processes have other settings, faces or checkpoints: give all the same command and folder")


@contextmanager
def sharing_a_fate() -> Iterator[None]:
    """Within the block, an error of one process ends it at once, and with it the others, each with one line.

    Not by an exception: at exit jax would wait for processes that wait for this one.
    """
    try:
        yield
    except TrainingInterrupted:  # all of them are, at the same step
        raise
    except (UserError, OSError) as error:
        if jax.process_count() == 1:
            raise
        line, code = str(error), getattr(error, "exit_code", 1)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if jax.process_count() == 1:
            raise
        reason = " ".join(str(error).split())[:120]
        line, code = f"another process is gone ({reason}): run the same command in all of them to go on", 1
    else:
        return
    print(f"depthjax: {line}", file=sys.stderr)
    exit_now(code)
