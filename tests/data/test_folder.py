"""A folder of one's own, from files to the network inputs: whole or not at all."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import EMOTIONS, SHAPE, face, tree

from depthjax import pipeline, stages
from depthjax.config import Config, Data
from depthjax.data import checks, inputs, load, stored
from depthjax.data.frames import RESAMPLED, STORED, Framing, Mode
from depthjax.errors import UserError

SILENT = {"progress": lambda line: None}
PEOPLE, FRAMES = 5, 2


def settings(root, **changes):
    return replace(Data(source="folder", path=str(root), pattern="s{subject}_f{frame}", resolution=32), **changes)


def labels(faces):
    return [(faces.emotions[e], faces.subjects[s], int(f)) for e, s, f in
            zip(faces.emotion, faces.subject, faces.frame, strict=True)]  # fmt: skip


def expected():
    return list(itertools.product(EMOTIONS, "12345", range(FRAMES)))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tree(tmp_path_factory.mktemp("own"), subjects=PEOPLE, frames=FRAMES)


@pytest.fixture(scope="module")
def faces(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    assert load.prepare(settings(root), folder, **SILENT) == 30
    return load.stored(settings(root), folder)


def test_what_is_stored_is_what_was_in_the_files(faces):
    assert len(faces) == 30 and faces.shape == SHAPE and faces.subjects == tuple("12345")
    assert faces.framing == Framing(STORED, "", 0, 180.0)
    assert labels(faces) == expected()
    assert faces.sources[0] == "neutral/s1_f0.png" and faces.sources[-1] == "fear/s5_f1.png"
    truth = np.stack([face(int(s), EMOTIONS.index(e), f) for e, s, f in expected()])
    assert faces.depth[:].dtype == np.uint16 and np.array_equal(faces.depth[:], truth)
    assert np.array_equal(faces.depth[7], truth[7]) and np.array_equal(faces.depth[-1], truth[-1])
    assert np.array_equal(faces.depth[np.array([9, 2, 2])], truth[[9, 2, 2]])
    assert np.array_equal(np.stack(list(faces.depth)), truth)
    with pytest.raises(IndexError):
        faces.depth[30]


def as_metres(depth):
    return np.where(depth > 0, depth / np.float32(1000), np.nan).astype(np.float32)


WRITERS = {
    ".png": lambda path, depth: Image.fromarray(depth).save(path),
    ".tif": lambda path, depth: Image.fromarray(depth).save(path),
    ".TIFF": lambda path, depth: Image.fromarray(as_metres(depth)).save(path, "TIFF"),
    ".npy": lambda path, depth: np.save(path, depth.astype(">i4")),
    ".npz": lambda path, depth: np.savez_compressed(path, depth=as_metres(depth), other=np.zeros(3)),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_millimetres(tmp_path, suffix):
    for emotion, subject in itertools.product(range(3), range(1, 5)):
        path = tmp_path / EMOTIONS[emotion].upper() / f"s{subject}_f0{suffix}"
        path.parent.mkdir(exist_ok=True)
        WRITERS[suffix](path, face(subject, emotion))
    hole = float("nan") if suffix in (".npz", ".TIFF") else None
    (tmp_path / "spool").mkdir()
    own = settings(tmp_path, invalid_value=hole)
    rows = list(checks.check(own, tmp_path, tmp_path / "spool", log=lambda line: None).rows())
    assert [(row["emotion"], row["subject"]) for row in rows] == list(itertools.product(range(3), range(4)))
    assert all(np.array_equal(row["depth"], face(row["subject"] + 1, row["emotion"])) for row in rows)


def test_grey_levels_keep_relief_and_holes(tmp_path):
    for polarity in ("darker_closer", "darker_farther"):
        for emotion, subject in itertools.product(range(3), range(1, 5)):
            depth = face(subject, emotion).astype(int)
            levels = np.where(depth > 0, np.clip((depth - 850) // 2, 0, 254), 255)
            levels = 255 - levels if polarity == "darker_farther" else levels
            path = tmp_path / polarity / EMOTIONS[emotion] / f"s{subject}_f0.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(levels.astype(np.uint8)).save(path)
        own = settings(tmp_path / polarity, scale_mm=2.0, polarity=polarity,
                       invalid_value=255.0 if polarity == "darker_closer" else 0.0)  # fmt: skip
        lines = []
        row = next(checks.check(own, Path(own.path), tmp_path, log=lines.append).rows())
        truth = face(1, 0).astype(int)
        assert np.array_equal(row["depth"] == 0, truth == 0)
        back = row["depth"].astype(int)[truth > 0] - 500
        assert np.abs(back - (truth[truth > 0] - 850)).max() <= 2
        assert any("a unit is 2 mm" in line and polarity.replace("_", " is ") in line for line in lines)


def test_stacks_are_streamed_in_order(tmp_path):
    for emotion, subject in itertools.product(range(3), range(1, 5)):
        path = tmp_path / EMOTIONS[emotion] / f"s{subject}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, np.stack([face(subject, emotion, i) for i in range(3)]))
    own = settings(tmp_path, pattern="s{subject}")
    (tmp_path / "spool").mkdir()
    rows = list(checks.check(own, tmp_path, tmp_path / "spool", log=lambda line: None).rows())
    assert [(r["emotion"], r["subject"], r["frame"]) for r in rows] == list(
        itertools.product(range(3), range(4), range(3))
    )
    assert rows[4]["source"] == "neutral/s2.npz, row 1" and np.array_equal(rows[4]["depth"], face(2, 0, 1))


def test_the_builder_works_by_itself(root, tmp_path):
    import tensorflow_datasets as tfds

    from depthjax.data import builders

    own = builders.FolderConfig(name="mine", settings=settings(root), shape=SHAPE)
    builder = builders.DepthFolder(data_dir=str(tmp_path), config=own, file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(root)))
    assert builder.name == "depth_folder"
    assert labels(stored.read_stored(Path(builder.data_path))) == expected()


def test_parts_keep_order_and_bound_the_writer(root, tmp_path, monkeypatch):
    monkeypatch.setattr("depthjax.data.builders.PART_BYTES", 7 * 2 * SHAPE[0] * SHAPE[1])
    assert load.prepare(settings(root), tmp_path, **SILENT) == 30
    assert len({p.name.split(".")[0] for p in tmp_path.rglob("*part*")}) == 5
    assert labels(load.stored(settings(root), tmp_path)) == expected()


def files_of(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "labels.npz"}


def test_nothing_is_done_again_until_a_file_changes(tmp_path):
    root, data = tree(tmp_path / "own"), tmp_path / "data"
    load.prepare(settings(root), data, **SILENT)
    before, lines = files_of(data), []
    load.prepare(settings(root), data, progress=lines.append)
    assert files_of(data) == before and any("has not changed" in line for line in lines)
    Image.fromarray(face(5, 2)).save(root / "fear" / "s5_f0.png")
    assert load.prepare(settings(root), data, **SILENT) == 25
    assert len(load.stored(settings(root), data)) == 25


def test_problems_leave_what_was_stored_and_write_nothing(tmp_path):
    root, data = tree(tmp_path / "own"), tmp_path / "data"
    (root / "fear" / "s5_f0.png").touch()
    with pytest.raises(UserError):
        load.prepare(settings(root), data, **SILENT)
    assert [path.name for path in data.glob("*")] == ["cut_faces.png"]  # to look at


def test_an_interrupted_run_leaves_nothing_and_the_next_goes_on(tmp_path, monkeypatch):
    root, data, rows = tree(tmp_path / "own"), tmp_path / "data", checks.Checked.rows

    def interrupted(self):
        yield from itertools.islice(rows(self), 10)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checks.Checked, "rows", interrupted)
        load.prepare(settings(root), data, **SILENT)
    assert not list(data.rglob("*array_record*"))
    version = Path(load._builder(settings(root), data).data_path)
    (data / "checking_abc").mkdir()
    for left in (version, version.with_name(f"incomplete.ABC123_{version.name}")):  # as a killed run leaves them
        left.mkdir(parents=True)
        (left / "depth_folder-part_00000.array_record-00000-of-00001").write_bytes(b"half")
    assert load.prepare(settings(root), data, **SILENT) == 24
    assert not list(data.rglob("*incomplete*")) and not list(data.glob("checking_*"))
    assert len(load.stored(settings(root), data)) == 24


FULL_DISK = """
import resource, sys
from pathlib import Path
from depthjax.config import Data
from depthjax.data import load
from depthjax.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file may grow beyond, as if the disk were full
own = Data(source="folder", path=sys.argv[1], pattern="s{subject}_f{frame}")
if __name__ == "__main__":
    try:
        load.prepare(own, Path(sys.argv[2]), progress=lambda line: None)
    except UserError as error:
        print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(root, tmp_path):
    arguments = [sys.executable, "-c", FULL_DISK, str(root), str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "could not be stored" in done.stdout and "File too large" in done.stdout and done.stdout.count("\n") == 1
    assert not list(tmp_path.rglob("*array_record*"))
    assert load.prepare(settings(root), tmp_path, **SILENT) == 30


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_records_are_named(root, tmp_path, damage, cached):
    load.prepare(settings(root), tmp_path, **SILENT)
    if cached:
        load.stored(settings(root), tmp_path)
    path = next(tmp_path.rglob("*array_record*"))
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.unlink()
    if damage != "gone":
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises(UserError, match=r"is damaged .*--stages=prepare"):
        load.stored(settings(root), tmp_path).depth[:]


def run_prepare(root, workdir, **changes):
    """Without the figures of the dataset card, which tests/report/test_dataset.py has."""
    config = Config(data=settings(root, **changes))
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "depthjax.report.dataset.draw_dataset",
            lambda *arguments: arguments[-1].mkdir(parents=True, exist_ok=True) or [],
        )
        pipeline.run(config, workdir, ["prepare"], log=lines.append)
    return config, lines


