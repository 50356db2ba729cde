"""What the numbers say, in plain words, computed from evaluation.json and nothing else.

A difference is only called one where its paired test, corrected for the number of comparisons, and its interval both
say so, or, where there is no paired test, where two intervals do not meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depthjax.report.numbers import lookup
from depthjax.report.verdicts_copies import copies
from depthjax.report.verdicts_likeness import noise, shape
from depthjax.report.verdicts_use import headline_classifier, help_beside_real, use_alone
from depthjax.report.verdicts_winner import OURS, evolution, losses, winner
from depthjax.report.words import Part

__all__ = ["Verdict", "headline_classifier", "verdicts"]


@dataclass(frozen=True)
class Verdict:
    """A topic and its sentences: words and the numbers between them."""

    topic: str
    parts: tuple[Part, ...]


def verdicts(evaluation: dict[str, Any], classes: int) -> list[Verdict]:
    """The summary of an evaluation, most important first.

    Args:
        evaluation: evaluation.json, of this schema or an earlier one.
        classes: the number of emotions, for the rate of guessing.
    """
    methods = list(lookup(evaluation, ("methods",)))
    if not methods:
        return []
    compared, both = bool(set(methods) - set(OURS)), set(OURS) <= set(methods)
    found = {
        "Help": help_beside_real(evaluation, methods),
        "Use": use_alone(evaluation, methods, classes),
        "Copies": copies(evaluation, methods),
        "Winner": winner(evaluation, methods) if compared else [],
        "Losses": losses(evaluation, methods) if compared else [],
        "Evolution": evolution(evaluation) if both else [],
        "Shape": shape(evaluation, methods),
        "Noise": noise(evaluation, methods),
    }
    return [Verdict(topic, tuple(parts)) for topic, parts in found.items() if parts]
