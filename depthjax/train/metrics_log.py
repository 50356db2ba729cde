"""`metrics.jsonl`: one JSON object a line, a line a logged interval, with neither gaps nor doubles after a restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from depthjax.errors import UserError
from depthjax.files import parse_json, write_text

Row = dict[str, Any]


def read_metrics(path: Path) -> list[Row]:
    """Return every row, oldest first (none without a file); a UserError names file and line of a damaged one."""
    if not path.exists():
        return []
    return _parse(path, path.read_text("utf-8", errors="replace"))


def truncate_metrics(path: Path, step: int) -> list[Row]:
    """Drop the rows after `step`, whose steps will be repeated, and return the rest.

    A last line cut short by a crash is dropped too; any other unreadable line is a UserError.
    """
    if not path.exists():
        return []
    text = path.read_text("utf-8", errors="replace")
    rows = [row for row in _parse(path, text[: text.rfind("\n") + 1]) if row["step"] <= step]
    write_text(path, "".join(_line(row) for row in rows))
    return rows


def append_metrics(path: Path, rows: Sequence[Row]) -> None:
    """Append rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(_line(row) for row in rows))


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _parse(path: Path, text: str) -> list[Row]:
    """Return the rows of a text; in it, bytes that were not UTF-8 make their line invalid."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
            rows.append({**row, "step": int(row["step"])})
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}, line {number}: not a row of metrics; delete the line and run again") from None
    return rows
