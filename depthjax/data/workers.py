"""Work on files in fresh processes, results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from depthjax.errors import UserError

FEW = 4  # tasks that are done sooner than processes start
Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """Yield `map(function, tasks)`, on all cores; the function's module must be cheap to import.

    A process is never forked, which is unsafe once JAX runs; fresh ones import the function's module alone.
    """
    import joblib  # here, so that the processes start without it

    cores = joblib.cpu_count()
    if len(tasks) < FEW or cores == 1:
        yield from map(function, tasks)
        return
    pool = ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield from pool.map(function, tasks)
    except BrokenProcessPool:
        raise UserError("a process that reads the faces was killed: is there enough memory? Then run again") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    from threadpoolctl import threadpool_limits

    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for these
    threadpool_limits(1, "blas")


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next task for ever: it holds the pipe open itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
