"""Whole frames of each camera, unequal crops, turned heads, infrared: right faces, or one clear line."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import face

from depthjax.__main__ import main
from depthjax.config import Config, Data
from depthjax.config_values import override
from depthjax.data import checks, frames
from depthjax.data.crop import CROP_SHAPE, NOSE_ROW
from depthjax.data.stored import read_stored
from depthjax.errors import ConfigError, UserError
from tests.conftest import CHEAP, SMOKE

EMOTIONS = ("neutral", "happiness")
PEOPLE = 4
# Flags of each camera, beyond the size: how its frames are usually stored.
FLAGS = {
    "kinect_v1": {"focal_px": "kinect_v1"},
    "kinect_v2": {},
    "azure": {},
    "d435": {"focal_px": "d435"},
    "d415": {"focal_px": "610"},
    "truedepth": {"focal_px": "truedepth", "invalid_value": float("nan")},
}


@pytest.fixture(scope="module")
def scenes(load_tool):
    return load_tool("scenes")


# How far from each people sit, mm.
REACH = {
    "kinect_v1": (800.0, 1100.0),
    "kinect_v2": (600.0, 1000.0),
    "azure": (600.0, 1000.0),
    "d435": (350.0, 600.0),
    "d415": (450.0, 800.0),
    "truedepth": (280.0, 420.0),
}


def shots(scenes, camera, count=1, **changes):
    """Frames of each person in each emotion, easy enough for everyone: people in a room, turned a little."""
    where = {
        "distance": (450.0, 650.0),
        "yaw": 20.0,
        "pitch": 10.0,
        "roll": 8.0,
        "hand": 0.0,
        "things": 2,
        "wall": 700.0,
    }
    for subject, (number, emotion), frame in itertools.product(range(PEOPLE), enumerate(EMOTIONS), range(count)):
        rng = np.random.default_rng([7, subject, number, frame] if frame else [7, subject, number])
        shot = scenes.random_shot(rng, seed=40, subject=subject, camera=scenes.CAMERAS[camera], **where | changes)
        yield f"{emotion}/s{subject}_f{frame}", shot


def save(path, frame, camera="kinect_v2"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if camera == "truedepth":  # floats in metres, holes are NaN
        np.save(path.with_suffix(".npy"), np.where(frame > 0, frame / 1000, np.nan).astype(np.float32))
    else:
        Image.fromarray(frame).save(path.with_suffix(".png"))


@pytest.fixture(scope="module")
def folder(scenes, tmp_path_factory):
    """A folder of whole frames of a camera, and the noses' column, row and mm by name; rendered once a camera."""
    made = {}

    def make(camera):
        if camera not in made:
            root, noses = tmp_path_factory.mktemp(camera), {}
            for name, shot in shots(scenes, camera):
                save(root / name, shot.frame, camera)
                noses[name] = shot.nose
            made[camera] = root, noses
        return made[camera]

    return make


def checked(root, spool, page=None, **changes):
    lines = []
    settings = Data(source="folder", path=str(root), emotions=EMOTIONS, pattern="s{subject}_f{frame}", **changes)
    spool.mkdir(parents=True, exist_ok=True)
    found = checks.check(settings, root, spool, log=lines.append, page=page)
    return {row["source"].rsplit(".", 1)[0]: row["depth"] for row in found.rows()}, lines


def assert_right(faces, noses, *, within=15):
    """Each face is the metric crop: the nose where it belongs, as far away as it was."""
    assert faces.keys() == noses.keys()
    for name, depth in faces.items():
        assert depth.shape == CROP_SHAPE
        tip = depth[int(NOSE_ROW) - 6 : int(NOSE_ROW) + 7, 58:70]
        assert np.median(tip[tip > 0]) == pytest.approx(noses[name][2], abs=within)


OFTEN = ("kinect_v2", "d435", "truedepth")  # the others take as long, and differ little
ALL = [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.nightly) for name in FLAGS]


@pytest.mark.parametrize("camera", ALL)
def test_whole_frames_of_each_camera_by_flags_only(camera, folder, tmp_path):
    root, noses = folder(camera)
    faces, lines = checked(root, tmp_path / "spool", **FLAGS[camera])
    assert_right(faces, noses)
    assert any("whole frames" in line and "--config.data.framing=whole" in line for line in lines)


