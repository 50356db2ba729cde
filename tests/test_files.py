import numpy as np
import pytest

from depthjax import files
from depthjax.errors import UserError


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half of the n")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint16).reshape(2, 3), "b": np.array(["x", "yy"])}
    files.write_arrays(tmp_path / "a.npz", **arrays)
    back = files.read_arrays(tmp_path / "a.npz")
    assert all(np.array_equal(arrays[k], back[k]) and arrays[k].dtype == back[k].dtype for k in arrays)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flip"])
def test_damaged_arrays_are_named(tmp_path, damage):
    path = tmp_path / "a.npz"
    files.write_arrays(path, a=np.random.default_rng(0).random(1000))
    whole = path.read_bytes()
    flipped = whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"hello", "flip": flipped}[damage])
    with pytest.raises(UserError, match=r"a\.npz is damaged"):
        files.read_arrays(path)


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        files.read_arrays(tmp_path / "a.npz")
    with pytest.raises(ValueError):
        files.write_arrays(tmp_path / "b.npz", a=np.array([{"x": 1}], dtype=object))
    assert not (tmp_path / "b.npz").exists()


def test_missing_and_broken_json_are_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.json is missing"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match=r"a\.json is not readable"):
        files.read_json(tmp_path / "a.json")


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_digest_knows_values_shape_and_type():
    a = np.arange(4)
    assert files.digest(a) == files.digest(a.copy()) == files.digest(a[::-1][::-1])
    assert len({files.digest(x) for x in (a, a.reshape(2, 2), a.astype(np.int32), a[::-1], [0, 1, 2, 3])}) == 5


def test_what_was_cut_off_is_removed_and_nothing_else(tmp_path):
    for name in (".a.npz.12.tmp", "b.tmp", ".c", "in/.d.json.7.tmp", "checkpoints/.4.9.tmp/state/x", ".e.old/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".g.tmp").write_text("")
    (tmp_path / "in" / "link").symlink_to(outside)
    files.remove_half_written(tmp_path / "in")
    assert (outside / ".g.tmp").exists() and not (tmp_path / "in" / ".d.json.7.tmp").exists()
    files.remove_half_written(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"b.tmp", ".c", ".e.old/f"}
