"""What is measured on training faces, against scikit-learn and plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from depthjax.evolve import statistics
from tests.evolve.conftest import CLASSES, World, compare_faces

OPTIONS = {"classes": CLASSES, "classifier_steps": 2, "seed": 0}


def test_principal_axes_are_those_of_scikit_learn() -> None:
    values = np.random.default_rng(0).standard_normal((50, 6)) * [5, 4, 3, 2, 1, 0.5] + 7
    offset, projection = statistics.principal_axes(values, 3)
    found, peer = values @ projection - offset, PCA(3).fit_transform(values)
    scale = np.sqrt(peer.var(0, ddof=1).mean())
    np.testing.assert_allclose(np.abs(found), np.abs(peer) / scale, atol=1e-8)
    assert np.isclose(found.var(0, ddof=1).mean(), 1)


def test_statistics_of_training_faces(world: World) -> None:
    images, emotion, subject, logit = world.faces
    real, relief = world.real, world.real.relief
    assert relief is not None
    seen = compare_faces(relief, jnp.asarray(images), jnp.asarray(emotion))
    where = np.asarray(seen.descriptor, np.float64)
    for label in range(CLASSES):
        own = emotion == label
        assert np.isclose(real.logit_median[label], np.median(logit[own]), atol=1e-5)
        means = images[own].mean((1, 2))
        assert np.isclose(real.band_low[label, 0], np.percentile(means, 5), atol=1e-5)
        apart = cdist(where[own], where[own])
        apart[subject[own][:, None] == subject[own][None]] = np.inf
        assert np.isclose(real.copy_distance[label], np.percentile(apart.min(1), 5), rtol=1e-3)
        np.testing.assert_allclose(relief.radii[label], np.sort(apart, 1)[:, 4], rtol=1e-3)
    assert np.asarray(seen.nearest).max() < 1e-3 and np.asarray(seen.outside).max() < 1e-3  # each is a training face
    assert (np.exp(np.asarray(seen.log_probability)) > 0.5).mean() > 0.95


def test_shapes_beside_training_faces_are_measured_as_loops_would(world: World) -> None:
    relief = world.real.relief
    images, emotion = np.random.default_rng(2).uniform(-1, 1, (5, 16, 16)).astype(np.float32), np.array([0, 1, 1, 0, 1])
    seen = compare_faces(relief, jnp.asarray(images), jnp.asarray(emotion))
    for face, label, outside, nearest in zip(seen.descriptor, emotion, seen.outside, seen.nearest, strict=True):
        apart = np.linalg.norm(np.asarray(relief.faces[label]) - np.asarray(face), axis=1)
        assert np.isclose(nearest, apart.min(), rtol=1e-4)
        assert np.isclose(outside, (apart / np.asarray(relief.radii[label])).min(), rtol=1e-4)


def test_one_subject_alone_does_not_break_it(world: World) -> None:
    images, emotion, _, logit = world.faces
    real = statistics.statistics_of(
        images, emotion, np.zeros(len(emotion), int), logit, **{**OPTIONS, "classifier_steps": 0}
    )
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(real))


def test_empty_share_counts_what_a_tanh_cannot_reach() -> None:
    images = np.full((1, 4, 4), -0.5, np.float32)
    images[0, 0] = 0.999
    assert np.isclose(statistics.empty_share(jnp.asarray(images))[0], 0.25)


def test_the_bandwidth_is_the_median_distance_of_two_subjects(world: World) -> None:
    images, emotion, subject, _ = world.faces
    relief = world.real.relief
    assert relief is not None
    seen = compare_faces(relief, jnp.asarray(images), jnp.asarray(emotion))
    whole = np.concatenate([seen.descriptor, seen.emotion_features], 1).astype(np.float64)
    for label in range(CLASSES):
        own = emotion == label
        apart = cdist(whole[own], whole[own])[subject[own][:, None] != subject[own][None]]
        assert np.isclose(relief.bandwidth[label], np.median(apart), rtol=1e-3)
