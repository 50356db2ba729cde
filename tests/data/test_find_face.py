"""Faces are found in whole frames: rendered heads on a torso before a wall, and frames without a face."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data import find_face, generate, kinect
from depthjax.data.crop import CROP_SHAPE, SENSOR_SHAPE, crop_face, nose_distance
from depthjax.data.head_model import load_head_model
from depthjax.data.people import sample_person
from depthjax.data.render import View, render

CENTRE = np.array([256, 212])  # of the sensor, x and y
EMOTIONS = ("neutral", "happiness", "surprise")
SEED, PEOPLE, SHOTS = 6, 6, 2  # people that the filter of the nose tip was not fitted to


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 2})  # as fast, and compiled sooner
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
    height, width = SENSOR_SHAPE
    y, x = np.mgrid[:height, :width]
    beside, below = (
        (x - CENTRE[0]) * nose[2] / kinect.FOCAL - nose[0],
        (y - CENTRE[1]) * nose[2] / kinect.FOCAL - nose[1],
    )
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


def frames_of(subject, *, seed=SEED, distance=None):
    model = load_head_model()
    person = sample_person(model, seed=seed, subject=subject)
    rng, wall = np.random.default_rng([seed, subject]), np.random.default_rng([seed, subject, 5]).uniform(1700, 2200)
    head = generate.Head(*map(jnp.asarray, (person.rest, model.face_targets, model.scalp, np.float32(1))))
    for emotion in EMOTIONS:
        shots = generate._shots(model, person, emotion, frames=SHOTS, seed=seed, full_sequence=False)
        if distance is not None:
            shots = shots._replace(position=shots.position * (distance / shots.position[:, 2:]))
        scene = kinect.Scene(jnp.float32(wall), jnp.float32(person.hair))
        windows, corners = map(np.asarray, film(head, own_nose_tip(model, person), shots, scene))
        for window, corner, nose in zip(windows, corners, np.asarray(shots.position), strict=True):
            yield (
                whole_frame(window, corner, wall, nose, rng),
                kinect.FOCAL * nose[:2] / nose[2] + CENTRE,
                nose[2],
            )


@pytest.fixture(scope="module")
def seen():
    """Frames, the nose tip's x and y, its distance: most at 0.8 to 1.2 m, some at 0.6 and at 1.45 m."""
    distances = [None, None, 620.0, None, 1450.0, None]
    shots = [shot for s in range(PEOPLE) for shot in frames_of(s, distance=distances[s % 6])]
    return [np.stack(column) for column in zip(*shots, strict=True)]


def misses(frames, truth):
    """How far from the tip the nose is found, pixels; far off where it is not found."""
    found = [find_face.find_nose(frame) for frame in frames]
    return np.array([np.inf if n is None else np.hypot(*(n[:2] - t)) for n, t in zip(found, truth, strict=True)])


def test_the_nose_tip_is_found(seen):
    frames, truth, distance = seen
    assert (misses(frames, truth) <= 3).mean() >= 0.95
    found = np.array([find_face.find_nose(frame).distance for frame in frames])
    assert np.median(np.abs(found - distance)) < 3 and np.quantile(np.abs(found - distance), 0.95) < 10


def test_raised_noise_and_flying_pixels_hardly_matter(seen):
    frames, truth, _ = seen
    rng = np.random.default_rng(0)
    noisy = frames[::2] + rng.normal(0, 4, frames[::2].shape)
    noisy -= (rng.random(noisy.shape) < 0.01) * rng.uniform(20, 300, noisy.shape)
    noisy = np.where((frames[::2] == 0) | (rng.random(noisy.shape) < 0.05), 0, np.rint(noisy).clip(0)).astype(np.uint16)
    missed = misses(noisy, truth[::2])
    assert (missed <= 3).mean() >= 0.9 and (missed <= 8).all()


def test_the_crop_is_framed_as_all_crops_are(seen):
    frames, truth, distance = seen
    index = int(np.argmin(misses(frames, truth)))
    crop = find_face.crop_from_frame(frames[index])
    assert crop.shape == CROP_SHAPE and crop.dtype == np.uint16
    right = find_face.crop_about(frames[index], find_face.Nose(*truth[index], distance[index]))
    inside = np.s_[60:150, 40:88]
    assert np.median(np.abs(crop[inside].astype(int) - right[inside])) <= 3
    assert nose_distance(crop[None])[0] == pytest.approx(distance[index], abs=6)


def test_the_crop_is_that_of_crop_face(seen):
    (frames, truth, distance), cropped = seen, jax.jit(crop_face)
    for frame, nose, mm in zip(frames[:3], truth, distance, strict=False):
        mine = find_face.crop_about(frame, find_face.Nose(*nose, mm)).astype(int)
        pixel_mm = np.float32(mm / find_face.FOCAL)
        theirs = np.asarray(cropped(frame, np.float32(nose), pixel_mm=pixel_mm), int)
        differ = np.abs(mine - theirs) > 1  # float32 positions fall on the other side of a pixel now and then
        assert differ.mean() < 2e-3


def torso():
    y, x = np.mgrid[:424, :512]
    frame = np.full((424, 512), 2000.0)
    inside = np.clip(1 - ((x - 256) / 90) ** 2, 0, None)
    return np.where((inside > 0) & (y > 250 + 0.18 * np.abs(x - 256)), 1100 - 110 * np.sqrt(inside), frame)


def blob():
    y, x = np.mgrid[:424, :512]
    return np.where(np.hypot(y - 200, x - 256) < 12, 900.0, 2000.0)


def slope():
    return np.broadcast_to(np.linspace(700, 1500, 512), (424, 512))


@pytest.mark.parametrize(
    "frame",
    [np.zeros((424, 512)), np.full((424, 512), 2000.0), np.full((424, 512), 1000.0), slope(), torso(), blob()],
    ids=["nothing", "wall", "near wall", "slanted wall", "headless torso", "small thing"],
)
@pytest.mark.parametrize("sigma", [0, 3])
def test_no_face_is_none(frame, sigma):
    rng = np.random.default_rng(1)
    noisy = np.where(frame > 0, frame + rng.normal(0, sigma, frame.shape), 0)
    assert find_face.crop_from_frame(np.rint(noisy).astype(np.uint16)) is None


def test_pure_noise_is_none():
    assert find_face.crop_from_frame(np.random.default_rng(0).integers(0, 3000, (424, 512)).astype(np.uint16)) is None


def test_a_head_at_the_edge_of_the_frame_is_a_crop_or_none(seen):
    for shift in (150, 250, 350):
        moved = np.roll(seen[0][0], -shift, axis=0)
        crop = find_face.crop_from_frame(np.ascontiguousarray(moved))
        assert crop is None or crop.shape == CROP_SHAPE
