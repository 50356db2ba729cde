"""The z-buffer against closed forms: planes, spheres, occlusion."""

from functools import partial

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


def draw(shapes, quads, attribute=None):
    """Surfaces of shapes (shapes, vertices, 3), by one program."""
    vertices = np.asarray(shapes, np.float32)
    attribute = np.zeros(vertices.shape[1], np.float32) if attribute is None else attribute
    bins = sampling_bins(np.asarray(quads), vertices, pixels_per_mm=100 / vertices[..., 2].min())
    one = partial(render, attribute=jnp.asarray(attribute), view=VIEW, bins=bins, shape=SHAPE)
    return jax.tree.map(np.asarray, jax.jit(lambda shapes: jax.lax.map(one, shapes))(vertices))


def grid(height, n=16, half=500.0):
    """A sheet of quads with z = height(x, y), in the camera's axes."""
    y, x = np.meshgrid(np.linspace(-half, half, n), np.linspace(-half, half, n), indexing="ij")
    vertices = np.stack([x, y, height(x, y)], -1).reshape(-1, 3)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    return vertices, np.stack([corner, corner + 1, corner + n + 1, corner + n], 1)


def test_a_plane_has_its_exact_depth_and_angle():
    slopes = (0.0, 0.5, 2.0)
    sheets = [grid(lambda x, y, slope=slope: 1000 + slope * x, n=24, half=300.0) for slope in slopes]
    x, y = rays()
    surfaces = draw(np.stack([vertices for vertices, _ in sheets]), sheets[0][1])
    for slope, depth, cosine in zip(slopes, surfaces.depth, surfaces.cosine, strict=True):
        expected = 1000 / (1 - slope * x)  # z = 1000 + slope * (x z)
        inside = (np.abs(x * expected) < 290) & (np.abs(y * expected) < 290)
        assert inside.sum() > 1000
        assert np.abs(depth - expected)[inside].max() < 0.05
        normal = np.array([-slope, 0, 1]) / np.hypot(slope, 1)
        ray = np.stack([x, y, np.ones_like(x)], -1)
        wanted = np.abs(ray @ normal) / np.linalg.norm(ray, axis=-1)
        assert np.abs(cosine - wanted)[inside].max() < 1e-3


def test_a_sheet_has_no_holes():
    vertices, quads = grid(lambda x, y: 900 + 40 * np.sin(x / 60) * np.cos(y / 45), n=60)
    assert np.isfinite(draw(vertices[None], quads).depth[0, 2:-2, 2:-2]).all()


def test_nothing_is_infinitely_far():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, half=100.0)
    depth = draw(vertices[None], quads).depth[0]
    x, y = rays()
    assert np.isinf(depth[(np.abs(x) > 0.12) | (np.abs(y) > 0.12)]).all()
    assert np.isfinite(depth[(np.abs(x) < 0.09) & (np.abs(y) < 0.09)]).all()


def test_the_nearer_surface_wins_whatever_the_order():
    near, quads = grid(lambda x, y: 700 + 0 * x, half=80.0)
    far, _ = grid(lambda x, y: 1000 + 0 * x)
    both = np.concatenate([quads, quads + len(near)])
    for depth in draw(np.stack([np.concatenate([near, far]), np.concatenate([far, near])]), both).depth:
        assert np.allclose(depth[28:33, 38:43], 700, atol=0.05)
        assert np.allclose(depth[5, 5], 1000, atol=0.05)


def test_an_attribute_is_carried_to_the_pixels():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, n=40)
    attribute = draw(vertices[None], quads, attribute=(vertices[:, 0] > 0).astype(np.float32)).attribute[0]
    assert (attribute[:, :35] == 0).all() and (attribute[:, 45:] == 1).all()


def test_rendering_is_the_same_under_vmap():
    vertices, quads = grid(lambda x, y: 900 + 0.2 * x)
    bins = sampling_bins(quads, vertices[None].astype(np.float32), pixels_per_mm=0.2)
    moved = jnp.asarray(vertices, jnp.float32)[None] + jnp.array([[[0.0, 0, 0]], [[5.0, 0, 40]]])
    one = jax.jit(lambda v: render(v, jnp.zeros(len(vertices)), VIEW, bins=bins, shape=SHAPE).depth)
    both = jax.jit(jax.vmap(one))(moved)
    for i in range(2):
        assert np.allclose(both[i], one(moved[i]), atol=1e-3)


def test_a_mesh_too_coarse_for_the_sampling_is_refused():
    vertices, quads = grid(lambda x, y: 1000 + 0 * x, n=3)
    with pytest.raises(ValueError, match="samples long"):
        sampling_bins(quads, vertices[None], pixels_per_mm=1.0)
