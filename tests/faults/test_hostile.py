"""The short form of `hostile.py`: every attack, and a few cases of each fuzzed reader."""

import pytest

from tests.faults import hostile


def _refused(folder, part, cases):
    rows = [row for check in hostile.checks(folder, cases, [part]).values() for row in check()]
    assert rows and all(tries > 0 for _, tries, _, _ in rows)
    assert not [row for row in rows if row[2] or row[3]]


@pytest.mark.parametrize("part", ["attacks", "overrides", "json"])
def test_it_is_refused_in_one_line_with_nothing_executed_or_written_elsewhere(tmp_path, part):
    _refused(tmp_path, part, 20)


@pytest.mark.nightly
@pytest.mark.parametrize("part", hostile.PARTS)
def test_all_of_it_is_refused(tmp_path, part):
    _refused(tmp_path, part, 200)
