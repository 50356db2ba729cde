"""The stage as a user asks for it: which sets there are, what it needs, when it has nothing to do."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from depthjax import pipeline, stages
from depthjax.__main__ import parse_stages
from depthjax.config import Config, Data, Export, Sample
from depthjax.errors import UserError


def write_faces(root):
    y, x = np.mgrid[:50, :32]
    for emotion in ("fear", "joy"):
        (root / emotion).mkdir(parents=True)
        for person in range(4):
            for frame in range(2):
                rng = np.random.default_rng([len(emotion), person, frame])
                depth = 900 + person + 0.12 * ((x - 16) ** 2 + (y - 28) ** 2) + rng.normal(0, 2, (50, 32))
                Image.fromarray(np.rint(depth).astype(np.uint16)).save(root / emotion / f"p{person}_{frame}.png")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run of which only the faces are there: its config and folder."""
    root = tmp_path_factory.mktemp("own")
    write_faces(root / "faces")
    data = Data(source="folder", path=str(root / "faces"), emotions=("fear", "joy"), pattern="{subject}_{frame}")
    data = dataclasses.replace(data, resolution=32)
    config = Config(data=data, sample=Sample(methods=("cdcgan_kd",)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("depthjax.data.checks.MAX_ODD", 1.0)  # bowls, in which no face is recognised
        pipeline.run(config, root / "run", ["prepare"], log=lambda line: None)
    return config, root / "run"


def with_export(config, **settings):
    return dataclasses.replace(config, export=Export(**settings))


def export(config, workdir):
    lines = []
    pipeline.run(config, workdir, ["export"], log=lines.append)
    return lines


def test_export_is_run_only_by_name():
    assert "export" not in parse_stages("all") and parse_stages("export,prepare") == ["prepare", "export"]


def test_prepared_faces_need_only_prepare_and_are_exported_once(prepared):
    config, workdir = prepared
    assert any("faces: 16 faces as png16" in line for line in export(config, workdir))
    assert len(list((workdir / "export" / "faces" / "png16").rglob("*.png"))) == 16
    assert export(config, workdir) == ["export: done before, unchanged"]
    assert any("as png8, npz" in line for line in export(with_export(config, formats=("png8", "npz")), workdir))
    assert export(with_export(config, formats=("png8", "npz"), sets=("faces",)), workdir)[-1].endswith("unchanged")


def test_prepared_faces_do_not_depend_on_settings_of_training(prepared):
    config, _ = prepared
    other = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=3))
    prepared_faces, drawn = ({"sets": sets} for sets in (("faces",), ("cdcgan_kd",)))
    of = pipeline.EXPORT.fingerprint
    assert of(with_export(config, **prepared_faces)) == of(with_export(other, **prepared_faces))
    assert of(with_export(config, **drawn)) != of(with_export(other, **drawn))


def test_samples_are_exported_as_soon_as_they_are_there(prepared):
    from depthjax.cdcgan_kd import Drawn
    from depthjax.methods import write_samples

    config, workdir = prepared
    export(config, workdir)
    images = np.random.default_rng(0).uniform(-1, 1, (6, 32, 32)).astype(np.float32)
    drawn = Drawn(images, np.repeat(np.arange(2, dtype=np.int32), 3), np.zeros((6, 4), np.float32))
    folder = workdir / "samples" / "cdcgan_kd"
    write_samples(folder, drawn, config.data.emotions)
    faces = stages.faces_state("sample", config, workdir)
    pipeline.SAMPLE.finish(config, workdir, [folder], faces=faces)
    lines = export(config, workdir)
    assert any("cdcgan_kd: 6 faces" in line for line in lines) and any("faces: 16 faces" in line for line in lines)
    span = (workdir / "export" / "cdcgan_kd" / "README.txt").read_text()
    assert "180.0 x 281.2 mm" in span and "1000 mm from the camera" in span  # full: 50x32 squeezed to a square
    stages.record_path("sample", workdir).unlink()


def test_what_is_not_there_is_said(prepared, tmp_path):
    config, workdir = prepared
    with pytest.raises(UserError, match="holds no faces of these settings"):
        export(config, tmp_path / "empty")
    with pytest.raises(UserError, match="export needs sample"):
        export(with_export(config, sets=("cdcgan_kd",)), workdir)
    with pytest.raises(UserError, match=r"'real' is not one of faces, cdcgan_kd \(faces, and"):
        export(with_export(config, sets=("real",)), workdir)
