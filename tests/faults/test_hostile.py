"""The short form of `hostile.py`: every attack, and 200 cases of each fuzzed reader."""

import pytest

from tests.faults import hostile


@pytest.mark.parametrize("part", hostile.PARTS)
def test_all_of_it_is_refused_in_one_line_with_nothing_executed_or_written_elsewhere(tmp_path, part):
    rows = [row for check in hostile.checks(tmp_path, 200, [part]).values() for row in check()]
    assert rows and all(tries > 0 for _, tries, _, _ in rows)
    assert not [row for row in rows if row[2] or row[3]]
