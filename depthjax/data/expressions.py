"""Emotions as facial actions over time: onset, apex, offset, on top of a face that is never quite still."""

from __future__ import annotations

import numpy as np

from depthjax.data.head_model import HeadModel
from depthjax.data.people import Person

# EMFACS action units by emotion, in the head's ARKit actions; a name without a side means both.
ACTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"mouthSmile": 1.0, "cheekSquint": 0.8, "eyeSquint": 0.4, "mouthUpperUp": 0.4, "jawOpen": 0.15},
    "fear": {
        "browInnerUp": 1.0, "browOuterUp": 0.5, "browDown": 0.4, "eyeWide": 1.0,
        "mouthStretch": 0.9, "jawOpen": 0.35, "mouthLowerDown": 0.3,
    },
    "surprise": {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 0.8, "jawOpen": 0.8},
    "anger": {
        "browDown": 1.2, "eyeSquint": 0.7, "eyeWide": 0.3, "mouthPress": 0.9, "mouthRollUpper": 0.6,
        "mouthRollLower": 0.6, "mouthFrown": 0.3, "noseSneer": 0.7, "jawForward": 0.6,
    },
    "sadness": {"browInnerUp": 1.2, "mouthFrown": 1.2, "mouthShrugLower": 0.8, "mouthPucker": 0.15},
    "disgust": {
        "noseSneer": 1.2, "mouthUpperUp": 1.2, "browDown": 0.7, "cheekSquint": 0.7,
        "mouthLowerDown": 0.4, "mouthFrown": 0.3, "jawOpen": 0.12,
    },
}  # fmt: skip
MICRO = 1 / 3  # the first part of a sequence is micro-expression ...
MICRO_PEAK = 0.25  # ... which never passes this intensity
# Actions that come and go with no emotion at all, and the largest weight each takes.
UNRELATED = {
    "jawOpen": 0.066, "mouthClose": 0.055, "mouthLeft": 0.11, "mouthRight": 0.11, "mouthPress": 0.14,
    "mouthPucker": 0.08, "browInnerUp": 0.11, "browDown": 0.11, "cheekPuff": 0.066, "eyeSquint": 0.11,
    "mouthShrugUpper": 0.08, "mouthSmile": 0.066,
}  # fmt: skip


def intensity(phase: np.ndarray) -> np.ndarray:
    """How much of the emotion shows at `phase` in [0, 1] of a sequence, in [0, 1].

    A micro-expression first, under 30 %; then onset, apex from 60 to 88 %, and the offset, down to a half.
    """
    return np.interp(phase, [0, MICRO / 2, MICRO, 0.6, 0.88, 1.0], [0.05, MICRO_PEAK, 0.2, 1.0, 1.0, 0.5])


def action_weights(model: HeadModel, person: Person, emotion: str, phase: np.ndarray, *, seed: int) -> np.ndarray:
    """Weights of the facial actions, frame by frame.

    Args:
        phase: (frames,) in [0, 1], where in the sequence each frame stands.
    Returns:
        (frames, 52) float32.
    """
    rng = np.random.default_rng([seed, person.subject, list(ACTIONS).index(emotion), 2])
    apex = _row(model, ACTIONS[emotion]) * person.action_style * person.expressiveness
    apex *= rng.lognormal(0, 0.15, len(apex))
    weights = np.outer(intensity(phase) * rng.uniform(0.85, 1.1), apex) + _unrelated(model, phase, rng)
    weights[:, _columns(model, "eyeBlink")] += (rng.random((len(phase), 1)) < 0.08) * rng.uniform(0.5, 1.0)
    return np.clip(weights, 0, 1.2).astype(np.float32)


def _unrelated(model: HeadModel, phase: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    peaks = np.zeros((len(phase), len(model.face)))
    for action, peak in UNRELATED.items():
        peaks[:, _columns(model, action)] = peak * np.maximum(0, smooth_noise(phase, rng))[:, None]
    return peaks


def smooth_noise(phase: np.ndarray, rng: np.random.Generator, *, waves: int = 3) -> np.ndarray:
    """(frames,) of unit variance that drift smoothly over a sequence, with a mean of their own."""
    frequency, angle = rng.uniform(0.3, 2.0, waves), rng.uniform(0, 2 * np.pi, waves)
    return np.sqrt(2 / waves) * np.sin(2 * np.pi * np.outer(phase, frequency) + angle).sum(axis=1)


def head_pose(person: Person, emotion: str, phase: np.ndarray, *, seed: int) -> np.ndarray:
    """(frames, 3) float32 radians: yaw, pitch, roll, moving smoothly about a pose of the sequence's own."""
    rng = np.random.default_rng([seed, person.subject, list(ACTIONS).index(emotion), 3])
    spread = np.deg2rad([7.0, 5.0, 3.0])
    held = rng.normal(0, 0.8, 3)
    drift = np.stack([0.5 * smooth_noise(phase, rng) for _ in range(3)], axis=1)
    return (spread * np.clip(held + drift, -2.5, 2.5)).astype(np.float32)


def _row(model: HeadModel, actions: dict[str, float]) -> np.ndarray:
    row = np.zeros(len(model.face))
    for action, weight in actions.items():
        row[_columns(model, action)] = weight
    return row


def _columns(model: HeadModel, action: str) -> list[int]:
    return [model.face[name] for name in (action, f"{action}Left", f"{action}Right") if name in model.face]
