from dataclasses import replace

import numpy as np
import pytest

from configs import smoke
from depthjax import methods
from depthjax.cdcgan_kd import Drawn, great_circle
from depthjax.config import METHODS, Config, Model, Sample
from depthjax.config_values import override
from depthjax.data.noise import NOISE, lowpass_face, read_noise, with_training_noise
from depthjax.errors import UserError
from depthjax.files import write_arrays
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


@pytest.mark.parametrize("name", METHODS)
def test_noise_and_lowpass_are_switches_for_every_method_and_no_filter_acts_twice(name, tmp_path, monkeypatch):
    rng, emotion = np.random.default_rng(2), np.repeat([0, 1], 2).astype(np.int32)
    images = rng.uniform(-1, 1, (4, 16, 16)).astype(np.float32)
    drawn = Drawn(images, emotion, np.zeros((4, 0), np.float32))
    made = replace(methods.REGISTRY[name], sample=lambda *_: drawn)
    monkeypatch.setitem(methods.REGISTRY, name, made)
    write_arrays(tmp_path / NOISE, spectrum=np.full((16, 16), 4e-4))

    def of(*, inside=0.0, **settings):
        sample = Sample(methods=(name,), count=2, emotions=("neutral", "happiness"), **settings)
        ((_, found),) = draw(Config(model=Model(output_lowpass=inside), sample=sample), tmp_path)
        return found.images

    filtered, noisy = lowpass_face(images, 0.5), {"seed": 3, "name": name}
    np.testing.assert_array_equal(of(), images)
    np.testing.assert_array_equal(of(lowpass=0.5), filtered)
    wanted = images if name in ("rs_imle", "cdcgan_kd", "cdcgan_kd_ga") else filtered
    np.testing.assert_array_equal(of(lowpass=0.5, inside=1.0), wanted)
    spectrum = read_noise(tmp_path)
    both = with_training_noise(filtered, emotion, spectrum, **noisy)
    np.testing.assert_array_equal(of(noise=True, seed=3), with_training_noise(images, emotion, spectrum, **noisy))
    np.testing.assert_array_equal(of(noise=True, lowpass=0.5, seed=3), both)


def test_samples_of_all_methods_differ_by_the_noise_alone(finished, tmp_path):
    def drawn(noise):
        chosen = {"baselines.methods": "gmm,kde", "sample.methods": "kde,cdcgan_kd", "sample.count": "4"}
        config = override(smoke.get_config(), chosen | {"sample.noise": noise})
        return dict(draw(config, finished))

    with_it, without = drawn("true"), drawn("false")
    for name, quiet in without.items():
        np.testing.assert_array_equal(with_it[name].latents, quiet.latents)
        wanted = with_training_noise(quiet.images, quiet.emotion, read_noise(finished), seed=0, name=name)
        np.testing.assert_array_equal(with_it[name].images, wanted)
        assert 1e-4 < np.abs(with_it[name].images - quiet.images).mean() < 0.1
    with pytest.raises(UserError, match="--stages=prepare"):
        read_noise(tmp_path)
