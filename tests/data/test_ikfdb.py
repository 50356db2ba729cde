"""Look-alikes of a user's copy of IKFDB, in both layouts. No sample of it is here, nor may be."""

import numpy as np
import pytest
from PIL import Image
from trees import EMOTIONS, face, tree

from depthjax.config import Data
from depthjax.data import checks, load
from depthjax.data.stored import read_stored
from depthjax.errors import UserError

CROP, SENSOR = (200, 128), (424, 512)


def settings(root, **changes):
    return Data(source="ikfdb", path=str(root), **changes)


def prepared(own, folder):
    lines = []
    load.prepare(own, folder, progress=lines.append)
    return load.stored(own, folder), lines


def test_the_layout_of_the_release(tmp_path):
    root = tmp_path / "release"
    for emotion, folder in enumerate(("Neutral", "Happiness", "Fear")):
        (root / folder).mkdir(parents=True)
        for subject in range(4):
            head = face(subject, emotion, shape=CROP)
            levels = np.where(head > 0, (head - 850.0) / 0.6, 0).clip(0, 255)
            Image.fromarray(levels.astype(np.uint8)).save(root / folder / f"{subject}_{7}.png")
    faces, _ = prepared(settings(root, pattern="{subject}_{frame}", invalid_value=0.0), tmp_path / "data")
    assert faces.shape == CROP and len(faces) == 12 and faces.subjects == ("0", "1", "2", "3")
    assert np.array_equal(faces.depth[0] == 0, face(0, 0, shape=CROP) == 0)
    assert next((tmp_path / "data" / "ikfdb").glob("faces_*/1.0.0/dataset_info.json")).exists()


@pytest.mark.parametrize("below", ["", "depth/"])
def test_the_original_layout_people_first(tmp_path, below):
    root = tmp_path / "original"
    for subject in range(4):
        for emotion, name in enumerate(("Neutral", "Happiness", "Fear", "Anger")):
            for frame in range(2):
                path = root / f"person {subject}" / name / f"{below}d{frame:03d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(face(subject, emotion, frame, shape=CROP)).save(path)
    faces, lines = prepared(settings(root), tmp_path / "data")
    assert len(faces) == 24 and faces.subjects == tuple(f"person {i}" for i in range(4))
    assert faces.frame.tolist() == [0, 1] * 12
    assert any("left out, not in --config.data.emotions: Anger" in line for line in lines)
    assert any("subjects are the first folders" in line for line in lines)
    assert faces.sources[0] == f"person 0/Neutral/{below}d000.png"


def test_whole_frames_are_cropped_about_the_face(tmp_path):
    root = tmp_path / "frames"
    for subject in range(4):
        for emotion, name in enumerate(EMOTIONS):
            frame = np.full(SENSOR, 2000, np.uint16)
            head = face(subject, emotion, shape=(113, 73))  # 180 mm wide at 0.9 m
            frame[150:263, 200:273] = np.where(head > 0, head, 2000)
            frame = np.full(SENSOR, 2000, np.uint16) if subject == 3 and name == "fear" else frame
            path = root / f"{subject:02d}" / name / "0001.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(frame + np.uint16(subject)).save(path)
    lines = []
    with pytest.raises(UserError):
        checks.check(settings(root), root, tmp_path, log=lines.append)
    assert any(line.startswith("1 problem: 1 ") for line in lines)
    assert any("03/fear/0001.png" in line for line in lines)
    faces, _ = prepared(settings(root, on_error="skip"), tmp_path / "data")
    assert faces.shape == CROP and len(faces) == 11
    nose = faces.depth[0][106:122, 56:72]
    assert np.median(nose[nose > 0]) == pytest.approx(905, abs=10)


def test_the_builder_reads_a_manual_dir(tmp_path):
    import tensorflow_datasets as tfds

    from depthjax.data import builders

    root = tree(tmp_path / "mine")
    own = builders.FolderConfig(name="mine", settings=settings(root, pattern="s{subject}_f{frame}"), shape=(40, 32))
    builder = builders.Ikfdb(data_dir=str(tmp_path / "data"), config=own, file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(root)))
    assert builder.name == "ikfdb" and len(read_stored(builder.data_path)) == 24
