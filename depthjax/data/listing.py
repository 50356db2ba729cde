"""Which files of a folder are faces, what their folders say of them, and the problems found: nothing is opened here."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from depthjax.data.depth_files import SUFFIXES
from depthjax.errors import UserError

# Where the emotion's folder stands above a file: `Fear/x.png` (authors' release), `person/fear/x.png` (original).
EMOTION_FIRST, SUBJECT_FIRST = 0, 1
ORIGINAL_PATTERNS = ("{subject}/**{frame}", "{subject}/**{frame}*", "{subject}/**")
NAMES_SHOWN = 8  # in a sentence
SHOWN = 20  # problems of a kind
CELL = 60  # characters of a path in the table
IGNORED = ("thumbs.db", "desktop.ini")


class DepthFile(NamedTuple):
    """A file of an emotion.

    `name` is what `data.pattern` is applied to: the path within the emotion's folder (of the original IKFDB: with its
    subject's folder for the emotion's), without the suffix.
    """

    path: Path
    shown: str  # within the folder, with unprintable characters escaped
    name: str
    emotion: int  # label


@dataclass(frozen=True)
class Listing:
    """The files of the emotions asked for, in natural order, what is wrong already, and what to say of the rest."""

    files: list[DepthFile]
    problems: list[Problem]
    notes: list[str]
    layout: int


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sorting key in which `f2` comes before `f10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split("([0-9]+)", name)]


def list_faces(root: Path, emotions: Sequence[str], *, subject_first: bool = False) -> Listing:
    """Find the files of each emotion's folder in `root` (any case, if none has the very name).

    If `subject_first`, these may be within a folder of each subject too (the original IKFDB).
    """
    if not root.is_dir():
        raise UserError(f"--config.data.path={escape(str(root))}: no such folder")
    problems: list[Problem] = []
    found = sorted(_walk(root, problems), key=natural)
    heads = {name.split("/")[0].lower() for name in found}
    layout = SUBJECT_FIRST if subject_first and not heads & {e.lower() for e in emotions} else EMOTION_FIRST
    folders = Counter(parts[layout] for name in found if len(parts := name.split("/")) > layout + 1)
    labels = _labels(folders, emotions, root)
    named = [name for name in found if len(parts := name.split("/")) > layout + 1 and parts[layout] in labels]
    files = []
    for name in named:
        if _suffix(name) in SUFFIXES:
            parts = name[: -len(_suffix(name))].split("/")
            label = labels[parts.pop(layout)]
            files.append(DepthFile(root / name, escape(name), "/".join(parts), label))
    wanted = {escape(name) for name in labels}
    problems = [p for p in problems if len(parts := p.path.split("/")) == 1 or parts[layout] in wanted]
    return Listing(sorted(files, key=lambda f: f.emotion), problems, _notes(found, named, folders, labels), layout)


def _walk(root: Path, problems: list[Problem]) -> Iterator[str]:
    """Yield paths of files within the folder, links followed wherever they lead.

    A folder that is reached a second time is a link in a circle, or its faces would count twice.
    """
    start = len(str(root)) + 1  # of the path within the folder

    def unreadable(error: OSError) -> None:
        what = f"cannot be read ({error.strerror})"
        problems.append(Problem(escape(error.filename[start:]), "unreadable", what, "make it readable, or remove it"))

    seen: set[tuple[int, int]] = set()
    for here, folders, names in os.walk(str(root), followlinks=True, onerror=unreadable):
        status = os.stat(here)  # noqa: PTH116 (plain text: a folder may hold a hundred thousand)
        if (status.st_dev, status.st_ino) in seen:
            what = "leads to a folder that is read already"
            problems.append(Problem(escape(here[start:]), "link", what, "remove the link"))
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # Links last: a folder is read under its own name where it has one in this folder.
        folders[:] = sorted(filter(_counts, folders), key=lambda name: (Path(here, name).is_symlink(), name))
        yield from (f"{here}/{name}"[start:] for name in names if _counts(name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in IGNORED


def _labels(folders: Counter[str], emotions: Sequence[str], root: Path) -> dict[str, int]:
    """Label of each folder's name; an emotion's very name, else its name in any case."""
    labels, missing = {}, []
    for label, emotion in enumerate(emotions):
        names = [emotion] if emotion in folders else [f for f in folders if f.lower() == emotion.lower()]
        labels.update(dict.fromkeys(names, label))
        missing += [] if names else [emotion]
    if missing:
        there = f"there is {_shown_names(folders)}: name the folders to take by --config.data.emotions=A,B"
        if not folders:
            there = "no folder in it has files: put the images of each emotion into a folder of its name"
        raise UserError(
            f"--config.data.path={escape(str(root))}: no folder for {', '.join(map(escape, missing))}; {there}"
        )
    return labels


def _shown_names(names: Iterable[str]) -> str:
    ordered = sorted(names, key=natural)
    more = f" and {len(ordered) - NAMES_SHOWN} more" if len(ordered) > NAMES_SHOWN else ""
    return ", ".join(escape(name) for name in ordered[:NAMES_SHOWN]) + more


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (plain text: a folder may hold a hundred thousand)


def _notes(found: Sequence[str], named: Sequence[str], folders: Counter[str], labels: dict[str, int]) -> list[str]:
    notes = []
    if others := [name for name in folders if name not in labels]:
        notes.append(f"left out, not in --config.data.emotions: {_shown_names(others)}")
    if loose := len(found) - sum(folders.values()):
        notes.append(f"left out: {loose} files beside the folders of the emotions")
    if kinds := Counter(suffix for suffix in map(_suffix, named) if suffix not in SUFFIXES):
        counts = [f"{n} {escape(kind) or 'without a suffix'}" for kind, n in kinds.most_common(NAMES_SHOWN)]
        notes.append(f"left out: {', '.join(counts)}; depth is read from {', '.join(SUFFIXES)}")
    return notes


class Problem(NamedTuple):
    """What keeps a file, or an image of it, from use."""

    path: str  # within the folder, with unprintable characters escaped
    kind: str  # the same word or two for all of this fault
    what: str
    todo: str


def escape(name: str) -> str:
    """Return a name as printable text: unprintable characters, bytes that are no UTF-8 and backslashes are escaped."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )


def table(problems: Sequence[Problem]) -> list[str]:
    """Return the problems as aligned lines, the first of each kind, and the count of each kind."""
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
    """Return the end of a path, for a table."""
    return path if len(path) <= CELL else "..." + path[3 - CELL :]
