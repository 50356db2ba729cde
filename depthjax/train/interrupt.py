"""SIGTERM and SIGINT, taken between two dispatches instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from depthjax.errors import UserError
from depthjax.signals import patient


class TrainingInterrupted(UserError):
    """Training stopped on a signal, after a checkpoint; exits with 128 + the signal's number (143, 130)."""

    def __init__(self, signal_number: int, step: int) -> None:
        name = signal.Signals(signal_number).name
        super().__init__(
            f"stopped by {name} at step {step}, which is saved: run the same command to go on",
            exit_code=128 + signal_number,
        )


class Stop:
    """Which signal asked to stop, if any did."""

    signal_number: int | None = None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within the block, the first SIGTERM or SIGINT is only noted; a second one acts as it did before the block.

    Signals can be handled in the main thread only: in any other nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: FrameType | None) -> None:
        stop.signal_number = number
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        with patient():
            yield stop
    finally:
        restore()