def test_frames_of_half_the_size_of_a_cameras_are_its_own(folder, tmp_path):
    root, noses = folder("d435")
    for name in noses:
        save(tmp_path / "half" / name, np.ascontiguousarray(np.asarray(Image.open(root / f"{name}.png"))[::2, ::2]))
    faces, lines = checked(tmp_path / "half", tmp_path / "spool", focal_px="d435")
    assert_right(faces, noses)
    assert any("whole frames" in line for line in lines)


def test_the_scale_is_metric_at_any_distance(scenes):
    """The same head at two distances and focal lengths gives the same crop, but for what stands behind it."""
    crops = []
    for camera, distance in (("kinect_v2", 700.0), ("d415", 1000.0)):
        rng = np.random.default_rng(3)
        only = scenes.CAMERAS[camera]._replace(noise=0.0)
        shot = scenes.random_shot(
            rng,
            seed=40,
            subject=1,
            camera=only,
            yaw=0,
            pitch=0,
            roll=0,
            distance=(distance, distance + 1),
            hand=0,
            wall=700.0,
        )
        framing = frames.Framing(frames.WHOLE, str(shot.focal), 0, 180.0)
        depth, nose = framing.cut(shot.frame)
        crops.append(np.where(depth > 0, depth - nose.distance, np.nan)[60:170, 34:94])
    assert np.nanmedian(np.abs(crops[0] - crops[1])) < 4


def cut_unequally(root, noses, crops):
    """Write crops of a Kinect v2's frames, each of a size of its own, the nose anywhere near the middle."""
    rng = np.random.default_rng(0)
    for name, (column, row, z) in noses.items():
        frame = np.asarray(Image.open(root / f"{name}.png"))
        left, right, up, down = (rng.uniform((85, 85, 120, 90), (120, 120, 160, 150)) * 365 / z).astype(int)
        top, first = max(0, round(row) - up), max(0, round(column) - left)
        save(crops / name, np.ascontiguousarray(frame[top : round(row) + down, first : round(column) + right]))
    return crops


def test_unequal_crops_become_one_size(folder, tmp_path):
    root, noses = folder("kinect_v2")
    crops = cut_unequally(root, noses, tmp_path / "crops")
    faces, lines = checked(crops, tmp_path / "spool", focal_px="365")
    assert_right(faces, noses)
    # Without a focal length each is taken to span the same width: another scale, but the same nose.
    faces, lines = checked(crops, tmp_path / "spool2", width_mm=205.0)
    assert_right(faces, noses)
    assert any("crops of any size" in line and "spans 205 mm" in line for line in lines)


@pytest.mark.parametrize("turn", [1, *(pytest.param(turn, marks=pytest.mark.nightly) for turn in (2, 3))])
def test_sideways_and_upside_down_frames_are_turned_or_refused(turn, folder, tmp_path):
    root, noses = folder("kinect_v2")
    for name in noses:
        save(tmp_path / "turned" / name, np.rot90(np.asarray(Image.open(root / f"{name}.png")), turn))
    faces, lines = checked(tmp_path / "turned", tmp_path / "spool")
    assert_right(faces, noses)
    assert any(f"--config.data.rotate={90 * turn}" in line for line in lines)
    with pytest.raises(UserError, match=r"a face is found in .*--config\.data\.rotate=0"):
        checked(tmp_path / "turned", tmp_path / "spool2", rotate="0")


def test_infrared_is_refused(folder, tmp_path):
    """Brightness falls with distance and with the angle of the skin; values as a Kinect's, 2,500 to 5,500 on faces."""
    root, noses = folder("kinect_v2")
    for name in noses:
        depth = np.asarray(Image.open(root / f"{name}.png")).astype(float)
        slope = np.hypot(*np.gradient(depth))
        bright = 4000 * (700 / np.maximum(depth, 300)) ** 2 / np.sqrt(1 + np.minimum(slope, 9) ** 2)
        save(tmp_path / "infrared" / name, np.where(depth > 0, bright, 0).astype(np.uint16))
    with pytest.raises(UserError, match=r"not infrared|no face is recognised"):
        checked(tmp_path / "infrared", tmp_path / "spool")


