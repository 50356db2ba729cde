"""The gallery's payload: the stored faces in 8 bits, none twice, within its budget, inert in the page."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthjax.data.depth_range import quantise
from depthjax.report.faces_image import MAX_FACES, gallery
from depthjax.report.page import render_page
from depthjax.report.stored import Run, read_run


@pytest.fixture
def run(finished: Path) -> Run:
    return read_run(finished)


def decoded(sheet: dict, payload: dict) -> np.ndarray:
    content = base64.b64decode(sheet["png"].removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content))).reshape(sheet["count"], payload["height"], payload["width"])


def test_it_holds_the_first_stored_faces_in_order(run: Run) -> None:
    payload = gallery(run)
    assert payload is not None
    assert [group["id"] for group in payload["sets"]] == ["real", *run.samples]
    for group in payload["sets"][1:]:
        stored = run.samples[group["id"]]
        for sheet in group["sheets"]:
            own = stored["images"][stored["emotion"] == sheet["emotion"]][: sheet["count"]]
            assert np.array_equal(decoded(sheet, payload), quantise(own))


def test_training_subjects_come_once_each(run: Run) -> None:
    payload = gallery(run)
    assert payload is not None and run.train is not None
    for sheet in payload["sets"][0]["sheets"]:
        members = run.train["emotion"] == sheet["emotion"]
        people = np.unique(run.train["subject"][members])
        assert sheet["count"] == min(MAX_FACES, len(people))
        levels = quantise(run.train["images"][members])
        found = [np.flatnonzero((levels == face).all((1, 2))) for face in decoded(sheet, payload)]
        assert len({int(run.train["subject"][members][rows[0]]) for rows in found}) == sheet["count"]


def test_the_budget_is_kept_and_every_set_has_a_face(run: Run) -> None:
    whole = gallery(run)
    assert whole is not None
    size = {
        name: len(json.dumps(payload)) for name, payload in (("whole", whole), ("half", gallery(run, limit=60_000)))
    }
    assert size["half"] < 66_000 < size["whole"]
    least = gallery(run, limit=1)
    assert least is not None
    assert {sheet["count"] for group in least["sets"] for sheet in group["sheets"]} == {1}


@pytest.mark.parametrize(("crop", "high"), [("full", 281.25), ("face", 180.0)])
def test_a_squeezed_crop_keeps_its_height_in_millimetres(run: Run, crop: str, high: float) -> None:
    run.config["data"]["crop"] = crop
    payload = gallery(run)
    assert payload is not None
    assert (payload["width_mm"], payload["height_mm"]) == (180.0, high)


def test_without_faces_there_is_no_gallery(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((finished / "config.json").read_bytes())
    run = read_run(tmp_path)
    assert gallery(run) is None
    assert 'id="gallery-data"' not in render_page(run, {})


def test_hostile_names_stay_inside_the_data_block(fabricate: Callable[..., Path], tmp_path: Path) -> None:
    names = ("</script><script>alert(1)</script>", "<!--<script>", "\"'&\u2028")
    page = render_page(read_run(fabricate(tmp_path, emotions=names, size=16, people=3)), {})
    block = re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', page, re.S)
    assert block is not None and "<" not in block[1] and ">" not in block[1]
    assert tuple(json.loads(block[1])["emotions"]) == names
    assert page.count("<script") == 2
