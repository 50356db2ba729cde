"""The results of an evaluation: one typed, tidy table, a row for each number."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from depthjax.errors import UserError


@dataclass(frozen=True)
class Score:
    """One number of an evaluation. An empty string or None: the column does not apply.

    Attributes:
        method: the source of the faces: the key of a method or control, or `real` for training and held-out faces.
        protocol: what was done, such as `tstr` or `distance`; all are in the reference of the evaluation table.
        classifier: of the protocols that train one.
        measure: such as `accuracy`, `kid` or `vendi`.
        space: the feature space, such as `relief`.
        share: of the training subjects that the classifier saw, in (0, 1].
        value, low, high: the number and its 95 % interval; fractions in [0, 1], not percent.
        n: number of faces behind the value; of a paired test and a membership attack, of subjects.
        p: of a paired test, two-sided, adjusted by Holm's procedure over the methods of one classifier and `against`;
            of two methods' faces alone, over all pairs of methods.
        reason: why there is no value, or no interval.
        against: the other set of a comparison, whose value the difference is to; of `distance` and `c2st`, `train` or
            `test`.
        emotion: of a score of one emotion; empty: of all emotions.
    """

    method: str
    protocol: str
    classifier: str = ""
    measure: str = ""
    space: str = ""
    share: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p: float | None = None
    reason: str = ""
    against: str = ""
    emotion: str = ""


COLUMNS = tuple(field.name for field in fields(Score))
_NUMBERS = ("share", "value", "low", "high", "p")
# With method, protocol and measure, these identify a row: the values where they do not apply.
OPTIONAL_KEYS: dict[str, Any] = {"classifier": "", "space": "", "share": None, "against": "", "emotion": ""}


class Scores(Sequence[Score]):
    """A table of scores, in the order in which they were computed."""

    def __init__(self, rows: Iterable[Score]) -> None:
        self._rows = tuple(rows)
        self._by_key = {_key(row): row for row in self._rows}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[Score]:
        return iter(self._rows)

    def where(self, **columns: Any) -> Scores:
        """Return the rows whose columns have these values, such as `protocol="tstr", classifier="xgboost"`."""
        return Scores(row for row in self if all(getattr(row, name) == value for name, value in columns.items()))

    def find(self, **columns: Any) -> Score | None:
        """Return the only row with these values, or None; columns not named must be empty; several are a UserError."""
        found = self.where(**OPTIONAL_KEYS | columns)
        if len(found) > 1:
            raise UserError(f"the scores have {len(found)} rows of {columns}: run --stages=evaluate,report again")
        return found[0] if found else None

    def at(self, key: Score) -> Score | None:
        """Return the row that has the identifying columns of `key`, or None."""
        return self._by_key.get(_key(key))

    def values(self, column: str) -> list[Any]:
        """Return the different values of a column, in the order of the rows."""
        return list(dict.fromkeys(getattr(row, column) for row in self))

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as JSON objects."""
        return [asdict(row) for row in self]

    def to_csv(self) -> str:
        """Return the table as CSV: a header, then a line a row; None is an empty cell."""
        return csv_text(COLUMNS, self.to_records())


def csv_text(columns: Sequence[str], records: Iterable[dict[str, Any]]) -> str:
    """Return records as CSV: a header, then a line a record; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _key(row: Score) -> tuple[Any, ...]:
    return (row.method, row.protocol, row.measure, *(getattr(row, name) for name in OPTIONAL_KEYS))


def read_scores(records: Any, source: str) -> Scores:
    """Return the checked table of the JSON records that `Scores.to_records` gave; messages name the `source`.

    A record that is not an object, misses a column, or holds a value of another type is a UserError.
    """
    if not isinstance(records, list):
        raise _damaged(source, "the scores are not a list")
    rows = [_score(record, f"{source}, score {number}") for number, record in enumerate(records)]
    if len({_key(row) for row in rows}) < len(rows):
        raise _damaged(source, "two scores have the same method, protocol, measure and other columns")
    return Scores(rows)


def _score(record: Any, where: str) -> Score:
    if not isinstance(record, dict) or set(record) != set(COLUMNS):
        raise _damaged(where, "the columns are not " + ", ".join(COLUMNS))
    for name, value in record.items():
        if not _is_valid(name, value):
            raise _damaged(where, f"'{name}' holds {value!r:.40}")
    return Score(**record)


def _is_valid(name: str, value: Any) -> bool:
    if name == "n":
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    if name in _NUMBERS:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return value is None or (number and math.isfinite(value))
    return isinstance(value, str)


def _damaged(where: str, what: str) -> UserError:
    return UserError(f"{where}: {what}: delete the file and run --stages=evaluate,report")
