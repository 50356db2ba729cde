"""Tables of scores: lines and columns of a specification, and the pivot that fills the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from depthjax.report.formats import ABSENT, COUNT, Format, Number
from depthjax.scores import Score, Scores

# Stands where there is nothing to compute.
NONE = "\u2013"
Cell = str | Number
Key = Score  # whose numbers are not looked at
Notes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A row of a specification.

    Attributes:
        words: its first cells.
        key: of its scores.
        format: of its numbers.
        reference: the protocol of its reference; empty: that of the key.
        by_definition: the reference where none is measured.
    """

    words: tuple[str, ...]
    key: Key
    format: Format
    reference: str = ""
    by_definition: str = NONE


@dataclass(frozen=True)
class Column:
    """A column of scores.

    Attributes:
        head: its heading.
        changes: columns of the score's key that differ from the line's.
        format: None: the line's.
        field: `value`, `n` or `p` of the score.
        key: of the line's score, before `changes`; None: there is none.
        otherwise: what stands where no score is stored.
    """

    head: str
    changes: dict[str, Any]
    format: Format | None = None
    field: str = "value"
    key: Callable[[Line], Key | None] = lambda line: line.key
    otherwise: Callable[[Line], str] = lambda line: NONE

    def cell(self, scores: Scores, line: Line) -> Cell:
        """Return the number, or words if no such score is stored."""
        key = self.key(line)
        row = scores.at(replace(key, **self.changes)) if key else None
        if row is None or (self.field != "value" and getattr(row, self.field) is None):
            return self.otherwise(line)
        return Number(row, self.format or line.format, self.field)


@dataclass(frozen=True)
class Words:
    """A column of words that follow from the line."""

    head: str
    of: Callable[[Scores, Key], str]

    def cell(self, scores: Scores, line: Line) -> Cell:
        """Return the words."""
        return self.of(scores, line.key)


@dataclass(frozen=True)
class Table:
    """A table with its cells.

    Attributes:
        name: an anchor, and the name of its files.
        caption: one line.
        columns: headings.
        text_columns: how many of the first columns are words.
        rows: cells in the order of the columns.
        notes: (term, meaning), shown below the table.
        colours: one for each row, whose numbers then get a mark on the scale of their column; or none.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    text_columns: int
    rows: tuple[tuple[Cell, ...], ...]
    notes: Notes = ()
    colours: tuple[str, ...] = ()

    def mark(self, column: int, value: float) -> float:
        """Return where a value lies on the scale that its column shares, in percent of the width."""
        cells = [row[column] for row in self.rows]
        found = [cell for cell in cells if isinstance(cell, Number) and cell.value is not None]
        ends = [end for x in found for end in (x.value or 0.0, *(x.interval or ()))]
        low, high = min(ends), max(ends)
        return 4 + 92 * (value - low) / (high - low) if high > low else 50.0


def pivot(scores: Scores, lines: Iterable[Line], columns: Sequence[Column | Words]) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows of a table; lines for which no score is stored are left out."""
    rows = []
    for line in lines:
        cells = [column.cell(scores, line) for column in columns]
        if any(isinstance(cell, Number) for cell in cells):
            rows.append((*line.words, *cells))
    return tuple(rows)


def heads(text: Sequence[str], columns: Sequence[Column | Words]) -> tuple[str, ...]:
    """Return the headings of a table."""
    return (*text, *(column.head for column in columns))


def meanings(lines: Iterable[Line]) -> Notes:
    """Return what each measure of the lines says, once."""
    formats = {line.format.name: line.format.meaning for line in lines}
    return tuple((name, meaning) for name, meaning in formats.items() if meaning)


def reasons(rows: Iterable[Sequence[Cell]]) -> Notes:
    """Return why cells have no value or no interval, each reason once."""
    absent: dict[str, None] = {}
    bare: dict[str, None] = {}
    for cell in (cell for row in rows for cell in row):
        if isinstance(cell, Number) and cell.field == "value" and cell.score.reason:
            found = absent if cell.value is None else bare
            found[cell.score.reason.removeprefix("no interval: ")] = None
    notes = ((ABSENT.capitalize(), absent), ("No interval", bare))
    return tuple((term, "; ".join(words) + ".") for term, words in notes if words)


def reference(line: Line) -> Key:
    """Return the key of the reference of a line."""
    return replace(line.key, method="real", protocol=line.reference or line.key.protocol)


def sizes(head: str, methods: Sequence[str]) -> Words:
    """Return a column of the number of faces that the values of these methods rest on: `300`, or `240–300`."""

    def of(scores: Scores, key: Key) -> str:
        rows = [scores.at(replace(key, method=method)) for method in methods]
        found = [row.n for row in rows if row is not None and row.n is not None]
        if not found:
            return NONE
        low, high = COUNT.write(min(found)), COUNT.write(max(found))
        return low if low == high else f"{low}\u2013{high}"

    return Words(head, of)
