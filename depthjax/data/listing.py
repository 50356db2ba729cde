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
from depthjax.data.pattern import Name, compile_template, composed, read_name, spelling
from depthjax.errors import UserError, counted

# Of the original IKFDB: `person/fear/x.png`. The authors' release has `Fear/x.png`, as any folder of a user's.
ORIGINAL_PATTERNS = ("{subject}/{emotion}/**{frame}", "{subject}/{emotion}/**{frame}*", "{subject}/{emotion}/**")
NAMES_SHOWN = 8  # in a sentence
SHOWN = 20  # problems of a kind
CELL = 60  # characters of a path in the table
IGNORED = ("thumbs.db", "desktop.ini")
DIFFER = "set --config.data.names_differ=true if they are two"


class DepthFile(NamedTuple):
    """A file of an emotion."""

    path: Path
    shown: str  # within the folder, with unprintable characters escaped
    name: str  # what `data.pattern` is applied to: without the suffix, and without the emotion's folder if that leads
    emotion: int  # label
    says: Name | None = None  # None: no pattern, or the name does not match it


@dataclass(frozen=True)
class Listing:
    """The files of the emotions asked for, in natural order, what is wrong already, and what to say of the rest."""

    files: list[DepthFile]
    problems: list[Problem]
    notes: list[str]
    pattern: str  # as set, or that of the original IKFDB


