"""tools/render_ict.py on a toy copy of the model: a ball before a camera, whose depths have a closed form."""

import numpy as np
import pytest
from PIL import Image

from depthjax.errors import UserError

RADIUS = 95.0  # mm


def ball(rows: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) mm of a ball about the origin, a pole on the z axis, and quads of vertex numbers."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, rows, endpoint=False))
    points = RADIUS * np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    i, j = np.mgrid[:rows, : rows - 1].reshape(2, -1)
    along = (i + 1) % rows
    quads = np.stack([i * rows + j, along * rows + j, along * rows + j + 1, i * rows + j + 1], -1)
    return points.reshape(-1, 3), quads


def write_obj(path, points, quads=()):
    lines = ["# toy", *("v {:.6f} {:.6f} {:.6f}".format(*point) for point in points / 10), "usemtl M_Face"]
    lines += ["f " + " ".join(f"{corner + 1}/1" for corner in quad) for quad in quads]
    path.write_text("\n".join(lines) + "\n", "ascii")


@pytest.fixture(scope="module")
def tool(load_tool):
    return load_tool("render_ict")


@pytest.fixture
def model(tmp_path, tool):
    """One identity 1 % wider; mouthSmile_L draws in the ball's right half, every other shape moves nothing."""
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    points, quads = ball()
    write_obj(folder / "generic_neutral_mesh.obj", points, quads)
    write_obj(folder / "identity000.obj", points * [1.01, 1, 1])
    for name in tool.EXPRESSIONS:
        moved = points - [0, 0, 10] * (points[:, :1] > 0) if name == "mouthSmile_L" else points
        write_obj(folder / f"{name}.obj", moved)
    return folder


def test_the_depth_of_a_ball_is_that_of_each_pixels_ray(tool):
    points, quads = ball(120)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    centre = np.array([20.0, -10.0, 700.0])
    camera = tool.Camera(height=120, width=160, focal=150)
    depth, triangle = tool.depth_map(points + centre, triangles, camera)
    x, y = (np.arange(160) - 79.5) / 150, (np.arange(120) - 59.5)[:, None] / 150
    ray = np.stack(np.broadcast_arrays(x, y, 1.0), -1)
    a, b, c = (ray**2).sum(-1), ray @ centre, centre @ centre - RADIUS**2
    root = b**2 - a * c
    inner = root > 0.01 * root.max()
    expected = (b - np.sqrt(np.maximum(root, 0))) / a
    assert np.abs(depth - expected)[inner].max() < 0.5
    assert np.isinf(depth[root < 0]).all() and (triangle[root < 0] == -1).all()
    assert (triangle[inner] >= 0).all()


def test_depth_on_a_slanted_plane_is_exact(tool):
    camera = tool.Camera(height=60, width=80, focal=70)
    plane = np.array([[-400, -300, 500], [400, -300, 900], [-400, 300, 500], [400, 300, 900]], float)
    depth, _ = tool.depth_map(plane, np.array([[0, 1, 2], [1, 3, 2]]), camera)
    x = (np.arange(80) - 39.5) / 70
    expected = np.broadcast_to(700 / (1 - 0.5 * x), depth.shape)  # z = 700 + x / 2
    seen = np.isfinite(depth)
    assert seen.mean() > 0.5
    np.testing.assert_allclose(depth[seen], expected[seen], rtol=1e-9)


def test_noise_grows_with_the_square_of_depth(tool):
    camera = tool.Camera(disparity_step=1e-3)
    for z in (600.0, 1200.0):
        frame = tool.sense(np.full((200, 200), z), np.zeros((200, 200)), camera, np.random.default_rng(0))
        found = frame[frame > 0]
        expected = z**2 * camera.disparity_sd / (camera.focal * camera.baseline)
        assert 0.97 < (frame > 0).mean() <= 1 and abs(found.mean() - z) < 0.2
        assert found.std() == pytest.approx(np.hypot(expected, 12**-0.5), rel=0.1)  # rounded to millimetres


def test_what_stands_behind_an_edge_is_missing_on_its_left_only(tool):
    camera = tool.Camera()
    depth = np.full((40, 300), 1200.0)
    depth[:, 150:200] = 600
    hidden = tool._hidden(camera.focal * camera.baseline / depth)
    shadow = camera.focal * camera.baseline * (1 / 600 - 1 / 1200)  # pixels
    assert hidden[0, 150 - int(shadow) : 150].all() and not hidden[:, 150:].any()
    assert hidden[0].sum() == pytest.approx(shadow, abs=1)


