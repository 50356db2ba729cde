"""Safetensors: bytes as the format says, round trips, and files that lie about themselves."""

import json

import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.safetensors_file import DTYPES, read_safetensors, write_safetensors


def stored(path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_bytes_are_the_formats(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"b": np.arange(2, dtype=">i4"), "a": np.array([[1.5]], np.float16)}, {"version": "1"})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0 and json.loads(data[8 : 8 + length]) == {
        "__metadata__": {"version": "1"},
        "a": entry(0, 2, [1, 1], "F16"),
        "b": entry(2, 10, [2], "I32"),
    }
    assert data[8 + length :] == b"\x00\x3e" + b"\0\0\0\0\1\0\0\0"


def test_every_type_and_shape_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {kind: (9 * rng.random((2, 3))).astype(code) for kind, code in DTYPES.items()}
    tensors |= {"none": np.zeros((0, 4), np.float32), "one": np.array(3.0)}
    tensors["turned"] = np.arange(6, dtype=np.float32).reshape(2, 3).T
    path = tmp_path / "a.safetensors"
    write_safetensors(path, tensors, {"b": "é", "a": ""})
    found = read_safetensors(path)
    assert found.metadata == {"b": "é", "a": ""} and set(found.tensors) == set(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value, strict=True)
        assert found.tensors[name].flags.writeable
    before = path.read_bytes()
    write_safetensors(path, dict(reversed(tensors.items())), {"a": "", "b": "é"})
    assert path.read_bytes() == before


def test_what_cannot_be_stored_is_refused(tmp_path):
    for tensors in ({"a": np.array(["text"])}, {"a": np.array([object()])}, {"__metadata__": np.zeros(1)}):
        with pytest.raises(UserError, match="cannot be stored"):
            write_safetensors(tmp_path / "a.safetensors", tensors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        ({"a": entry(0, 8, [1])}, bytes(8), "8 bytes"),
        ({"a": entry(0, 8, [2])}, bytes(4), "beyond the end"),
        ({"a": entry(0, 4, [1]), "b": entry(0, 4, [1])}, bytes(8), "overlaps"),
        ({"a": entry(0, 4, [1]), "b": entry(2, 6, [1])}, bytes(6), "overlaps"),
        ({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12), "gap"),
        ({"a": entry(4, 0, [1])}, bytes(4), "-4 bytes"),
        ({"a": entry(-4, 0, [1])}, bytes(4), "not whole numbers"),
        ({"a": entry(0, 4, [-1])}, bytes(4), "not whole numbers"),
        ({"a": entry(0, 4, [True])}, bytes(4), "not whole numbers"),
        ({"a": entry(0, 4.0, [1])}, bytes(4), "not whole numbers"),
        ({"a": entry(0, 4, 1)}, bytes(4), "not whole numbers"),
        ({"a": entry(0, 2**70, [2**68])}, bytes(4), "beyond the end"),
        ({"a": entry(0, 4, [1], "OBJECT")}, bytes(4), "not read here"),
        ({"a": entry(0, 4, [1], ["F32"])}, bytes(4), "not read here"),
        ({"a": [0, 4]}, bytes(4), "not described"),
        ({"a": entry(0, 4, [1]) | {"code": "x"}}, bytes(4), "not described"),
        ({"a": entry(0, 4, [1])}, bytes(5), "belong to no tensor"),
        ({"__metadata__": {"a": 1}}, b"", "not text"),
        ({"__metadata__": "a"}, b"", "not text"),
        (b'{"a": 1, "a": 2}', b"", "twice"),
        (b"[]", b"", "not a JSON object"),
        (b"{", b"", "not JSON"),
        (b"\xff\xfe", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b'{"a": ' * 100_000, b"", "not JSON"),
    ],
)
def test_a_file_that_lies_is_refused_in_one_line(tmp_path, header, body, words):
    with pytest.raises(UserError, match=words) as error:
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