def test_the_stage_leaves_mapped_squares_of_both_parts(root, faces, tmp_path):
    config, _ = run_prepare(root, tmp_path, test_fraction=0.4)
    train, test = (pipeline.prepared_faces(config, tmp_path, part) for part in ("train", "test"))
    assert isinstance(train.images, np.memmap) and not train.images.flags.writeable
    assert train.images.shape == (18, 32, 32) and test.images.shape == (12, 32, 32)
    assert not set(train.subject.tolist()) & set(test.subject.tolist())
    whole = load.load(config.data, tmp_path / "data")
    for part, (made, kept) in {"train": (train, ~load.held_out(whole, config.data)),
                               "test": (test, load.held_out(whole, config.data))}.items():  # fmt: skip
        index = inputs.read_inputs(tmp_path / "faces" / part)["stored"]
        assert np.array_equal(index, np.flatnonzero(kept)) and np.array_equal(made.images, whole.images[kept])
        assert np.array_equal(made.emotion, whole.emotion[kept])
    assert not list(tmp_path.rglob("*.tmp"))
    json.loads((tmp_path / "config.json").read_text())
    again = run_prepare(root, tmp_path, test_fraction=0.4)[1]
    assert again == ["prepare: done before, unchanged"]


def test_an_emotion_that_only_held_out_subjects_show_is_told_before_the_training(tmp_path):
    root = tree(tmp_path / "own", subjects=6)
    for path in root.glob("fear/s[1-4]_*"):
        path.unlink()
    seeds = [s for s in range(300) if load.held_out_subjects(np.repeat(np.arange(6), 4), 0.34, s)[-8:].all()]
    with pytest.raises(UserError, match=r"train: too few faces, 0 of 'fear'.*data\.seed"):
        run_prepare(root, tmp_path / "run", seed=seeds[0], test_fraction=0.34)


