"""Tables of scores: the pivot that fills lines and columns, and the tables as CSV, LaTeX and Markdown."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from depthjax import files
from depthjax.report.formats import ABSENT, COUNT, Format, Number
from depthjax.scores import Score, Scores

# Stands where there is nothing to compute.
NONE = "\u2013"
Cell = str | Number
Key = Score  # its numbers are not used
Notes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A row of a specification."""

    words: tuple[str, ...]  # its first cells
    key: Key  # of its scores
    format: Format  # of its numbers
    reference: str = ""  # the protocol of its reference; empty: that of the key
    by_definition: str = NONE  # the reference where none is measured


@dataclass(frozen=True)
class Column:
    """A column of scores."""

    head: str  # its heading
    changes: dict[str, Any]  # columns of the score's key that differ from the line's
    format: Format | None = None  # None: the line's
    field: str = "value"  # `value`, `n` or `p` of the score
    # of the line's score, before `changes`; None: there is none
    key: Callable[[Line], Key | None] = lambda line: line.key
    otherwise: Callable[[Line], str] = lambda line: NONE  # what stands where no score is stored

    def cell(self, scores: Scores, line: Line) -> Cell:
        """Return the number, or words if no such score is stored."""
        key = self.key(line)
        row = scores.at(replace(key, **self.changes)) if key else None
        if row is None or (self.field != "value" and getattr(row, self.field) is None):
            return self.otherwise(line)
        return Number(row, self.format or line.format, self.field)


@dataclass(frozen=True)
class Table:
    """A table with its cells."""

    name: str  # an anchor, and the name of its files
    caption: str  # one line
    columns: tuple[str, ...]  # headings
    text_columns: int  # how many of the first columns are words
    rows: tuple[tuple[Cell, ...], ...]  # cells in the order of the columns
    notes: Notes = ()  # (term, meaning), shown below the table
    # one for each row, whose numbers then get a mark on the scale of their column; or none
    colours: tuple[str, ...] = ()

    def mark(self, column: int, value: float) -> float:
        """Return where a value lies on the scale that its column shares, in percent of the width."""
        cells = [row[column] for row in self.rows]
        found = [(x.value, *(x.interval or ())) for x in cells if isinstance(x, Number) and x.value is not None]
        ends = [end for numbers in found for end in numbers]
        low, high = min(ends), max(ends)
        return 4 + 92 * (value - low) / (high - low) if high > low else 50.0


def pivot(scores: Scores, lines: Iterable[Line], columns: Sequence[Column]) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows of a table; lines for which no score is stored are left out."""
    rows = [(line.words, [column.cell(scores, line) for column in columns]) for line in lines]
    return tuple((*words, *cells) for words, cells in rows if any(isinstance(cell, Number) for cell in cells))


def heads(text: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the headings of a table."""
    return (*text, *(column.head for column in columns))


def reasons(rows: Iterable[Sequence[Cell]]) -> Notes:
    """Return why cells have no value or no interval, each reason once."""
    notes: dict[str, dict[str, None]] = {ABSENT.capitalize(): {}, "No interval": {}}
    for cell in (cell for row in rows for cell in row):
        if isinstance(cell, Number) and cell.field == "value" and cell.score.reason:
            term = "No interval" if cell.value is not None else ABSENT.capitalize()
            notes[term][cell.score.reason.removeprefix("no interval: ")] = None
    return tuple((term, "; ".join(words) + ".") for term, words in notes.items() if words)


def reference(line: Line) -> Key:
    """Return the key of the reference of a line: held-out faces where the score is a distance to a set."""
    method = "held_out" if line.key.against else "real"
    return replace(line.key, method=method, protocol=line.reference or line.key.protocol)


def words(head: str, of: Callable[[Line], str]) -> Column:
    """Return a column of words that follow from the line."""
    return Column(head, {}, key=lambda line: None, otherwise=of)


def sizes(scores: Scores, key: Key, methods: Sequence[str]) -> str:
    """Return the number of faces that the values of these methods rest on: `300`, or `240–300`."""
    rows = [scores.at(replace(key, method=method)) for method in methods]
    found = [row.n for row in rows if row is not None and row.n is not None]
    ends = sorted({min(found), max(found)}) if found else []
    return "\u2013".join(map(COUNT.write, ends)) or NONE


