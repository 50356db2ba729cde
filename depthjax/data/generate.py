"""Depth faces from the head model: people, emotions, poses and a sensor, all from one seed."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.data import kinect
from depthjax.data.crop import crop_face
from depthjax.data.head_model import HeadModel, load_head_model
from depthjax.data.people import ACTIONS, Person, action_weights, face_size, head_pose, sample_person
from depthjax.data.render import Bin, View, render, sampling_bins
from depthjax.keys import key_for
from depthjax.precision import EXACT

DISTANCE_MM, WIDE_DISTANCE_MM = (800.0, 1200.0), (800.0, 1500.0)
FRAME_SHAPE = (168, 112)  # the part of the sensor's 424x512 that holds a head at 0.8 m
BEHIND_EYES_MM = 90.0  # where the head turns: about the top of the spine
BELOW_EYES_MM = 40.0
DETECTOR_PIXELS = 0.7  # a face detector misses the nose by this much (standard deviation) ...
DETECTOR_SCALE = 0.02  # ... and the size of the face by this share


class Shot(NamedTuple):
    """One frame before it is rendered: facial actions (52,), pose (3,) radians, nose (3,) mm in the camera, key."""

    actions: jax.Array
    pose: jax.Array
    position: jax.Array
    key: jax.Array


class Head(NamedTuple):
    """A person's mesh: at rest (vertices, 3), facial actions (52, vertices, 3), scalp (vertices,), size of the face."""

    rest: jax.Array
    targets: jax.Array
    scalp: jax.Array
    size: jax.Array


class Frames(NamedTuple):
    """The frames of one person in one emotion: crops (n, 200, 128) uint16 mm."""

    crops: np.ndarray
    subject: int
    emotion: str


def generate(
    *, subjects: range, emotions: tuple[str, ...], frames: int, seed: int, full_sequence: bool, wide: bool = False
) -> Iterator[Frames]:
    """Render every subject in every emotion, `frames` of each, spread evenly over the sequence.

    A full sequence begins with the micro-expression, as IKFDB's do; else only what follows it is rendered. Of a wide
    population (`depthjax.data.people`), frames are of any intensity.
    """
    model = load_head_model()

    def film(subject: int) -> list[Frames]:
        with _host():  # a thread has a default device of its own
            person = sample_person(model, seed=seed, subject=subject, wide=wide)
            wall = np.random.default_rng([seed, subject, 5]).uniform(1700, 2200)
            scene = kinect.Scene(jnp.float32(wall), jnp.float32(person.hair))
            shots = [
                _shots(model, person, emotion, frames=frames, seed=seed, full_sequence=full_sequence, wide=wide)
                for emotion in emotions
            ]
            size = np.float32(face_size(person.rest))
            head = Head(*map(jnp.asarray, (person.rest, model.face_targets, model.scalp, size)))
            crops = [np.asarray(_film(head, shot, scene)) for shot in shots]
        return [Frames(crop, subject, emotion) for crop, emotion in zip(crops, emotions, strict=True)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA releases the lock: a person a core
        for person_frames in pool.map(film, subjects):
            yield from person_frames


def _host() -> AbstractContextManager[Any]:
    """Run on the processor, if jax was given it: the same faces beside any GPU, and small programs are faster."""
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:
        return nullcontext()


def _shots(
    model: HeadModel, person: Person, emotion: str, *, frames: int, seed: int, full_sequence: bool, wide: bool
) -> Shot:
    start = 0.0 if full_sequence else 0.45
    phase = start + (1 - start) * (np.arange(frames) + 0.5) / frames
    rng = np.random.default_rng([seed, person.subject, list(ACTIONS).index(emotion), frames, 4])
    distance = rng.uniform(*(WIDE_DISTANCE_MM if wide else DISTANCE_MM))
    drift = rng.normal(0, [4.0, 4.0, 6.0], (frames, 3))
    position = drift + np.array([rng.normal(0, 60), rng.normal(0, 40), distance])
    key = key_for(seed, f"sensor {emotion}", person.subject)
    return Shot(
        jnp.asarray(action_weights(model, person, emotion, phase, seed=seed, wide=wide)),
        jnp.asarray(head_pose(person, emotion, phase, seed=seed, wide=wide)),
        jnp.asarray(position, jnp.float32),
        jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(frames)),
    )


@functools.cache
def _bins() -> tuple[Bin, ...]:
    """Sampling fine enough for big heads, turned either way, with open mouths, at the nearest distance."""
    model = load_head_model()
    poses = np.array([(0, 0, 0), (0.3, 0, 0), (-0.3, 0, 0), (0, 0.2, 0), (0, -0.2, 0)], np.float32)
    with jax.ensure_compile_time_eval():  # this runs while the film is traced
        turns = [np.asarray(_rotation(pose)).T for pose in poses]
    rests = [sample_person(model, seed=12345, subject=subject).rest for subject in range(12)]
    open_mouth = model.face_targets[model.face["jawOpen"]]
    shapes = [shape @ turn for rest in rests for turn in turns for shape in (rest, rest + open_mouth)]
    magnification = kinect.FOCAL / DISTANCE_MM[0]
    return sampling_bins(model.quads, np.stack(shapes), pixels_per_mm=magnification)


@jax.jit
def _film(head: Head, shots: Shot, scene: kinect.Scene) -> jax.Array:
    # One frame at a time keeps the z-buffer in the cache: four times faster on a CPU than one large scatter.
    return jax.lax.map(lambda shot: _frame(head, shot, scene), shots)


def _frame(head: Head, shot: Shot, scene: kinect.Scene) -> jax.Array:
    moved = head.rest + jnp.tensordot(shot.actions, head.targets, 1, precision=EXACT)
    pivot = jnp.array([[0.0, -BELOW_EYES_MM, -BEHIND_EYES_MM]])
    turned = jnp.matmul(moved - pivot, _rotation(shot.pose).T, precision=EXACT)
    nose = turned[load_head_model().nose_tip]
    camera = (turned - nose[None]) * jnp.array([[1.0, -1.0, -1.0]]) + shot.position[None]
    # Render the window of the sensor about the nose, measure it, find the face, crop.
    detect_key, size_key, sensor_key = jax.random.split(shot.key, 3)
    distance = shot.position[2]
    on_sensor = kinect.FOCAL * shot.position[:2] / distance  # from the principal point
    corner = jnp.round(on_sensor) - jnp.array([FRAME_SHAPE[1] / 2, FRAME_SHAPE[0] * 0.55])
    surface = render(camera, head.scalp, View(jnp.float32(kinect.FOCAL), -corner), bins=_bins(), shape=FRAME_SHAPE)
    frame = kinect.measure(sensor_key, surface, scene, distance=distance)
    found = on_sensor - corner + DETECTOR_PIXELS * jax.random.normal(detect_key, (2,), jnp.float32)
    size = head.size * (1 + DETECTOR_SCALE * jax.random.normal(size_key, dtype=jnp.float32))
    return crop_face(frame, found, pixel_mm=distance / kinect.FOCAL / size)


def _rotation(pose: jax.Array) -> jax.Array:
    """Yaw about y, then pitch about x, then roll about z, radians."""
    (cy, cp, cr), (sy, sp, sr) = jnp.cos(pose), jnp.sin(pose)
    yaw = jnp.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = jnp.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = jnp.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return jnp.matmul(jnp.matmul(roll, pitch, precision=EXACT), yaw, precision=EXACT)