def test_too_few_faces_to_test_on_are_told_before_the_training(tmp_path):
    root = tree(tmp_path / "own", subjects=4)
    for path in root.glob("*/s*_*"):
        if "_f0" not in path.name:
            path.unlink()
    with pytest.raises(UserError, match=r"test: too few faces, 1 of .*a larger --config\.data\.test_fraction"):
        run_prepare(root, tmp_path / "run")
    assert run_prepare(root, tmp_path / "run", test_fraction=0.5)


def test_the_content_of_a_file_of_intrinsics_and_the_finder_count(root, tmp_path, monkeypatch):
    camera = tmp_path / "camera.json"
    config = replace(Config(), data=settings(root, focal_px=str(camera)))

    def state():
        return pipeline.PREPARE.fingerprint(config), load.stored_folder(config.data, tmp_path)

    camera.write_text('{"fx": 365}')
    first = state()
    assert state() == first
    camera.write_text('{"fx": 366}')
    second = state()
    (tmp_path / "other.npz").write_bytes(b"other weights")
    monkeypatch.setattr("depthjax.data.frames.WEIGHTS", tmp_path / "other.npz")
    assert all(len(set(each)) == 3 for each in zip(first, second, state(), strict=True))


def test_what_a_file_of_intrinsics_said_is_stored_without_its_path(root, tmp_path):
    camera = tmp_path / "camera.json"
    camera.write_text('{"fx": 151.5}')  # the width of these crops is 180 mm at the face
    load.prepare(settings(root, focal_px=str(camera), on_error="skip"), tmp_path / "data", **SILENT)
    camera.unlink()
    info = next((tmp_path / "data").rglob("dataset_info.json"))
    assert stored.read_stored(info.parent).framing == Framing(RESAMPLED, "camera.json", 0, 180.0, Mode(0, 0, 151.5))
    assert not any(str(camera).encode() in path.read_bytes() for path in info.parent.rglob("*.json"))


