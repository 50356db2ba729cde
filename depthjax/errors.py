"""The one error that users are meant to read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and what to do, in one line.

    The launcher prints it without a traceback and exits with `exit_code`. Characters that do not print (of a hostile
    name: line breaks, a terminal's commands) are escaped as Python escapes them.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(printable(message))
        self.exit_code = exit_code


class ConfigError(UserError):
    """An unknown key, stage, file or value: refused before anything runs."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 face", "2 faces"; `plural` where it has no plain s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """The text in one line, with whatever does not print escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


@contextmanager
def without_traceback() -> Iterator[None]:
    """End the process on a UserError in the block: with its line on standard error, and its exit code."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
