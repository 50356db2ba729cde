"""The short form of `hostile.py`: every attack, and 200 cases of each fuzzed reader."""

import hostile
import pytest


@pytest.mark.parametrize("part", hostile.PARTS)
def test_all_of_it_is_refused_in_one_line_with_nothing_executed_or_written_elsewhere(part):
    rows = hostile.rows(200, [part])
    assert rows and all(tries > 0 for _, tries, _, _ in rows)
    assert not [row for row in rows if row[2] or row[3]]
