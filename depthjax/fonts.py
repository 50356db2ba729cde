"""Names in any script in pictures: a font of the system that has their characters, or else Latin letters.

matplotlib brings DejaVu Sans, which has Latin, Greek, Cyrillic, Arabic and Persian letters, and no Chinese.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

DEFAULT = "DejaVu Sans"
BOXES = ("Last Resort", "LastResort", "Adobe Blank", "AdobeBlank")  # fonts that have a box for every character


@cache
def font_file(name: str) -> Path | None:
    """Return a font with all characters of a name: matplotlib's own, or the first of the system's; None without one."""
    from matplotlib import font_manager

    needed = {ord(c) for c in name if c.isprintable() and not c.isspace()}
    own = font_manager.findfont(DEFAULT)
    known = (entry for entry in font_manager.fontManager.ttflist if entry.style == "normal")
    others = sorted({entry.fname for entry in known if not entry.name.strip(".").startswith(BOXES)})
    return next((Path(path) for path in (own, *others) if needed <= _characters(path)), None)


@cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a file that has gone, or no font
        return frozenset()


@cache
def legible(name: str) -> str:
    """Return a name as pictures show it: as it is where a font has its characters, else in Latin letters."""
    if name.isascii() or font_file(name) is not None:
        return name
    from anyascii import anyascii

    return anyascii(name).strip() or name


def pillow_font(name: str, size: int) -> Any:
    """Return a font of Pillow, `size` pixels high, for a legible name."""
    from PIL import ImageFont

    path = None if name.isascii() else font_file(name)
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


def families(names: Iterable[str]) -> list[str]:
    """Return the font families for matplotlib that have all characters of the names, its own first."""
    from matplotlib import font_manager

    files = {str(font_file(name)) for name in names if not name.isascii() and font_file(name) is not None}
    found = {entry.name for entry in font_manager.fontManager.ttflist if entry.fname in files}
    return [DEFAULT, *sorted(found - {DEFAULT})]


def notes(names: Iterable[str]) -> list[str]:
    """Return a line for the user where names are shown in Latin letters; none where all are shown as they are."""
    changed = [f"{name} as {legible(name)}" for name in names if legible(name) != name]
    if not changed:
        return []
    return [f"no font of this system has these names, so pictures show {', '.join(changed)}: install one, such as Noto"]
