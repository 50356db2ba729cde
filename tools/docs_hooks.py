"""What mkdocs puts into the pages from the code: the settings by section, and the command line's help."""

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


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    if HELP in markdown:
        markdown = markdown.replace(HELP, f"```\n{help_text()}```")
    return markdown.replace(SETTINGS, settings(CONFIG.read_text("utf-8"))) if SETTINGS in markdown else markdown


def help_text() -> str:
    """As `launch.py --help` prints it; the package's light modules are all that is imported."""
    sys.path.insert(0, str(ROOT))
    from depthjax.__main__ import make_parser

    return make_parser().format_help()


def settings(source: str) -> str:
    """A table for each section of the config: field, type, default, and the comment beside it."""
    comments = comments_by_line(source)
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    parts = []
    for section in (field for field in classes["Config"].body if isinstance(field, ast.AnnAssign)):
        node = classes.get(ast.unparse(section.annotation))
        if node is not None:
            parts.append(f"## {ast.unparse(section.target)}\n\n{ast.get_docstring(node)}\n\n{table(node, comments)}")
    return "\n\n".join(parts)


def table(node: ast.ClassDef, comments: dict[int, str]) -> str:
    """Of one dataclass, as Markdown."""
    rows = ["| field | type | default | |", "|---|---|---|---|"]
    for field in (field for field in node.body if isinstance(field, ast.AnnAssign)):
        cells = [f"`{ast.unparse(part)}`" for part in (field.target, field.annotation, field.value) if part]
        rows.append("| " + " | ".join(escaped(cell) for cell in [*cells, comments.get(field.lineno, "")]) + " |")
    return "\n".join(rows)


def escaped(cell: str) -> str:
    """Without what would end the cell."""
    return cell.replace("|", "\\|")


def comments_by_line(source: str) -> dict[int, str]:
    """The comment that stands on each line behind code."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.strip() != token.string:
            found[token.start[0]] = token.string.lstrip("# ")
    return found
