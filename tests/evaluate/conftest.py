"""Depth-like faces: an ellipsoid a person, with a bump where the emotion is."""

import numpy as np
import pytest

from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces

EMOTIONS = ("neutral", "happiness", "fear")


def make_faces(people, frames, *, size=32, noise=0.02, first=0, seed=0):
    """`people` x 3 emotions x `frames` faces, subjects numbered from `first`."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    rows = []
    for person in range(first, first + people):
        shape = np.random.default_rng([person, 99]).uniform(0.8, 1.2, 4)
        rng = np.random.default_rng([person, seed])
        for label in range(3):
            for frame in range(frames):
                radius = (x / 0.7 / shape[0]) ** 2 + (y / 0.9 / shape[1]) ** 2
                centre = 0.6 * label - 0.4 + 0.05 * rng.normal()
                bump = 0.25 * rng.uniform(0.4, 1) * np.exp(-((x * shape[2]) ** 2 + (y - centre) ** 2) / 0.06)
                depth = np.where(radius < 1, 1.6 * shape[3] * radius - 0.9 - bump, 1) + noise * rng.normal(size=x.shape)
                rows.append((np.clip(depth, -1, 1), label, person, frame))
    images, emotion, subject, frame = zip(*rows, strict=True)
    labels = (np.array(column, np.int32) for column in (emotion, subject, frame))
    return DepthFaces(np.array(images, np.float32), *labels, EMOTIONS, DepthRange(-10.0, 80.0))


@pytest.fixture(scope="session")
def faces():
    return make_faces
