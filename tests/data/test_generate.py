import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data.crop import CROP_SHAPE, crop_face, nose_distance, to_square
from depthjax.data.generate import _shots, generate
from depthjax.data.head_model import load_head_model
from depthjax.data.people import ACTIONS, sample_person


def test_frames_are_crops_in_millimetres(frames):
    assert len(frames) == 6
    for shots in frames:
        assert shots.crops.shape == (4, *CROP_SHAPE) and shots.crops.dtype == np.uint16
        inside = shots.crops[:, 60:150, 40:88]
        assert (inside > 0).mean() > 0.95 and 700 < np.median(inside) < 1300


def test_a_subject_is_the_same_whoever_else_is_rendered(frames):
    emotions = ("neutral", "happiness", "surprise")
    alone = list(generate(subjects=range(1, 2), emotions=emotions, frames=4, seed=3, full_sequence=False))
    assert all(np.array_equal(a.crops, b.crops) for a, b in zip(alone, frames[3:], strict=True))


def test_emotions_with_names_of_one_length_are_shot_apart():
    model = load_head_model()
    person = sample_person(model, seed=3, subject=0)
    same = {len(a): [b for b in ACTIONS if len(b) == len(a)] for a in ACTIONS}
    names = max(same.values(), key=len)
    assert len(names) > 1  # such as neutral, sadness, disgust
    nose = [
        np.asarray(_shots(model, person, name, frames=2, seed=3, full_sequence=False, wide=False).position)
        for name in names
    ]
    assert all(np.abs(a - b).min() > 0.1 for a, b in itertools.combinations(nose, 2))  # mm


def test_people_differ_more_than_frames(frames):
    """Median difference of two frames' relief: of one person in one emotion, and of two people in that emotion."""
    reliefs = [(f.crops - nose_distance(f.crops)[:, None, None])[:, 70:150, 40:88] for f in frames]
    within = np.mean([np.median(np.abs(r[0] - r[1])) for r in reliefs])
    between = np.mean([np.median(np.abs(reliefs[i][0] - reliefs[i + 3][1])) for i in range(3)])
    assert between > 1.5 * within > 0


def test_surprise_opens_the_mouth(frames):
    """Where the mouth is, some of the surprised face lies far behind what the neutral one shows."""
    for person in range(2):
        deepest = []
        for shots in (frames[3 * person], frames[3 * person + 2]):
            mouth = shots.crops[:, 132:148, 56:72].astype(float)
            behind = np.where(mouth > 0, mouth - nose_distance(shots.crops)[:, None, None], np.nan)
            deepest.append(np.nanpercentile(behind, 95))
        assert deepest[1] > deepest[0] + 15  # mm


def test_the_nose_is_found_within_a_few_millimetres():
    y, x = np.mgrid[: CROP_SHAPE[0], : CROP_SHAPE[1]]
    cone = 1000 + 0.8 * np.hypot(y - 114, x - 64)
    noisy = np.rint(cone + np.random.default_rng(0).normal(0, 1.3, cone.shape)).astype(np.uint16)
    noisy[100, 60] = 700  # a flying pixel
    assert nose_distance(noisy[None])[0] == pytest.approx(1000, abs=3)
    assert nose_distance(np.zeros((1, *CROP_SHAPE), np.uint16))[0] == 0


def test_cropping_keeps_a_plane_and_its_holes():
    x = np.mgrid[:168, :112][1]
    frame = (1000 + 2 * x).astype(np.uint16)
    frame[80:84, 50:54] = 0
    crop = np.asarray(crop_face(jnp.asarray(frame), jnp.array([56.0, 92.0]), pixel_mm=jnp.float32(2.74)))
    step = 180 / 128 / 2.74
    expected = 1000 + 2 * (56 + (np.arange(128) - 63.5) * step)
    whole = crop[170]
    assert np.abs(whole - expected).max() <= 0.5
    assert (crop == 0).sum() == pytest.approx(16 / step**2, rel=0.3)


@pytest.mark.parametrize("crop", ["full", "face"])
@pytest.mark.parametrize("resolution", [32, 64, 256])
def test_the_square_keeps_the_mean_and_constants(crop, resolution):
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(2, 200, 128)), 1), 2).astype(np.float32)
    smooth /= np.abs(smooth).max()
    square = to_square(smooth, resolution, crop=crop)
    cut = smooth[:, 56:184] if crop == "face" else smooth
    assert square.shape == (2, resolution, resolution)
    assert np.allclose(square.mean((1, 2)), cut.mean((1, 2)), atol=0.01)
    assert np.allclose(to_square(np.ones((1, 200, 128), np.float32), resolution, crop=crop), 1, atol=1e-5)
