"""`DepthFaces`: labelled depth images; and which of them are test faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from depthjax.data.depth_range import DepthRange

COLUMNS = ("images", "emotion", "subject", "frame")  # of DepthFaces: one entry a face


@dataclass(frozen=True)
class DepthFaces:
    """Depth images with their labels, (n,) int32 each."""

    images: np.ndarray  # (n, height, width) float32 in [-1, 1]; -1 is nearest, +1 is far, background or invalid
    emotion: np.ndarray  # an index into `emotions`
    subject: np.ndarray
    frame: np.ndarray  # the number within its subject and emotion
    emotions: tuple[str, ...]  # the names of the classes, in label order
    depth_range: DepthRange  # what the values of `images` mean in millimetres from the nose tip

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> DepthFaces:
        """Return the faces at `index` (integers or a mask), in that order."""
        columns: dict[str, Any] = {name: getattr(self, name)[index] for name in COLUMNS}
        return dataclasses.replace(self, **columns)

    def of(self, emotion: str) -> DepthFaces:
        """Return the faces of one emotion, by name."""
        return self.take(self.emotion == self.emotions.index(emotion))

    def relief_mm(self) -> np.ndarray:
        """Return (n, height, width) float32 millimetres behind the nose tip."""
        return self.depth_range.to_mm(self.images)


def joined(sets: Sequence[DepthFaces]) -> DepthFaces:
    """Return all faces of the first set, then of the next; emotions and depth range are those of the first."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(faces, name) for faces in sets]) for name in COLUMNS}
    return dataclasses.replace(sets[0], **columns)


def made_faces(
    images: np.ndarray, emotion: np.ndarray, emotions: tuple[str, ...], depth_range: DepthRange
) -> DepthFaces:
    """Return faces that are nobody's: each of the (n,) is a subject of its own."""
    subject, frame = np.arange(len(images), dtype=np.int32), np.zeros(len(images), np.int32)
    return DepthFaces(images, emotion, subject, frame, emotions, depth_range)


def held_out_subjects(subject: np.ndarray, test_fraction: float, seed: int) -> np.ndarray:
    """Return which faces belong to test subjects, (n,) bool: a fraction of the subjects, rounded, at least one.

    The seed chooses them; the order of the faces does not matter.
    """
    subjects = np.unique(subject)
    count = min(max(1, round(test_fraction * len(subjects))), len(subjects) - 1)
    return np.isin(subject, np.random.default_rng(seed).permutation(subjects)[:count])


def held_out_images(emotion: np.ndarray, test_fraction: float, seed: int) -> np.ndarray:
    """Return test images of a stratified split: (n,) bool, that share of each emotion, at least one."""
    rng, test = np.random.default_rng(seed), np.zeros(len(emotion), bool)
    for label in range(emotion.max() + 1):
        members = rng.permutation(np.flatnonzero(emotion == label))
        test[members[: max(1, round(test_fraction * len(members)))]] = True
    return test
