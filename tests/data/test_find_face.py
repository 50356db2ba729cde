"""Faces are found in whole frames: rendered heads on a torso before a wall, and frames without a face."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data import find_face, generate, kinect
from depthjax.data.crop import crop_face
from depthjax.data.head_model import load_head_model
from depthjax.data.people import sample_person
from depthjax.data.render import View, render

CENTRE = np.array([256, 212])  # of the sensor, x and y
EMOTIONS = ("neutral", "happiness", "surprise")
PEOPLE, SHOTS = 12, 2


@jax.jit
def film(head, tip, shots, scene):
    """The window of the sensor that holds the head, its corner, and where the nose tip really is (mm)."""

    def one(shot):
        moved = head.rest + jnp.tensordot(shot.actions, head.targets, 1)
        pivot = jnp.array([[0.0, -generate.BELOW_EYES_MM, -generate.BEHIND_EYES_MM]])
        turned = (moved - pivot) @ generate._rotation(shot.pose).T
        camera = (turned - turned[tip][None]) * jnp.array([[1.0, -1.0, -1.0]]) + shot.position[None]
        height, width = generate.FRAME_SHAPE
        at = kinect.FOCAL * shot.position[:2] / shot.position[2]
        corner = jnp.round(at) - jnp.array([width // 2, round(height * 0.55)])
        view = View(jnp.float32(kinect.FOCAL), -corner)
        surface = render(camera, head.scalp, view, bins=generate._bins(), shape=generate.FRAME_SHAPE)
        return kinect.measure(shot.key, surface, scene, distance=shot.position[2]), corner

    return jax.lax.map(one, shots)


def own_nose_tip(model, person):
    """The vertex that stands out of this person's nose, as `nose_tip` does of the average person's."""
    near = np.linalg.norm(person.rest - person.rest[model.nose_tip], axis=1) < 15
    return int(np.argmax(np.where(near, person.rest[:, 2] - np.abs(person.rest[:, 0]), -np.inf)))


def whole_frame(window, corner, wall, nose, rng):
    """Paste the window into a frame with a wall, a neck and a torso."""
    height, width = find_face.SENSOR_SHAPE
    y, x = np.mgrid[:height, :width]
    beside, below = (x - CENTRE[0]) * nose[2] / kinect.FOCAL - nose[0], (y - CENTRE[1]) * nose[2] / kinect.FOCAL - nose[1]
    frame = np.full((height, width), wall)
    for half_width, depth, top in ((55, 60, 95), (230, 110, 125 + 0.18 * np.abs(beside))):
        inside = 1 - (beside / half_width) ** 2
        body = nose[2] + 160 - depth * np.sqrt(np.clip(inside, 0, None))
        frame = np.where((inside > 0) & (below > top), np.minimum(frame, body), frame)
    frame += rng.normal(0, 2.0, frame.shape)
    frame[rng.random(frame.shape) < 1e-3] = 0
    column, row = (corner + CENTRE).astype(int)
    place = frame[row : row + window.shape[0], column : column + window.shape[1]]
    place[:] = np.where((window == 0) | (window < place), window, place)
    return np.rint(frame).astype(np.uint16)


def frames_of(subject, *, seed=0, distance=None):
    model = load_head_model()
    person = sample_person(model, seed=seed, subject=subject)
    rng, wall = np.random.default_rng([seed, subject]), generate._wall(person, seed)
    head = generate.Head(*map(jnp.asarray, (person.rest, model.face_targets, model.scalp, np.float32(1))))
    for emotion in EMOTIONS:
        shots = generate._shots(model, person, emotion, frames=SHOTS, seed=seed, full_sequence=False)
        if distance is not None:
            shots = shots._replace(position=shots.position * (distance / shots.position[:, 2:]))
        scene = kinect.Scene(wall, jnp.float32(person.hair))
        windows, corners = map(np.asarray, film(head, own_nose_tip(model, person), shots, scene))
        for window, corner, nose in zip(windows, corners, np.asarray(shots.position), strict=True):
            yield whole_frame(window, corner, float(wall), nose, rng), kinect.FOCAL * nose[:2] / nose[2] + CENTRE, nose[2]


@pytest.fixture(scope="module")
def seen():
    """Frames, the nose tip's x and y, its distance: most at 0.8 to 1.2 m, some at 0.6 and at 1.45 m."""
    distances = [None, None, 620.0, None, 1450.0, None]
    shots = [shot for s in range(PEOPLE) for shot in frames_of(s, distance=distances[s % 6])]
    return [np.stack(column) for column in zip(*shots, strict=True)]


def errors(frames, truth):
    found = [find_face.find_nose(frame) for frame in frames]
    assert None not in found
    return np.linalg.norm(np.array([nose[:2] for nose in found]) - truth, axis=1), np.array([n.distance for n in found])
