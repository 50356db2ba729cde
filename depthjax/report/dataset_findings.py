"""What is wrong with a set, worst first: sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from depthjax import config as configs
from depthjax.report.dataset_alike import DUPLICATE_MM
from depthjax.report.dataset_numbers import Numbers

IMBALANCE = 1.5  # largest class to smallest
HOLES = 0.20
CLIPPED = 0.05  # of face pixels
FEW_PEOPLE, FEW_TEST_PEOPLE = 10, 4
MANY_ALIKE = 0.5  # of faces with a near-duplicate of the same person


@dataclass(frozen=True)
class Finding:
    """One thing to know before training: how bad, about what, and what to do."""

    level: Literal["alarm", "warning"]
    topic: str
    text: str


def findings(numbers: Numbers, settings: configs.Data) -> list[Finding]:
    """Alarms, then warnings; empty if nothing stands out."""
    found = [*_leaks(numbers, settings), *_classes(numbers), *_people(numbers, settings), *_pixels(numbers, settings)]
    return sorted(found, key=lambda finding: finding.level != "alarm")


def percent(share: float | None) -> str:
    """A share in percent with one decimal; never 0.0 for something, nor 100.0 for less than all."""
    if share is None:
        return "not comparable"
    if 0 < share < 0.0005:
        return "under 0.1\u202f%"
    if 0.9995 <= share < 1:
        return "over 99.9\u202f%"
    return f"{100 * share:.1f}\u202f%"


def _leaks(numbers: Numbers, settings: configs.Data) -> Iterator[Finding]:
    shared = np.intersect1d(numbers.train.people, numbers.test.people)
    if len(shared):
        yield Finding(
            "alarm",
            "Same people on both sides",
            f"{_people_count(len(shared))} in the training and in the test faces (data.split = {settings.split}): "
            "scores on the test faces say how well people are remembered. Use data.split = subject.",
        )
    rate = numbers.nearest.rate("across")
    if rate:
        text = (
            f"{percent(rate)} of the test faces measured have a training face nearer than {DUPLICATE_MM:g} mm: the "
            "same recording, or the same person under two names. Scores on them mean nothing until the pairs listed "
            "under “Near-duplicates” are mended."
        )
        yield Finding("alarm", "Near-duplicates across the split", text)
    rate = numbers.nearest.rate("other")
    if rate and not numbers.nearest.rate("across"):
        text = f"{percent(rate)} of the faces have a near-duplicate of another name. Is one person there twice?"
        yield Finding("warning", "Near-duplicates across people", text)
    rate = numbers.nearest.rate("same")
    if rate and rate > MANY_ALIKE:
        text = (
            f"{percent(rate)} of the faces have a near-duplicate of the same person: frames of one clip. "
            "The set holds less variety than its size says; every second or third frame would do."
        )
        yield Finding("warning", "Many frames alike", text)


def _classes(numbers: Numbers) -> Iterator[Finding]:
    totals = numbers.counts.sum(axis=1)
    missing = [numbers.emotions[i] for i in np.flatnonzero(totals == 0)]
    if missing:
        yield Finding("alarm", "Emotions without a face", f"{', '.join(missing)}: nothing to learn from.")
    ratio = totals.max() / max(1, totals[totals > 0].min())
    if ratio > IMBALANCE:
        least, most = np.argmin(np.where(totals > 0, totals, totals.max() + 1)), np.argmax(totals)
        text = (
            f"{numbers.emotions[most]} has {totals[most]:,} faces, {numbers.emotions[least]} {totals[least]:,} "
            f"({ratio:.1f} times fewer): generators and classifiers will favour the first."
        )
        yield Finding("warning", "Imbalanced emotions", text)
    partial = int(((numbers.counts[totals > 0] > 0).sum(axis=0) < (totals > 0).sum()).sum())
    if partial:
        text = f"{partial:,} of {len(numbers.people):,} people lack one: identity and emotion are partly confounded."
        yield Finding("warning", "Emotions missing for some people", text)


def _people(numbers: Numbers, settings: configs.Data) -> Iterator[Finding]:
    own = len(numbers.people) - (settings.extra_test_subjects if settings.source == "depth_heads" else 0)
    if own < FEW_PEOPLE:
        text = f"{own} in all: a generator may learn them by heart, and intervals by person will be wide."
        yield Finding("warning", "Few people", text)
    elif len(numbers.test.people) < FEW_TEST_PEOPLE:
        text = f"{len(numbers.test.people)} in the test: intervals by person will be wide. Raise data.test_fraction."
        yield Finding("warning", "Few people in the test", text)


def _pixels(numbers: Numbers, settings: configs.Data) -> Iterator[Finding]:
    if numbers.constant:
        text = f"{numbers.constant:,} of {numbers.sampled:,} measured hold a single value: remove them."
        yield Finding("alarm", "Constant faces", text)
    if numbers.noseless:
        text = f"{numbers.noseless:,} of {numbers.sampled:,} measured have no depth where the nose should be."
        yield Finding("alarm", "Faces without a nose", text)
    worst = int(np.argmax(numbers.face_holes))
    if numbers.face_holes[worst] > HOLES:
        text = (
            f"{percent(numbers.face_holes[worst])} of the pixels inside the mean face give no return in "
            f"{numbers.emotions[worst]}. A hole becomes the far end of the window: networks will learn it as shape."
        )
        yield Finding("warning", "Many holes", text)
    before, behind = numbers.clipped
    if before + behind > CLIPPED:
        text = (
            f"{percent(before)} of the face pixels lie before and {percent(behind)} behind the window of "
            f"{window(settings)}, and are flattened to its ends. Beyond ears and neck that costs expression: "
            "widen data.near_mm and data.far_mm, unless it is meant."
        )
        yield Finding("warning", "Depth clipped by the window", text)


def window(settings: configs.Data) -> str:
    """The networks' window in words."""
    return f"{settings.near_mm:g} to {settings.far_mm:g}\u202fmm".replace("-", "\u2212")


def _people_count(count: int) -> str:
    return "1 person is" if count == 1 else f"{count:,} people are"
