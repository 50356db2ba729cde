"""Render tables as CSV, LaTeX and Markdown."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from depthjax import files
from depthjax.report.formats import Number
from depthjax.report.table import Cell, Table

_PLAIN = re.compile(r"-?\d+(\.\d+)?")
_ARROWS = str.maketrans("", "", "↑↓≈≥")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u2081": r"$_1$",
    "\u2080": r"$_0$",
    "\u00a0": "~",
    "\u202f": r"\,",
    "é": r"\'{e}",
}


def write_tables(tables: dict[str, Table], folder: Path) -> list[Path]:
    """Write each table as NAME.csv, NAME.tex and NAME.md.

    Args:
        tables: by name, as `all_tables` gives them.
        folder: made if it is not there.
    Returns:
        the paths, in the tables' order.
    """
    made = {"csv": csv_text, "tex": latex_text, "md": markdown_text}
    paths = []
    for name, table in tables.items():
        for ending, write in made.items():
            path = folder / f"{name}.{ending}"
            files.write_text(path, write(table))
            paths.append(path)
    return paths


def csv_text(table: Table) -> str:
    """A line a row and, of each number, `NAME`, `NAME_low`, `NAME_high` (ends of its interval) in plain digits.

    Numbers are in the unit of the column's name (or of the measure, where rows differ); empty is not computed.
    """
    columns = list(zip(table.columns, zip(*table.rows, strict=True), strict=True)) if table.rows else []
    spread = [any(isinstance(cell, Number) and cell.interval for cell in cells) for _, cells in columns]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [_column_name(head) for head in table.columns]
    if columns:
        wide = [[n, f"{n}_low", f"{n}_high"] if s else [n] for n, s in zip(names, spread, strict=True)]
        writer.writerow([name for group in wide for name in group])
    else:
        writer.writerow(names)
    for row in table.rows:
        fields = []
        for position, cell in enumerate(row):
            words = position < table.text_columns
            fields += [_inert(_words(cell))] if words else _plain(cell, spread=spread[position])
        writer.writerow(fields)
    return out.getvalue()


def _column_name(head: str) -> str:
    """`Accuracy, % ↑` to `accuracy_percent`."""
    words = head.translate(_ARROWS).replace("%", "percent").replace("'s", "").lower()
    return "_".join(re.findall(r"[^\W_]+", words))


def _words(cell: Cell) -> str:
    text = cell.text if isinstance(cell, Number) else cell
    return " ".join(text.translate(_ARROWS).replace("\u00a0", " ").replace("\u202f", " ").split())


def _inert(text: str) -> str:
    """A name that a spreadsheet would take for a formula begins with an apostrophe, which it does not show."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and len(text) > 1 else text


def _plain(cell: Cell, *, spread: bool) -> list[str]:
    """Value and, with `spread`, both ends, as a program reads them."""
    if isinstance(cell, Number):
        values = [cell.value, *(cell.interval or (None, None))]
        plain = ["" if v is None else f"{v * cell.format.factor:.10g}" for v in values]
    else:
        plain = [cell if _PLAIN.fullmatch(cell) else "", "", ""]
    return plain if spread else plain[:1]


def markdown_text(table: Table) -> str:
    """A heading, the table, a line a note."""
    head = _markdown_row(table.columns)
    rule = "|" + "".join("---|" if i < table.text_columns else "---:|" for i in range(len(table.columns)))
    body = [_markdown_row(tuple(map(cell_text, row))) for row in table.rows]
    notes = [f"- **{_markdown(term)}**: {_markdown(meaning)}" for term, meaning in table.notes]
    return "\n".join([f"## {_markdown(table.caption)}", "", head, rule, *body, "", *notes]) + "\n"


def cell_text(cell: Cell) -> str:
    """`61.2 (52.1–70.0)`, without unit: that stands in the head or in the measure's name."""
    if isinstance(cell, str):
        return cell
    return cell.digits + (f" ({cell.interval_text})" if cell.interval else "")


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_markdown, cells)) + " |"


def _markdown(text: str) -> str:
    """Inert in Markdown, and on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split("\n")))


def latex_text(table: Table) -> str:
    r"""A `table*` with booktabs, as wide as the text; notes below it."""
    columns = "l" * table.text_columns + "r" * (len(table.columns) - table.text_columns)
    lines = [
        r"% \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_latex(table.caption)}}}",
        rf"\label{{tab:{re.sub(r'[^0-9a-z]+', '-', table.name.lower())}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row(table.columns),
        r"\midrule",
        *_latex_body(table),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip\footnotesize",
        *(rf"\textit{{{_latex(term)}}}: {_latex(meaning)}" for term, meaning in table.notes),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _latex_body(table: Table) -> list[str]:
    """The rows; a rule wherever the first column's words change."""
    lines: list[str] = []
    for row, before in zip(table.rows, (None, *table.rows), strict=False):
        if before is not None and row[0] != before[0]:
            lines += [r"\midrule"]
        lines += [_latex_row(tuple(map(cell_text, row)))]
    return lines


def _latex_row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    """Inert in LaTeX, in plain ASCII where the report's own signs are concerned."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split("\n")))