def write_tables(tables: dict[str, Table], folder: Path) -> list[Path]:
    """Write each table as NAME.csv, NAME.tex and NAME.md, and return the paths in the tables' order."""
    paths = []
    for name, table in tables.items():
        for ending, text in (("csv", csv_text(table)), ("tex", latex_text(table)), ("md", markdown_text(table))):
            paths.append(folder / f"{name}.{ending}")
            files.write_text(paths[-1], text)
    return paths


_ARROWS = str.maketrans("", "", "↑↓≈≥")


def csv_text(table: Table) -> str:
    """Return a line a row; a number with an interval has the columns NAME, NAME_low and NAME_high in plain digits."""
    # With an interval in any row, a column becomes three.
    columns = zip(table.columns, *table.rows, strict=True)
    wide = [any(isinstance(cell, Number) and cell.interval for cell in cells) for cells in columns]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [_column_name(head) for head in table.columns]
    ends = [("", "_low", "_high") if is_wide else ("",) for is_wide in wide]
    writer.writerow(name + end for name, group in zip(names, ends, strict=True) for end in group)
    for row in table.rows:
        fields = [_csv_words(str(cell)) for cell in row[: table.text_columns]]
        for cell, group in list(zip(row, ends, strict=True))[table.text_columns :]:
            fields += _csv_numbers(cell)[: len(group)]
        writer.writerow(fields)
    return out.getvalue()


def _column_name(head: str) -> str:
    words = head.translate(_ARROWS).replace("%", "percent").replace("'s", "").lower()
    return "_".join(re.findall(r"[^\W_]+", words))


def _csv_words(text: str) -> str:
    """Words on one line; those that a spreadsheet would take for a formula begin with an apostrophe."""
    flat = " ".join(text.translate(_ARROWS).split())
    return f"'{flat}" if flat[:1] in ("=", "+", "-", "@") and len(flat) > 1 else flat


def _csv_numbers(cell: Cell) -> list[str]:
    if isinstance(cell, str):
        return [cell if re.fullmatch(r"-?\d+(\.\d+)?", cell) else "", "", ""]
    values = (cell.value, *(cell.interval or (None, None)))
    return ["" if v is None else f"{v * cell.format.factor:.10g}" for v in values]


def cell_text(cell: Cell) -> str:
    """Return `61.2 (52.1–70.0)`, without unit: that stands in the head or in the measure's name."""
    if isinstance(cell, str):
        return cell
    return cell.digits + (f" ({cell.interval_text})" if cell.interval else "")


def markdown_text(table: Table) -> str:
    """Return a heading, the table, and a line a note."""
    rule = "|" + "".join("---|" if i < table.text_columns else "---:|" for i in range(len(table.columns)))
    rows = [[_markdown(cell_text(cell)) for cell in row] for row in (table.columns, *table.rows)]
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"- **{_markdown(term)}**: {_markdown(meaning)}" for term, meaning in table.notes]
    return "\n".join([f"## {_markdown(table.caption)}", "", head, rule, *body, "", *notes]) + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split("\n")))


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': r"\textquotedbl{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "é": r"\'{e}"}
    | {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "≈": r"$\approx$", "≥": r"$\geq$", "×": r"$\times$", "±": r"$\pm$"}
    | {"\u2212": "$-$", "\u2013": "--", "\u2081": r"$_1$", "\u2080": r"$_0$", "\u00a0": "~", "\u202f": r"\,"}
)


def latex_text(table: Table) -> str:
    """Return a `table*` with booktabs, as wide as the text; notes below it."""
    columns = "l" * table.text_columns + "r" * (len(table.columns) - table.text_columns)
    rows = [[_latex(cell_text(cell)) for cell in row] for row in (table.columns, *table.rows)]
    head, *body = [" & ".join(row) + r" \\" for row in rows]
    # A rule wherever the first column's words change.
    for place in range(len(table.rows) - 1, 0, -1):
        if table.rows[place][0] != table.rows[place - 1][0]:
            body.insert(place, r"\midrule")
    notes = [rf"\textit{{{_latex(term)}}}: {_latex(meaning)}" for term, meaning in table.notes]
    label = re.sub(r"[^0-9a-z]+", "-", table.name.lower())
    lines = [
        *(r"% \usepackage{booktabs,graphicx}", r"\begin{table*}", r"\centering"),
        *(rf"\caption{{{_latex(table.caption)}}}", rf"\label{{tab:{label}}}"),
        *(r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{{columns}}}"),
        *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
        *(r"\end{tabular}}", r"\par\smallskip\footnotesize", *notes, r"\end{table*}"),
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return " ".join(text.split("\n")).translate(_LATEX)
