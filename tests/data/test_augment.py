import numpy as np

from depthjax.data.augment import MAX_SHIFT, NOISE_MM, OFFSET_MM, augmented_copies

SIDE, DEPTH_MM = 32, 100.0


def disc(radius=8, depth=-0.5):
    """A flat disc before background."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.where(x**2 + y**2 < radius**2, depth, 1).astype(np.float32)


def test_a_copy_keeps_depth_within_noise_and_background_as_it_is():
    copies = augmented_copies(np.stack([disc()] * 50), depth_mm=DEPTH_MM, rng=np.random.default_rng(0))
    face = copies < 0.999
    assert copies.dtype == np.float32 and copies.shape == (50, SIDE, SIDE)
    assert (copies[~face] == 1).all()
    in_mm = (copies[face] + 0.5) * DEPTH_MM / 2
    assert np.abs(in_mm).max() < OFFSET_MM + 6 * NOISE_MM  # no mean of face and background
    assert abs(in_mm.mean()) < 1
    area = face.mean((1, 2)) / (disc() < 0.999).mean()
    assert area.min() > 0.75 and area.max() < 1.3


def test_each_copy_moves_its_own_way_within_the_bounds():
    copies = augmented_copies(np.stack([disc()] * 50), depth_mm=DEPTH_MM, rng=np.random.default_rng(0))
    middle = np.array([np.argwhere(image < 0.999).mean(0) for image in copies]) - (SIDE - 1) / 2
    assert np.abs(middle).max() < MAX_SHIFT * SIDE + 0.5
    assert middle.std(axis=0).min() > 0.5


def test_about_half_are_mirrored():
    left = disc()
    left[:, SIDE // 2 :] = 1
    copies = augmented_copies(np.stack([left] * 200), depth_mm=DEPTH_MM, rng=np.random.default_rng(1))
    column = np.array([np.argwhere(image < 0.999).mean(0)[1] for image in copies])
    assert 0.4 < (column > (SIDE - 1) / 2).mean() < 0.6


def test_same_seed_same_copies():
    first, again = (augmented_copies(disc()[None], depth_mm=DEPTH_MM, rng=np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
