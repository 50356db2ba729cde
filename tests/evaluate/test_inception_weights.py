"""What is taken as Inception weights and what is refused; then what the network gets to see of a face."""

import hashlib
import os

import numpy as np
import pytest
from flax import traverse_util
from PIL import Image

from depthjax.errors import UserError
from depthjax.evaluate import inception
from depthjax.models.inception import variable_shapes
from depthjax.safetensors_file import read_safetensors, write_safetensors

THEIRS = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


@pytest.fixture(scope="module")
def flat():
    shapes, rng = traverse_util.flatten_dict(variable_shapes(), sep="/"), np.random.default_rng(0)
    return {name: rng.random(leaf.shape, np.float32) for name, leaf in shapes.items()}


@pytest.fixture(scope="module")
def converted(flat, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    inception.write_converted(path, flat, inception.SOURCE_SHA256)
    return path


@pytest.fixture(scope="module")
def tool(load_tool):
    """The script that converts them."""
    pytest.importorskip("torch")
    return load_tool("convert_inception_weights")


def _pth(path, tensors):
    """A `.pth` of numpy arrays, as PyTorch writes it."""
    import torch

    torch.save({name: torch.from_numpy(np.asarray(value)) for name, value in tensors.items()}, path)
    return path


def _as_pytorch(flat):
    """Ours under PyTorch's names and axes, with all that its file holds besides."""
    named = {"fc.bias": np.ones(1008, np.float32)}
    for name, value in flat.items():
        *parts, leaf = name.split("/")[1:]
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim]
        named[".".join([*parts, THEIRS[leaf]])] = np.ascontiguousarray(value.transpose(axes))
        if leaf == "mean":
            named[".".join([*parts, "num_batches_tracked"])] = np.array(0)
    return named


def _pin(monkeypatch, path):
    monkeypatch.setattr(inception, "SOURCE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_whole_pth_is_converted_and_read_back(tool, flat, tmp_path, monkeypatch, capsys):
    theirs = _as_pytorch(flat)
    assert len(theirs) == 566  # as the public file
    source, target = _pth(tmp_path / "net.pth", theirs), tmp_path / "inception.safetensors"
    _pin(monkeypatch, source)
    monkeypatch.setattr("sys.argv", ["tool", str(source), str(target)])
    assert tool.main() == 0
    assert f"--config.evaluate.inception={target}" in capsys.readouterr().out
    variables = traverse_util.flatten_dict(inception.load_inception(target), sep="/")
    assert variables.keys() == flat.keys()
    assert all(np.array_equal(np.asarray(variables[name]), flat[name]) for name in flat)


def test_pytorchs_names_and_axes_become_ours(tool):
    kernel = np.random.default_rng(0).normal(size=(48, 192, 1, 7)).astype(np.float32)
    weight = np.random.default_rng(1).normal(size=(1008, 2048)).astype(np.float32)
    ours = tool.from_pytorch(
        {"Mixed_5b.branch5x5_1.conv.weight": kernel, "fc.weight": weight, "fc.bias": np.ones(1008)}
    )
    assert set(ours) == {"params/Mixed_5b/branch5x5_1/conv/kernel", "params/fc/kernel"}
    assert ours["params/Mixed_5b/branch5x5_1/conv/kernel"][0, 3, 5, 7] == kernel[7, 5, 0, 3]
    assert ours["params/fc/kernel"][5, 3] == weight[3, 5]


def test_other_weights_are_refused_by_one_line(converted, tmp_path):
    tensors, metadata = read_safetensors(converted)
    path = tmp_path / "other.safetensors"

    def refused(match):
        with pytest.raises(UserError, match=match) as caught:
            inception.load_inception(path)
        assert "\n" not in str(caught.value) and "other.safetensors" in str(caught.value)

    refused("is missing")
    few = {"params/fc/kernel": tensors["params/fc/kernel"]}
    write_safetensors(path, few, metadata | {"source_sha256": "0" * 64})
    refused("does not come from")
    write_safetensors(path, few)
    refused("does not come from")
    write_safetensors(path, tensors | {"params/fc/kernel": tensors["params/fc/kernel"] + 1}, metadata)
    refused("damaged")
    fewer = {name: value for name, value in tensors.items() if name != "params/fc/kernel"}
    write_safetensors(path, fewer, metadata)
    refused(r"'params/fc/kernel' is missing, where the network has float32\[2048, 1008\]")
    path.write_bytes(converted.read_bytes()[:-1000])
    refused("not a whole safetensors file")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("params/fc/bias", np.zeros(1008, np.float32), r"is float32\[1008\], where the network has none"),
        ("params/fc/kernel", np.zeros((2048, 1000), np.float32), r"is float32\[2048, 1000\], where"),
        ("params/fc/kernel", np.zeros((2048, 1008), np.float16), r"is float16\[2048, 1008\], where"),
    ],
)
def test_tensors_of_another_network_are_not_written(flat, tmp_path, name, value, match):
    path = tmp_path / "out.safetensors"
    with pytest.raises(UserError, match=match):
        inception.write_converted(path, flat | {name: value}, inception.SOURCE_SHA256)
    assert not path.exists()


