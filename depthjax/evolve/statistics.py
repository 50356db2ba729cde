"""What the fitness knows of the training faces: computed once from the training split, stored with the run.

Shapes are compared in principal components of 32x32 pixels; emotions are classified by networks trained on the
training faces (`evolve.emotion_classifiers`), not by the shipped network that evaluates the run. But the fitness
`natural` rewards faces near a training face: the evaluation's distances to training faces in relief are partly what
evolution optimises.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from depthjax.evolve.emotion_classifiers import AT_ONCE, Variables, classify, fit_classifiers
from depthjax.precision import EXACT

SIDE = 32  # pixels of the relief
DESCRIBED = 16  # principal components in which shapes are compared
NEIGHBOURS = 5
BAND = (5.0, 95.0)  # percentiles of training faces
COPY = 5.0  # percentile of the distances from each training face to the nearest one of another subject
EMPTY = 0.98  # from here to 1 a pixel is background or invalid


class EmotionFeatures(NamedTuple):
    """Principal components of the classifiers' hidden layers side by side, over the training faces."""

    offset: jax.Array  # (r,) to be subtracted after the projection
    projection: jax.Array  # (networks * hidden, r); scaled so that the components' mean variance is 1


class Relief(NamedTuple):
    """The training faces in the space of shapes, scaled so that the mean variance of an axis is 1."""

    offset: jax.Array  # (16,) to be subtracted after the projection
    projection: jax.Array  # (1024, 16)
    faces: jax.Array  # (classes, m, 16) training faces, some twice where an emotion has fewer than others
    radii: jax.Array  # (classes, m) distance from each to the fifth nearest face of other subjects
    bandwidth: jax.Array  # (classes,) median distance of two subjects' faces, by shape and emotion features
    classifiers: Variables | None = None  # of the emotion classifiers; None: none were trained
    emotion_features: EmotionFeatures | None = None


class Statistics(NamedTuple):
    """Training faces of each emotion, as numbers; without `relief`, only fitnesses that do not read it can run."""

    logit_median: jax.Array  # (classes,) of the teacher discriminator
    log_probability_median: jax.Array | None = None  # (classes,) of their emotion, classified as unseen subjects
    band_low: jax.Array | None = None  # (classes, 3) 5th percentile of mean, std, empty share
    band_high: jax.Array | None = None  # (classes, 3) 95th
    copy_distance: jax.Array | None = None  # (classes,) below it a face is nearer than subjects are to each other
    relief: Relief | None = None
    classifier_accuracy: jax.Array | None = None  # () on unseen subjects; NaN: too few to leave any out


class Comparison(NamedTuple):
    """Faces (n, ...) beside the training faces of an emotion; see `fitness.Measures`."""

    log_probability: jax.Array  # (n,) of the emotion asked for, at most 0; NaN without classifiers
    outside: jax.Array  # (n,) distance to a training face over its radius, the least over all
    nearest: jax.Array  # (n,) distance to the nearest training face
    descriptor: jax.Array  # (n, 16)
    emotion_features: jax.Array  # (n, r); r is 0 without classifiers


def shapes(images: jax.Array) -> jax.Array:
    """Return (n, height, width) images as (n, 32, 32), antialiased."""
    return jax.image.resize(images, (len(images), SIDE, SIDE), "linear")


def empty_share(images: jax.Array) -> jax.Array:
    """Return the share (n,) of background or invalid pixels of (n, height, width) images in [-1, 1].

    Smooth between 0.9 and 1: without a validity mask, a generator's tanh comes near 1 and never there.
    """
    return jnp.clip((images - (2 * EMPTY - 1 - 0.06)) / 0.06, 0, 1).mean((1, 2))


def compare_faces(relief: Relief, images: jax.Array, emotion: jax.Array) -> Comparison:
    """Compare (n, height, width) images of (n,) emotions with the training faces of these emotions."""
    small = shapes(images)
    descriptor = _components(small.reshape(len(small), -1), relief)
    log_probability, features = jnp.full(len(small), jnp.nan), jnp.zeros((len(small), 0))
    if relief.classifiers is not None and relief.emotion_features is not None:
        found = classify(relief.classifiers, small)
        log_probability = jnp.take_along_axis(found.log_probability, emotion[:, None], 1)[:, 0]
        features = _components(found.hidden, relief.emotion_features)
    gap = relief.faces[emotion] - descriptor[:, None]  # (n, m, 16)
    distance = jnp.sqrt((gap**2).sum(-1))
    outside = (distance / relief.radii[emotion]).min(-1)
    return Comparison(log_probability, outside, distance.min(-1), descriptor, features)


