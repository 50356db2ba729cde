import dataclasses

import numpy as np
import pytest

from depthjax.config import Data
from depthjax.data import load
from depthjax.errors import UserError

SETTINGS = Data(subjects=4, frames=4, emotions=("fear", "anger"), resolution=32, crop="face", near_mm=-10, far_mm=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("data"), []
    assert load.prepare(SETTINGS, folder, progress=said.append) == 32
    assert said[0] == "rendering 32 faces of 4 subjects"
    return folder


def test_every_face_comes_back_with_its_labels(folder):
    faces = load.load(SETTINGS, folder)
    assert faces.images.shape == (32, 32, 32) and faces.images.dtype == np.float32
    assert -1 <= faces.images.min() < -0.7 and faces.images.max() == 1
    rows = set(zip(faces.subject.tolist(), faces.emotion.tolist(), faces.frame.tolist(), strict=True))
    assert rows == {(s, e, f) for s in range(4) for e in range(2) for f in range(4)}


def test_stored_millimetres_are_the_rendered_ones(folder, tmp_path):
    from depthjax.data.generate import generate

    rendered = next(iter(generate(subjects=range(1), emotions=("fear",), frames=4, seed=0, full_sequence=False)))
    faces = load.load(SETTINGS, folder)
    mine = (faces.subject == 0) & (faces.emotion == 0)
    assert np.array_equal(faces.images[mine], load.network_inputs(rendered.crops, SETTINGS))


def test_preparing_again_changes_nothing(folder):
    stored = {p: p.read_bytes() for p in folder.rglob("*.array_record*")}
    assert stored and load.prepare(SETTINGS, folder, progress=lambda line: None) == 32
    assert {p: p.read_bytes() for p in folder.rglob("*.array_record*")} == stored


def test_added_people_are_tested_on_and_nothing_else_changes(folder, tmp_path):
    more = dataclasses.replace(SETTINGS, extra_test_subjects=2)
    assert load.prepare(more, tmp_path, progress=lambda line: None) == 48
    before, after = load.load(SETTINGS, folder), load.load(more, tmp_path)
    own = after.subject < 4
    np.testing.assert_array_equal(after.images[own], before.images)
    for split in ("subject", "image"):
        test, known = (
            load.held_out(f, dataclasses.replace(s, split=split)) for f, s in ((after, more), (before, SETTINGS))
        )
        np.testing.assert_array_equal(test[own], known)
        assert test[~own].all() and sorted(set(after.subject[~own])) == [4, 5]
    of_ones_own = dataclasses.replace(more, source="folder", path="faces")  # has no other people to add
    np.testing.assert_array_equal(load.held_out(before, of_ones_own), load.held_out(before, SETTINGS))
    assert not load.added(np.array([3, 40]), of_ones_own).any()


def test_other_settings_are_not_there(folder):
    with pytest.raises(UserError, match="--stages=prepare"):
        load.load(dataclasses.replace(SETTINGS, subjects=5), folder)


def test_a_face_without_a_nose_is_named():
    crops = np.full((3, 200, 128), 1000, np.uint16)
    crops[1] = 0
    with pytest.raises(UserError, match="face 1"):
        load.network_inputs(crops, SETTINGS)
