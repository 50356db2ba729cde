"""A lock on a work folder: a second process would write over the first one's files."""

import datetime
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from depthjax.errors import UserError
from depthjax.progress import Log, say

NAME = ".lock"
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # as on a Lustre that is mounted without them


@contextmanager
def only_one(workdir: Path, log: Log = say) -> Iterator[bool]:
    """Hold the lock of the folder within the block.

    The kernel frees it when the process ends, however it ends: a killed run leaves only a text that names it, and the
    next run writes over that. Yield whether a run was killed here: it may have left half-written files, and `log`
    receives a line. A lock that another process holds is a UserError that names it.
    """
    path = workdir / NAME
    # Neither truncated nor replaced on opening: the text in it is that of the process which may hold it now.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, workdir, log)
        if cut_off := path.stat().st_size > 0:
            log(f"{_holder(path)} was cut off in {workdir}: what it finished is kept")
        _write_holder(descriptor, path)
        try:
            yield cut_off
        finally:
            os.ftruncate(descriptor, 0)  # empty: this run ended by itself
    finally:
        os.close(descriptor)  # and with it the lock


def _take(descriptor: int, workdir: Path, log: Log) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(workdir / NAME)
        raise UserError(f"{workdir} is in use by {holder}: wait for it, or take another --workdir") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log(f"the file system of {workdir} has no locks: make sure that no second process works there")


def _write_holder(descriptor: int, path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())
    except OSError as error:  # a full disk
        error.filename = str(path)
        raise


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"process {int(held['pid'])} on {held['host']!s:.60}, since {held['since']!s:.30}"
    except (OSError, ValueError, TypeError, KeyError):  # it has the lock, and has not yet written its name
        return "another process"
