"""Values that were taken for what they are not: each is told, with the setting that mends it."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import EMOTIONS, face

from depthjax.config import Data
from depthjax.data.checks import check
from depthjax.data.crop import nose_distance
from depthjax.data.depth_files import Unfit
from depthjax.data.plausible import border_hole, check_plausible
from depthjax.errors import UserError

BASE = Data(source="folder", path="x", pattern="s{subject}_f{frame}")


def stored(root, change):
    for emotion, folder in enumerate(EMOTIONS):
        (root / folder).mkdir(parents=True)
        for subject in range(4):
            np.save(root / folder / f"s{subject}_f0.npy", change(face(subject, emotion)))
    return root


def told(root, **changes):
    lines, own = [], replace(BASE, path=str(root), **changes)
    try:
        with tempfile.TemporaryDirectory() as spool:
            return lines, [row["depth"] for row in check(own, root, Path(spool), log=lines.append).rows()]
    except UserError as error:
        return lines, error


def inverse(depth):
    """A disparity, 0 where nothing was seen."""
    return np.where(depth > 0, 1e6 / np.maximum(depth, 1), 0).astype(np.uint16)


def infrared(depth):
    """Brightest where the face looks into the lamp."""
    return np.where(depth > 0, 3000 - 6 * (depth.astype(int) - 850), 0).astype(np.uint16)


@pytest.mark.parametrize(
    ("change", "kind", "names", "mended"),
    [
        (lambda d: d * 10, "distance", "scale_mm", {"scale_mm": 0.1}),
        (lambda d: d * 5, "distance", "scale_mm", {"scale_mm": 0.2}),
        (lambda d: d * 4, "relief", "scale_mm", {"scale_mm": 0.25}),
        (lambda d: d << 3, "distance", "scale_mm", {"scale_mm": 0.125}),
        (lambda d: d // 10, "distance", "scale_mm", None),  # in steps of 10 mm not every face is recognised
        (lambda d: (d / 100).astype(np.float32), "distance", "scale_mm", {"scale_mm": 100.0}),
        (inverse, "inverse", "not inverse depth", None),
        (infrared, "inverse", "infrared", None),
    ],
    ids=["0.1 mm", "0.2 mm", "0.25 mm", "3 bits", "cm", "dm", "inverse", "infrared"],
)
def test_a_wrong_unit_is_told_and_named(tmp_path, change, kind, names, mended):
    root = stored(tmp_path / "faces", change)
    lines, error = told(root)
    assert isinstance(error, UserError) and kind in lines[-1]
    assert sum(names in line for line in lines) >= 6
    if mended:
        found, truth = told(root, **mended)[1], [face(s, e) for e in range(3) for s in range(4)]
        assert all(np.abs(f.astype(int) - t).max() <= 10 for f, t in zip(found, truth, strict=True))


def test_a_set_of_which_a_part_is_odd_is_not_trusted_and_one_odd_face_is_left_out(tmp_path):
    root = stored(tmp_path / "faces", lambda d: d)
    lines, found = told(root, on_error="skip")
    assert len(found) == 12 and any("mm from the camera" in line for line in lines)
    for path in sorted(root.glob("fear/s[01]_f0.npy")):
        np.save(path, np.load(path, allow_pickle=False) * 10)
        lines, found = told(root, on_error="skip")
        assert len(found) == 11 if path.name == "s0_f0.npy" else "2 of 12 images" in str(found)


@pytest.mark.parametrize("millimetres", [100, 140, 4050, 30000])
def test_noses_out_of_reach(millimetres):
    moved = face(1).astype(int) - int(nose_distance(face(1)[None])[0]) + millimetres
    depth = np.where(face(1) > 0, moved, 0).astype(np.uint16)
    with pytest.raises(Unfit, match="from the camera, not 150 to 4000"):
        check_plausible(depth, BASE, np.dtype(np.uint16))


def test_a_face_is_plausible_and_so_is_one_before_a_wall():
    for subject in range(20):
        depth = face(subject, shape=(200, 128))
        nose = check_plausible(depth, BASE, np.dtype(np.uint16))
        assert 800 < nose < 950
        walled = np.where(depth > 0, depth, 1500)
        walled[:, :40] = 1500  # as beside a turned head
        assert check_plausible(walled, BASE, np.dtype(np.uint16)) == nose


def greys(root, far, hole):
    """8-bit levels of 0.6 mm, darker nearer unless `far`."""
    for emotion, folder in enumerate(EMOTIONS):
        (root / folder).mkdir(parents=True)
        for subject in range(4):
            depth = face(subject, emotion).astype(int)
            levels = np.clip((depth - 820) / 0.6, 1, 254)
            levels = np.where(depth > 0, 255 - levels if far else levels, hole)
            Image.fromarray(levels.astype(np.uint8)).save(root / folder / f"s{subject}_f0.png")
    return root


@pytest.mark.parametrize(("far", "hole"), [(False, 255), (True, 0), (False, 0)])
def test_a_level_that_fills_the_border_is_called_a_hole(tmp_path, far, hole):
    root, polarity = greys(tmp_path / "faces", far, hole), "darker_farther" if far else "auto"
    lines, found = told(root, polarity=polarity)
    assert len(found) == 12
    assert any(f"WARNING: level {hole}" in line and f"--config.data.invalid_value={hole}" in line for line in lines)
    lines, found = told(root, polarity=polarity, invalid_value=float(hole))
    assert not any("WARNING" in line for line in lines) and all((f == 0).any() for f in found)


def test_the_wrong_polarity_is_told(tmp_path):
    lines, error = told(greys(tmp_path / "faces", True, 0), invalid_value=0.0)
    assert isinstance(error, UserError) and sum("--config.data.polarity" in line for line in lines) >= 6


def test_a_hole_is_at_an_end_of_the_range_and_fills_the_border():
    image = np.full((40, 32), 90, np.uint8)
    assert border_hole(image, BASE) is None
    image[:, :4] = image[:, -4:] = image[:4] = 255
    assert border_hole(image, BASE) == 255 and border_hole(image.astype(np.uint16), BASE) is None
    assert border_hole(image, replace(BASE, invalid_value=255.0)) is None
