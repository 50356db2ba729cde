"""The short form of `shell.py`."""

import pytest

from tests.faults import shell


def test_a_device_that_is_not_here_is_refused_in_one_line(tmp_path):
    assert [row[2:] for row in shell.refused(tmp_path, ["a device by another name"])] == [(0, 0)]


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["refused", "without effect"])
def test_no_shell_changes_a_face_or_ends_a_run_halfway(tmp_path, kind):
    rows = list(shell.checks(tmp_path)[kind]())
    assert rows and not [row for row in rows if row[2] or row[3]]
