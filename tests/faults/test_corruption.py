"""The short form of `corruption.py`: a few files of each folder, one try each."""

import pytest

from tests.faults import corruption


def _sound(rows):
    assert all(count > 0 for _, count, _, _ in rows)
    assert not [row for row in rows if row[2] or row[3]]


def test_a_damaged_checkpoint_is_never_taken():
    _sound(corruption.checkpoint_rows(1, 3))


@pytest.mark.nightly  # tests/train/test_checkpoint.py has most of these fields
def test_a_checkpoint_of_another_config_is_refused_by_the_field():
    _sound(corruption.other_config_rows())


@pytest.mark.nightly
def test_a_damaged_file_of_a_stage_is_never_read():
    _sound(corruption.stage_rows(1, 3))