def test_frames_of_an_unknown_camera_ask_for_it(folder, tmp_path):
    root, _ = folder("d435")
    with pytest.raises(UserError, match=r"640x480 pixels are whole frames.*kinect_v1, d415, d435, truedepth"):
        checked(root, tmp_path / "spool")


@pytest.mark.parametrize(
    ("size", "camera"),
    [((424, 512), "kinect_v2"), ((512, 424), "kinect_v2"), ((576, 640), "azure"), ((480, 640), ""), ((240, 320), "")],
)
def test_whole_frames_are_known_by_their_size_or_asked_for(size, camera):
    images = [np.zeros(size, np.uint16)] * 4

    def possible(**changes):
        return [each[:3] for each in frames._possible(Data(**changes), images, grey=False)]

    if camera:
        assert possible(rotate="0") == [(frames.WHOLE, camera, 0), (frames.RESAMPLED, "", 0)]
        assert [turns for kind, _, turns in possible(framing="whole")] == [0, 1, 2, 3]
    else:
        with pytest.raises(UserError, match=r"whole frames of an unknown camera.*set --config\.data\.framing=crop"):
            possible()
    assert possible(framing="crop", rotate="270") == [(frames.RESAMPLED, "", 3)]
    assert possible(focal_px="500", rotate="90") == [(frames.WHOLE, "500", 1)]


@pytest.mark.parametrize("turn", [1, 2])
def test_sideways_and_upside_down_crops_are_turned(turn, tmp_path):
    own = [face(subject, shape=CROP_SHAPE) for subject in range(4)]
    for subject, depth in enumerate(own):
        save(tmp_path / f"{subject}", np.rot90(depth, turn))
    paths = sorted(tmp_path.glob("*.png"))
    framing = frames.decide(Data(), paths, print)
    assert framing[:3] == (frames.STORED, "", turn)
    assert all(np.array_equal(framing.cut(np.asarray(Image.open(p)))[0], d) for p, d in zip(paths, own, strict=True))


def test_images_without_a_face_are_problems_and_many_stop_the_stage(folder, tmp_path):
    root, noses = folder("kinect_v2")
    tree, page = tmp_path / "tree", tmp_path / "page.png"
    for copy in range(2):
        for name in noses:
            frame = np.asarray(Image.open(root / f"{name}.png"))
            frame = np.where(frame > 0, frame + np.uint16(copy), np.uint16(0))
            save(tree / name.replace("f0", f"f{copy}"), frame)
    empty = np.random.default_rng(0).normal(1500, 2, (424, 512)).astype(np.uint16)
    save(tree / "neutral" / "s0_f2", empty)
    with pytest.raises(UserError, match="1 problem"):
        checked(tree, tmp_path / "spool", page)
    assert Image.open(page).size[0] > 1000  # drawn although nothing is stored
    faces, lines = checked(tree, tmp_path / "spool2", on_error="skip")
    assert len(faces) == 16 and any("no face is recognised in 1 of 17 images (6%)" in line for line in lines)
    save(tree / "neutral" / "s0_f3", empty + np.uint16(1))
    with pytest.raises(UserError, match=r"no face is recognised in 2 of 18 images \(11%\).*cut_faces\.png"):
        checked(tree, tmp_path / "spool3", on_error="skip")


