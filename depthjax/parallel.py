"""The two ways to use all cores here: threads where the interpreter lock is released, processes where it is held.

A process is never forked, which is unsafe once JAX runs: joblib's loky starts fresh interpreters, which import the
function's module alone.
"""

from __future__ import annotations

import gc
import multiprocessing
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

WAIT = 60  # seconds for which a process waits for more
SHARED = 10_000  # bytes from which on an array is shared between processes, not copied
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return `[function(item) for item in items]`, on as many threads as this process may use cores.

    An item is drawn when a thread is free for it: those of a generator need not all fit in memory. Meanwhile BLAS keeps
    to one thread a call: threads that wait for each other cost more than they save.
    """
    waiting, lock, left = enumerate(items), threading.Lock(), True
    results: dict[int, Result] = {}

    def work() -> None:
        nonlocal left
        try:
            while left:
                with lock:
                    drawn = next(waiting, None)
                if drawn is None:
                    return
                results[drawn[0]] = function(drawn[1])
        except BaseException:
            left = False  # the other threads end with what they have begun
            raise

    pool = ThreadPoolExecutor(joblib.cpu_count())
    try:
        with threadpool_limits(1, "blas"):
            for done in [pool.submit(work) for _ in range(joblib.cpu_count())]:
                done.result()
    except BaseException:
        left = False
        pool.shutdown(wait=False)  # what is under way may take longer than a user waits
        raise
    pool.shutdown()
    return [results[place] for place in range(len(results))]


def in_processes(function: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    """Return `function(array)` for (n, ...), n at least 1, and a function that treats rows independently.

    The function comes from a module that is cheap to import, or is a `partial` of such a one.
    """
    chunks = np.array_split(array, min(len(array), 4 * joblib.cpu_count()))
    return np.concatenate(list(_executor().map(function, chunks)))


def each_in_process(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return `[function(item) for item in items]` by processes, which import the function's module: seconds each.

    Large arrays of the items are read from shared memory, once written however many items hold them, and read-only.
    """
    _executor().shutdown(wait=True)  # joblib would take this pool for one of its own, and fail
    with joblib.parallel_config("loky", n_jobs=joblib.cpu_count(), inner_max_num_threads=1):
        results = joblib.Parallel(max_nbytes=SHARED)(joblib.delayed(function)(item) for item in items)
    end_processes()
    return list(results)


def end_processes() -> None:
    """End the processes of `in_processes`, which wait for more, and remove what a killed parent would leave."""
    if multiprocessing.active_children():
        _executor().shutdown(wait=True)
        gc.collect()  # their semaphores go with the objects


def _executor() -> Any:
    """Return the running executor; loky starts another where its settings differ."""
    return get_reusable_executor(max_workers=joblib.cpu_count(), timeout=WAIT, env=ONE_THREAD)
