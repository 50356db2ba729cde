"""The camera model against the formula it implements."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data import kinect
from depthjax.data.render import Surface

SHAPE = (150, 150)
measure = jax.jit(kinect.measure)


def plane(depth, angle_deg):
    """A plane seen at one angle everywhere: what the noise formula speaks of."""
    full = jnp.full(SHAPE, jnp.float32(depth))
    return Surface(full, jnp.full(SHAPE, jnp.cos(jnp.deg2rad(angle_deg))), jnp.zeros(SHAPE))


def shoot(surface, *, seed=0, hair=0.0, distance=1000.0):
    scene = kinect.Scene(jnp.float32(2000.0), jnp.float32(hair))
    return np.asarray(measure(jax.random.key(seed), surface, scene, distance=jnp.float32(distance)))


def fankhauser(depth_mm, angle_deg):
    z, t = depth_mm / 1000, np.deg2rad(angle_deg)
    return 1.5 - 0.5 * z + 0.3 * z**2 + 0.1 * z**1.5 * t**2 / (np.pi / 2 - t) ** 2


@pytest.mark.parametrize("depth", [800.0, 1000.0, 1200.0])
@pytest.mark.parametrize("angle", [0, 30, 50, 70])
def test_axial_noise_follows_the_formula(depth, angle):
    frame = shoot(plane(depth, angle), distance=depth).astype(float)
    measured = frame[frame > 0].std()
    # Rounding to whole millimetres adds a variance of 1/12.
    assert measured == pytest.approx(np.sqrt(fankhauser(depth, angle) ** 2 + 1 / 12), rel=0.05)


def test_depths_are_whole_millimetres_with_zero_for_no_return():
    frame = shoot(plane(1000.0, 20))
    assert frame.dtype == np.uint16
    assert 0 < (frame == 0).mean() < 0.005


def test_holes_grow_with_the_angle():
    lost = [(shoot(plane(1000.0, angle)) == 0).mean() for angle in (60, 75, 80, 85)]
    assert lost == sorted(lost) and lost[0] < 0.01 and lost[2] == pytest.approx(0.5, abs=0.05)


def edge(near=900.0, far=1000.0):
    depth = jnp.where(jnp.arange(SHAPE[1]) < 75, near, far)[None] * jnp.ones(SHAPE)
    return Surface(depth, jnp.ones(SHAPE), jnp.zeros(SHAPE))


def test_flying_pixels_and_lost_ones_stand_only_at_jumps():
    frame = shoot(edge()).astype(float)
    between = (frame > 915) & (frame < 985)
    assert between[:, 73:77].mean() > 0.1  # some fly
    assert (frame[:, 73:77] == 0).mean() > 0.2  # some are lost
    assert not between[:, :72].any() and not between[:, 78:].any()


def test_an_edge_is_blurred_by_the_lateral_noise():
    # A small step is no jump: what remains of it is the footprint's error function.
    step = edge(1000.0, 1020.0)
    frames = np.stack([shoot(step, seed=s).astype(float) for s in range(20)])
    profile = np.ma.masked_equal(frames, 0).mean(axis=(0, 1)).filled(np.nan)[70:80]
    slope = np.clip(np.diff(profile) / 20, 0, None)
    at = np.arange(len(slope))
    sigma = np.sqrt((slope * (at - (slope * at).sum() / slope.sum()) ** 2).sum() / slope.sum())
    assert sigma == pytest.approx(kinect.LATERAL_MM * kinect.FOCAL / 1000, rel=0.15)


def test_hair_returns_less():
    surface = plane(1000.0, 20)._replace(attribute=jnp.ones(SHAPE))
    assert (shoot(surface, hair=0.4) == 0).mean() == pytest.approx(0.4, abs=0.05)
    assert (shoot(surface, hair=0.0) == 0).mean() < 0.005


def test_nothing_in_front_is_the_wall():
    empty = Surface(jnp.full(SHAPE, jnp.inf), jnp.ones(SHAPE), jnp.zeros(SHAPE))
    frame = shoot(empty)
    assert np.median(frame) == 2000


def test_a_frame_depends_on_its_key_alone():
    surface = plane(1000.0, 20)
    assert np.array_equal(shoot(surface, seed=1), shoot(surface, seed=1))
    assert (shoot(surface, seed=1) != shoot(surface, seed=2)).mean() > 0.5
