import numpy as np
import pytest

from depthjax.export.names import safe_names, stems

ORDINARY = ["0", "12", "s_01", "Anna-Lena", "Zoë", "李", "a b"]
HOSTILE = [
    "",
    ".",
    "..",
    "../../etc",
    "a/b",
    "a\\b",
    "a-b",
    "a:b",
    ".hidden",
    "end.",
    "NUL",
    "con",
    "x" * 300,
    "x\n\0",
    "é",
    "é",
]


def test_ordinary_names_stay():
    assert safe_names(ORDINARY) == ORDINARY


@pytest.mark.parametrize("names", [HOSTILE, HOSTILE[::-1], ["A", "a"], ["a/b", "a-b", safe_names(["a/b"])[0]]])
def test_no_name_leaves_its_folder_and_no_two_are_one_file(names, tmp_path):
    safe = safe_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    for name in safe:
        assert not set(name) & set('/\\:*?"<>|\0\n') and not name.startswith(".") and not name.endswith((".", " "))
        assert len(name.encode()) < 130
        (tmp_path / name).mkdir()
        assert (tmp_path / name).parent.resolve() == tmp_path.resolve()
    assert "con" not in safe and "NUL" not in safe


def test_a_stem_is_subject_and_frame():
    labels = (np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([3, 4, 3]))
    assert stems(*labels, ["7", "s_b"]) == ["7_00003", "s_b_00004", "7_00003"]


def test_a_frame_that_comes_twice_gets_a_number_of_its_own():
    same = np.zeros(4, int)
    assert stems(same, same, np.array([5, 5, 6, 5]), ["p"]) == ["p_00005", "p_00007", "p_00006", "p_00008"]
