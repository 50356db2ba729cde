"""The z-buffer against closed forms: planes, spheres, occlusion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.data.render import View, render, sampling_bins

SHAPE = (60, 80)
VIEW = View(jnp.float32(100.0), jnp.array([40.0, 30.0]))


def rays():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    return (x - 40) / 100, (y - 30) / 100


def draw(vertices, quads, attribute=None):
    vertices = np.asarray(vertices, np.float32)
    attribute = np.zeros(len(vertices), np.float32) if attribute is None else attribute
    magnification = 100 / vertices[:, 2].min()
    bins = sampling_bins(np.asarray(quads), vertices[None], pixels_per_mm=magnification)
    return render(jnp.asarray(vertices), jnp.asarray(attribute), VIEW, bins=bins, shape=SHAPE)


def grid(height, n=16, half=500.0):
    """A sheet of quads with z = height(x, y), in the camera's axes."""
    y, x = np.meshgrid(np.linspace(-half, half, n), np.linspace(-half, half, n), indexing="ij")
    vertices = np.stack([x, y, height(x, y)], -1).reshape(-1, 3)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    return vertices, np.stack([corner, corner + 1, corner + n + 1, corner + n], 1)


@pytest.mark.parametrize("slope", [0.0, 0.5, 2.0])
def test_a_plane_has_its_exact_depth_and_angle(slope):
    surface = draw(*grid(lambda x, y: 1000 + slope * x, n=24, half=300.0))
    x, y = rays()
    expected = 1000 / (1 - slope * x)  # z = 1000 + slope * (x z)
    inside = (np.abs(x * expected) < 290) & (np.abs(y * expected) < 290)
    assert inside.sum() > 1000
    assert np.abs(np.asarray(surface.depth) - expected)[inside].max() < 0.05
    normal = np.array([-slope, 0, 1]) / np.hypot(slope, 1)
    ray = np.stack([x, y, np.ones_like(x)], -1)
    cosine = np.abs(ray @ normal) / np.linalg.norm(ray, axis=-1)
    assert np.abs(np.asarray(surface.cosine) - cosine)[inside].max() < 1e-3


def test_a_sheet_has_no_holes():
    surface = draw(*grid(lambda x, y: 900 + 40 * np.sin(x / 60) * np.cos(y / 45), n=60))
    assert np.isfinite(np.asarray(surface.depth)[2:-2, 2:-2]).all()


def test_nothing_is_infinitely_far():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, half=100.0)
    depth = np.asarray(draw(vertices, quads).depth)
    x, y = rays()
    assert np.isinf(depth[(np.abs(x) > 0.12) | (np.abs(y) > 0.12)]).all()
    assert np.isfinite(depth[(np.abs(x) < 0.09) & (np.abs(y) < 0.09)]).all()


def test_the_nearer_surface_wins_whatever_the_order():
    near, quads = grid(lambda x, y: 700 + 0 * x, half=80.0)
    far, _ = grid(lambda x, y: 1000 + 0 * x)
    for first, second in ((near, far), (far, near)):
        both = np.concatenate([quads, quads + len(first)])
        depth = np.asarray(draw(np.concatenate([first, second]), both).depth)
        assert np.allclose(depth[28:33, 38:43], 700, atol=0.05)
        assert np.allclose(depth[5, 5], 1000, atol=0.05)


def test_an_attribute_is_carried_to_the_pixels():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, n=40)
    surface = draw(vertices, quads, attribute=(vertices[:, 0] > 0).astype(np.float32))
    attribute = np.asarray(surface.attribute)
    assert (attribute[:, :35] == 0).all() and (attribute[:, 45:] == 1).all()


def test_rendering_is_the_same_under_vmap():
    vertices, quads = grid(lambda x, y: 900 + 0.2 * x)
    bins = sampling_bins(quads, vertices[None].astype(np.float32), pixels_per_mm=0.2)
    moved = jnp.asarray(vertices, jnp.float32)[None] + jnp.array([[[0.0, 0, 0]], [[5.0, 0, 40]]])
    one = jax.jit(lambda v: render(v, jnp.zeros(len(vertices)), VIEW, bins=bins, shape=SHAPE).depth)
    both = jax.vmap(one)(moved)
    for i in range(2):
        assert np.allclose(both[i], one(moved[i]), atol=1e-3)


def test_a_mesh_too_coarse_for_the_sampling_is_refused():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, n=3)
    with pytest.raises(ValueError, match="samples long"):
        sampling_bins(quads, vertices[None], pixels_per_mm=1.0)