class _Placed(NamedTuple):
    """A file whose emotion is known by name."""

    path: str  # within the folder
    emotion: str
    name: str
    says: Name | None


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sorting key in which `f2` comes before `f10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split("([0-9]+)", name)]


def list_faces(
    root: Path, emotions: Sequence[str], pattern: str = "", *, original: bool = False, names_differ: bool = False
) -> Listing:
    """Find the files of each emotion in `root`: those in its folder, or as `{emotion}` in the pattern says.

    Without a pattern, `original` takes the layout of the original IKFDB where no emotion's folder leads.
    `names_differ`: folders whose names are equal but for case, zeros or spaces are two emotions.
    """
    if not root.is_dir():
        raise UserError(f"--config.data.path={escape(str(root))}: no such folder")
    emotions = tuple(map(composed, emotions))
    problems: list[Problem] = []
    found = sorted(_walk(root, problems), key=natural)
    leading = {spelling(name.split("/")[0]) for name in found}
    notes = []
    if original and not pattern and leading.isdisjoint(map(spelling, emotions)):
        pattern = max(ORIGINAL_PATTERNS, key=lambda each: len(_by_pattern(found, each)))
        notes = [f"subjects are the first folders, as in the original IKFDB (--config.data.pattern='{pattern}')"]
    by_name = "{emotion}" in pattern
    placed = _by_pattern(found, pattern) if by_name else _by_folder(found, pattern)
    folders = Counter(file.emotion for file in placed)
    labels = _labels(folders, emotions, found, root, names_differ)
    named = [file for file in placed if file.emotion in labels]
    if by_name:
        problems += _unplaced(found, placed, pattern)
    else:
        problems = [p for p in problems if "/" not in p.path or composed(p.path.split("/")[0]) in map(escape, labels)]
    twice = {} if by_name or names_differ else _spelled_twice(labels, folders, emotions)
    problems += [_twice(file, twice[file.emotion]) for file in named if file.emotion in twice]
    files = [
        DepthFile(root / file.path, escape(file.path), file.name, labels[file.emotion], file.says)
        for file in named
        if _suffix(file.path) in SUFFIXES and file.emotion not in twice
    ]
    notes += _notes(len(found) - len(placed), [file.path for file in named], folders, labels)
    return Listing(sorted(files, key=lambda f: f.emotion), problems, notes, pattern)


def _by_folder(found: Sequence[str], pattern: str) -> list[_Placed]:
    """The files within a first folder, which is the emotion; the pattern is of what follows."""
    template = compile_template(pattern) if pattern else None
    placed = []
    for path in found:
        emotion, slash, name = composed(path[: len(path) - len(_suffix(path))]).partition("/")
        if slash:
            placed.append(_Placed(path, emotion, name, read_name(template, name) if template else None))
    return placed


def _by_pattern(found: Sequence[str], pattern: str) -> list[_Placed]:
    """The files whose whole path matches a pattern with `{emotion}`."""
    template = compile_template(pattern)
    placed = []
    for path in found:
        name = composed(path[: len(path) - len(_suffix(path))])
        says = read_name(template, name)
        if says is not None and says.emotion is not None:
            placed.append(_Placed(path, says.emotion, name, says))
    return placed


def no_match(shown: str, name: str, pattern: str) -> Problem:
    """Return the problem of a name that the pattern does not match."""
    what = f"'{escape(name)[:CELL]}' does not match '{pattern}'"
    return Problem(shown, "no match", what, "rename it, or mend --config.data.pattern")


def _unplaced(found: Sequence[str], placed: Sequence[_Placed], pattern: str) -> list[Problem]:
    known = {file.path for file in placed}
    unknown = (path for path in found if path not in known and _suffix(path) in SUFFIXES)
    return [no_match(escape(path), path, pattern) for path in unknown]


def _spelled_twice(labels: dict[str, int], folders: Counter[str], emotions: Sequence[str]) -> dict[str, str]:
    """Of folders of one emotion all but one: its very name, else the largest; and that one's name."""
    chosen: dict[str, str] = {}
    for folder in sorted(labels, key=lambda name: (name not in emotions, -folders[name])):
        chosen.setdefault(spelling(folder), folder)
    return {folder: chosen[spelling(folder)] for folder in labels if chosen[spelling(folder)] != folder}


def _twice(file: _Placed, other: str) -> Problem:
    what = f"'{escape(file.emotion)}' and '{escape(other)}' differ in case, zeros or spaces"
    return Problem(escape(file.path), "emotion spelled twice", what, f"merge the folders, or {DIFFER}")


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


def _labels(
    folders: Counter[str], emotions: Sequence[str], found: Sequence[str], root: Path, names_differ: bool
) -> dict[str, int]:
    """Label of each name of an emotion: its very name, or one that differs in case, zeros or spaces."""
    labels, missing = {}, []
    for label, emotion in enumerate(emotions):
        names = [name for name in folders if spelling(name) == spelling(emotion)]
        names = [emotion] if names_differ and emotion in names else names
        labels.update(dict.fromkeys(names, label))
        missing += [] if names else [emotion]
    if missing:
        there = f"there is {_shown_names(folders)}: name the folders to take by --config.data.emotions=A,B"
        there += f", or say where the emotion stands: --config.data.pattern='{_where(found, missing[0])}'"
        if not folders:
            there = "no folder in it has files: put the images of each emotion into a folder of its name"
        raise UserError(
            f"--config.data.path={escape(str(root))}: no folder for {', '.join(map(escape, missing))}; {there}"
        )
    return labels


def _where(found: Sequence[str], emotion: str) -> str:
    """A pattern for folders of subjects above those of emotions, as deep as the emotion is found."""
    depths = (name.split("/")[1:-1] for name in found)
    above = next((list(map(spelling, parts)).index(spelling(emotion)) for parts in depths
                  if spelling(emotion) in map(spelling, parts)), 0)  # fmt: skip
    return "{subject}/" + "*/" * above + "{emotion}/**"


def _shown_names(names: Iterable[str]) -> str:
    ordered = sorted(names, key=natural)
    more = f" and {len(ordered) - NAMES_SHOWN} more" if len(ordered) > NAMES_SHOWN else ""
    return ", ".join(escape(name) for name in ordered[:NAMES_SHOWN]) + more


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (plain text: a folder may hold a hundred thousand)


def _notes(loose: int, named: Sequence[str], folders: Counter[str], labels: dict[str, int]) -> list[str]:
    notes = []
    if others := [name for name in folders if name not in labels]:
        notes.append(f"left out, not in --config.data.emotions: {_shown_names(others)}")
    if len({spelling(name) for name in labels}) < len(labels):
        notes.append(f"emotions under several spellings: {_shown_names(labels)}")
    if loose:
        notes.append(f"left out: {counted(loose, 'file')} beside the folders of the emotions")
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
    return [*lines, f"{counted(len(problems), 'problem')}: {counts}"]


def shorten(path: str) -> str:
    """Return the end of a path, for a table."""
    return path if len(path) <= CELL else "..." + path[3 - CELL :]
