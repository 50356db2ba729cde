"""The noise of real faces, put in the place of the finest detail of generated ones.

A generator has no dice but its latent: made to imitate a sensor's noise, it lays a pattern over its faces, another one
over each emotion, and a classifier that is taught by them learns the patterns too. So what a light smoothing takes off
a generated face is thrown away, and noise that is random and as strong at every spatial frequency as what the same
smoothing takes off real faces is put there: a Gaussian field, of which nothing belongs to any one face.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import minimum_filter

NOISE = Path("faces", "noise.npz")  # where a work folder has the spectrum
BACKGROUND = 0.95  # from here to 1 a pixel is background or a hole, and takes no part
MEASURED = 1000  # faces, and less than twice as many
AT_ONCE = 64  # faces: bounds the memory
MOST = 4.0  # standard deviations, by the median: beyond lie edges and strays, which are no noise


def smoothed_face(images: jax.Array | np.ndarray) -> jax.Array:
    """(n, h, w) in [-1, 1] through [1, 2, 1] / 4 each way, twiced, on the face alone.

    Twicing (Tukey 1977): what the filter took off goes through it too, and comes back. So of a wave of four pixels
    three quarters stay, not half, while what alternates from pixel to pixel still goes whole: a face keeps the lines by
    which classifiers tell emotions, and loses its noise.
    Background stays as it is and is mixed with nothing, so that outlines stay sharp.
    """
    images = jnp.asarray(images)
    on_face = (images < BACKGROUND).astype(images.dtype)
    weight = jnp.where(on_face > 0, _binomial(on_face), 1)

    def over_face(values: jax.Array) -> jax.Array:
        return _binomial(values * on_face) / weight

    once = over_face(images)
    return jnp.where(on_face > 0, once + over_face(images - once), images)


def _binomial(images: jax.Array) -> jax.Array:
    for axis in (1, 2):
        size = images.shape[axis]
        wide = jnp.pad(images, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        before, here, after = (jax.lax.slice_in_dim(wide, i, i + size, axis=axis) for i in range(3))
        images = (before + 2 * here + after) / 4
    return images


def noise_spectrum(images: np.ndarray) -> np.ndarray:
    """How strong, at every spatial frequency, what `smoothed_face` takes off real faces is.

    Args:
        images: (n, h, w) in [-1, 1], real faces; some two thousand of them at most are measured, evenly spread.
    Returns:
        (h, w) float64 power spectrum in the order of `numpy.fft.fft2`; its mean is the variance of a pixel's noise.
    """
    images = images[:: max(1, len(images) // MEASURED)]
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    taken = [np.asarray(part - np.asarray(smoothed_face(part)), np.float32) for part in parts]
    inside = [minimum_filter(part < BACKGROUND, (1, 3, 3)) for part in parts]
    heights = np.concatenate([np.abs(t[m]) for t, m in zip(taken, inside, strict=True)])
    if not len(heights):
        return np.zeros(images.shape[1:])
    most, power, pixels = MOST * 1.4826 * np.median(heights), np.zeros(images.shape[1:]), 0
    for some, mask in zip(taken, inside, strict=True):
        kept = mask & (np.abs(some) <= most)
        power += (np.abs(np.fft.fft2(np.where(kept, some, 0).astype(np.float64))) ** 2).sum(0)
        pixels += int(kept.sum())
    return power / pixels


def with_new_noise(images: np.ndarray, spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Generated faces, smoothed, and with Gaussian noise of this spectrum on the face.

    Args:
        images: (n, h, w) in [-1, 1].
        spectrum: (h, w) of `noise_spectrum`.
        rng: of the noise; each face has its own.
    Returns:
        (n, h, w) float32 in [-1, 1]; background is as it was.
    """
    gain, noisy = np.sqrt(spectrum), np.empty(images.shape, np.float32)
    for i in range(0, len(images), AT_ONCE):
        part = images[i : i + AT_ONCE]
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(part.shape)) * gain).real
        seen = np.clip(np.asarray(smoothed_face(part)) + noise, -1, 1)
        noisy[i : i + AT_ONCE] = np.where(part < BACKGROUND, seen, part)
    return noisy
