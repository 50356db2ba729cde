import numpy as np
import pytest
from flax import traverse_util

from depthjax.errors import UserError
from depthjax.evaluate import inception
from depthjax.models.inception import from_pytorch, variable_shapes
from depthjax.safetensors_file import read_safetensors, write_safetensors


@pytest.fixture(scope="module")
def flat():
    shapes = traverse_util.flatten_dict(variable_shapes(), sep="/")
    return {name: np.full(leaf.shape, i / len(shapes), np.float32) for i, (name, leaf) in enumerate(shapes.items())}


@pytest.fixture(scope="module")
def converted(flat, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    inception.write_converted(path, flat, inception.SOURCE_SHA256)
    return path


def test_what_the_converter_writes_is_read_back(converted, flat):
    variables = traverse_util.flatten_dict(inception.load_inception(converted), sep="/")
    assert variables.keys() == flat.keys()
    assert all((variables[name] == flat[name]).all() for name in flat)


def test_pytorchs_names_and_axes_become_ours(flat):
    kernel = np.random.default_rng(0).normal(size=(48, 192, 1, 7)).astype(np.float32)
    theirs = {"Mixed_5b.branch5x5_1.conv.weight": kernel, "Mixed_5b.branch5x5_1.bn.running_var": np.ones(48),
              "fc.weight": np.ones((1008, 2048)), "fc.bias": np.ones(1008)}  # fmt: skip
    ours = from_pytorch(theirs)
    assert set(ours) == {
        "params/Mixed_5b/branch5x5_1/conv/kernel", "batch_stats/Mixed_5b/branch5x5_1/bn/var", "params/fc/kernel"
    } <= set(flat)  # fmt: skip
    assert ours["params/Mixed_5b/branch5x5_1/conv/kernel"][0, 3, 5, 7] == kernel[7, 5, 0, 3]
    assert ours["params/fc/kernel"].shape == (2048, 1008)


def test_other_weights_are_refused_by_one_line(converted, flat, tmp_path):
    tensors, metadata = read_safetensors(converted)
    path = tmp_path / "other.safetensors"

    def refused(match):
        with pytest.raises(UserError, match=match) as caught:
            inception.load_inception(path)
        assert "\n" not in str(caught.value)

    refused("other.safetensors")  # missing
    write_safetensors(path, tensors, metadata | {"source_sha256": "0" * 64})
    refused("does not come from")
    bent = tensors | {"params/fc/kernel": tensors["params/fc/kernel"] + 1}
    write_safetensors(path, bent, metadata)
    refused("damaged")
    fewer = {name: value for name, value in tensors.items() if name != "params/fc/kernel"}
    write_safetensors(path, fewer, metadata | {"tensors_sha256": inception.tensors_sha256(fewer)})
    refused("'params/fc/kernel' is missing")
    path.write_bytes(converted.read_bytes()[:-1000])
    refused("other.safetensors")


def test_only_the_public_file_is_converted(tmp_path):
    source, target = tmp_path / "any.pth", tmp_path / "out.safetensors"
    with pytest.raises(UserError, match="cannot be read"):
        inception.convert(source, target)
    source.write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(UserError, match="is not pt_inception-2015-12-05-6726825d"):
        inception.convert(source, target)
    assert not target.exists() and not (tmp_path / "hacked").exists()


def test_the_network_sees_three_equal_channels_between_minus_one_and_one():
    levels = np.array([[[0, 255], [255, 0]]], np.uint8).repeat(8, 1).repeat(8, 2)
    seen = np.asarray(inception.network_input(levels))
    assert seen.shape == (1, 299, 299, 3) and seen.min() == -1 and seen.max() == 1
    assert (seen[..., 0] == seen[..., 2]).all() and seen[0, 0, 0, 0] == -1 and seen[0, 0, -1, 0] == 1
