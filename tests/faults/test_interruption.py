"""The short form of `interruption.py` and `kill_smoke.py`: the same checks on the stages that are soon done."""

import random

import pytest

from tests.faults import disk, interruption, kill_smoke, runs, soak

pytestmark = pytest.mark.nightly


def _sound(rows):
    rows = list(rows)
    assert rows and not [row for row in rows if row[2] or row[3]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = tmp_path_factory.mktemp("undisturbed")
    with runs.reference(place) as seconds:
        yield place, seconds


def test_a_run_killed_in_a_checkpoint_ends_as_if_left_alone(undisturbed, tmp_path):
    place, seconds = undisturbed
    killed = kill_smoke.a_try(place, tmp_path / "try", "in a checkpoint", random.Random(0), seconds)
    assert killed == (False, False)


def test_a_second_process_is_refused_and_a_stale_lock_taken_over(undisturbed, tmp_path):
    _sound(interruption.locks(undisturbed[0], tmp_path))


def test_a_full_disk_is_one_line(undisturbed, tmp_path):
    if not disk.may_mount():
        pytest.skip("no disk can be mounted here")
    _sound(disk.disk_full(undisturbed[0], tmp_path, rooms=(20_480,)))


def test_stored_faces_that_are_not_finite_are_refused(undisturbed, tmp_path):
    _sound(interruption.bad_faces(undisturbed[0], tmp_path))


def test_a_long_training_keeps_its_memory_files_and_rows():
    _sound(soak.rows(2000))
