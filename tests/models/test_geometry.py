"""Planes of the surface against their equations."""

import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.models.geometry import STEEPEST, surface_planes


def test_a_tilted_plane_has_one_normal():
    down, right = 0.4, -0.7  # mm a mm
    steepness = (15.0, 20.0)  # mm a mm, of a difference of 1 between pixels
    y, x = np.mgrid[:6, :8].astype(np.float32)
    images = jnp.asarray(down / steepness[0] * y + right / steepness[1] * x)[None]
    planes = np.asarray(surface_planes(images, "normals", steepness))[:, :-1, :-1]
    normal = np.array([down, right, -1]) / -np.linalg.norm([down, right, 1])  # towards the viewer
    np.testing.assert_allclose(planes[..., 1], normal[0], atol=1e-4)
    np.testing.assert_allclose(planes[..., 2], normal[1], atol=1e-4)
    slopes = np.asarray(surface_planes(images, "slopes", steepness))[:, :-1, :-1]
    np.testing.assert_allclose(slopes[..., 1] * STEEPEST, down, atol=1e-4)
    np.testing.assert_allclose(slopes[..., 2] * STEEPEST, right, atol=1e-4)
    np.testing.assert_array_equal(surface_planes(images, "none", steepness)[..., 0], images)


@pytest.mark.parametrize("kind", ["slopes", "normals"])
def test_planes_are_bounded_and_see_what_alternates(kind):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 6, 6)).astype(np.float32)
    planes = surface_planes(images, kind, (16.0, 16.0))
    assert planes.shape == (2, 6, 6, 3) and np.abs(planes).max() <= 1
    board = jnp.asarray((np.indices((6, 6)).sum(0) % 2).astype(np.float32))[None]
    assert np.abs(surface_planes(board, kind, (1.0, 1.0))[:, :-1, :-1, 1:]).min() > 0.4
