"""Subjects that do not exist: a shape, a resting face and its expressions over time, drawn from (seed, subject).

A wide population differs more: features, turns of the head, several forms of an emotion, weak ones too. What it teaches
has to hold for people before a sensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depthjax.data.head_model import HeadModel

ADULT_HALF_BREADTH_MM = 27.0
AGES = (7.0, 70.0)  # years, as in IKFDB
SHAPE_AGES = {"child": 10.0, "young": 25.0, "old": 80.0}  # years at which each macro shape has its full weight
ANCESTRIES = ("african", "asian", "caucasian")
# How far the features of a region vary: standard deviation of a target's weight, before the negative half is cut off.
LOCAL_SPREAD = {
    "head": 0.28, "forehead": 0.4, "nose": 0.4, "chin": 0.35, "cheek": 0.45, "mouth": 0.24, "eye": 0.25,
    "eyebrows": 0.45, "ear": 0.4, "neck": 0.2, "measure": 0.2, "asym": 0.12,
}  # fmt: skip
WIDE_LOCAL, WIDE_POSE = 1.5, 1.6  # factors, in a wide population, of that spread and of the turns of heads


@dataclass(frozen=True)
class Person:
    """One subject; `sex` is "male" or "female", `age` in years."""

    subject: int
    sex: str
    age: float
    rest: np.ndarray  # (vertices, 3) float32 mm, the face at rest, the middle of the eyes at the origin
    expressiveness: float  # how strongly emotions show, 1 is the full facial action
    action_style: np.ndarray  # (52,) float32, a factor of each facial action; holds the asymmetry
    hair: float  # share of scalp pixels that are lost


def sample_person(model: HeadModel, *, seed: int, subject: int, wide: bool = False) -> Person:
    """Draw subject number `subject`: the same person whatever else is drawn."""
    rng = np.random.default_rng([seed, subject, 1])
    sex = "male" if subject % 5 in (0, 2, 4) else "female"  # 24 men and 16 women in 40, as in IKFDB
    age = rng.uniform(*AGES)
    shape = model.base + np.tensordot(_macro_weights(model, rng, sex, age), model.macro_targets, 1)
    shape += np.tensordot(_local_weights(model, rng, WIDE_LOCAL if wide else 1.0), model.local_targets, 1)
    shape += _hair_volume(model, shape, rng)
    shape -= shape[model.eyes].mean(axis=0)
    rest, expressiveness = shape.astype(np.float32), rng.uniform(1.0, 1.35)
    return Person(subject, sex, age, rest, expressiveness, _action_style(model, rng), hair=rng.uniform(0.1, 0.6))


def face_size(rest: np.ndarray) -> float:
    """Return the size of a face at rest, 1 for an average adult: what a face detector's box follows."""
    front = rest[(rest[:, 2] > -60) & (rest[:, 1] > -110) & (rest[:, 1] < 60)]
    return float(np.abs(front[:, 0]).mean() / ADULT_HALF_BREADTH_MM)


def _macro_weights(model: HeadModel, rng: np.random.Generator, sex: str, age: float) -> np.ndarray:
    years = list(SHAPE_AGES.values())
    by_age = {stage: np.interp(age, years, np.eye(3)[i]) for i, stage in enumerate(SHAPE_AGES)}
    by_ancestry = dict(zip(ANCESTRIES, rng.dirichlet([0.6] * 3), strict=True))
    own = rng.uniform(0.75, 1.0)  # no face is the textbook man or woman
    by_sex = {sex: own, "female" if sex == "male" else "male": 1 - own}
    weights = np.zeros(len(model.macro), np.float32)
    for name, row in model.macro.items():
        ancestry, its_sex, stage = name.split("-")
        weights[row] = by_ancestry[ancestry] * by_sex[its_sex] * by_age[stage]
    return weights


def _local_weights(model: HeadModel, rng: np.random.Generator, factor: float) -> np.ndarray:
    """One draw for both sides of the face, then a little of its own for each."""
    both_sides = {name: name.removeprefix("l-").removeprefix("r-") for name in model.local}
    shared = {root: rng.normal() for root in sorted(set(both_sides.values()))}
    weights = np.zeros(len(model.local), np.float32)
    for name, row in model.local.items():
        root = both_sides[name]
        spread = factor * LOCAL_SPREAD[root.split("-")[0]]
        weights[row] = max(0.0, spread * (shared[root] + 0.15 * rng.normal()))
    return weights


