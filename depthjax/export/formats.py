"""One face to one file: PNG of 8 or 16 bits, PLY points and meshes; and faces to a stack in NPZ."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depthjax.data.crop import EDGE_MM
from depthjax.data.depth_range import quantise
from depthjax.export.sets import Camera, Face


def write_png8(path: Path, face: Face) -> None:
    """Write grey levels of the depth range: 0 nearest, 255 far or invalid; darker is closer."""
    Image.fromarray(quantise(face.image)).save(path)


def write_png16(path: Path, face: Face) -> None:
    """Write camera millimetres; 0 is invalid."""
    # Noise does not compress: the default level is three times slower.
    Image.fromarray(face.depth).save(path, compress_level=3)


def write_points(path: Path, face: Face) -> None:
    """Write a binary PLY of one point a valid pixel."""
    import trimesh  # takes seconds to import

    points = back_project(face.depth, face.camera)[face.depth > 0]
    # Without a point, the library can write a mesh but no cloud.
    _write_ply(path, trimesh.PointCloud(points) if len(points) else trimesh.Trimesh(points))


def write_mesh(path: Path, face: Face) -> None:
    """Write a binary PLY of the surface, without points that belong to no triangle."""
    import trimesh

    used, faces = np.unique(triangles(face.depth), return_inverse=True)
    points = back_project(face.depth, face.camera).reshape(-1, 3)[used]
    _write_ply(path, trimesh.Trimesh(points, faces.reshape(-1, 3), process=False, validate=False))


def _write_ply(path: Path, geometry: Any) -> None:
    path.write_bytes(geometry.export(file_type="ply"))


# Formats of one file a face; npz is one an emotion.
FILES: dict[str, tuple[str, Callable[[Path, Face], None]]] = {
    "png8": (".png", write_png8),
    "png16": (".png", write_png16),
    "points": (".ply", write_points),
    "mesh": (".ply", write_mesh),
}


def back_project(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Return each pixel's point.

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
    """Return two triangles for each 2x2 pixels, without those that span invalid depth or a jump.

    Args:
        depth: (h, w) mm, 0 is invalid.
    Returns:
        (m, 3) int32 pixel numbers (row times w plus column), counterclockwise as the camera sees them: normals point
        to the camera.
    """
    number = np.arange(depth.size, dtype=np.int32).reshape(depth.shape)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    faces = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=-2).reshape(-1, 3)
    corners = depth.astype(np.int32).reshape(-1)[faces]
    nearest, farthest = corners.min(axis=1), corners.max(axis=1)
    return faces[(nearest > 0) & (farthest - nearest < EDGE_MM)]


@contextmanager
def npz_stack(
    path: Path, shape: tuple[int, int, int], **labels: np.ndarray
) -> Iterator[Callable[[Sequence[Face]], None]]:
    """Open an NPZ of `depth` (n, h, w) uint16 and of labels, so that memory does not grow with n.

    Yields:
        A function that appends faces; n of them must be appended.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("depth.npy", "w", force_zip64=True) as member:
            header = {"descr": "<u2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)

            def append(faces: Sequence[Face]) -> None:
                for face in faces:
                    member.write(np.ascontiguousarray(face.depth, "<u2").tobytes())

            yield append
        for name, values in labels.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
