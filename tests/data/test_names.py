"""What names say: one subject in two spellings, emotions within paths, infrared beside depth, no pattern at all."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import EMOTIONS, face, tree

from depthjax.config import Data
from depthjax.data.checks import check
from depthjax.errors import UserError


def told(root, **changes):
    """What check says, and its result or the error."""
    lines, own = [], Data(source="folder", path=str(root), pattern="s{subject}_f{frame}")
    try:
        with tempfile.TemporaryDirectory() as spool:
            return lines, check(replace(own, **changes), root, Path(spool), log=lines.append)
    except UserError as error:
        return lines, error


def write(root, form, people=("anna", "ben", "carla", "dora"), frames=2):
    """Faces under paths of `form`, which takes a person, an emotion and a frame."""
    for subject, person in enumerate(people):
        for emotion, folder in enumerate(EMOTIONS):
            for frame in range(frames):
                path = root / form.format(person=person, emotion=folder, frame=frame)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(face(subject, emotion, frame)).save(path)
    return root


COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"


def test_one_person_in_two_unicode_forms_is_one(tmp_path):
    root = write(tmp_path, "{emotion}/{person}_{frame}.png", ("anna", "ben", "carla", COMPOSED))
    for path in root.glob(f"fear/{COMPOSED}_*"):
        path.rename(path.with_name(path.name.replace(COMPOSED, DECOMPOSED)))
    _, checked = told(root, pattern="{subject}_{frame}")
    assert checked.subjects == (COMPOSED, "anna", "ben", "carla")
    assert np.bincount(checked.subject).tolist() == [6, 6, 6, 6]


@pytest.mark.parametrize(("usual", "other"), [("s7", "s007"), ("anna", "Anna"), ("anna lee", "anna  lee")])
def test_a_subject_spelled_in_two_ways_is_a_problem(tmp_path, usual, other):
    root = write(tmp_path, "{emotion}/{person}_{frame}.png", (usual, "ben", "carla", "dora", "emil"))
    for path in sorted(root.glob(f"fear/{usual}_*")):
        path.rename(path.with_name(path.name.replace(usual, other)))
    lines, error = told(root, pattern="{subject}_{frame}")
    assert isinstance(error, UserError) and any("problems: 2 subject spelled twice" in line for line in lines)
    assert str(error).startswith("2 problems in ")
    row = next(line for line in lines if f"fear/{other}_0.png" in line)
    assert f"'{other}' and '{usual}'" in row and "--config.data.names_differ=true" in row
    assert len(told(root, pattern="{subject}_{frame}", on_error="skip")[1].subjects) == 5
    assert len(told(root, pattern="{subject}_{frame}", names_differ=True)[1].subjects) == 6


def test_an_emotion_spelled_in_two_ways_is_a_problem(tmp_path):
    root = tree(tmp_path, subjects=6)
    (root / "Fear").mkdir()
    for path in sorted((root / "fear").glob("s[56]_*")):
        path.rename(root / "Fear" / path.name)
    lines, error = told(root)
    assert isinstance(error, UserError) and any("problems: 4 emotion spelled twice" in line for line in lines)
    assert str(error).startswith("4 problems in ")
    assert any("Fear/s5_f0.png" in line and "merge the folders" in line for line in lines)
    assert len(told(root, on_error="skip")[1].faces) == 32
    lines, checked = told(root, names_differ=True, emotions=("fear", "Fear", "happiness"))
    assert np.bincount(checked.emotion).tolist() == [8, 4, 12]


def test_where_emotions_stand_is_told(tmp_path):
    root = write(tmp_path, "{person}/session 1/{emotion}/{frame}.png")
    wanted = "{subject}/*/{emotion}/**"
    assert f"--config.data.pattern='{wanted}'" in str(told(root, pattern="")[1])
    assert len(told(root, pattern=wanted)[1].faces) == 24


def test_emotions_of_several_spellings_in_paths_are_one_and_are_told(tmp_path):
    root = write(tmp_path, "{person}/{emotion}/{frame}.png")
    (root / "anna" / "fear").rename(root / "anna" / "FEAR ")
    lines, checked = told(root, pattern="{subject}/{emotion}/{frame}")
    assert np.bincount(checked.emotion).tolist() == [8, 8, 8]
    assert any("emotions under several spellings" in line and "FEAR" in line for line in lines)


def test_the_folder_of_an_emotion_in_another_unicode_form(tmp_path):
    root = tree(tmp_path)
    (root / "fear").rename(root / "de\u0301gou\u0302t")
    _, checked = told(root, emotions=("neutral", "d\u00e9go\u00fbt"))
    assert len(checked.faces) == 16


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("{person}/{emotion}/{frame}.png", "{subject}/{emotion}/{frame}"),
        ("{person}/{emotion}/depth/d_{frame}.png", "{subject}/{emotion}/**{frame}"),
        ("study/{person}_{emotion}_{frame}.png", "study/{subject}_{emotion}_{frame}"),
    ],
)
def test_the_emotion_may_stand_anywhere(tmp_path, form, pattern):
    root = write(tmp_path, form)
    (root / "notes.txt").write_text("x")
    error = told(root, pattern="")[1]
    assert "no folder for neutral" in str(error) and "--config.data.pattern='{subject}/{emotion}/**'" in str(error)
    _, checked = told(root, pattern=pattern)
    assert checked.subjects == ("anna", "ben", "carla", "dora") and np.bincount(checked.emotion).tolist() == [8, 8, 8]
    assert sorted(set(checked.frame.tolist())) == [0, 1]
    lines, checked = told(root, pattern=pattern, emotions=("fear", "happiness"))
    assert len(checked.faces) == 16 and "left out, not in --config.data.emotions: neutral" in lines
    Image.fromarray(face(50)).save(root / "stray.png")
    lines, error = told(root, pattern=pattern)
    assert any("problems: 1 no match" in line for line in lines) and str(error).startswith("1 problem in ")
    assert "no folder for neutral" in str(told(root, pattern="x" + pattern)[1])


@pytest.mark.parametrize("pattern", ["{subject}_{frame}*", "**"])
def test_infrared_beside_depth_is_no_depth(tmp_path, pattern):
    root = write(tmp_path, "{emotion}/{person}_{frame}_depth.png")
    for path in sorted(root.glob("*/*_depth.png")):
        seed = sum(path.name.encode())
        noise = np.random.default_rng(seed).integers(2500, 3900, (40, 32)).astype(np.uint16)
        Image.fromarray(noise).save(path.with_name(path.name.replace("depth", "ir")))
    lines, error = told(root, pattern=pattern)
    assert isinstance(error, UserError) and any("problems: 24 no depth" in line for line in lines)
    assert str(error).startswith("24 problems in ")
    assert len(told(root, pattern=pattern, on_error="skip")[1].faces) == 24


def test_a_subject_may_be_called_as_infrared_is(tmp_path):
    root = write(tmp_path, "{emotion}/{person}_{frame}.png", ("ir", "rgb", "ben", "dora"))
    assert len(told(root, pattern="{subject}_{frame}")[1].subjects) == 4


def test_names_that_tell_the_subjects_are_asked_for(tmp_path):
    root = tree(tmp_path)
    lines, error = told(root, pattern="")
    assert isinstance(error, UserError) and "--config.data.pattern='s{subject}_f{frame}'" in str(error)
    assert not any("GROUPS" in line for line in lines)


def test_names_that_tell_nothing_are_grouped(tmp_path):
    root = tree(tmp_path)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"{number * 7919 % 1000:03d}.png"))
    lines, checked = told(root, pattern="")
    assert checked.subjects[0] == "group 0" and any("no simple pattern fits" in line for line in lines)


def test_the_formats_are_named_when_no_file_can_be_read(tmp_path):
    for emotion in EMOTIONS:
        (tmp_path / emotion).mkdir()
        (tmp_path / emotion / "s1_f0.jpg").write_bytes(b"x")
    error = str(told(tmp_path)[1])
    assert "3 .jpg" in error and ".png" in error and ".mat" in error and "\n" not in error
