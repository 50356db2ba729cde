"""Back-projection against geometry that is known: a plane and a sphere before a pinhole."""

import numpy as np
import pytest
import trimesh

from depthjax.export.run import Face, back_project, camera_of, triangles, write_mesh, write_points

SHAPE, SPAN = (200, 128), (281.25, 180.0)


def rays(camera, shape=SHAPE):
    """Directions through the pixels' middles, of length 1 along the axis."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    return np.stack(
        [(u - camera.centre_x) / camera.focal_x, (v - camera.centre_y) / camera.focal_y, np.ones(shape)], -1
    )


def plane_depth(camera, normal, offset):
    return offset / (rays(camera) @ normal)


def sphere_depth(camera, centre, radius):
    """Distance along the axis to the near side of a sphere; 0 beside it."""
    direction = rays(camera)
    a, b, c = (direction**2).sum(-1), direction @ centre, centre @ centre - radius**2
    inside = b**2 - a * c
    return np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, 0)


def face(depth, camera):
    return Face(np.rint(depth).astype(np.uint16), np.zeros(depth.shape, np.float32), camera)


@pytest.fixture
def camera():
    return camera_of(SHAPE, 900.0, SPAN)


def test_the_image_spans_what_it_should_at_the_nose(camera):
    points = back_project(np.full(SHAPE, 900.0), camera)
    pixel = 180 / 128
    assert np.ptp(points[..., 0]) == pytest.approx(180 - pixel, abs=1e-3)
    assert np.ptp(points[..., 1]) == pytest.approx(281.25 - pixel, abs=1e-3)
    assert np.allclose(points.mean((0, 1)), [0, 0, 900], atol=1e-3)


def test_x_is_right_y_down_z_forward(camera):
    points = back_project(np.full(SHAPE, 900.0), camera)
    assert (np.diff(points[..., 0], axis=1) > 0).all() and (np.diff(points[..., 1], axis=0) > 0).all()
    assert (points[..., 2] == 900).all()


def test_a_squeezed_image_keeps_its_proportions():
    """A square that shows 281x180 mm has two focal lengths; points come out as from the unsqueezed crop."""
    camera = camera_of((64, 64), 1000.0, SPAN)
    points = back_project(np.full((64, 64), 1000.0), camera)
    step = np.diff(points[0, :2, 0])[0], np.diff(points[:2, 0, 1])[0]
    assert step == (pytest.approx(180 / 64, rel=1e-5), pytest.approx(281.25 / 64, rel=1e-5))


def test_a_plane_comes_back(camera, tmp_path):
    normal = np.array([0.3, -0.2, 1.0]) / np.linalg.norm([0.3, -0.2, 1.0])
    write_points(tmp_path / "plane.ply", face(plane_depth(camera, normal, 880.0), camera))
    points = trimesh.load(tmp_path / "plane.ply").vertices
    assert points.shape == (200 * 128, 3)
    assert np.abs(points @ normal - 880).max() <= 0.5 * (rays(camera) @ normal).max() + 1e-3  # whole millimetres of z
    fitted = np.linalg.svd(points - points.mean(0), full_matrices=False)[2][2]
    assert abs(fitted @ normal) > 1 - 1e-6


def test_a_sphere_comes_back(camera, tmp_path):
    centre, radius = np.array([10.0, -20.0, 950.0]), 70.0
    depth = sphere_depth(camera, centre, radius)
    write_mesh(tmp_path / "sphere.ply", face(depth, camera))
    mesh = trimesh.load(tmp_path / "sphere.ply", process=False)
    distance = np.linalg.norm(mesh.vertices - centre, axis=1)
    assert np.abs(distance - radius).max() <= 0.55
    system = np.c_[2 * mesh.vertices, np.ones(len(mesh.vertices))]  # |p|² = 2 c·p + (r² - |c|²), by least squares
    solution = np.linalg.lstsq(system, (mesh.vertices**2).sum(1), rcond=None)[0]
    assert np.allclose(solution[:3], centre, atol=0.5)
    assert np.sqrt(solution[3] + solution[:3] @ solution[:3]) == pytest.approx(radius, abs=0.5)


def test_triangles_face_the_camera(camera, tmp_path):
    write_mesh(tmp_path / "sphere.ply", face(sphere_depth(camera, np.array([0, 0, 950.0]), 70.0), camera))
    mesh = trimesh.load(tmp_path / "sphere.ply", process=False)
    towards = (mesh.face_normals * mesh.triangles_center).sum(1)
    assert (towards < 0).mean() > 0.99  # at the rim, rounding to whole millimetres may turn one


def test_no_triangle_spans_a_hole_or_a_jump():
    depth = np.full((6, 8), 1000)
    assert len(triangles(depth)) == 2 * 5 * 7
    depth[2, 3] = 0
    without_hole = triangles(depth)
    assert 2 * 8 + 3 not in without_hole and len(without_hole) == 2 * 5 * 7 - 6
    depth = np.full((6, 8), 1000)
    depth[:, 4:] = 1100
    columns = triangles(depth) % 8
    assert ((columns < 4).all(1) | (columns >= 4).all(1)).all() and len(columns) == 2 * 5 * 6


def test_holes_are_no_points_and_the_file_is_little_endian(camera, tmp_path):
    depth = np.full(SHAPE, 900.0)
    depth[:50] = 0
    for write in (write_points, write_mesh):
        write(tmp_path / "x.ply", face(depth, camera))
        assert (tmp_path / "x.ply").read_bytes().startswith(b"ply\nformat binary_little_endian 1.0\n")
        loaded = trimesh.load(tmp_path / "x.ply", process=False)
        assert len(loaded.vertices) == 150 * 128 and loaded.vertices[:, 2].min() == 900


def test_a_face_without_a_return_is_an_empty_file_that_says_so(camera, tmp_path):
    for write in (write_points, write_mesh):
        write(tmp_path / "x.ply", face(np.zeros(SHAPE), camera))
        assert b"element vertex 0\n" in (tmp_path / "x.ply").read_bytes()
