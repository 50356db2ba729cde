"""SIGTERM and SIGINT end a run within seconds, whatever it is doing; a second one ends it at once.

A signal becomes an exception where the interpreter can raise one. In the middle of a compiled program or a fit it
can't, for minutes: then a thread that the kernel wakes ends the process once its grace is over. Nothing is lost by
that, since every file is written under another name first.
"""

import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from depthjax.errors import UserError

GRACE = 6.0  # seconds for the interpreter to raise, and for what is under way to clean up
SIGNALS = (signal.SIGTERM, signal.SIGINT)
OVER = 0  # no signal: lets the thread go
_saving = threading.Event()  # set while the first signal sets no clock: training ends its dispatch and saves


class Stopped(KeyboardInterrupt):
    """A signal came; no `except Exception` catches it. `exit_code` is 128 + the signal's number (143, 130)."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(line(number))


def line(number: int) -> str:
    """Return the line for the user."""
    name = signal.Signals(number).name
    return f"stopped by {name}; what was done stays done: run the same command to go on"


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT raise `Stopped`, or end the process if that takes longer than `GRACE`."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before, hook = {number: signal.getsignal(number) for number in SIGNALS}, sys.unraisablehook
    watch = threading.Thread(target=_watch, args=(reader,), daemon=True)
    watch.start()
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _raise)

    def lost(unraisable: Any) -> None:
        # A signal that came while the collector ran, or in a `__del__`: its exception got lost there, so end here.
        if isinstance(unraisable.exc_value, Stopped):
            _end(unraisable.exc_value.exit_code - 128)
        hook(unraisable)

    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        os.write(writer, bytes([OVER]))
        watch.join()
        os.close(reader)
        os.close(writer)


def _raise(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _watch(reader: int) -> None:
    """Read the numbers of the signals that come; after the first, end the process in time."""
    first = _next(reader)
    if first is None:
        return
    second_came = select.select([reader], [], [], None if _saving.is_set() else GRACE)[0]
    last = _next(reader) if second_came else first
    if last is not None:
        _end(last)


def _next(reader: int) -> int | None:
    """The next of our signals; None when the block is over."""
    while (number := os.read(reader, 1)[0]) not in SIGNALS:
        if number == OVER:
            return None
    return number


def end(exit_code: int) -> NoReturn:
    """End the program; after a signal at once.

    Python's own end would wait for a fit in the middle of its thread, and take down what a compiler's threads use.
    """
    if exit_code - 128 in SIGNALS:
        exit_now(exit_code)
    sys.exit(exit_code)


def _end(number: int) -> None:
    print(f"depthjax: {line(number)}", file=sys.stderr)
    exit_now(128 + number)


def exit_now(exit_code: int) -> NoReturn:
    """End the process and those that work for it, now: no handler, no waiting for threads."""
    for child in multiprocessing.active_children():
        if child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)  # not child.kill(), which joblib's workers lack
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


class TrainingInterrupted(UserError):
    """Training stopped on a signal, after a checkpoint; exits with 128 + the signal's number (143, 130)."""

    def __init__(self, signal_number: int, step: int) -> None:
        name = signal.Signals(signal_number).name
        super().__init__(
            f"stopped by {name} at step {step}, which is saved: run the same command to go on",
            exit_code=128 + signal_number,
        )


class Stop:
    """The signal that asked to stop, if any did."""

    signal_number: int | None = None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the block, only note the first SIGTERM or SIGINT; a second one acts as it did before the block."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        stop.signal_number = number
        restore()

    for number in SIGNALS:
        signal.signal(number, note)
    _saving.set()
    try:
        yield stop
    finally:
        _saving.clear()
        restore()