def test_the_picture_of_what_was_cut_may_be_deleted(tmp_path):
    root, workdir = tree(tmp_path / "own", subjects=PEOPLE), tmp_path / "run"
    run_prepare(root, workdir)
    (workdir / "data" / "cut_faces.png").unlink()
    assert stages.damaged("prepare", workdir) is None
    assert any(name.startswith("data/") for name in stages.read("prepare", workdir).sha256)


def test_stages_notice_files_that_come_and_go_and_change(tmp_path):
    root, workdir = tree(tmp_path / "own", subjects=PEOPLE), tmp_path / "run"
    config, _ = run_prepare(root, workdir)
    pipeline.TRAIN.finish(config, workdir, [], faces=stages.faces_state("train", config, workdir))

    def done():
        return pipeline.PREPARE.is_done(config, workdir), pipeline.TRAIN.is_done(config, workdir)

    assert done() == (True, True)
    path = root / "fear" / "s1_f0.png"
    os.utime(path, ns=(1, 1))
    assert done() == (False, True)
    run_prepare(root, workdir)
    assert done() == (True, False)  # the training saw other files
    path.rename(path.with_name("s1_f9.png"))
    assert not done()[0]
    run_prepare(root, workdir)
    path.with_name("s1_f9.png").unlink()
    assert not done()[0]
    run_prepare(root, workdir)
    root.rename(root.with_name("elsewhere"))
    assert done()[0]  # what was prepared stays good when its source is gone


def test_a_bad_square_is_named(root, tmp_path):
    config, _ = run_prepare(root, tmp_path)
    path = tmp_path / "faces" / "train" / "images.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"images\.npy is damaged"):
        pipeline.prepared_faces(config, tmp_path, "train")
    path.unlink()
    with pytest.raises(UserError, match=r"images\.npy is missing"):
        pipeline.prepared_faces(config, tmp_path, "train")


def test_a_folder_in_a_circle_has_a_digest(tmp_path):
    from depthjax.files import tree_digest

    root = tree(tmp_path / "own")
    before = tree_digest(root)
    (root / "fear" / "loop").symlink_to(root)
    (root / "fear" / "gone.png").symlink_to("nowhere")
    assert tree_digest(root) == tree_digest(root) != before
    assert tree_digest(root / "nowhere") == tree_digest(root / "elsewhere")
