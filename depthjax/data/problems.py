"""What is wrong with a user's files, told so that it can be mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20  # problems of a kind
CELL = 60  # characters of a path in the table


class Problem(NamedTuple):
    """What keeps a file, or an image of it, from use.

    Attributes:
        path: within the folder, with unprintable characters escaped.
        kind: the same word or two for all of this fault.
        what: the fault.
        todo: what its owner can do.
    """

    path: str
    kind: str
    what: str
    todo: str


def escape(name: str) -> str:
    """A file's name as printable text: unprintable characters, bytes that are no UTF-8 and backslashes are escaped."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )


def table(problems: Sequence[Problem]) -> list[str]:
    """The problems as aligned lines, the first of each kind, and the count of each kind."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    rows = [("file", "what", "what to do")]
    for kind in kinds.values():
        rows += [(shorten(p.path), p.what, p.todo) for p in kind[:SHOWN]]
        if len(kind) > SHOWN:
            rows.append((f"... and {len(kind) - SHOWN} more: {kind[0].kind}", "", ""))
    widths = [max(len(row[i]) for row in rows if row[1]) for i in range(2)]
    lines = [f"  {file:<{widths[0]}}  {what:<{widths[1]}}  {todo}".rstrip() for file, what, todo in rows]
    counts = ", ".join(f"{len(kind)} {name}" for name, kind in kinds.items())
    return [*lines, f"{len(problems)} problems: {counts}"]


def shorten(path: str) -> str:
    """The end of a path, for a table."""
    return path if len(path) <= CELL else "..." + path[3 - CELL :]
