import numpy as np

from depthjax.sampling import great_circle


def test_the_way_between_two_latents_keeps_the_length_that_the_generator_knows():
    a, b = np.random.default_rng(0).normal(size=(2, 64))
    way = great_circle(a, b, 9)
    np.testing.assert_allclose(way[[0, -1]], [a, b], rtol=1e-5)
    lengths = np.linalg.norm(way, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-5)
    angles = np.arccos(np.sum(way[1:] * way[:-1], 1) / (lengths[1:] * lengths[:-1]))
    np.testing.assert_allclose(angles, angles[0], rtol=1e-3)


def test_one_latent_stays_where_it_is():
    a = np.random.default_rng(0).normal(size=8)
    np.testing.assert_allclose(great_circle(a, a, 5), np.tile(a, (5, 1)), rtol=1e-5)
