"""The emotion classifier: its features, its weights, its calibration, its file, and the stage as a user starts it."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import depthjax
from depthjax.__main__ import main
from depthjax.config import Data
from depthjax.data import load
from depthjax.data.crop import to_square
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import made_faces
from depthjax.data.frames import WHOLE, Framing, Mode, decide
from depthjax.errors import UserError, counted
from depthjax.evaluate.adapted_head import adapt
from depthjax.evaluate.recogniser import DEPTH_RANGE, WEIGHTS, read_emotions, recogniser_inputs
from depthjax.evaluate.resampling import Estimate
from depthjax.evaluate.unseen_people import check_names
from depthjax.recogniser import classifier as classifiers
from depthjax.recogniser import run
from depthjax.recogniser.classifier import CalibratedClassifier, fit_classifier, load_classifier, save_classifier
from depthjax.recogniser.run import calibration_error, card
from tests.data.trees import tree

EMOTIONS = ("neutral", "happiness", "fear")
SHAPE = (200, 128)
FACE = Data(resolution=64, crop="face", near_mm=-10.0, far_mm=80.0)


@pytest.fixture
def crops():
    y, x = np.mgrid[:200, :128]
    bumps = [30 + 25 * np.sin(x / a) * np.cos(y / b) for a, b in ((9, 14), (17, 11), (23, 29))]
    return np.array(bumps, np.float32)  # mm behind the nose


def test_another_crop_and_depth_range_are_brought_to_the_networks_own(crops):
    """The whole crop at 256 and -20 to 130 mm, and the face at 64 and -10 to 80 mm, are read as the same picture."""
    wide, own = DepthRange(-20.0, 130.0), DEPTH_RANGE
    full = recogniser_inputs(to_square(wide.from_relief(crops), 256, crop="full"), wide, "full")
    face = recogniser_inputs(to_square(own.from_relief(crops), 64, crop="face"), own, "face")
    assert full.shape == face.shape == (3, 64, 64)
    assert np.abs(full - face)[:, 2:-2, 2:-2].max() < 0.03
    constant = recogniser_inputs(np.full((1, 32, 32), wide.from_relief(np.float32(35))), wide, "face")
    assert np.allclose(constant, 0, atol=1e-5)  # 35 mm is the middle of -10 to 80


def test_a_face_and_its_mirror_are_read_alike(crops):
    images = to_square(DEPTH_RANGE.from_relief(crops), 64, crop="face")
    read, mirrored = (read_emotions(of, depth_range=DEPTH_RANGE, crop="face") for of in (images, images[:, :, ::-1]))
    assert np.allclose(read.features, mirrored.features, atol=1e-5)
    assert np.allclose(np.exp(read.log_probabilities).sum(1), 1, atol=1e-5) and WEIGHTS.stat().st_size < 4e6


@pytest.fixture
def features(monkeypatch):
    """Let features be the first row of an image, so that a test can choose them."""
    monkeypatch.setattr(classifiers, "recogniser_features", lambda faces, crop: faces.images[:, 0])
    monkeypatch.setattr(
        classifiers, "own_head", lambda emotions: (np.zeros((6, len(emotions))), np.zeros(len(emotions)))
    )


def faces(rng, people, count, emotions=EMOTIONS, spread=1.0, person=0.0):
    emotion = np.tile(np.arange(len(emotions), dtype=np.int32), people * count)
    subject = np.repeat(np.arange(people, dtype=np.int32), count * len(emotions))
    values = np.eye(len(emotions), 6)[emotion] * spread + rng.normal(size=(len(emotion), 6))
    values += person * rng.normal(size=(people, len(emotions), 6))[subject, emotion]
    made = made_faces(values[:, None].astype(np.float32), emotion, emotions, DEPTH_RANGE)
    return replace(made, subject=subject)


def test_the_classifier_starts_from_the_networks_own_answer(features, monkeypatch):
    known = faces(np.random.default_rng(0), 4, 5)
    start = np.random.default_rng(1).normal(size=(6, 3)), np.array([5.0, 0.0, -5.0])
    monkeypatch.setattr(classifiers, "own_head", lambda emotions: start)
    fitted = fit_classifier(known, FACE, SHAPE)
    weights, bias = adapt(start, known.images[:, 0], known.emotion)
    assert np.allclose(fitted.weights, weights) and np.allclose(fitted.bias, bias)
    # The bias is far from where it would end from nothing.
    assert fitted.bias[0] - fitted.bias[2] > 3


def test_confidence_is_that_of_people_left_out(features):
    """Where people differ, a classifier is too sure of those it has not seen; so it gets a higher temperature."""
    rng = np.random.default_rng(2)
    alike, different = (fit_classifier(faces(rng, 12, 6, spread=2.0, person=of), FACE, SHAPE) for of in (0.0, 3.0))
    assert different.temperature > 1.5 * alike.temperature > 0


def test_the_calibration_error_by_hand():
    confidence, right = np.array([0.95, 0.95, 0.55, 0.55]), np.array([1.0, 0.0, 1.0, 1.0])
    assert calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 2 * 0.45) / 4)
    assert calibration_error(np.ones(3), np.ones(3)) == 0


def test_a_saved_classifier_is_the_same_and_another_file_is_refused(tmp_path, crops):
    rng = np.random.default_rng(3)
    fitted = CalibratedClassifier(
        rng.normal(size=(64, 3)).astype(np.float32),
        np.zeros(3, np.float32),
        1.25,
        EMOTIONS,
        replace(FACE, resolution=48),
        SHAPE,
    )
    save_classifier(tmp_path / "a.safetensors", fitted)
    read = load_classifier(tmp_path / "a.safetensors")
    y, x = np.mgrid[:200, :128]
    head = 0.004 * (2 * (x - 63.5) ** 2 + (y - 114) ** 2)  # mm behind its nose
    depth = (800 + head + 0.1 * crops).astype(np.uint16)
    given = depthjax.recognise(depth, tmp_path / "a.safetensors")
    assert (read.emotions, read.data, read.temperature, read.shape) == (EMOTIONS, fitted.data, 1.25, SHAPE)
    assert np.allclose(given, fitted.recognise(depth)) and np.allclose(given.sum(1), 1)
    with pytest.raises(UserError, match="no classifier of the stage recognise"):
        load_classifier(WEIGHTS)
    for wrong, says in (
        (np.zeros((1, *SHAPE), np.uint16), "image 0: no depth around the nose"),
        (depth / 1000, "image 0: its nose is 1 mm from the camera"),  # metres
        (depth[0], r"image 0 is \(128,\), not \(200, 128\): give crops in millimetres"),
        (depth[:, :100], r"image 0 is \(100, 128\), not \(200, 128\)"),
        (np.where(depth == depth.min(), np.nan, depth), "not finite"),
    ):
        with pytest.raises(UserError, match=says):
            depthjax.recognise(wrong, tmp_path / "a.safetensors")


@pytest.fixture(scope="module")
def upright(load_tool):
    """Two frames of a Kinect v2."""
    scenes = load_tool("scenes")
    near = {"camera": scenes.CAMERAS["kinect_v2"], "yaw": 9, "pitch": 5, "distance": (600.0, 650.0), "hand": 0}
    return [scenes.random_shot(np.random.default_rng(i), seed=40, subject=i, **near).frame for i in (1, 2)]


def save_framed(path, framing):
    weights = np.random.default_rng(3).normal(size=(64, 3)).astype(np.float32)
    save_classifier(path, CalibratedClassifier(weights, np.zeros(3, np.float32), 1.0, EMOTIONS, FACE, SHAPE, framing))


def test_whole_frames_are_cut_as_those_of_the_run(tmp_path, upright):
    """A frame and the crop that prepare makes of it are recognised alike; a frame without a face is refused."""
    kinect = Framing(WHOLE, "kinect_v2", 1, 180.0)
    frames = np.array([np.rot90(frame) for frame in upright])  # as prepare found them: to be turned by 90 degrees
    save_framed(tmp_path / "a.safetensors", kinect)
    crops = np.array([kinect.cut(frame)[0] for frame in frames])
    assert crops.shape == (2, *SHAPE)
    read = load_classifier(tmp_path / "a.safetensors")
    assert read.framing == kinect
    assert np.allclose(read.recognise(frames), read.recognise(crops))
    assert np.allclose(read.recognise([frames[0].astype(float), crops[1]]), read.recognise(crops), atol=1e-6)
    for wrong, says in ((frames / 1000, "image 0: no face is found in it, read in millimetres as whole frames"),
                        (frames[:, :300, :300], "300x300 pixels: no size of the frames of kinect_v2")):  # fmt: skip
        with pytest.raises(UserError, match=says) as error:
            depthjax.recognise(wrong, tmp_path / "a.safetensors")
        assert "\n" not in str(error.value)


def test_a_classifier_holds_what_a_file_of_intrinsics_said(tmp_path, monkeypatch, upright):
    for number, frame in enumerate(upright):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    (tmp_path / "camera.json").write_text('{"width": 512, "height": 424, "fx": 365.0, "fy": 365.0}')
    monkeypatch.chdir(tmp_path)
    framing = decide(Data(focal_px="camera.json"), sorted(tmp_path.glob("*.png")), print)
    save_framed(tmp_path / "a.safetensors", framing)
    crops = np.array([framing.cut(frame)[0] for frame in upright])
    (tmp_path / "camera.json").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    read = load_classifier(tmp_path / "a.safetensors")
    assert read.framing == framing == Framing(WHOLE, "camera.json", 0, 180.0, Mode(512, 424, 365.0))
    assert str(tmp_path) not in (tmp_path / "a.safetensors").read_bytes().decode("latin-1")
    assert np.allclose(read.recognise(upright), read.recognise(crops))
    with pytest.raises(UserError, match=r"300x300 pixels: no size of the frames of camera\.json"):
        read.recognise([upright[0][:300, :300]])


def test_a_classifier_of_another_network_or_another_size_is_refused(tmp_path, monkeypatch):
    fitted = CalibratedClassifier(np.ones((64, 3)), np.zeros(3), 1.0, EMOTIONS, FACE, SHAPE)
    save_classifier(tmp_path / "a.safetensors", fitted)
    save_classifier(tmp_path / "b.safetensors", replace(fitted, weights=np.ones((63, 3))))
    with pytest.raises(UserError, match="damaged"):
        load_classifier(tmp_path / "b.safetensors")
    (tmp_path / "other").write_bytes(b"another network")
    monkeypatch.setattr(classifiers, "WEIGHTS", tmp_path / "other")
    with pytest.raises(UserError, match="another version's network: run --stages=recognise again"):
        load_classifier(tmp_path / "a.safetensors")


def test_an_unknown_crop_and_values_that_are_not_finite_are_refused():
    images = np.zeros((2, 32, 32), np.float32)
    with pytest.raises(UserError, match="the crop 'whole' is not one of face, full"):
        read_emotions(images, depth_range=DEPTH_RANGE, crop="whole")
    images[1, 3, 3] = np.nan
    with pytest.raises(UserError, match="not finite"):
        read_emotions(images, depth_range=DEPTH_RANGE, crop="face")


def test_the_card_says_what_it_was_fitted_to():
    train = faces(np.random.default_rng(0), 2, 1)
    tested = run.Tested(EMOTIONS, 2, 6, Estimate(0.5, 0.4, 0.6, 2), [[2, 0, 0]] * 3, 0.1)
    assert "to 6 faces of 2 people.\n" in card(tested, train)


@pytest.mark.parametrize(
    ("split", "says"), [("image", "nobody may be on both sides"), ("subject", "the people have no names")]
)
def test_people_who_may_be_on_both_sides_are_refused_before_anything_is_done(tmp_path, capsys, split, says):
    own = {"source": "folder", "path": tree(tmp_path / "faces"), "pattern": "**", "split": split}
    flags = [f"--config.data.{name}={value}" for name, value in own.items()]
    assert main(["--config=smoke", f"--workdir={tmp_path / 'run'}", "--stages=prepare,recognise", *flags]) == 1
    error = capsys.readouterr().err
    assert f"recognise: {says}" in error and error.count("\n") == 1 and not (tmp_path / "run" / "data").exists()


def test_groups_of_near_duplicates_are_no_people():
    config = depthjax.load_config("smoke", {"data.source": "ikfdb", "data.path": "faces"})
    check_names(config, ["anna", "group 1"], "recognise")
    with pytest.raises(UserError, match="recognise: the people have no names"):
        check_names(config, ["group 0", "group 1"], "recognise")


def test_the_stage_writes_a_classifier_its_card_and_a_confusion_table(tmp_path, capsys):
    small = [f"--config.data.{name}={value}" for name, value in {"subjects": 6, "frames": 2}.items()]
    flags = ["--config=smoke", f"--workdir={tmp_path}", *small]
    assert main([*flags, "--stages=prepare,recognise"]) == 0
    found = json.loads((tmp_path / "recognise" / "recogniser.json").read_text())
    said = capsys.readouterr().out
    assert f"accuracy on {counted(found['people'], 'held-out person', 'held-out people')}" in said
    assert np.sum(found["confusion"]) == found["faces"] and 0 <= found["accuracy"]["value"] <= 1
    trace = sum(row[i] for i, row in enumerate(found["confusion"]))
    assert found["accuracy"]["value"] == pytest.approx(trace / found["faces"])
    card = (tmp_path / "recognise" / "recogniser.md").read_text()
    assert all(emotion in card for emotion in found["emotions"]) and "| neutral |" in card
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    assert all(a.count("|") == b.count("|") for a, b in pairwise(lines))
    config = depthjax.load_config("smoke", {"data.subjects": 6, "data.frames": 2})
    assert depthjax.recognise(load.stored(config.data, tmp_path / "data").depth[:2], tmp_path).shape == (2, 3)
