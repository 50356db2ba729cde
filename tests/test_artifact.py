"""One record for all finished work: complete, sealed, and compared by settings."""

import json

import pytest

from depthjax import artifact
from depthjax.errors import UserError


@pytest.fixture
def record(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    path = tmp_path / "stages" / "x.json"
    artifact.finish(path, tmp_path, [tmp_path / "data", tmp_path / "b.txt"], {"n": 3}, {"seconds": 1.5})
    return path


def test_a_record_holds_settings_facts_and_every_file(record, tmp_path):
    held = artifact.read_record(record)
    assert held.settings == {"n": 3} and held.facts == {"seconds": 1.5}
    assert set(held.sha256) == {"data/a.txt", "b.txt"}
    assert artifact.first_damaged(tmp_path, held.sha256) is None
    record.unlink()
    assert artifact.read_record(record) is None


def test_a_changed_or_missing_file_is_named(record, tmp_path):
    held = artifact.read_record(record)
    (tmp_path / "data" / "a.txt").write_text("other")
    assert artifact.first_damaged(tmp_path, held.sha256) == tmp_path / "data" / "a.txt"
    (tmp_path / "data" / "a.txt").write_text("a")
    (tmp_path / "b.txt").unlink()
    assert artifact.first_damaged(tmp_path, held.sha256) == tmp_path / "b.txt"


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"settings": {}, "sha256": {}, "seal": "0"}'])
def test_a_record_that_is_not_what_was_written_is_refused(record, text):
    record.write_text(text)
    with pytest.raises(UserError, match=r"x\.json is "):
        artifact.read_record(record)


def test_a_changed_value_breaks_the_seal(record):
    held = json.loads(record.read_text())
    record.write_text(json.dumps(held | {"settings": {"n": 4}}))
    with pytest.raises(UserError, match="is damaged"):
        artifact.read_record(record)


def test_the_first_difference_is_named():
    assert artifact.first_difference({"a": 1, "b": 2}, {"a": 1}) is None
    assert artifact.first_difference({"a": 1, "b": 2}, {"a": 1, "b": 3}) == "b is 2 there and 3 here"