def test_focal_lengths_of_names_numbers_and_files(tmp_path):
    assert frames.focal_length("585.5", (10, 10)) == 585.5
    assert frames.focal_length("kinect_v1", (480, 640)) == 571.3
    assert frames.focal_length("kinect_v1", (120, 160)) == pytest.approx(571.3 / 4)
    assert frames.focal_length("truedepth", (640, 480)) == 590.0  # upright
    assert frames.focal_length("kinect_v2", (97, 83)) == 365.0  # a crop
    with pytest.raises(UserError, match=r"d415: 83x97 is no size of its frames.*610 for 640x480"):
        frames.focal_length("d415", (97, 83))
    files = {
        "realsense.json": json.dumps({"width": 640, "height": 480, "fx": 386.5, "fy": 386.0, "ppx": 320.1}),
        "open3d.json": json.dumps({"width": 640, "height": 480, "intrinsic_matrix": [386.5, 0, 0, 0, 386, 0, 1, 1, 1]}),
        "ros.yaml": "image_width: 640\nimage_height: 480\ncamera_matrix:\n  rows: 3\n  cols: 3\n  data: [386.5, 0, 1]",
        "info.yaml": "height: 480\nwidth: 640\nK: [386.5, 0.0, 320.0, 0.0, 386.0, 240.0, 0.0, 0.0, 1.0]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert frames.focal_length(str(tmp_path / name), (480, 640)) == 386.5
        assert frames.focal_length(str(tmp_path / name), (240, 320)) == 193.25
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(UserError, match=r"no\.json: no fx"):
        frames.focal_length(str(tmp_path / "no.json"), (480, 640))
    with pytest.raises(UserError, match="kinect_v3: neither pixels, nor a camera"):
        frames.focal_length("kinect_v3", (480, 640))


@pytest.mark.parametrize("value", ["0", "-3", "0.0", "1.2.3", ".", "nan", "inf"])
def test_a_focal_length_is_above_zero(value):
    with pytest.raises(ConfigError, match="must be above 0"):
        override(Config(), {"data.focal_px": value})
    assert override(Config(), {"data.focal_px": "1e3"}).data.focal_px == "1e3"


def test_a_focal_length_of_other_frames_is_refused(tmp_path):
    file = tmp_path / "camera.json"
    file.write_text('{"width": 1280, "height": 720, "fx": 640.5}')
    assert frames.focal_length(str(file), (360, 640), whole=True) == 320.25
    assert frames.focal_length(str(file), (200, 150)) == 640.5  # a crop
    with pytest.raises(UserError, match=r"640x480 is no size of its frames.*640\.5 for 1280x720"):
        frames.focal_length(str(file), (480, 640), whole=True)
    file.write_text('{"depth": {"fx": 386.5}, "color": {"fx": 912.0}}')
    with pytest.raises(UserError, match=r"several focal lengths.*386\.5, 912\.0"):
        frames.focal_length(str(file), (480, 640))
    file.write_text('{"fx": 0.49}')
    with pytest.raises(UserError, match=r"0\.49 is no focal length in pixels"):
        frames.focal_length(str(file), (480, 640))


def test_grey_levels_have_no_focal_length(folder, tmp_path):
    root, noses = folder("kinect_v2")
    for name in noses:
        frame = np.asarray(Image.open(root / f"{name}.png")).astype(float)
        save(tmp_path / "grey" / name, np.where(frame > 0, frame / 8, 0).clip(0, 255).astype(np.uint8))
    with pytest.raises(UserError, match="grey levels, which have no distance"):
        checked(tmp_path / "grey", tmp_path / "spool", focal_px="365")
    images = [np.zeros((424, 512), np.uint16)] * 4
    assert {kind.camera for kind in frames._possible(Data(), images, grey=True)} == {""}
    assert "kinect_v2" in {kind.camera for kind in frames._possible(Data(), images, grey=False)}


def test_an_image_of_another_size_is_a_problem_of_its_own(folder, tmp_path):
    root, noses = folder("d415")
    for name in noses:
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / f"{name}.png").symlink_to(root / f"{name}.png")
    save(tmp_path / "own" / "neutral" / "s0_f1", np.full((300, 300), 700, np.uint16) + np.eye(300, dtype=np.uint16))
    faces, lines = checked(tmp_path / "own", tmp_path / "spool", focal_px="d415", on_error="skip")
    assert faces.keys() == noses.keys()
    assert any("300x300 pixels: no size of the frames of d415" in line for line in lines)


def test_one_crop_without_a_recognised_face_is_kept_as_it_is(tmp_path):
    for subject, (label, emotion), frame in itertools.product(range(PEOPLE), enumerate(EMOTIONS), range(2)):
        save(tmp_path / "own" / emotion / f"s{subject}_f{frame}", face(subject, label, frame, shape=CROP_SHAPE))
    y, x = np.mgrid[:200, :128]
    bowl = (700 + 0.002 * ((y - 114) ** 2 + (x - 64) ** 2)).astype(np.uint16)  # as far as a face, and none
    save(tmp_path / "own" / "neutral" / "s0_f2", bowl)
    faces, lines = checked(tmp_path / "own", tmp_path / "spool", tmp_path / "page.png")
    assert len(faces) == 17 and np.array_equal(faces["neutral/s0_f2"], bowl)
    assert any("no face is recognised in 1 of 17 images (6%)" in line for line in lines)
    assert any("kept as it is" in line and "s0_f2" in line for line in lines)


