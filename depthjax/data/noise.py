"""Replace the pixel noise of generated faces by noise with the spectrum of the training faces.

A generator is deterministic given z: what it learns of a noise pattern is fixed, and classifiers trained on its faces
learn the pattern too; a density over principal components leaves noise out. So a light low-pass filter takes the finest
detail off a generated face, and Gaussian noise with the power spectrum of what the same filter takes off training faces
is added. It is done alike to the faces of every method.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import minimum_filter

from depthjax.errors import UserError
from depthjax.files import read_arrays

NOISE = Path("faces", "noise.npz")  # where a work folder has the spectrum
BACKGROUND = 0.95  # from here to 1 a pixel is background or invalid, and takes no part
MEASURED = 1000  # faces, and less than twice as many
AT_ONCE = 64  # faces: bounds the memory
MAX_SIGMAS = 4.0  # by the median: beyond lie edges and outliers, which are no noise


def smoothed_face(images: np.ndarray) -> np.ndarray:
    """Apply a residual-corrected binomial low-pass to the face pixels.

    The filter is [1, 2, 1] / 4 each way. Its residual is filtered too and added back (Tukey 1977, twicing): of a wave
    of four pixels three quarters stay, not half, while what alternates from pixel to pixel is removed. Background
    stays as it is and is not mixed in, so that outlines stay sharp. Images are (n, h, w) in [-1, 1].
    """
    images = np.asarray(images, np.float32)
    on_face = images < BACKGROUND
    once = _over_face(images, on_face)
    return np.where(on_face, once + _over_face(images - once, on_face), images)


def lowpass_face(images: np.ndarray, strength: float) -> np.ndarray:
    """Apply the filter [s, 4 - 2s, s] / 4 each way to the face pixels of (n, h, w) in [-1, 1], s the strength.

    Away from edges it is `depthjax.models.dcgan.binomial_lowpass`. Background stays as it is and is not mixed in.
    """
    filtered = np.empty(images.shape, np.float32)
    for i in range(0, len(images), AT_ONCE):
        part = np.asarray(images[i : i + AT_ONCE], np.float32)
        on_face = part < BACKGROUND
        filtered[i : i + AT_ONCE] = np.where(on_face, _over_face(part, on_face, strength), part)
    return filtered


def _over_face(values: np.ndarray, on_face: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Return the weighted mean of the pixels around each pixel that are on the face."""
    share = on_face.astype(values.dtype)
    weight = np.where(on_face, _binomial(share, strength), 1)
    return _binomial(values * share, strength) / weight


def _binomial(images: np.ndarray, strength: float) -> np.ndarray:
    for axis in (1, 2):
        size = images.shape[axis]
        wide = np.pad(images, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        before, here, after = (wide.take(range(i, i + size), axis) for i in range(3))
        images = (strength * before + (4 - 2 * strength) * here + strength * after) / 4
    return images


def noise_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the power spectrum (h, w) of what `smoothed_face` takes off training faces (n, h, w) in [-1, 1].

    It is in the order of `numpy.fft.fft2`; its mean is the variance of a pixel's noise.
    """
    images = images[:: max(1, len(images) // MEASURED)]
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    taken = [(part - smoothed_face(part)).astype(np.float32) for part in parts]
    inside = [minimum_filter(part < BACKGROUND, (1, 3, 3)) for part in parts]
    heights = np.concatenate([np.abs(t[m]) for t, m in zip(taken, inside, strict=True)])
    if not len(heights):
        return np.zeros(images.shape[1:])
    limit, power, pixels = MAX_SIGMAS * 1.4826 * np.median(heights), np.zeros(images.shape[1:]), 0
    for some, mask in zip(taken, inside, strict=True):
        kept = mask & (np.abs(some) <= limit)
        power += (np.abs(np.fft.fft2(np.where(kept, some, 0).astype(np.float64))) ** 2).sum(0)
        pixels += int(kept.sum())
    return power / pixels


def with_new_noise(images: np.ndarray, spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return generated faces (n, h, w) in [-1, 1], smoothed, with Gaussian noise of this spectrum on the face."""
    gain, noisy = np.sqrt(spectrum), np.empty(images.shape, np.float32)
    for i in range(0, len(images), AT_ONCE):
        part = images[i : i + AT_ONCE]
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(part.shape)) * gain).real
        seen = np.clip(smoothed_face(part) + noise, -1, 1)
        noisy[i : i + AT_ONCE] = np.where(part < BACKGROUND, seen, part)
    return noisy


def read_noise(workdir: Path) -> np.ndarray:
    """Return the spectrum of the training faces' noise that prepare left; raise a UserError without it."""
    if not (workdir / NOISE).exists():
        raise UserError(f"{workdir / NOISE} is not there: run --stages=prepare, or set --config.sample.noise=false")
    return read_arrays(workdir / NOISE)["spectrum"]


def with_training_noise(
    images: np.ndarray, emotion: np.ndarray, spectrum: np.ndarray, *, seed: int, name: str
) -> np.ndarray:
    """Return (n, h, w) faces of (n,) emotions with `with_new_noise`, from a generator of each emotion's own.

    A face does not depend on which other emotions, and how many faces after it, are asked for.
    """
    noisy = np.empty_like(images, np.float32)
    for label in np.unique(emotion):
        rng = np.random.default_rng([seed, int(label), *name.encode()])
        noisy[emotion == label] = with_new_noise(images[emotion == label], spectrum, rng)
    return noisy
