"""A set of faces to files and back: the same numbers, the same labels, nothing half-written."""

import csv
import dataclasses
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from depthjax.config import Data
from depthjax.data import load
from depthjax.data.crop import nose_distance
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.export import run
from depthjax.export.run import FaceSet, prepared_set, safe_names, sample_set, stems

SHAPE, EMOTIONS, PEOPLE = (50, 32), ("fear", "joy"), ("anna", "b_2", "7", "Zoë")
SETTINGS = Data(emotions=EMOTIONS, near_mm=-20, far_mm=130, source="folder", path="faces")
FORMATS = ("png8", "png16", "npz", "points", "mesh")


def depth_of(number):
    """A head of its own before a wall, with noise and holes; never twice the same."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rng = np.random.default_rng(number)
    head = 900 + number + 0.12 * ((x - 16) ** 2 + (y - 28) ** 2) + rng.normal(0, 2, SHAPE)
    depth = np.where(np.hypot(x - 16, (y - 26) / 1.4) < 14, head, 2000)
    depth[rng.random(SHAPE) < 0.02] = 0
    return np.rint(depth).astype(np.uint16)


class Stored:
    """What `load.stored` gives, without its files."""

    def __init__(self, frames=3):
        labels = [(e, s, f) for s in range(4) for e in range(2) for f in range(frames)]
        self.emotion, self.subject, self.frame = np.array(labels, np.int32).T
        self.depth = np.stack([depth_of(i) for i in range(len(labels))])
        self.emotions, self.subjects, self.shape = EMOTIONS, PEOPLE, SHAPE
        self.sources = np.array([f"file {i}, of mine" for i in range(len(labels))])

    def __len__(self):
        return len(self.emotion)


def quiet(line):
    del line


@pytest.fixture(scope="module")
def stored():
    return Stored()


@pytest.fixture(scope="module")
def exported(stored, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return run.write_set(prepared_set(SETTINGS, stored, fingerprint="abc"), folder, FORMATS, progress=quiet)


def table(folder):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_format_has_every_face_and_its_labels(stored, exported):
    rows = table(exported)
    assert len(rows) == len(stored) == 24 and len({row["file"] for row in rows}) == 24
    for row in rows:
        for name, suffix in (("png8", "png"), ("png16", "png"), ("points", "ply"), ("mesh", "ply")):
            assert (exported / name / f"{row['file']}.{suffix}").stat().st_size > 0
        number = int(row["source"].split(",")[0].split()[1])
        labels = EMOTIONS[stored.emotion[number]], PEOPLE[stored.subject[number]], str(stored.frame[number])
        assert (row["emotion"], row["subject"], row["frame"]) == labels
        assert (row["config"], row["seed"], row["unit"], row["polarity"]) == ("abc", "0", "mm", "darker_closer")
        assert float(row["nose_mm"]) == nose_distance(stored.depth[number][None])[0]
        assert float(row["focal_x"]) == pytest.approx(32 * float(row["nose_mm"]) / 180, rel=1e-6)
    assert sum(1 for path in exported.rglob("*.p*") if path.is_file()) == 4 * 24
    readme = (exported / "README.txt").read_text(encoding="utf-8")
    assert "millimetres" in readme and "y down" in readme and "180.0 x 281.2 mm" in readme


def test_16_bits_are_the_millimetres_and_8_bits_the_window(stored, exported):
    window = DepthRange(-20, 130)
    for row in table(exported):
        depth = stored.depth[int(row["source"].split(",")[0].split()[1])]
        png16 = np.asarray(Image.open(exported / "png16" / f"{row['file']}.png"))
        assert png16.dtype == np.uint16 and np.array_equal(png16, depth)
        grey = np.asarray(Image.open(exported / "png8" / f"{row['file']}.png"))
        image = window.from_mm(depth[None], nose_distance(depth[None]))[0]
        assert grey.dtype == np.uint8 and np.abs(grey / 127.5 - 1 - image).max() <= 0.5 / 127.5 + 1e-6
        assert (grey[depth == 0] == 255).all() and grey.min() < 60


def test_arrays_are_in_the_order_of_the_table(stored, exported):
    for label, emotion in enumerate(EMOTIONS):
        with np.load(exported / "npz" / emotion / "faces.npz", allow_pickle=False) as arrays:
            names = [row["file"] for row in table(exported) if row["emotion"] == emotion]
            assert arrays["file"].tolist() == names and (arrays["emotion"] == label).all()
            assert arrays["depth"].dtype == np.uint16
            assert np.array_equal(arrays["depth"], stored.depth[stored.emotion == label])
            assert tuple(arrays["subjects"][arrays["subject"]]) == tuple(
                PEOPLE[s] for s in stored.subject[stored.emotion == label]
            )


@pytest.mark.parametrize("name", ["png16", "npz"])
def test_reading_an_export_back_gives_the_same_millimetres(stored, exported, tmp_path, name, monkeypatch):
    monkeypatch.setattr("depthjax.data.checks.MAX_ODD", 1.0)  # these heads are bowls, and kept as they are
    pattern = "{subject}_{frame}" if name == "png16" else ""
    settings = dataclasses.replace(SETTINGS, path=str(exported / name), pattern=pattern)
    load.prepare(settings, tmp_path, progress=quiet)
    again = load.stored(settings, tmp_path)
    assert len(again) == len(stored) and again.shape == SHAPE and again.emotions == EMOTIONS
    order = [d.tobytes() for d in again.depth[:]]
    places = [order.index(d.tobytes()) for d in stored.depth]
    assert sorted(places) == list(range(24)) and np.array_equal(again.emotion[places], stored.emotion)
    if pattern:
        assert [again.subjects[s] for s in again.subject[places]] == [PEOPLE[s] for s in stored.subject]
        assert np.array_equal(again.frame[places], stored.frame)


@pytest.fixture
def samples():
    images = np.random.default_rng(0).uniform(-1, 0.9, (5, 16, 16)).astype(np.float32)
    images[:, :4] = 1
    images[0, 5, 5] = 0.999  # networks do not quite reach +1
    labels = np.array([0, 0, 1, 1, 1], np.int32), np.arange(5, dtype=np.int32), np.zeros(5, np.int32)
    return DepthFaces(images, *labels, emotions=EMOTIONS, depth_range=DepthRange(-10, 80))


def test_generated_faces_stand_a_metre_away(samples, tmp_path):
    faces = sample_set(SETTINGS, samples, method="m", crop_shape=(200, 128), seed=4, fingerprint="f")
    folder = run.write_set(faces, tmp_path, ("png8", "png16"), progress=quiet)
    for row in table(folder):
        number = int(row["source"].split("[")[1][:-1])
        depth = np.asarray(Image.open(folder / "png16" / f"{row['file']}.png"))
        image = samples.images[number]
        far = image > 1 - 2 / 90  # within a millimetre of the window's far edge
        assert np.array_equal(depth == 0, far) and far[:4].all() and (number or far[5, 5])
        assert np.abs(depth - (1000 + (image + 1) * 45 - 10))[~far].max() <= 0.5 + 1e-3
        grey = np.asarray(Image.open(folder / "png8" / f"{row['file']}.png"))
        assert np.array_equal(grey, np.rint((image + 1) * 127.5).astype(np.uint8))
        assert row["nose_mm"] == "1000" and row["seed"] == "4"
    assert [row["file"] for row in table(folder)][:2] == ["fear/00000_00000", "fear/00001_00000"]


@pytest.mark.parametrize(
    ("crop", "crop_shape", "span"),
    [("full", (200, 128), (281.25, 180)), ("face", (200, 128), (180, 180)), ("face", (90, 120), (135, 135))],
)
def test_the_square_spans_what_it_was_cut_from(samples, crop, crop_shape, span):
    settings = dataclasses.replace(SETTINGS, crop=crop)
    camera = (
        sample_set(settings, samples, method="m", crop_shape=crop_shape, seed=0, fingerprint="")
        .read(np.array([0]))[0]
        .camera
    )
    assert (16 * 1000 / camera.focal_y, 16 * 1000 / camera.focal_x) == pytest.approx(span)


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_earlier_export_as_it_was(stored, tmp_path, monkeypatch, error):
    faces = prepared_set(SETTINGS, stored, fingerprint="abc")
    run.write_set(faces, tmp_path, ("png16",), progress=quiet)
    before = snapshot(tmp_path)
    written = []

    def write(path, face):
        written.append(path)
        if len(written) > 15:
            raise error
        path.write_bytes(b"half")

    monkeypatch.setitem(run.FILES, "png16", (".png", write))
    with pytest.raises(type(error)):
        run.write_set(faces, tmp_path, ("png16",), progress=quiet)
    assert snapshot(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ["faces"]


def test_what_a_killed_export_left_is_cleared_or_put_back(stored, tmp_path):
    (tmp_path / ".faces.tmp").mkdir()
    (tmp_path / ".faces.old").mkdir()  # killed between the two renames: the only whole export there is
    (tmp_path / ".faces.old" / "kept.txt").write_text("whole")
    faces = prepared_set(SETTINGS, stored, fingerprint="abc")
    broken = dataclasses.replace(faces, read=lambda index: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.write_set(broken, tmp_path, ("png16",), progress=quiet)
    assert snapshot(tmp_path / "faces") == {(tmp_path / "kept.txt").relative_to(tmp_path): b"whole"}
    run.write_set(faces, tmp_path, ("png16", "png16"), progress=quiet)  # a repeated format is written once
    assert [p.name for p in tmp_path.iterdir()] == ["faces"] and not (tmp_path / "faces" / "kept.txt").exists()


def test_a_face_without_a_nose_is_named(tmp_path):
    stored = Stored()
    stored.depth[5] = 0
    with pytest.raises(UserError, match="file 5, of mine"):
        run.write_set(prepared_set(SETTINGS, stored, fingerprint=""), tmp_path, ("png8",), progress=quiet)
    assert not list(tmp_path.iterdir())


def test_hostile_names_stay_within_the_export(tmp_path):
    stored = Stored()
    stored.subjects, stored.emotions = ("../../x", "../..-x", "", "\n"), ("../fear", "/etc")
    folder = run.write_set(
        prepared_set(SETTINGS, stored, fingerprint=""), tmp_path / "e", ("png16", "npz"), progress=quiet
    )
    rows = table(folder)
    assert len({row["file"].casefold() for row in rows}) == 24
    assert {row["subject"] for row in rows} == set(stored.subjects)  # the table keeps the names as they were
    assert all((folder / "png16" / f"{row['file']}.png").resolve().is_relative_to(folder.resolve()) for row in rows)
    assert [p.name for p in tmp_path.iterdir()] == ["e"]


@pytest.mark.nightly
def test_memory_does_not_grow_with_the_number_of_faces(stored, tmp_path):
    def peak(count):
        index = np.arange(count) % len(stored)
        some = prepared_set(SETTINGS, stored, fingerprint="")
        faces = FaceSet(
            **{f.name: getattr(some, f.name) for f in dataclasses.fields(FaceSet)}
            | {
                "emotion": np.zeros(count, np.int32),
                "subject": np.zeros(count, np.int32),
                "frame": np.arange(count, dtype=np.int32),
                "sources": np.repeat("a", count),
                "read": lambda part: some.read(index[part]),
            }
        )
        tracemalloc.start()
        run.write_set(faces, tmp_path / str(count), ("npz",), progress=quiet)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(2000) - peak(200) < 1800 * SHAPE[0] * SHAPE[1] * 2 / 2  # half of what the depth alone would take


ORDINARY = ["0", "12", "s_01", "Anna-Lena", "Zoë", "李", "a b"]
HOSTILE = [
    "",
    ".",
    "..",
    "../../etc",
    "a/b",
    "a\\b",
    "a-b",
    "a:b",
    ".hidden",
    "end.",
    "NUL",
    "con",
    "x" * 300,
    "x\n\0",
    "é",
    "é",
]


def test_ordinary_names_stay():
    assert safe_names(ORDINARY) == ORDINARY


@pytest.mark.parametrize("names", [HOSTILE, HOSTILE[::-1], ["A", "a"], ["a/b", "a-b", safe_names(["a/b"])[0]]])
def test_no_name_leaves_its_folder_and_no_two_are_one_file(names, tmp_path):
    safe = safe_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    for name in safe:
        assert not set(name) & set('/\\:*?"<>|\0\n') and not name.startswith(".") and not name.endswith((".", " "))
        assert len(name.encode()) < 130
        (tmp_path / name).mkdir()
        assert (tmp_path / name).parent.resolve() == tmp_path.resolve()
    assert "con" not in safe and "NUL" not in safe


def test_a_stem_is_subject_and_frame():
    labels = (np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([3, 4, 3]))
    assert stems(*labels, ["7", "s_b"]) == ["7_00003", "s_b_00004", "7_00003"]


def test_a_frame_that_comes_twice_gets_a_number_of_its_own():
    same = np.zeros(4, int)
    assert stems(same, same, np.array([5, 5, 6, 5]), ["p"]) == ["p_00005", "p_00007", "p_00006", "p_00008"]
