"""Progress on standard error: a bar with the time left on a terminal, a line every tenth otherwise."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tqdm import tqdm

CLEAR = "\r\033[K"  # the line on a terminal

Log = Callable[[str], None]  # receives one line of text


def say(line: str) -> None:
    """Print a line; characters that standard output cannot write, such as of a name in Latin-1, are escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding))


def no_log(line: str) -> None:
    """Discard a line; a caller that gets this as its log shows no progress either."""
    del line


def with_prefix(name: str, log: Log) -> Log:
    """Return a log whose lines begin with a name; `no_log` stays `no_log`."""
    return log if log is no_log else lambda line: log(f"{name}: {line}")


class Progress:
    """The progress of training on standard error: `total` steps in all, of which an earlier run did `done`."""

    def __init__(self, total: int, done: int, *, quiet: bool = False) -> None:
        self.total, self.tenth, self.quiet = total, 10 * done // total, quiet
        disable = quiet or not sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=done, unit="step", disable=disable, dynamic_ncols=True)

    def __call__(self, row: dict[str, Any]) -> None:
        """Show a new row of metrics."""
        step = row["step"]
        if not self.bar.disable:
            self.bar.set_postfix(g=f"{row['g_loss']:.3f}", d=f"{row['d_loss']:.3f}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif 10 * step // self.total > self.tenth:
            left = _clock((self.total - step) / row["steps_per_second"])
            losses = f"generator {row['g_loss']:.3f}, discriminator {row['d_loss']:.3f}"
            self.log(f"step {step}/{self.total} (epoch {row['epoch']}): {losses}, {left} left")
        self.tenth = 10 * step // self.total

    def log(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if not self.quiet:
            tqdm.write(line, file=sys.stderr)
            sys.stderr.flush()

    def close(self) -> None:
        """Restore the terminal."""
        self.bar.close()


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on standard error what the block waits for: on a terminal with the seconds so far, elsewhere one line."""
    if quiet:
        yield
    elif not sys.stderr.isatty():
        print(f"{what}…", file=sys.stderr, flush=True)
        yield
    else:
        over = threading.Event()
        clock = threading.Thread(target=_tick, args=(what, over), daemon=True)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()


@contextmanager
def counting(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show on standard error what the block waits for, and from the first call on how many of `total` are done.

    Yield the function to call with the number done, from any thread but one at a time; `unit` is in the singular.
    """
    count = _Count(what, total, unit)
    try:
        yield count
    finally:
        count.close()


class _Count:
    def __init__(self, what: str, total: int, unit: str) -> None:
        self.total, self.unit, self.start, self.tenth = total, unit, 0.0, 0
        self.bar: tqdm[Any] | None = None
        self.lock, self.closed = threading.Lock(), False
        self.before = ExitStack()
        self.before.enter_context(waiting(what))

    def __call__(self, done: int) -> None:
        with self.lock:
            if not self.closed:  # by an interrupt, while a program still reports
                self.show(done)

    def show(self, done: int) -> None:
        if self.bar is None:
            self.before.close()
            self.start = time.monotonic()
            plain = not sys.stderr.isatty()
            self.bar = tqdm(total=self.total, unit=f" {self.unit}s", disable=plain, dynamic_ncols=True)
        if not self.bar.disable:
            self.bar.update(done - self.bar.n)
        elif 10 * done // self.total > self.tenth:
            left = _clock((time.monotonic() - self.start) / done * (self.total - done))
            print(f"{self.unit} {done}/{self.total}, {left} left", file=sys.stderr, flush=True)
        self.tenth = 10 * done // self.total

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self.before.close()
            if self.bar is not None:
                self.bar.close()


def _tick(what: str, over: threading.Event) -> None:
    """Write `what… 14 s` over itself every second, and leave a clean line."""
    start = time.monotonic()
    while True:
        print(f"{CLEAR}{what}… {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)
        if over.wait(1):
            break
    print(CLEAR, end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
