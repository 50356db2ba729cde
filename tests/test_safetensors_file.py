"""Safetensors: round trips, and damaged files refused in one line."""

import json

import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.safetensors_file import read_safetensors, write_safetensors

DTYPES = ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">i4")


def stored(path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_every_type_shape_and_the_metadata_come_back(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {kind: (9 * rng.random((2, 3))).astype(kind) for kind in DTYPES}
    tensors |= {"none": np.zeros((0, 4), np.float32), "one": np.array(3.0)}
    tensors["turned"] = np.arange(6, dtype=np.float32).reshape(2, 3).T
    path = tmp_path / "a.safetensors"
    write_safetensors(path, tensors, {"b": "é", "a": ""})
    found = read_safetensors(path)
    assert found.metadata == {"b": "é", "a": ""} and set(found.tensors) == set(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value)
        assert found.tensors[name].shape == value.shape
        assert found.tensors[name].dtype == value.dtype.newbyteorder("=")
        assert found.tensors[name].flags.writeable


def test_the_same_content_gives_the_same_bytes(tmp_path):
    tensors, written = {"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}, set()
    for names in ("uvwxyz", "zyxwvu") * 3:
        write_safetensors(tmp_path / "a.safetensors", tensors, {name: f"é{name}" for name in names})
        written.add((tmp_path / "a.safetensors").read_bytes())
    assert len(written) == 1


def test_what_cannot_be_stored_is_refused(tmp_path):
    for tensors in ({"a": np.array(["text"])}, {"a": np.array([object()])}, {"__metadata__": np.zeros(1)}):
        with pytest.raises(UserError, match="cannot be stored"):
            write_safetensors(tmp_path / "a.safetensors", tensors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"a": entry(0, 8, [1])}, bytes(8)),
        ({"a": entry(0, 8, [2])}, bytes(4)),
        ({"a": entry(0, 4, [1]), "b": entry(2, 6, [1])}, bytes(6)),
        ({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
        ({"a": entry(0, 4, [-1])}, bytes(4)),
        ({"a": entry(0, 4, [1], "OBJECT")}, bytes(4)),
        ({"a": [0, 4]}, bytes(4)),
        ({"a": entry(0, 4, [1])}, bytes(5)),
        ({"__metadata__": {"a": 1}}, b""),
        (b"[]", b""),
        (b"{", b""),
        (b"\xff\xfe", b""),
        (b'{"a": ' * 100_000, b""),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, header, body):
    with pytest.raises(UserError, match="not a whole safetensors file") as error:
        read_safetensors(stored(tmp_path / "a.safetensors", header, body))
    assert "\n" not in str(error.value)


def test_missing_short_and_overlong(tmp_path):
    with pytest.raises(UserError, match="missing"):
        read_safetensors(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="cannot be read"):
        read_safetensors(tmp_path)
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": np.arange(3.0)})
    whole = path.read_bytes()
    for cut in (0, 7, 8, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="not a whole safetensors file"):
            read_safetensors(path)
    path.write_bytes((2**63).to_bytes(8, "little") + whole[8:])
    with pytest.raises(UserError, match="header"):
        read_safetensors(path)
