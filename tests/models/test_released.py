"""Released PyTorch weights: the same image from the same weights, and nothing executed on the way."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.files import read_arrays
from depthjax.models.dcgan import Discriminator, Generator

torch = pytest.importorskip("torch")
from benchmarks import torch_peer  # noqa: E402


@pytest.fixture(scope="module")
def tool(load_tool):
    """The script that reads and maps them."""
    return load_tool("convert_released_weights")


def _shapes(net, *inputs):
    return jax.eval_shape(lambda: net.init(jax.random.key(0), *inputs, jnp.zeros(2, jnp.int32), False))


def _stir(net):
    """Weights and running statistics that are nothing like their start."""
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif tensor.is_floating_point():
                tensor.add_((0.1 if tensor.ndim > 1 else 0.3) * torch.randn_like(tensor))
    return net.eval()


@pytest.mark.parametrize("resolution", [16, 32])
def test_same_image_from_the_same_weights(tool, tmp_path, resolution):
    torch.manual_seed(0)
    theirs = _stir(torch_peer.Generator(resolution, 32, 3, 10))
    torch.save(theirs.state_dict(), tmp_path / "g.pth")
    ours = Generator(resolution, 32, 3)
    tensors = tool.read_state_dict(tmp_path / "g.pth")
    variables = tool.generator_variables(tensors, _shapes(ours, jnp.zeros((2, 10))))
    latents, emotion = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32), np.array([0, 1, 2, 1])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(latents), torch.from_numpy(emotion))[:, 0].numpy()
    images = jax.jit(ours.apply, static_argnums=3)(variables, latents, emotion, False)
    np.testing.assert_allclose(images, expected, atol=1e-4)
    assert np.std(expected) > 0.05


def test_same_logit_from_the_same_weights(tool, tmp_path):
    torch.manual_seed(1)
    theirs = _stir(torch_peer.Discriminator(32, 8, 3))
    torch.save(theirs.state_dict(), tmp_path / "d.pth")
    ours, images = Discriminator(8, 3), np.random.default_rng(1).uniform(-1, 1, (4, 32, 32)).astype(np.float32)
    variables = tool.discriminator_variables(
        tool.read_state_dict(tmp_path / "d.pth"), _shapes(ours, jnp.zeros((2, 32, 32)))
    )
    emotion = np.array([0, 1, 2, 1])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images)[:, None], torch.from_numpy(emotion)).numpy()
    logits = jax.jit(ours.apply, static_argnums=3)(variables, images, emotion, False)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.std(expected) > 0.05


def test_the_tool_writes_a_plain_npz(tool, tmp_path, monkeypatch, capsys):
    torch.save(torch_peer.Generator(32, 32, 3, 10).state_dict(), tmp_path / "g.pth")
    sizes = ["--resolution", "32", "--width", "32", "--latent-size", "10"]
    monkeypatch.setattr("sys.argv", ["tool", f"{tmp_path}/g.pth", f"{tmp_path}/g.npz", "--net", "generator", *sizes])
    assert tool.main() == 0
    assert "(4, 4, 32, 16)" in capsys.readouterr().out
    assert read_arrays(tmp_path / "g.npz")["params/conv_1/kernel"].shape == (4, 4, 32, 16)
    monkeypatch.setattr("sys.argv", ["tool", f"{tmp_path}/g.pth", f"{tmp_path}/h.npz", "--net", "generator"])
    assert tool.main() == 1
    assert "fc.0.weight" in capsys.readouterr().err and not (tmp_path / "h.npz").exists()


class _Attack:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_other_files_are_refused_in_one_line_and_execute_nothing(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pth").write_text("not a zip")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"weight": _Attack()}, tmp_path / "evil.pth")
    torch.save({"weight": _Attack()}, tmp_path / "old_evil.pth", _use_new_zipfile_serialization=False)
    for name in ("text.pth", "list.pth", "evil.pth", "old_evil.pth", "absent.pth"):
        with pytest.raises(UserError, match=name) as error:
            tool.read_state_dict(tmp_path / name)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "executed").exists()


def test_the_older_format_is_read(tool, tmp_path):
    state = {"a.weight": torch.randn(3, 4).T, "a.count": torch.tensor(7), "b": torch.randn(2, 1, 3)}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    found = tool.read_state_dict(tmp_path / "old.pth")
    assert list(found) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy())


def test_a_tensor_that_does_not_fit_is_named(tool):
    shapes = _shapes(Discriminator(8, 3), jnp.zeros((2, 32, 32)))
    with pytest.raises(UserError, match=r"'net.0.weight' has shape \(8, 2, 4, 4\) where \(8, 4, 4, 4\) belongs"):
        tool.discriminator_variables({"net.0.weight": np.zeros((8, 2, 4, 4))}, shapes)
    with pytest.raises(UserError, match="end before"):
        tool.discriminator_variables({"net.0.weight": np.zeros((8, 4, 4, 4))}, shapes)
