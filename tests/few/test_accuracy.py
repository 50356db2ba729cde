"""What a cell's accuracies are made of, and what they depend on."""

import numpy as np

from depthjax import load_config, pipeline
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import made_faces
from depthjax.evaluate import weights
from depthjax.few import run
from depthjax.few.accuracy import SHARES, _weights
from depthjax.few.people import Cell
from tests.conftest import SMOKE


def test_rendered_faces_together_weigh_a_fixed_share_of_the_known_ones():
    assert _weights({"real": 6, "augmented": 20}, SHARES) is None
    weight = _weights({"real": 6, "augmented": 20, "rendered": 24}, SHARES)
    assert weight.shape == (50,) and np.all(weight[:26] == 1) and np.isclose(weight[26:].sum(), 0.3 * 6)


def test_a_kept_cell_depends_on_its_rows_their_weight_and_the_shipped_networks(monkeypatch, tmp_path):
    """And so do the stages that read these networks; not those before them."""
    config = load_config(SMOKE, {})
    emotion = np.arange(3, dtype=np.int32)
    known = made_faces(np.zeros((3, 4, 4), np.float32), emotion, config.data.emotions, DepthRange(-20, 130))
    faces, cell = run.Faces(known, {}, "tested"), Cell(3, 0, 0, (0, 1, 2))

    def prints():
        stages = (pipeline.FEW, pipeline.RECOGNISE, pipeline.EVALUATE, pipeline.SAMPLE, pipeline.PREPARE)
        return run._settings(config, cell, faces, emotion)["fingerprint"], *(s.fingerprint(config) for s in stages)

    before = prints()
    assert prints() == before
    for name, value in {"RENDERED_WEIGHT": 0.1, "RENDERED_TIMES": 2, "row_names": lambda _: ("real",)}.items():
        with monkeypatch.context() as patch:
            patch.setattr(run, name, value)
            assert prints()[0] != before[0]
    for name in ("DEPTHNET", "RECOGNISER"):
        (tmp_path / name).write_bytes(b"another network")
        with monkeypatch.context() as patch:
            patch.setattr(weights, name, tmp_path / name)
            assert [a == b for a, b in zip(prints(), before, strict=True)] == [False] * 4 + [True] * 2
