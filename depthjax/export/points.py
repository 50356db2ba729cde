"""Depth images as points and triangles in camera millimetres: x right, y down, z forward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from depthjax.data.crop import EDGE_MM
from depthjax.export.sets import Camera, Face


def back_project(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Each pixel's point.

    Args:
        depth: (h, w) mm along the camera's axis.
    Returns:
        (h, w, 3) float32 mm; x right, y down, z forward; all 0 where depth is 0.
    """
    z = depth.astype(np.float32)
    x = (np.arange(depth.shape[1], dtype=np.float32) - np.float32(camera.centre_x)) / np.float32(camera.focal_x)
    y = (np.arange(depth.shape[0], dtype=np.float32) - np.float32(camera.centre_y)) / np.float32(camera.focal_y)
    return np.stack(np.broadcast_arrays(z * x, z * y[:, None], z), axis=-1)


def triangles(depth: np.ndarray) -> np.ndarray:
    """Two triangles for each square of four neighbouring pixels, without those that span a hole or a jump.

    Args:
        depth: (h, w) mm, 0 is no return.
    Returns:
        (m, 3) int32 pixel numbers (row times w plus column), counterclockwise as the camera sees them from the front:
        normals point to the camera.
    """
    number = np.arange(depth.size, dtype=np.int32).reshape(depth.shape)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    faces = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=-2).reshape(-1, 3)
    corners = depth.astype(np.int32).reshape(-1)[faces]
    nearest, farthest = corners.min(axis=1), corners.max(axis=1)
    return faces[(nearest > 0) & (farthest - nearest < EDGE_MM)]


def write_points(path: Path, face: Face) -> None:
    """A PLY (binary, little-endian) of one point a return."""
    import trimesh  # takes seconds to import

    points = back_project(face.depth, face.camera)[face.depth > 0]
    # Without a point, the library can write a mesh but no cloud.
    _write_ply(path, trimesh.PointCloud(points) if len(points) else trimesh.Trimesh(points))


def write_mesh(path: Path, face: Face) -> None:
    """A PLY (binary, little-endian) of the surface; points of no triangle are left out."""
    import trimesh

    used, faces = np.unique(triangles(face.depth), return_inverse=True)
    points = back_project(face.depth, face.camera).reshape(-1, 3)[used]
    surface = trimesh.Trimesh(points, faces.reshape(-1, 3), process=False, validate=False)
    _write_ply(path, surface)


def _write_ply(path: Path, geometry: Any) -> None:
    path.write_bytes(geometry.export(file_type="ply"))
