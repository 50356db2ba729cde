"""The mkdocs hook that writes the settings and the command line's help into the pages."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "depthjax" / "config.py"
HELP, SETTINGS = "<!-- help -->", "<!-- config -->"
# How the page writes a bound of `depthjax.config_bounds`.
BOUNDS = {
    "at_least": "≥ {}",
    "above": "> {}",
    "between": "{} to {}",
    "within": "above {}, below {}",
    "from_to_below": "{} to below {}",
    "multiple_of": "multiple of {}",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; mkdocs calls this for each page."""
    if HELP in markdown:
        markdown = markdown.replace(HELP, f"```\n{help_text()}```")
    return markdown.replace(SETTINGS, settings(CONFIG.read_text("utf-8"))) if SETTINGS in markdown else markdown


def help_text() -> str:
    """Return what `launch.py --help` prints; only light modules of the package are imported."""
    sys.path.insert(0, str(ROOT))
    from depthjax.__main__ import make_parser

    return make_parser().format_help()


def settings(source: str) -> str:
    """Return a table for each section of the config: field, type, default, range and comment."""
    comments = comments_by_line(source)
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    parts = []
    for section in (field for field in classes["Config"].body if isinstance(field, ast.AnnAssign)):
        node = classes.get(ast.unparse(section.annotation))
        if node is not None:
            parts.append(f"## {ast.unparse(section.target)}\n\n{ast.get_docstring(node)}\n\n{table(node, comments)}")
    return "\n\n".join(parts)


def table(node: ast.ClassDef, comments: dict[int, str]) -> str:
    """Return one dataclass as a Markdown table."""
    rows = ["| field | type | default | range | |", "|---|---|---|---|---|"]
    for field in (field for field in node.body if isinstance(field, ast.AnnAssign)):
        kind, bounds = split_annotation(field.annotation)
        parts = [field.target, kind, *([field.value] if field.value else [])]
        cells = [*(f"`{ast.unparse(part)}`" for part in parts), bounds, comment_of(field, comments)]
        rows.append("| " + " | ".join(escaped(cell) for cell in cells) + " |")
    return "\n".join(rows)


def split_annotation(annotation: ast.expr) -> tuple[ast.expr, str]:
    """Return the type of a setting and its bounds in words, from `Annotated[type, bound, ...]` or a plain type."""
    if not (isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated"):
        return annotation, ""
    assert isinstance(annotation.slice, ast.Tuple)
    kind, *bounds = annotation.slice.elts
    return kind, ", ".join(filter(None, map(bound_text, bounds)))


def bound_text(bound: ast.expr) -> str:
    """Return a bound as the page has it, such as `≥ 1`; empty for a bound that is not on a number."""
    if not isinstance(bound, ast.Call):
        return ""
    form = BOUNDS.get(ast.unparse(bound.func), "")
    return form.format(*(ast.unparse(limit) for limit in bound.args))


def comment_of(field: ast.AnnAssign, comments: dict[int, str]) -> str:
    """Return the comment on a field's lines."""
    assert field.end_lineno is not None
    lines = range(field.lineno, field.end_lineno + 1)
    return " ".join(comments[line] for line in lines if line in comments)


def escaped(cell: str) -> str:
    """Return the text with the characters escaped that would end a cell."""
    return cell.replace("|", "\\|")


def comments_by_line(source: str) -> dict[int, str]:
    """Return the comment on each line of code: the one behind it, or else the one on the line above."""
    above, behind = {}, {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text, line = token.string.lstrip("# "), token.start[0]
        if token.line.strip() == token.string:
            above[line + 1] = text
        else:
            behind[line] = text
    return above | behind
