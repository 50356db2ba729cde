"""Drawn cases for a reader: whatever comes out but a value or a UserError of one line is a fault.

Lost: a refusal that is no UserError, or that takes too long. Wrong: something was executed, or written outside the work
folder.
"""

from __future__ import annotations

import collections
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depthjax.data.depth_files import Unfit
from depthjax.errors import UserError
from tests.faults.runs import Checks, Row

Readers = dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Path], Any]]]  # what is drawn, and what reads it
SLOWEST = 5.0  # seconds of one case: what takes longer hangs
EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate",
          "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"}  # fmt: skip


class Watch:
    """What the process writes or starts outside the folders that it may use, while it is on."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)  # there is no way to remove one: this does nothing unless it is on

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not writes and event not in EVENTS:
            return
        made = arguments[1] if event in ("os.symlink", "os.link", "os.rename") else arguments[0]
        place = os.fsdecode(made) if isinstance(made, str | bytes) else str(made)
        within = f"{Path.cwd() / place}{os.sep}"
        inside = within.startswith(self.allowed) or "__pycache__" in place or place.isdecimal()
        if not inside or event not in EVENTS | {"open"}:
            self.seen.append(f"{event} {place}")

    @contextlib.contextmanager
    def on(self, *allowed: Path) -> Iterator[None]:
        """Nothing but `allowed` may be written meanwhile."""
        self.allowed = tuple(f"{path.resolve()}{os.sep}" for path in allowed)
        try:
            yield
        finally:
            self.allowed = None


WATCH = Watch()


class Tally:
    """How the cases of one reader went."""

    def __init__(self, case: str) -> None:
        self.case, self.tries, self.taken, self.faults = case, 0, 0, collections.Counter[str]()

    def run(self, read: Callable[[], Any]) -> None:
        """One case: whatever but a value or a UserError comes out is a fault."""
        self.tries += 1
        start = time.monotonic()
        try:
            read()
            self.taken += 1
        except UserError as error:
            if "\n" in str(error):
                self.faults[f"more than a line: {str(error)[:200]!r}"] += 1
        except Unfit:  # told as a row of the table
            pass
        except Exception as error:
            trace, places = error.__traceback__, []
            while trace is not None:
                places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
                trace = trace.tb_next
            self.faults[f"{type(error).__name__}: {str(error)[:120]!r} at {' '.join(places[-4:])}"] += 1
        if time.monotonic() - start > SLOWEST:
            self.faults[f"took {time.monotonic() - start:.0f} s"] += 1

    def row(self) -> Row:
        """With the faults on standard error."""
        outside = list(dict.fromkeys(WATCH.seen))
        WATCH.seen.clear()
        for fault, count in [*self.faults.most_common(12), *((f"outside: {place}", 1) for place in outside[:12])]:
            print(f"{self.case}: {count}x {fault}", file=sys.stderr)
        return f"{self.case} ({self.taken} taken)", self.tries, sum(self.faults.values()), len(outside)


def fuzz(case: str, cases: int, strategy: st.SearchStrategy[Any], read: Callable[[Any, Path], Any]) -> list[Row]:
    """The row of `read(drawn, folder)` for every drawn case, in a folder that is emptied between them."""
    tally = Tally(case)
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer, "work")
        folder.mkdir()

        @settings(max_examples=cases, deadline=None, database=None, derandomize=True,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(strategy)
        def one(drawn: Any) -> None:
            with WATCH.on(folder):
                tally.run(lambda: read(drawn, folder))

        one()
    return [tally.row()]


# Bytes: a good file, changed here and there, or no such file at all.


@st.composite
def changed(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """One of the good files with a few bytes replaced, put in, taken out or doubled."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 6))):
        where = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(("set", "insert", "remove", "cut", "double")))
        if how == "set" and data:
            data[where] = draw(st.integers(0, 255))
        elif how == "insert":
            data[where:where] = draw(st.binary(min_size=1, max_size=9))
        elif how == "remove":
            del data[where : where + draw(st.integers(1, 30))]
        elif how == "double":
            data[where:where] = data[where : where + draw(st.integers(1, 200))]
        elif draw(st.integers(0, 4)) == 0:
            del data[where:]
    return bytes(data)


def bytes_like(good: list[bytes]) -> st.SearchStrategy[bytes]:
    """Mostly changed good files."""
    return st.one_of(changed(good), changed(good), changed(good), st.binary(max_size=300))


def fuzzed(readers: Readers, cases: int) -> Checks:
    """So many cases of each."""
    return {name: partial(fuzz, f"fuzz: {name}", cases, *reader) for name, reader in readers.items()}