def test_only_the_public_file_is_converted(tool, tmp_path):
    source, target = tmp_path / "any.pth", tmp_path / "out.safetensors"
    with pytest.raises(UserError, match="cannot be read"):
        tool.convert(source, target)
    _pth(source, {"fc.weight": np.zeros((1008, 2048), np.float32)})
    with pytest.raises(UserError, match="is not pt_inception-2015-12-05-6726825d") as caught:
        tool.convert(source, target)
    assert "\n" not in str(caught.value) and not target.exists()


class _Attack:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_pth_is_executed_even_under_the_right_hash(tool, tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    hostile = tmp_path / "hostile.pth"
    torch.save({"fc.weight": _Attack()}, hostile)
    short = _pth(tmp_path / "short.pth", {"fc.weight": np.zeros((1008, 2048), np.float32)})
    cut = tmp_path / "cut.pth"
    cut.write_bytes(short.read_bytes()[:-100])
    refused = "not a PyTorch state dict"
    for path, match in ((hostile, refused), (short, "is missing, where"), (cut, refused)):
        _pin(monkeypatch, path)
        with pytest.raises(UserError, match=match) as caught:
            tool.convert(path, tmp_path / "out.safetensors")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists() and not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("side", [64, 400])
def test_faces_are_resized_as_pillow_does(side):
    levels = np.random.default_rng(side).integers(0, 256, (1, side, side), np.uint8)
    seen = np.asarray(inception.network_input(levels))
    large = Image.fromarray(levels[0].astype(np.float32)).resize((299, 299), Image.Resampling.BILINEAR)
    assert seen.shape == (1, 299, 299, 3) and (seen == seen[..., :1]).all()
    np.testing.assert_allclose(seen[0, ..., 0], np.asarray(large) / 127.5 - 1, atol=1e-4)


def test_every_face_is_seen_once_and_in_order(monkeypatch):
    def fake(variables, levels):
        return levels[:, :1, 0].astype(np.float32), levels[:, 0, :1].astype(np.float32) + variables

    monkeypatch.setattr(inception, "_compiled", lambda: fake)
    values = np.arange(inception.CHUNK * 2 + 3)
    images = np.broadcast_to((values / 127.5 - 1)[:, None, None], (len(values), 4, 4))
    pool, logits = inception.inception_features(images, 7)
    np.testing.assert_array_equal(pool[:, 0], values)
    np.testing.assert_array_equal(logits[:, 0], values + 7)
    assert inception.inception_features(images[:0], 7).pool.shape == (0, 1)
    with pytest.raises(UserError, match="not finite"):
        inception.inception_features(np.full((1, 4, 4), np.nan), 7)