def test_crops_of_another_width_become_metric(tmp_path):
    """A face in a crop that spans 240 mm is cut to 180 about its nose; those of 180 mm stay as they are."""
    own = [face(subject, shape=CROP_SHAPE) for subject in range(4)]
    for subject, depth in enumerate(own):
        save(tmp_path / f"{subject}", np.pad(depth, ((34, 34), (21, 22))))  # 171 pixels across
    paths = sorted(tmp_path.glob("*.png"))
    framing = frames.decide(Data(width_mm=180 * 171 / 128), paths, print)
    assert framing.kind == frames.RESAMPLED
    for depth, path in zip(own, paths, strict=True):
        cut, nose = framing.cut(np.asarray(Image.open(path)))
        assert nose is not None and cut.shape == CROP_SHAPE
        both = (cut > 0) & (depth > 0)  # but for where the nose is found, some millimetres off
        assert (cut > 0).sum() == pytest.approx((depth > 0).sum(), rel=0.1)
        assert both.sum() > 0.9 * (depth > 0).sum() and np.median(np.abs(cut[both] - depth[both].astype(int))) < 8
        save(tmp_path / path.stem, depth)
    assert frames.decide(Data(), paths, print).kind == frames.STORED


def test_rows_of_a_stack_are_looked_at_too(tmp_path):
    np.save(tmp_path / "stack.npy", np.arange(1, 101, dtype=np.uint16)[:, None, None] * np.ones((40, 32), np.uint16))
    images, grey = frames._sample(Data(source="folder"), [tmp_path / "stack.npy"])
    seen = [int(image[0, 0]) for image in images]
    assert len(seen) == frames.SAMPLED and seen[0] == 1 and seen[-1] > 90 and not grey


def test_the_page_gives_the_flags_of_each_camera():
    page = (Path(frames.__file__).parents[2] / "docs" / "how-to" / "own-faces.md").read_text("utf-8")
    words = page.replace("PIXELS", "365").replace("MM", "205")
    rows = [re.findall(r"--config\.(data\.\w+)=([\w.]+)", line) for line in words.splitlines() if line[:2] == "| "]
    flags = [dict(row) for row in rows if row]
    assert len(flags) >= 9 and all(
        override(Config(), {"data.source": "folder", "data.path": "x"} | row) for row in flags
    )
    assert {row["data.focal_px"] for row in flags if "data.focal_px" in row} == {*frames.CAMERAS, "365"}
    command = page[: page.index("framing.png")]
    assert "launch.py --config configs/quick.py" in command and command.count("\n") < 45  # one screen


@pytest.mark.nightly
@pytest.mark.parametrize("camera", [*FLAGS, "crops"])
def test_a_folder_of_each_camera_becomes_a_report_by_flags_only(camera, scenes, tmp_path):
    """People as far from the camera as they sit before it; every face that is stored has its nose in its place."""
    taken, root, noses = "kinect_v2" if camera == "crops" else camera, tmp_path / "own", {}
    for name, shot in shots(scenes, taken, count=2, distance=REACH[taken]):
        save(root / name, shot.frame, taken)
        noses[name] = shot.nose
    flags = FLAGS.get(camera, {"focal_px": "365"})
    if camera == "crops":
        root = cut_unequally(root, noses, tmp_path / "crops")
    data = {"source": "folder", "path": root, "emotions": ",".join(EMOTIONS), "pattern": "s{subject}_f{frame}", **flags}
    workdir = tmp_path / "run"
    own = [f"--config.data.{name}={value}" for name, value in data.items()]
    assert main(["--config", SMOKE, "--workdir", str(workdir), *CHEAP, *own]) == 0
    assert "<img" in (workdir / "report.html").read_text("utf-8")
    assert Image.open(workdir / "data" / "cut_faces.png").size[0] > 1000
    kind = "crops of any size" if camera == "crops" else "whole frames"
    assert kind in (workdir / "dataset_card.md").read_text("utf-8")
    faces = read_stored(next(workdir.glob("data/**/dataset_info.json")).parent)
    assert faces.framing.kind == kind and faces.framing.camera == flags.get("focal_px", camera)
    assert_right({source.rsplit(".", 1)[0]: faces.depth[i] for i, source in enumerate(faces.sources)}, noses)
