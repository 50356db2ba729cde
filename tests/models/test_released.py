"""Released PyTorch weights: the same image from the same weights, and nothing executed on the way."""

import collections
import os
import pickle
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.files import read_arrays
from depthjax.models.dcgan import Discriminator, Generator
from depthjax.models.released import discriminator_variables, generator_variables, read_state_dict


def _shapes(net, *inputs):
    return jax.eval_shape(lambda: net.init(jax.random.key(0), *inputs, jnp.zeros(2, jnp.int32), False))


def _stir(torch, net):
    """Weights and running statistics that are nothing like their start."""
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif tensor.is_floating_point():
                tensor.add_((0.1 if tensor.ndim > 1 else 0.3) * torch.randn_like(tensor))
    return net.eval()


@pytest.mark.parametrize("resolution", [32, 64])
def test_same_image_from_the_same_weights(tmp_path, resolution):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_peer

    torch.manual_seed(0)
    theirs = _stir(torch, torch_peer.Generator(resolution, 32, 3, 10))
    torch.save(theirs.state_dict(), tmp_path / "g.pth")
    ours = Generator(resolution, 32, 3)
    tensors = read_state_dict(tmp_path / "g.pth")
    variables = generator_variables(tensors, _shapes(ours, jnp.zeros((2, 10))))
    latents, emotion = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32), np.array([0, 1, 2, 1])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(latents), torch.from_numpy(emotion))[:, 0].numpy()
    images = jax.jit(ours.apply, static_argnums=3)(variables, latents, emotion, False)
    np.testing.assert_allclose(images, expected, atol=1e-4)
    assert np.std(expected) > 0.05


def test_same_logit_from_the_same_weights(tmp_path):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_peer

    torch.manual_seed(1)
    theirs = _stir(torch, torch_peer.Discriminator(32, 8, 3))
    torch.save(theirs.state_dict(), tmp_path / "d.pth")
    ours, images = Discriminator(8, 3), np.random.default_rng(1).uniform(-1, 1, (4, 32, 32)).astype(np.float32)
    variables = discriminator_variables(read_state_dict(tmp_path / "d.pth"), _shapes(ours, jnp.zeros((2, 32, 32))))
    emotion = np.array([0, 1, 2, 1])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images)[:, None], torch.from_numpy(emotion)).numpy()
    logits = jax.jit(ours.apply, static_argnums=3)(variables, images, emotion, False)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.std(expected) > 0.05


