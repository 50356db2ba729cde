"""One process at a time on a work folder: a second would write over the first one's files."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from depthjax.errors import UserError

NAME = ".lock"


@contextmanager
def only_one(workdir: Path) -> Iterator[None]:
    """Hold the folder's lock within the block.

    The kernel frees it when the process ends, however it ends: what a killed run left behind is only a text that says
    who it was, and is written over.

    Args:
        workdir: a folder that is there.
    Raises:
        UserError: another process holds it; the line names it.
    """
    path = workdir / NAME
    # Neither truncated nor replaced on opening: the text in it is that of the process which may hold it now.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{workdir} is in use by {_holder(path)}: wait for it, or take another --workdir") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_description()).encode())
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _description() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"process {int(said['pid'])} on {said['host']!s:.60}, since {said['since']!s:.30}"
    except (OSError, ValueError, TypeError, KeyError):  # it has the lock, and has not yet said who it is
        return "another process"
