"""Stored faces without files: domes with a nose before a wall, seen by a noisy camera, with what a test plants."""

import numpy as np

from depthjax.data.stored import StoredFaces

SHAPE = (200, 128)
EMOTIONS = ("neutral", "happiness", "fear")


def person_relief(subject: int, emotion: int) -> np.ndarray:
    """SHAPE mm behind the nose tip, infinite beside it. Happiness is a mouth 6 mm nearer, fear a brow 25 mm farther."""
    rng = np.random.default_rng([7, subject])
    width, height, depth = rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.95), rng.uniform(55, 95)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    y = y - 0.145  # the nose tip sits in row 114
    dome = 1 - (x / width) ** 2 - (y / height) ** 2
    relief = depth * (1 - np.sqrt(np.clip(dome, 0, 1))) + 20
    relief = relief - 20 * np.exp(-((x / 0.2) ** 2) - (y / 0.12) ** 2)
    for bump in rng.uniform(-1, 1, (4, 3)):  # so that no two subjects are near-duplicates
        relief = relief + 14 * bump[0] * np.exp(
            -(((x - 0.4 * bump[1]) / 0.25) ** 2) - ((y - 0.5 * bump[2]) / 0.25) ** 2
        )
    mouth = np.exp(-((x / 0.3) ** 2) - ((y - 0.35) / 0.08) ** 2)
    brow = np.exp(-(((y + 0.5) / 0.2) ** 2))
    return np.where(dome > 0, relief - 6 * (emotion == 1) * mouth + 25 * (emotion == 2) * brow, np.inf)


def fake_stored(
    people: int = 8,
    frames: int = 2,
    *,
    emotions: tuple[str, ...] = EMOTIONS,
    sigma: float = 1.5,
    holes: float = 0.0,
    moving: bool = True,
) -> StoredFaces:
    """`frames` faces of each person in each emotion, at 800 to 1,200 mm before a wall at 1,800 mm.

    moving: heads turn away a little, from frame to frame and from emotion to emotion.
    """
    labels = [(s, e, f) for s in range(people) for e in range(len(emotions)) for f in range(frames)]
    subject, emotion, frame = np.array(labels, np.int32).T
    rng = np.random.default_rng(1)
    depth = np.empty((len(labels), *SHAPE), np.uint16)
    for i, (s, e, f) in enumerate(labels):
        relief = np.roll(person_relief(s, e), (4 * f, 3 * e - 3 * f) if moving else 0, (0, 1))
        mm = np.where(np.isfinite(relief), 800 + 50 * s + relief, 1800)
        mm = np.rint(mm + sigma * rng.standard_normal(SHAPE))
        depth[i] = np.where(rng.random(SHAPE) < holes, 0, mm)
    names = tuple(f"P{s:02d}" for s in range(people))
    sources = np.array([f"{emotions[e]}/s{s}_f{f}.png" for s, e, f in labels])
    return StoredFaces(depth, emotion, subject, frame, sources, emotions, names, SHAPE)
