"""A z-buffer in JAX: a mesh of quads to a depth map, with the angle of the surface and a vertex attribute a pixel.

Each quad is sampled on a grid fine enough to touch every pixel it covers; the nearest sample of a pixel wins by one
scatter-min of a key that packs depth over the quad's number. Depth, angle and attribute are then computed from the
quad that won, at the pixel's centre: exact for a flat quad.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.precision import EXACT

QUAD_BITS = 13
NEAREST_MM, STEP_MM = 300.0, 1 / 256  # of the 19-bit depth in a key: 0.3 m to 2.3 m
NOTHING = np.uint32(0xFFFFFFFF)
SPACING = 0.75  # pixels between samples: below 1, so that no covered pixel is missed
GRIDS = (1, 2, 4, 7, 12, 20, 30)
HELD = 3.0  # pixel widths that the depth at a pixel's centre may lie from the nearest sample in that pixel


class Bin(NamedTuple):
    """Quads sampled alike: corners (n, 4) vertex numbers, and the grid as (samples, 4) bilinear weights."""

    corners: np.ndarray
    weights: np.ndarray


class View(NamedTuple):
    """A pinhole camera's image, or a window of it: focal length and principal point (x, y) in pixels."""

    focal: jax.Array
    centre: jax.Array


class Surface(NamedTuple):
    """What each pixel sees, (h, w) each: depth along the axis in mm, `inf` where nothing is; cosine of the angle
    between ray and normal; the vertex attribute."""

    depth: jax.Array
    cosine: jax.Array
    attribute: jax.Array


def sampling_bins(quads: np.ndarray, vertices: np.ndarray, *, pixels_per_mm: float) -> tuple[Bin, ...]:
    """Choose the sampling grid of quads (n, 4), at most 8,192, from the largest size each takes at this magnification.

    Vertices are (shapes, vertices, 3) mm: the shapes and poses to be ready for, as the camera sees them.
    """
    corners = vertices[:, quads, :2]
    edge = np.linalg.norm(corners - np.roll(corners, -1, axis=2), axis=-1).max(axis=0) * pixels_per_mm / SPACING
    along, across = edge[:, ::2].max(axis=1), edge[:, 1::2].max(axis=1)
    if max(along.max(), across.max()) > GRIDS[-1]:
        raise ValueError(f"a quad is {max(along.max(), across.max()):.0f} samples long, more than {GRIDS[-1]}")
    # Turned by a quarter, so that the long side comes first and fewer kinds of grid are needed.
    quads = np.where((across > along)[:, None], np.roll(quads, -1, axis=1), quads)
    long = np.searchsorted(GRIDS, np.maximum(along, across))
    short = np.searchsorted(GRIDS, np.minimum(along, across))
    kinds = sorted(set(zip(long.tolist(), short.tolist(), strict=True)))
    return tuple(Bin(quads[(long == a) & (short == b)].astype(np.int32), _grid(GRIDS[a], GRIDS[b])) for a, b in kinds)


def _grid(along: int, across: int) -> np.ndarray:
    grid = np.meshgrid((np.arange(along) + 0.5) / along, (np.arange(across) + 0.5) / across, indexing="ij")
    u, v = (axis.ravel() for axis in grid)
    return np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=1).astype(np.float32)


def render(
    vertices: jax.Array, attribute: jax.Array, view: View, *, bins: tuple[Bin, ...], shape: tuple[int, int]
) -> Surface:
    """Return the surface nearest to the camera in each pixel; pixel (row i, column j) is centred at (x=j, y=i).

    Args:
        vertices: (vertices, 3) mm in camera axes: x right, y down, z away, all z > 0.
        attribute: (vertices,) any value to interpolate.
    """
    screen = view.focal * vertices[:, :2] / vertices[:, 2:] + view.centre[None]
    points = jnp.concatenate([screen, 1 / vertices[:, 2:]], axis=1)  # 1/z is linear on the screen
    indices, keys, first = [], [], 0
    for corners, weights in bins:
        index, level = _splat(points[corners], weights, shape)
        number = first + jnp.arange(len(corners), dtype=jnp.uint32)
        indices.append(index.ravel())
        keys.append(((level << QUAD_BITS) | number[:, None]).ravel())
        first += len(corners)
    empty = jnp.full(shape[0] * shape[1] + 1, NOTHING)  # the last one takes what falls off the image
    nearest = empty.at[jnp.concatenate(indices)].min(jnp.concatenate(keys), mode="promise_in_bounds")[:-1]
    quads = np.concatenate([b.corners for b in bins])
    return _resolve(nearest, _planes(vertices[quads], attribute[quads]), view, shape)


def _splat(corners: jax.Array, weights: np.ndarray, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Pixel number and depth level of each sample, (quads, samples); off the image the number is out of range."""
    x, y, inverse = (jnp.matmul(corners[:, :, i], weights.T, precision=EXACT) for i in range(3))
    column, row = jnp.round(x).astype(jnp.int32), jnp.round(y).astype(jnp.int32)
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    level = jnp.clip((1 / inverse - NEAREST_MM) / STEP_MM, 0, 2**19 - 1).astype(jnp.uint32)
    return jnp.where(inside, row * shape[1] + column, shape[0] * shape[1]), level


def _resolve(keys: jax.Array, planes: tuple[jax.Array, ...], view: View, shape: tuple[int, int]) -> Surface:
    hit = keys != NOTHING
    number = jnp.where(hit, keys & np.uint32(2**QUAD_BITS - 1), 0).astype(jnp.int32)
    sampled = NEAREST_MM + STEP_MM * (keys >> QUAD_BITS).astype(jnp.float32)
    pixel = jnp.arange(shape[0] * shape[1])
    ray_x = ((pixel % shape[1]).astype(jnp.float32) - view.centre[0]) / view.focal
    ray_y = ((pixel // shape[1]).astype(jnp.float32) - view.centre[1]) / view.focal
    nx, ny, nz, offset, value = (column[number] for column in planes)
    facing = nx * ray_x + ny * ray_y + nz
    # The plane of the quad at the pixel's centre, but never far from where the quad was sampled:
    # a plane seen edge-on runs away within a pixel.
    exact = offset / jnp.where(jnp.abs(facing) < 1e-6, 1e-6, facing)
    held = HELD * sampled / view.focal
    depth = jnp.clip(exact, sampled - held, sampled + held)
    cosine = jnp.abs(facing) / jnp.sqrt(ray_x**2 + ray_y**2 + 1)
    fields = jnp.where(hit, depth, jnp.inf), jnp.where(hit, cosine, 1.0), jnp.where(hit, value, 0.0)
    return Surface(*(field.reshape(shape) for field in fields))


def _planes(corners: jax.Array, attribute: jax.Array) -> tuple[jax.Array, ...]:
    """Unit normal (three columns), offset (normal times centre) and mean attribute of each quad."""
    normal = jnp.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= jnp.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    offset = (normal * corners.mean(axis=1)).sum(axis=1)
    return normal[:, 0], normal[:, 1], normal[:, 2], offset, attribute.mean(axis=1)
