"""Table 3: are generated faces copies, and how different are they from each other?"""

from __future__ import annotations

from typing import Any

from depthjax.report.numbers import COUNT, DISTANCE, PERCENT, RATIO, SHARE, SIMILARITY, Style
from depthjax.report.table import (
    Cell,
    Cells,
    Table,
    method_columns,
    row_beside_floor,
    row_beside_real,
    space_notes,
)

BY_SPACE: dict[str, tuple[str, Style]] = {
    "auth_pct": ("AuthPct, %\u00a0↑", PERCENT),
    "nearest_ratio": ("Nearest ratio\u00a0≈", RATIO),
    "vendi": ("Vendi\u00a0≈", DISTANCE),
}
FLOORED: dict[str, tuple[str, Style]] = {"density": ("Density\u00a0↑", SHARE), "coverage": ("Coverage\u00a0↑", SHARE)}


def table_3(evaluation: dict[str, Any]) -> Table:
    """Memorisation and diversity, a column a method."""
    cells = Cells(evaluation)
    copies = [_row(cells, kind, space) for kind in ("auth_pct", "nearest_ratio") for space in cells.spaces]
    diversity = [_row(cells, "vendi", space) for space in cells.spaces]
    reach = [
        row_beside_floor(cells, name, kind, space, style)
        for kind, (name, style) in FLOORED.items()
        for space in cells.spaces
    ]
    return Table(
        "table_3",
        "Table 3. Memorisation and diversity",
        ("Measure", "Features", "Real people", *method_columns(cells.methods), "n real", "n generated"),
        2,
        (*copies, _identical(cells), *diversity, _ms_ssim(cells), *reach, _residual(cells)),
        (
            ("Real people", "held-out people, measured in the same way; for density and coverage the floor."),
            ("AuthPct", "the share of faces that are farther from their nearest training face than that one is from "
             "its own nearest: a copy is nearer."),
            ("Nearest ratio\u00a0≈\u202f1", "distance to the nearest training face, over that of held-out people: "
             "far below 1 (0.9) is copying, far above is unlike any face."),
            ("Identical", "how many generated faces are some training face, level by level."),
            ("Vendi", "the effective number of different faces within an emotion, mean over emotions; it grows with n. "
             "Best is equal to real people."),
            ("MS-SSIM", "likeness of two faces of one set and emotion: lower is more diverse, but noise lowers it "
             "too."),
            ("Density, coverage", "how much of the generated set lies among real faces, and how much of the real set "
             "it reaches (k\u202f=\u202f5, of other people)."),
            ("Relief residual\u00a0≈\u202f1", "what the shape features leave out, as a ratio to real faces: above 1 "
             "is noisier than real, below 1 smoother."),
            ("n", "faces; of Vendi those of one emotion in each draw, of MS-SSIM pairs of faces."),
            *space_notes(cells.spaces),
            ("Range", "95\u202f% bootstrap interval."),
            *cells.notes,
        ),
    )  # fmt: skip


def _row(cells: Cells, kind: str, space: str) -> tuple[Cell, ...]:
    name, style = BY_SPACE[kind]
    row = row_beside_real(cells, name, space, (kind, space), style)
    return row if kind != "nearest_ratio" else (*row[:2], "1", *row[3:])  # by definition


def _identical(cells: Cells) -> tuple[Cell, ...]:
    """How many faces are a training face to the last level."""
    values = [cells.number(("methods", method, "psnr", "identical"), COUNT) for method in cells.methods]
    real = cells.first(("psnr", "real", "identical"), COUNT)
    sizes = cells.n("psnr", "real", "n"), cells.n("psnr", "n")
    return ("Identical to a training face\u00a0↓", "pixels", real, *values, *sizes)


def _ms_ssim(cells: Cells) -> tuple[Cell, ...]:
    return row_beside_real(cells, "MS-SSIM within an emotion\u00a0≈", "pixels", ("ms_ssim",), SIMILARITY)


def _residual(cells: Cells) -> tuple[Cell, ...]:
    keys = "relief_residual"
    values = [cells.number(("methods", method, keys), RATIO, value_key="ratio") for method in cells.methods]
    sizes = cells.count(("data", "test", "images")), cells.n(keys, "n")
    return ("Relief residual\u00a0≈", "relief", "1", *values, *sizes)