def _hair_volume(model: HeadModel, shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hair as a swelling of the scalp, (vertices, 3) millimetres."""
    centre = shape[model.eyes].mean(axis=0) + np.array([0, 20, -80], np.float32)
    outward = (shape - centre).astype(np.float32)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return (rng.uniform(0, 18) * model.scalp)[:, None] * outward


def _action_style(model: HeadModel, rng: np.random.Generator) -> np.ndarray:
    """Everyone uses some actions more than others, and one side a little more than the other."""
    unsided = [name.removesuffix("Left").removesuffix("Right") for name in model.face]
    shared = {name: rng.lognormal(0, 0.22) for name in sorted(set(unsided))}
    tilt = rng.normal(0, 0.12)
    sides = [1 + tilt if n.endswith("Left") else 1 - tilt if n.endswith("Right") else 1.0 for n in model.face]
    return np.array([shared[name] * side for name, side in zip(unsided, sides, strict=True)], np.float32)


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
# Further forms of an emotion, in a wide population: closed, pressed, broad, stretched smiles; mouths more or less open.
FORMS: dict[str, tuple[dict[str, float], ...]] = {
    "happiness": (
        {"mouthSmile": 0.8, "cheekSquint": 0.6, "eyeSquint": 0.3, "mouthDimple": 0.4},
        {"mouthSmile": 0.7, "mouthPress": 0.3, "mouthDimple": 0.5, "cheekSquint": 0.5},
        {
            "mouthSmile": 1.0, "cheekSquint": 1.0, "eyeSquint": 0.6, "mouthUpperUp": 0.7, "mouthLowerDown": 0.5,
            "jawOpen": 0.3,
        },
        {"mouthSmile": 0.9, "mouthStretch": 0.4, "cheekSquint": 0.7, "mouthUpperUp": 0.5},
    ),
    "surprise": (
        {"browInnerUp": 0.6, "browOuterUp": 0.6, "eyeWide": 0.8, "jawOpen": 0.5},
        {"browInnerUp": 0.8, "browOuterUp": 0.8, "jawOpen": 1.0, "mouthFunnel": 0.3},
        {"browInnerUp": 0.5, "browOuterUp": 0.4, "jawOpen": 0.9, "mouthStretch": 0.2},
    ),
}  # fmt: skip
LEFT_OUT = 0.15  # chance, in a wide population, that someone does not use an action but the strongest
MICRO = 1 / 3  # the first part of a sequence is micro-expression ...
MICRO_PEAK = 0.25  # ... which never passes this intensity
# Actions that come and go with no emotion at all, and the largest weight each takes.
UNRELATED = {
    "jawOpen": 0.066, "mouthClose": 0.055, "mouthLeft": 0.11, "mouthRight": 0.11, "mouthPress": 0.14,
    "mouthPucker": 0.08, "browInnerUp": 0.11, "browDown": 0.11, "cheekPuff": 0.066, "eyeSquint": 0.11,
    "mouthShrugUpper": 0.08, "mouthSmile": 0.066,
}  # fmt: skip


def intensity(phase: np.ndarray) -> np.ndarray:
    """Return how much of the emotion shows at `phase` in [0, 1] of a sequence, in [0, 1]."""
    # A micro-expression first, under 30 %; then onset, apex from 60 to 88 %, and the offset, down to a half.
    return np.interp(phase, [0, MICRO / 2, MICRO, 0.6, 0.88, 1.0], [0.05, MICRO_PEAK, 0.2, 1.0, 1.0, 0.5])


def action_weights(
    model: HeadModel, person: Person, emotion: str, phase: np.ndarray, *, seed: int, wide: bool = False
) -> np.ndarray:
    """Return weights of the facial actions, (frames, 52) float32, at `phase` (frames,) in [0, 1] of the sequence."""
    rng = np.random.default_rng([seed, person.subject, list(ACTIONS).index(emotion), 2])
    apex = np.zeros(len(model.face))
    for action, weight in (_form(emotion, rng) if wide else ACTIONS[emotion]).items():
        apex[_columns(model, action)] = weight
    apex = apex * person.action_style * person.expressiveness
    apex *= rng.lognormal(0, 0.25 if wide else 0.15, len(apex))
    level = rng.uniform(0.3, 1.1, len(phase)) if wide else intensity(phase) * rng.uniform(0.85, 1.1)
    weights = np.outer(level, apex)
    for action, peak in UNRELATED.items():
        weights[:, _columns(model, action)] += peak * np.maximum(0, smooth_noise(phase, rng))[:, None]
    weights[:, _columns(model, "eyeBlink")] += (rng.random((len(phase), 1)) < 0.08) * rng.uniform(0.5, 1.0)
    return np.clip(weights, 0, 1.2).astype(np.float32)


def _form(emotion: str, rng: np.random.Generator) -> dict[str, float]:
    """One form of an emotion, without some of its weaker actions."""
    forms = (ACTIONS[emotion], *FORMS.get(emotion, ()))
    actions = forms[rng.integers(len(forms))]
    strongest = max(actions, key=lambda name: actions[name], default="")
    return {name: weight for name, weight in actions.items() if name == strongest or rng.random() >= LEFT_OUT}


def smooth_noise(phase: np.ndarray, rng: np.random.Generator, *, waves: int = 3) -> np.ndarray:
    """Return (frames,) of unit variance that drift smoothly over a sequence, with a mean of their own."""
    frequency, angle = rng.uniform(0.3, 2.0, waves), rng.uniform(0, 2 * np.pi, waves)
    return np.sqrt(2 / waves) * np.sin(2 * np.pi * np.outer(phase, frequency) + angle).sum(axis=1)


def head_pose(person: Person, emotion: str, phase: np.ndarray, *, seed: int, wide: bool = False) -> np.ndarray:
    """Return (frames, 3) float32 radians: yaw, pitch, roll, moving smoothly about a pose of the sequence's own."""
    rng = np.random.default_rng([seed, person.subject, list(ACTIONS).index(emotion), 3])
    spread = np.deg2rad([7.0, 5.0, 3.0]) * (WIDE_POSE if wide else 1.0)
    held = rng.normal(0, 0.8, 3)
    drift = np.stack([0.5 * smooth_noise(phase, rng) for _ in range(3)], axis=1)
    return (spread * np.clip(held + drift, -2.5, 2.5)).astype(np.float32)


def _columns(model: HeadModel, action: str) -> list[int]:
    return [model.face[name] for name in (action, f"{action}Left", f"{action}Right") if name in model.face]
