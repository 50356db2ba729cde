"""Croissant: true checksums, the specification's fields, and records that mlcroissant itself gives back."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_fake import EMOTIONS, fake_stored

from depthjax import files
from depthjax.config import Data
from depthjax.data.stored import StoredFaces
from depthjax.report.croissant import _recorded, croissant
from depthjax.report.dataset import labels_csv
from depthjax.report.dataset_numbers import measure


@pytest.fixture(scope="module")
def faces() -> StoredFaces:
    return fake_stored(4, 1)


def describe(faces: StoredFaces, settings: Data, folder: Path) -> None:
    """As `write_dataset_card` does, without the card and its figures."""
    numbers = measure(faces, settings, test=faces.subject == 3)
    files.write_text(folder / "faces.csv", labels_csv(faces, numbers))
    stored = folder / "data" / "depth_heads" / "a" / "1.0.0"
    files.write_json(folder / "croissant.json", croissant(numbers, faces, settings, folder, stored=stored))


def write_set(folder: Path, faces: int) -> Path:
    folder.mkdir(parents=True)
    lengths = [str(faces - 1), "1"]
    (folder / "dataset_info.json").write_text(json.dumps({"splits": [{"shardLengths": lengths}]}))
    for shard in range(2):
        (folder / f"depth_heads-part_00000.array_record-0000{shard}-of-00002").write_bytes(bytes([shard]) * 999)
    return folder


@pytest.fixture(scope="module")
def written(faces: StoredFaces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_set(folder / "data" / "depth_heads" / "a" / "1.0.0", len(faces))
    write_set(folder / "data" / "depth_heads" / "other_settings" / "1.0.0", len(faces) + 5)
    (folder / "faces" / "train").mkdir(parents=True)
    np.save(folder / "faces" / "train" / "images.npy", np.zeros((2, 4, 4), np.float32))
    np.savez(folder / "faces" / "train" / "labels.npz", emotion=np.zeros(2, np.int32))
    describe(faces, Data(), folder)
    return folder


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "croissant.json").read_text("utf-8"))


def test_files_are_there_and_have_their_checksums(written: Path) -> None:
    found = read(written)["distribution"]
    for entry in found:
        path = written / entry["contentUrl"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert entry["contentSize"] == f"{path.stat().st_size} B"
    names = [entry["@id"] for entry in found]
    assert (
        names[0] == "faces.csv"
        and names[-2:] == ["faces/train/images.npy", "faces/train/labels.npz"]
        and len(names) == 5
    )
    assert not [name for name in names if "other_settings" in name]
    formats = {Path(entry["@id"]).suffix.split("-")[0]: entry["encodingFormat"] for entry in found}
    assert formats[".csv"] == "text/csv" and formats[".array_record"] == "https://github.com/google/array_record"


def test_what_the_specification_requires_is_said(written: Path) -> None:
    found = read(written)
    for key in ("name", "description", "license", "url", "creator", "datePublished", "version", "citeAs"):
        assert found[key], key
    assert found["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert found["license"].startswith("https://creativecommons.org/publicdomain/zero/")
    assert found["rai:personalSensitiveInformation"][0].startswith("None:")
    assert any("Not for identifying" in use for use in found["rai:dataUseCases"])
    ids = [field["@id"] for records in found["recordSet"] for field in records["field"]]
    assert len(ids) == len(set(ids)) and "faces/emotion" in ids
    columns = (written / "faces.csv").read_text().splitlines()[0].split(",")
    used = [field["source"]["extract"]["column"] for field in found["recordSet"][0]["field"]]
    assert set(used) <= set(columns)


@pytest.mark.parametrize("source", ["folder", "ikfdb"])
def test_nobodys_licence_is_invented(faces: StoredFaces, tmp_path: Path, source: str) -> None:
    describe(faces, Data(source=source), tmp_path)
    found = read(tmp_path)
    assert found["license"]["@type"] == "sc:CreativeWork"
    assert ("datePublished" in found) == (source == "ikfdb")
    assert len(found["distribution"]) == 1


def test_names_that_look_like_numbers_are_left_to_their_labels(faces: StoredFaces, tmp_path: Path) -> None:
    odd = dataclasses.replace(faces, emotions=("001", "NA", "true"), subjects=("7", "8", "9", "10"))
    describe(odd, Data(source="folder"), tmp_path)
    faces_records, emotions, people = read(tmp_path)["recordSet"]
    names = {field["name"] for field in faces_records["field"]}
    assert {"label", "subject", "source", "side"} <= names and not {"emotion", "subject_name"} & names
    assert [row["emotions/name"] for row in emotions["data"]] == ["001", "NA", "true"]
    assert [row["subjects/name"] for row in people["data"]] == ["7", "8", "9", "10"]


@pytest.mark.parametrize("source", ["depth_heads", "folder", "ikfdb"])
def test_mlcroissant_takes_it_and_gives_the_labels_back(faces: StoredFaces, tmp_path: Path, source: str) -> None:
    mlc = pytest.importorskip("mlcroissant")
    describe(faces, Data(source=source), tmp_path)
    dataset = mlc.Dataset(jsonld=tmp_path / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert len(issues.warnings) == (2 if source == "folder" else 0)  # a folder has no citation and no date
    records = list(dataset.records("faces"))
    assert [record["faces/subject"] for record in records] == faces.subject.tolist()
    assert [record["faces/frame"] for record in records] == faces.frame.tolist()
    assert [record["faces/emotion"].decode() for record in records] == [EMOTIONS[e] for e in faces.emotion]
    assert [record["faces/source"].decode() for record in records] == faces.sources.tolist()
    assert {record["faces/side"] for record in records} == {b"train", b"test"}
    assert [r["subjects/name"] for r in dataset.records("subjects")] == list(faces.subjects)


def test_mlcroissant_takes_files_too(written: Path) -> None:
    mlc = pytest.importorskip("mlcroissant")
    dataset = mlc.Dataset(jsonld=written / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    assert len(list(dataset.records("faces"))) == 12


def test_settings_that_say_how_files_were_read_are_recorded_and_no_path() -> None:
    own = Data(source="folder", path="/home/anna/faces", focal_px="/home/anna/camera.json", width_mm=200.0)
    recorded = _recorded(own)
    assert {"framing", "rotate", "names_differ", "pattern", "scale_mm", "width_mm"} <= recorded.keys()
    assert recorded["focal_px"] == "camera.json" and "anna" not in str(recorded)
    assert "focal_px" not in _recorded(Data())
