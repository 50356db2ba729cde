"""File names from emotions and people, whose names are the user's: safe, and no two alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from depthjax.files import digest

MOST_BYTES = 100  # of a name; file systems take 255, and a frame and a suffix follow
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # on Windows


def safe_names(names: Iterable[str]) -> list[str]:
    """Each name as a file's name on any system: letters, digits and `-_. ` stay, a name that had to change ends in a
    part of its hash, and so does one that differs from an earlier one only by case."""
    taken: set[str] = set()
    safe = []
    for name in names:
        clean = _clean(name)
        if clean != name or clean.casefold() in taken:
            clean = f"{clean}-{digest(name)[:12]}"
        while clean.casefold() in taken:
            clean += "-"
        taken.add(clean.casefold())
        safe.append(clean)
    return safe


def _clean(name: str) -> str:
    """The same name if it is safe, which a name with a hash of its own cannot be mistaken for."""
    composed = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in "-_. " else "-" for c in composed)
    short = kept.encode()[:MOST_BYTES].decode(errors="ignore").strip(". ")
    return f"{short or 'unnamed'}-" if short.casefold() in {*RESERVED, ""} else short


def stems(emotion: np.ndarray, subject: np.ndarray, frame: np.ndarray, subjects: Sequence[str]) -> list[str]:
    """`SUBJECT_FRAME` of each face, unique within its emotion.

    A frame's number that a person has twice in one emotion is replaced by the next free one.

    Args:
        emotion, subject, frame: (n,) whole numbers.
        subjects: a name for each subject.
    """
    safe = safe_names(subjects)
    taken: dict[tuple[int, int], set[int]] = {}
    for e, s, f in zip(emotion.tolist(), subject.tolist(), frame.tolist(), strict=True):
        taken.setdefault((e, s), set()).add(f)
    highest = {person: max(frames) for person, frames in taken.items()}
    seen: set[tuple[int, int, int]] = set()
    names = []
    for e, s, f in zip(emotion.tolist(), subject.tolist(), frame.tolist(), strict=True):
        number = f
        if (e, s, f) in seen:
            highest[e, s] += 1
            number = highest[e, s]
        seen.add((e, s, number))
        names.append(f"{safe[s]}_{number:05d}")
    return names
