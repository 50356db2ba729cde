"""What the fitness knows of real faces: computed once from the training split, stored with the run.

Shapes are near or far in principal components of 32x32 pixels; the emotion is read by networks fitted on real training
faces (`evolve.reader`), not by the shipped network that judges the run. Whether classifiers learn from the faces, and
what depthnet reads in them, is asked of other networks and other people. But distances to the real training faces that
the evaluation reports (coverage, density, KID in relief, the nearest training face) are what evolution looks at, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from depthjax.evolve.reader import Variables, fit_readers, read_emotions
from depthjax.precision import EXACT

SIDE = 32  # pixels of the relief
DESCRIBED = 16  # principal components of the depths, in which faces are near or far
NEIGHBOURS = 5
BAND = (5.0, 95.0)  # percentiles of real faces
COPY = 5.0  # percentile of the distances from each real face to the nearest one of another person
EMPTY = 0.98  # from here to 1 a pixel is background or a hole
AT_ONCE = 256


class Readings(NamedTuple):
    """What the readers of emotions see in real faces: principal components of their hidden layers side by side."""

    offset: jax.Array  # (r,) to be subtracted after the projection
    projection: jax.Array  # (readers * hidden, r); the unit makes the components' mean variance 1
    means: jax.Array  # (classes, r)


class Relief(NamedTuple):
    """Where real faces lie in the space of their shapes; the unit makes their mean variance an axis 1."""

    offset: jax.Array  # (16,) to be subtracted after the projection
    projection: jax.Array  # (1024, 16)
    faces: jax.Array  # (classes, m, 16) real training faces, some twice where an emotion has fewer than others
    radii: jax.Array  # (classes, m) distance from each to the fifth nearest face of other people
    counts: jax.Array  # (classes,) how many faces there are, each once; the rest of the m repeats them
    readers: Variables | None  # of the networks that read emotions; None: nobody asked, and what they say is NaN
    readings: Readings | None  # None where nobody reads


class Statistics(NamedTuple):
    """Real training faces of each emotion, as numbers; without `relief`, only fitnesses that do not read it can run."""

    logit_median: jax.Array  # (classes,) of the teacher discriminator
    logit_low: jax.Array | None = None  # (classes,) 5th percentile
    log_probability_median: jax.Array | None = None  # (classes,) of their emotion, read on people left out
    band_low: jax.Array | None = None  # (classes, 3) 5th percentile of mean, std, empty share
    band_high: jax.Array | None = None  # (classes, 3) 95th
    copy_distance: jax.Array | None = None  # (classes,) below it a face is nearer to a training face than people are
    relief: Relief | None = None
    read_rightly: jax.Array | None = None  # () share of real faces of people left out whose emotion is read as it is


class Seen(NamedTuple):
    """Shapes (n, ...) beside the real ones of an emotion."""

    log_probability: jax.Array  # (n,) of the emotion asked for, at most 0
    outside: jax.Array  # (n,) distance to a real face over its radius, the least over all
    nearest: jax.Array  # (n,) distance to the nearest real face
    descriptor: jax.Array  # (n, 16)
    reading: jax.Array  # (n, r); r is 0 where nobody reads


def shapes(images: jax.Array) -> jax.Array:
    """(n, height, width) images to (n, 32, 32), antialiased."""
    return jax.image.resize(images, (len(images), SIDE, SIDE), "linear")


def empty_share(images: jax.Array) -> jax.Array:
    """(n,) share of pixels that are background or holes, of (n, height, width) images in [-1, 1].

    Smooth between 0.9 and 1, for a generator's tanh comes near 1 and never there, unless it has a mask.
    """
    return jnp.clip((images - (2 * EMPTY - 1 - 0.06)) / 0.06, 0, 1).mean((1, 2))


def look(relief: Relief, images: jax.Array, emotion: jax.Array) -> Seen:
    """(n, height, width) images of (n,) emotions beside real ones."""
    shape = shapes(images)
    descriptor = jnp.matmul(shape.reshape(len(shape), -1), relief.projection, precision=EXACT) - relief.offset[None]
    own, reading = jnp.full(len(shape), jnp.nan), jnp.zeros((len(shape), 0))
    if relief.readers is not None and relief.readings is not None:
        read = read_emotions(relief.readers, shape)
        own = jnp.take_along_axis(read.log_probability, emotion[:, None], 1)[:, 0]
        reading = jnp.matmul(read.hidden, relief.readings.projection, precision=EXACT) - relief.readings.offset[None]
    gap = relief.faces[emotion] - descriptor[:, None]
    distance = jnp.sqrt((gap**2).sum(-1))
    return Seen(own, (distance / relief.radii[emotion]).min(-1), distance.min(-1), descriptor, reading)


def statistics_of(
    images: np.ndarray,
    emotion: np.ndarray,
    subject: np.ndarray,
    logit: np.ndarray,
    *,
    classes: int,
    reader_steps: int,
    seed: int,
) -> Statistics:
    """All that a fitness reads of the real training faces.

    Args:
        images: (n, height, width) in [-1, 1], some of every emotion.
        emotion: (n,) below `classes`.
        subject: (n,) who it is: neighbours, radii and folds are of other people, for two frames of one are twins.
        logit: (n,) of the teacher discriminator.
        classes: emotions.
        reader_steps, seed: of the training of those who read emotions; no steps: none are trained.
    """
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    means, stds, empty, small = (np.concatenate(column) for column in zip(*map(_measured, parts), strict=True))
    flat = small.reshape(len(small), -1)
    offset, projection = principal_axes(flat, DESCRIBED)
    where = flat @ projection - offset
    members = [np.flatnonzero(emotion == label) for label in range(classes)]
    apart = [_to_others(where[rows], subject[rows]) for rows in members]
    size = max(len(rows) for rows in members)
    readers, readings, medians, right = None, None, None, None
    if reader_steps:
        readers, read, share = fit_readers(small, emotion, subject, classes=classes, steps=reader_steps, seed=seed)
        medians, right = _single([np.median(read[rows]) for rows in members]), _single(share)
        readings = _readings_of(readers, small, members)
    bands = [np.percentile(np.stack([means, stds, empty], 1)[rows], BAND, axis=0) for rows in members]
    relief = Relief(
        _single(offset),
        _single(projection),
        _single(np.stack([where[np.resize(rows, size)] for rows in members])),
        _single(np.stack([np.resize(_radii(distance), size) for distance in apart])),
        jnp.asarray([len(rows) for rows in members], jnp.int32),
        readers,
        readings,
    )
    return Statistics(
        _single([np.median(logit[rows]) for rows in members]),
        _single([np.percentile(logit[rows], BAND[0]) for rows in members]),
        medians,
        _single([band[0] for band in bands]),
        _single([band[1] for band in bands]),
        _single([np.percentile(distance.min(1), COPY) for distance in apart]),
        relief,
        right,
    )


def _readings_of(readers: Variables, shapes: np.ndarray, members: list[np.ndarray]) -> Readings:
    parts = [read_emotions(readers, shapes[i : i + AT_ONCE]).hidden for i in range(0, len(shapes), AT_ONCE)]
    hidden = np.concatenate(parts)
    offset, projection = principal_axes(hidden, DESCRIBED)
    means = [(hidden[rows] @ projection - offset).mean(0) for rows in members]
    return Readings(_single(offset), _single(projection), _single(means))


def _single(values: Any) -> jax.Array:
    return jnp.asarray(np.asarray(values), jnp.float32)


@jax.jit
def _measured(images: jax.Array) -> tuple[jax.Array, ...]:
    return images.mean((1, 2)), images.std((1, 2)), empty_share(images), shapes(images)


def principal_axes(values: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """The leading principal components of (n, d) values, in one unit: `values @ projection - offset` has mean 0.

    Returns:
        (k,) offset and (d, k) projection; k is `dimensions`, or fewer where n - 1 or d is smaller.
    """
    values = np.asarray(values, np.float64)
    mean, (n, d) = values.mean(0), values.shape
    centred, count = values - mean, min(dimensions, n - 1, d)
    if n < d:
        spread, axes = np.linalg.svd(centred, full_matrices=False)[1:]
        variance, axes = spread[:count] ** 2 / (n - 1), axes[:count].T
    else:
        variance, axes = eigh(centred.T @ centred / (n - 1), subset_by_index=[d - count, d - 1])
        axes = axes[:, ::-1]
    unit = np.sqrt(max(variance.mean(), 0.0))
    projection = axes / (unit if unit > 0 else 1.0)
    return mean @ projection, projection


def _to_others(values: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """(n, n) distances, infinite to faces of the same person; where there is but one person, only to itself."""
    apart = cdist(values, values)
    same = subject[:, None] == subject[None]
    apart[np.eye(len(apart), dtype=bool) if same.all() else same] = np.inf
    return apart


def _radii(apart: np.ndarray) -> np.ndarray:
    near = np.sort(apart, axis=1)
    near = np.where(np.isfinite(near), near, np.nan)[:, :NEIGHBOURS]
    radii = np.nan_to_num(np.nanmax(near, axis=1)) if near.size else np.zeros(len(apart))
    return np.maximum(radii, 1e-3)
