"""Noise of training faces put onto generated ones: against a loop, and against closed forms."""

import numpy as np
import pytest

from depthjax.data.noise import lowpass_face, noise_spectrum, smoothed_face, with_new_noise
from depthjax.models.dcgan import binomial_lowpass

RNG = np.random.default_rng(0)


def as_a_loop(image):
    """[1, 2, 1] / 4 each way, over face pixels alone, and what it takes off once more."""
    once = once_as_a_loop(image, image)
    return np.where(image < 0.95, once + once_as_a_loop(image, image - once), image)


def once_as_a_loop(image, values):
    out, weights = values.copy(), np.outer([1, 2, 1], [1, 2, 1])
    for y, x in zip(*np.nonzero(image < 0.95), strict=True):
        total = share = 0.0
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                i, j = y + dy, x + dx
                if 0 <= i < len(image) and 0 <= j < image.shape[1] and image[i, j] < 0.95:
                    total, share = total + weights[dy + 1, dx + 1] * values[i, j], share + weights[dy + 1, dx + 1]
        out[y, x] = total / share
    return out


def test_smoothing_is_a_binomial_mean_twiced_over_the_face_alone():
    images = RNG.uniform(-1, 0.9, (2, 9, 7)).astype(np.float32)
    images[:, :2] = images[0, 4, 3] = 1  # background, and a hole
    images[1, 6, 2], images[1, 5:, 0] = -0.5, 1
    np.testing.assert_allclose(smoothed_face(images), [as_a_loop(image) for image in images], atol=1e-6)
    lonely = np.ones((1, 5, 5), np.float32)
    lonely[0, 2, 2] = 0.3
    np.testing.assert_allclose(smoothed_face(lonely), lonely, atol=1e-6)


def test_the_lowpass_of_a_face_is_the_generators_and_leaves_background_out():
    images = RNG.uniform(-1, 0.9, (70, 9, 7)).astype(np.float32)  # in two parts
    inside = (slice(None), slice(1, -1), slice(1, -1))
    for strength in (0.0, 0.4, 1.0):
        wanted = np.asarray(binomial_lowpass(images, strength))
        np.testing.assert_allclose(lowpass_face(images, strength)[inside], wanted[inside], atol=1e-6)
    images[:, :2] = images[0, 4, 3] = 1
    wanted = [np.where(image < 0.95, once_as_a_loop(image, image), image) for image in images]
    np.testing.assert_allclose(lowpass_face(images, 1.0), wanted, atol=1e-6)


def test_the_spectrum_of_white_noise_is_what_the_filter_lets_go():
    images = (0.02 * RNG.standard_normal((600, 32, 32))).astype(np.float32)
    gain = (1 + np.cos(2 * np.pi * np.fft.fftfreq(32))) / 2
    wanted = 0.02**2 * (1 - np.outer(gain, gain)) ** 4
    found = noise_spectrum(images)
    strong = wanted > 0.1 * wanted.mean()  # elsewhere the edges' share is not small beside it
    np.testing.assert_allclose(found[strong], wanted[strong], rtol=0.25)
    assert found.mean() == pytest.approx(wanted.mean(), rel=0.03) and found[0, 0] < 0.05 * found.mean()


def test_edges_and_background_are_no_noise():
    ramp = np.linspace(-0.8, 0.8, 32, dtype=np.float32)[None, None].repeat(32, 1).repeat(50, 0)
    faces = ramp + 0.01 * RNG.standard_normal(ramp.shape).astype(np.float32)
    quiet = noise_spectrum(faces).mean()
    odd = faces.copy()
    odd[:, :, 20:] -= 0.5  # a step of the depth
    odd[:, 8:12, 8:12] = 1  # a hole
    assert 0.9 * quiet < noise_spectrum(odd).mean() < 2 * quiet  # the step's own is twelve times as strong
    assert (noise_spectrum(np.ones((3, 16, 16), np.float32)) == 0).all()


def test_new_noise_is_as_strong_as_the_real_and_lies_on_the_face_alone():
    spectrum = noise_spectrum((0.03 * RNG.standard_normal((400, 24, 24))).astype(np.float32))
    flat = np.zeros((400, 24, 24), np.float32)
    flat[:, :, 20:] = 1
    noisy = with_new_noise(flat, spectrum, np.random.default_rng(3))
    assert noisy.dtype == np.float32 and np.array_equal(noisy[:, :, 20:], flat[:, :, 20:])
    assert noisy[:, :, :20].std() == pytest.approx(spectrum.mean() ** 0.5, rel=0.03)
    power = (np.abs(np.fft.fft2(with_new_noise(0 * flat, spectrum, RNG))) ** 2).mean(0) / 24**2
    strong = spectrum > spectrum.mean()
    np.testing.assert_allclose(power[strong], spectrum[strong], rtol=0.35)
    alike = abs(np.corrcoef(noisy[:40, :, :20].reshape(40, -1))[np.triu_indices(40, 1)])
    assert alike.max() < 0.3  # no two faces share theirs
    np.testing.assert_array_equal(noisy, with_new_noise(flat, spectrum, np.random.default_rng(3)))


def test_a_pattern_goes_and_a_slope_stays():
    rows, columns = np.indices((32, 32))
    slope = (0.02 * rows - 0.4).astype(np.float32)
    board = np.where((rows + columns) % 2, 0.05, -0.05).astype(np.float32)
    found = with_new_noise((slope + board)[None], np.zeros((32, 32)), RNG)[0]
    np.testing.assert_allclose(found[2:-2, 2:-2], slope[2:-2, 2:-2], atol=1e-6)
