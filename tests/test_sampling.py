import numpy as np
import pytest

from configs import smoke
from depthjax.cdcgan_kd import great_circle, read_noise, with_training_noise
from depthjax.config_values import override
from depthjax.errors import UserError
from depthjax.methods import draw


def test_the_way_between_two_latents_keeps_the_length_that_the_generator_knows():
    a, b = np.random.default_rng(0).normal(size=(2, 64))
    way = great_circle(a, b, 9)
    np.testing.assert_array_equal(way[[0, -1]], np.float32([a, b]))
    lengths = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-5)
    angles = np.arccos(np.sum(way[1:] * way[:-1], 1) / (lengths[1:] * lengths[:-1]))
    np.testing.assert_allclose(angles, angles[0], rtol=1e-3)


def test_one_latent_stays_where_it_is():
    a = np.random.default_rng(0).normal(size=8)
    np.testing.assert_allclose(great_circle(a, a, 5), np.tile(a, (5, 1)), rtol=1e-5)


def test_a_faces_noise_does_not_depend_on_the_others():
    rng, emotion = np.random.default_rng(1), np.repeat([0, 2], 3)
    images, spectrum = rng.uniform(-0.5, 0.5, (6, 16, 16)).astype(np.float32), np.full((16, 16), 4e-4)

    def noisy(rows, name="cdcgan_kd", seed=5):
        return with_training_noise(images[rows], emotion[rows], spectrum, seed=seed, name=name)

    whole = noisy(np.arange(6))
    np.testing.assert_array_equal(noisy(np.array([3, 4])), whole[3:5])  # another emotion left out, and the last face
    np.testing.assert_array_equal(noisy(np.array([0, 3])), whole[[0, 3]])
    others = (noisy(np.arange(6), name="cdcgan_kd_ga"), noisy(np.arange(6), seed=6))
    assert all(np.abs(other - whole).max() > 0.01 for other in others)


def test_samples_differ_by_the_noise_alone(finished, tmp_path):
    def drawn(noise):
        chosen = {"baselines.methods": "gmm,kde", "sample.methods": "cdcgan_kd", "sample.count": "4"}
        config = override(smoke.get_config(), chosen | {"sample.noise": noise})
        return dict(draw(config, finished))["cdcgan_kd"]

    with_it, without = drawn("true"), drawn("false")
    np.testing.assert_array_equal(with_it.latents, without.latents)
    wanted = with_training_noise(without.images, without.emotion, read_noise(finished), seed=0, name="cdcgan_kd")
    np.testing.assert_array_equal(with_it.images, wanted)
    assert 1e-4 < np.abs(with_it.images - without.images).mean() < 0.1
    with pytest.raises(UserError, match="--stages=prepare"):
        read_noise(tmp_path)