def _components(values: jax.Array, axes: Relief | EmotionFeatures) -> jax.Array:
    return jnp.matmul(values, axes.projection, precision=EXACT) - axes.offset[None]


def statistics_of(
    images: np.ndarray,
    emotion: np.ndarray,
    subject: np.ndarray,
    logit: np.ndarray,
    *,
    classes: int,
    classifier_steps: int,
    seed: int,
) -> Statistics:
    """Compute all that a fitness reads of the training faces, some of every emotion.

    Images (n, height, width) lie in [-1, 1]; `logit` (n,) is the teacher discriminator's. Neighbours are of other
    subjects, since two frames of one are nearly equal. With no `classifier_steps`, no emotion classifiers are trained.
    """
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    means, stds, empty, small = (np.concatenate(column) for column in zip(*map(_measured, parts), strict=True))
    members = [np.flatnonzero(emotion == label) for label in range(classes)]
    bands = [np.percentile(np.stack([means, stds, empty], 1)[rows], BAND, axis=0) for rows in members]
    where, offset, projection = _projected(small.reshape(len(small), -1))
    distances = [_to_others(where[rows], subject[rows]) for rows in members]
    size = max(len(rows) for rows in members)
    relief = Relief(
        offset=offset,
        projection=projection,
        faces=_single([where[np.resize(rows, size)] for rows in members]),
        radii=_single([np.resize(_radii(distance), size) for distance in distances]),
        bandwidth=_bandwidths(distances),
    )
    found = Statistics(
        logit_median=_single([np.median(logit[rows]) for rows in members]),
        band_low=_single([low for low, _ in bands]),
        band_high=_single([high for _, high in bands]),
        copy_distance=_single([np.percentile(distance.min(1), COPY) for distance in distances]),
        relief=relief,
    )
    if not classifier_steps:
        return found
    fitted = fit_classifiers(small, emotion, subject, classes=classes, steps=classifier_steps, seed=seed)
    features, *axes = _projected(fitted.hidden)
    both = np.concatenate([where, features], 1)
    return found._replace(
        log_probability_median=_single([np.median(fitted.log_probability[rows]) for rows in members]),
        relief=relief._replace(
            classifiers=fitted.variables,
            emotion_features=EmotionFeatures(*axes),
            bandwidth=_bandwidths([_to_others(both[rows], subject[rows]) for rows in members]),
        ),
        classifier_accuracy=_single(fitted.accuracy),
    )


def _projected(values: np.ndarray) -> tuple[np.ndarray, jax.Array, jax.Array]:
    """Return (n, d) values in their principal components, and offset and projection."""
    offset, projection = principal_axes(values, DESCRIBED)
    return values @ projection - offset, _single(offset), _single(projection)


def _single(values: Any) -> jax.Array:
    return jnp.asarray(np.asarray(values), jnp.float32)


@jax.jit
def _measured(images: jax.Array) -> tuple[jax.Array, ...]:
    return images.mean((1, 2)), images.std((1, 2)), empty_share(images), shapes(images)


def principal_axes(values: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return offset (k,) and projection (d, k) to the leading principal components of (n, d) values, scaled alike.

    `values @ projection - offset` has mean 0, and components whose mean variance is 1; k is `dimensions`, or fewer
    where n - 1 or d is smaller.
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
    """Return (n, n) distances, infinite to faces of the same subject; of a single subject, only to itself."""
    distances = cdist(values, values)
    same = subject[:, None] == subject[None]
    distances[np.eye(len(distances), dtype=bool) if same.all() else same] = np.inf
    return distances


def _bandwidths(distances: list[np.ndarray]) -> jax.Array:
    """Return the median (classes,) of what `_to_others` gives for each emotion; 1 where that is nothing or 0."""
    medians = [float(np.median(own[np.isfinite(own)])) if len(own) > 1 else 0.0 for own in distances]
    return _single([median if median > 0 else 1.0 for median in medians])


def _radii(distances: np.ndarray) -> np.ndarray:
    near = np.sort(distances, axis=1)
    near = np.where(np.isfinite(near), near, np.nan)[:, :NEIGHBOURS]
    radii = np.nan_to_num(np.nanmax(near, axis=1)) if near.size else np.zeros(len(distances))
    return np.maximum(radii, 1e-3)