def test_the_tool_writes_a_plain_npz(load_tool, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_peer

    torch.save(torch_peer.Generator(32, 32, 3, 10).state_dict(), tmp_path / "g.pth")
    tool = load_tool("convert_released_weights")
    sizes = ["--resolution", "32", "--width", "32", "--latent-size", "10"]
    monkeypatch.setattr("sys.argv", ["tool", f"{tmp_path}/g.pth", f"{tmp_path}/g.npz", "--net", "generator", *sizes])
    assert tool.main() == 0
    assert "(4, 4, 32, 16)" in capsys.readouterr().out
    assert read_arrays(tmp_path / "g.npz")["params/conv_1/kernel"].shape == (4, 4, 32, 16)
    monkeypatch.setattr("sys.argv", ["tool", f"{tmp_path}/g.pth", f"{tmp_path}/h.npz", "--net", "generator"])
    assert tool.main() == 1
    assert "fc.0.weight" in capsys.readouterr().err and not (tmp_path / "h.npz").exists()


def _pth(path, program, data=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", program)
        archive.writestr("net/data/0", data)
    return path


class _Attack:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = _pth(tmp_path / "evil.pth", pickle.dumps(collections.OrderedDict(weight=_Attack()), protocol=2))
    with pytest.raises(UserError, match=r"mkdir, which no state dict needs: refused"):
        read_state_dict(path)
    assert not (tmp_path / "executed").exists()


def _tensor_program(shape, stride, offset=0):
    """The pickle that torch writes for {"weight": tensor}, made by hand."""

    class Storage:
        pass

    class Tensor:
        def __reduce__(self):
            return _rebuild_tensor_v2, (Storage(), offset, shape, stride, False, collections.OrderedDict())

    class Writer(pickle._Pickler):
        def persistent_id(self, obj):
            return ("storage", FloatStorage, "0", "cpu", 6) if isinstance(obj, Storage) else None

        def save_global(self, obj, name=None):
            names = {FloatStorage: "torch\nFloatStorage", _rebuild_tensor_v2: "torch._utils\n_rebuild_tensor_v2"}
            if obj in names:
                self.write(b"c" + names[obj].encode() + b"\n")
                self.memoize(obj)
            else:
                super().save_global(obj, name)

        dispatch = pickle._Pickler.dispatch | {type(lambda: 0): save_global, type: save_global}

    file = __import__("io").BytesIO()
    Writer(file, protocol=2).dump(collections.OrderedDict(weight=Tensor()))
    return file.getvalue()


class FloatStorage:
    pass


def _rebuild_tensor_v2(*_):
    pass


def test_reads_a_tensor_without_torch(tmp_path):
    data = np.arange(6, dtype=np.float32)
    path = _pth(tmp_path / "t.pth", _tensor_program((3, 2), (1, 3)), data.tobytes())
    np.testing.assert_array_equal(read_state_dict(path)["weight"], data.reshape(2, 3).T)


def _legacy(path, program, data, *, length=6):
    """The older format: four small pickles about the pickle that counts, then the storages."""
    facts = [pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    keys = pickle.dumps(["0"], protocol=2)
    path.write_bytes(b"".join([*facts, program, keys, length.to_bytes(8, "little"), data]))
    return path


def test_reads_the_older_format_without_torch(tmp_path):
    data = np.arange(6, dtype=np.float32)
    path = _legacy(tmp_path / "old.pth", _tensor_program((3, 2), (1, 3)), data.tobytes())
    np.testing.assert_array_equal(read_state_dict(path)["weight"], data.reshape(2, 3).T)


def test_reads_the_older_format_as_torch_writes_it(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.randn(3, 4).T, "a.count": torch.tensor(7), "b": torch.randn(2, 1, 3)}
    torch.save(collections.OrderedDict(state), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    found = read_state_dict(tmp_path / "old.pth")
    assert list(found) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy())


def test_an_older_file_that_lies_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = _tensor_program((3, 2), (1, 3))
    evil = pickle.dumps(collections.OrderedDict(weight=_Attack()), protocol=2)
    for path, match in (
        (_legacy(tmp_path / "a.pth", evil, bytes(24)), "mkdir"),
        (_legacy(tmp_path / "b.pth", whole, bytes(20)), "ends within a storage"),
        (_legacy(tmp_path / "c.pth", whole, bytes(24), length=5), "two lengths"),
        (_legacy(tmp_path / "d.pth", _tensor_program((7,), (1,)), bytes(24)), "beyond its storage"),
    ):
        with pytest.raises(UserError, match=match):
            read_state_dict(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("shape", "stride", "offset"), [((7,), (1,), 0), ((2,), (-1,), 3), ((3,), (1,), 4), ((99,), (0,), 0)]
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, shape, stride, offset):
    path = _pth(tmp_path / "t.pth", _tensor_program(shape, stride, offset), bytes(24))
    with pytest.raises(UserError, match="beyond its storage"):
        read_state_dict(path)


def test_other_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "text.pth").write_text("not a zip")
    _pth(tmp_path / "list.pth", pickle.dumps([1, 2]))
    for name in ("text.pth", "list.pth", "absent.pth"):
        with pytest.raises(UserError, match=name):
            read_state_dict(tmp_path / name)


def test_a_tensor_that_does_not_fit_is_named():
    shapes = _shapes(Discriminator(8, 3), jnp.zeros((2, 32, 32)))
    with pytest.raises(UserError, match=r"'net.0.weight' has shape \(8, 2, 4, 4\) where \(8, 4, 4, 4\) belongs"):
        discriminator_variables({"net.0.weight": np.zeros((8, 2, 4, 4))}, shapes)
    with pytest.raises(UserError, match="end before"):
        discriminator_variables({"net.0.weight": np.zeros((8, 4, 4, 4))}, shapes)
