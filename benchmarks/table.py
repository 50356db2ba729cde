"""What every benchmark prints and writes: seconds of ours, seconds of a peer, their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from depthjax.files import write_json


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what was run, with its sizes.
        peer: what ours is compared with.
        ours_s: seconds of one unit of work, steady state; None where it was not measured.
        peer_s: the peer's seconds for the same, or None where the peer could not run.
        note: said beside the row, for instance why the peer could not run.
    """

    name: str
    peer: str
    ours_s: float | None
    peer_s: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster ours is."""
        return None if self.ours_s is None or self.peer_s is None else self.peer_s / self.ours_s


def report(rows: Sequence[Row], json_path: Path | None = None) -> None:
    """Print the rows as an aligned table and, if asked, write them as a JSON list."""
    table = [("name", "peer", "ours", "peer's", "ratio", "")] + [_cells(row) for row in rows]
    widths = [max(len(cells[i]) for cells in table) for i in range(6)]
    for cells in table:
        left = [cells[i].ljust(widths[i]) for i in (0, 1)]
        right = [cells[i].rjust(widths[i]) for i in (2, 3, 4)]
        print("  ".join([*left, *right, cells[5]]).rstrip(), flush=True)
    if json_path is not None:
        write_json(json_path, [{**asdict(row), "ratio": row.ratio} for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}x"
    return row.name, row.peer, _seconds(row.ours_s), _seconds(row.peer_s), ratio, row.note


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1e3 * seconds:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"