def test_faces_stand_in_a_tree_and_depend_on_seed_and_subject_alone(tool, model, tmp_path):
    emotions = ["neutral", "happiness"]
    assert tool.render(model, tmp_path / "two", 2, 1, 0, emotions) == 4
    assert tool.render(model, tmp_path / "one", 1, 1, 0, ["happiness"]) == 1
    names = sorted(str(path.relative_to(tmp_path / "two")) for path in (tmp_path / "two").rglob("*.png"))
    assert names == [f"{e}/s00{s}_f0.png" for e in sorted(emotions) for s in (0, 1)]
    same = [tmp_path / folder / "happiness/s000_f0.png" for folder in ("one", "two")]
    assert same[0].read_bytes() == same[1].read_bytes()
    crops = [np.asarray(Image.open(tmp_path / "two" / name)) for name in names]
    assert all(crop.shape == (200, 128) and crop.dtype == np.uint16 for crop in crops)
    assert len({crop.tobytes() for crop in crops}) == 4
    for crop in crops:
        assert 400 < crop[106:118, 58:70].max() < 850
        assert (crop > 0).mean() > 0.2


def test_a_smile_at_full_intensity_draws_its_side_in(tool, model):
    head, camera = tool.read_model(model), tool.Camera(disparity_sd=0.0)
    person = tool.draw_person(head, np.random.default_rng(1))
    weights = tool.expression_weights(person, "happiness", 1.0, np.random.default_rng(2))
    assert 0.3 < weights["mouthSmile_L"] <= 1.1 and weights["browInnerUp_L"] < 0.3
    assert set(weights) == set(tool.EXPRESSIONS)
    smile = head.mean + weights["mouthSmile_L"] * head.expressions["mouthSmile_L"]
    depths = [tool.depth_map(tool.place(points, np.zeros(3), 700.0), head.triangles, camera)[0]
              for points in (head.mean, smile)]  # fmt: skip
    left, right = ([depth[240, column] for depth in depths] for column in (345, 295))  # the person's
    assert left[1] - left[0] == pytest.approx(10 * weights["mouthSmile_L"], rel=0.1)
    assert right[1] == right[0]


def test_a_turned_head_keeps_its_distances_and_turns_as_named(tool):
    nose = np.array([[0.0, 0.0, 100.0], [0.0, 0.0, 0.0]])
    yaw, pitch, roll = (tool.place(nose, np.array(angles), 700.0)[0] for angles in np.eye(3) * 90)
    np.testing.assert_allclose(yaw, [100, 0, 700], atol=1e-9)
    np.testing.assert_allclose(pitch, [0, 100, 700], atol=1e-9)  # chin down: y points down in the image
    np.testing.assert_allclose(roll, [0, 0, 600], atol=1e-9)


@pytest.mark.parametrize(
    "break_it, words",
    [
        (lambda model: (model / "jawOpen.obj").unlink(), "jawOpen.obj cannot be read"),
        (lambda model: (model / "identity000.obj").unlink(), "no identity"),
        (lambda model: (model / "jawOpen.obj").write_text("v 1 2 3\n"), "has 1 vertices"),
        (lambda model: (model / "jawOpen.obj").write_text("v 1 2 x\n"), "not three numbers"),
        (lambda model: (model / "jawOpen.obj").write_bytes(b"\xff\xfe"), "not a text file"),
    ],
)
def test_a_broken_copy_is_one_line_and_writes_nothing(tool, model, tmp_path, break_it, words):
    break_it(model)
    with pytest.raises(UserError, match=words) as error:
        tool.render(model, tmp_path / "out", 1, 1, 0, ["neutral"])
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_bad_flags_are_one_line(tool, model, tmp_path):
    for given, words in (((0, 1, 0, ["neutral"]), "--subjects=0"), ((1, 1, -1, ["neutral"]), "--seed=-1"),
                         ((1, 1, 0, ["bliss"]), "'bliss' is not known"), ((1, 0, 0, []), "--frames=0")):  # fmt: skip
        with pytest.raises(UserError, match=words):
            tool.render(model, tmp_path / "out", *given)
    with pytest.raises(UserError, match="not an empty folder"):
        tool.render(model, model, 1, 1, 0, ["neutral"])
