"""Draw which package imports which, from the imports themselves: docs/architecture.svg.

    python tools/draw_imports.py          # write it
    python tools/draw_imports.py --check  # exit with 1 if it is not what would be written

A row for each package or module directly below `depthjax`, a mark in the columns of those that it imports. Each stands
below all that it imports, so no mark is right of the diagonal. The small files that everything may import are left out.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "depthjax"
PICTURE = ROOT / "docs" / "architecture.svg"
EVERYWHERE = {
    "__init__", "errors", "signals", "lock", "files", "safetensors_file", "config", "config_file", "keys", "stages"
}  # fmt: skip
CELL, MARGIN, TOP, TILTED = 24, 116, 92, 60  # pixels: of a square, left and above the squares, and of slanting names
STYLE = (
    "text{font:13px sans-serif;fill:#1d2733}path{stroke:#dde3ea}.page{fill:#fff}.mark{fill:#3a6ea5}.self{fill:#d5dce4}"
    ".pure{fill:#8fc79a}"
)
PURE = {"models", "evolve"}


def imported_by(package: Path) -> dict[str, set[str]]:
    """The other parts that the files of each part import; a part is a package or a module of its own."""
    parts = {path.stem if path.is_file() else path.name for path in package.iterdir() if is_part(path)}
    found: dict[str, set[str]] = {part: set() for part in sorted(parts - EVERYWHERE)}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part in found:
            found[part] |= {name for name in modules(path) if name in found and name != part}
    return found


def is_part(path: Path) -> bool:
    """A module, or a folder of modules."""
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def modules(path: Path) -> Iterator[str]:
    """Names directly below `depthjax` that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "depthjax":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("depthjax."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("depthjax."))


def in_order(graph: dict[str, set[str]]) -> list[str]:
    """The parts, each after all that it imports."""
    height: dict[str, int] = {}

    def of(part: str) -> int:
        if part not in height:
            height[part] = 1 + max((of(other) for other in graph[part]), default=-1)
        return height[part]

    return sorted(graph, key=lambda part: (of(part), part))


def drawing(graph: dict[str, set[str]]) -> str:
    """The picture as SVG: a row for each importer, a column for each imported, a mark where they meet."""
    parts = in_order(graph)
    width, height = MARGIN + len(parts) * CELL + TILTED, TOP + len(parts) * CELL + 4
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    for number, part in enumerate(parts):
        x, y = MARGIN + number * CELL, TOP + number * CELL
        lines.append(f'<path d="M{MARGIN} {y + CELL}H{MARGIN + len(parts) * CELL}M{x + CELL} {TOP}V{height - 4}"/>')
        lines.append(f'<text x="{MARGIN - 8}" y="{y + 17}" text-anchor="end">{escape(part)}</text>')
        lines.append(f'<text transform="translate({x + 15} {TOP - 6}) rotate(-50)">{escape(part)}</text>')
        lines.append(cell(x, y, "pure" if part in PURE else "self"))
        lines += [cell(MARGIN + parts.index(other) * CELL, y, "mark") for other in sorted(graph[part])]
    return "\n".join([*lines, "</svg>"]) + "\n"


def cell(x: int, y: int, kind: str) -> str:
    """A square of the matrix."""
    return f'<rect class="{kind}" x="{x + 3}" y="{y + 3}" width="{CELL - 6}" height="{CELL - 6}" rx="3"/>'


def main() -> None:
    """Write the picture, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    flags = parser.parse_args()
    picture = drawing(imported_by(PACKAGE))
    if flags.check:
        sys.exit(0 if PICTURE.exists() and PICTURE.read_text("utf-8") == picture else f"{PICTURE} is not up to date")
    PICTURE.write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
