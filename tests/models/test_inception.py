import jax
import numpy as np
import pytest
from flax import traverse_util

from depthjax.models.inception import Inception, variable_shapes


def test_the_shapes_are_those_of_the_published_network():
    shapes = traverse_util.flatten_dict(variable_shapes(), sep="/")
    learnt = sum(leaf.size for name, leaf in shapes.items() if name.startswith("params/"))
    assert learnt == 23_834_568 - 2_048_000 - 1000 + 2048 * 1008 + 0  # torchvision's, its classes exchanged for ours
    assert shapes["params/fc/kernel"].shape == (2048, 1008)
    assert shapes["params/Mixed_6c/branch7x7_2/conv/kernel"].shape == (1, 7, 160, 160)
    assert shapes["batch_stats/Mixed_7c/branch3x3dbl_3b/bn/var"].shape == (384,)


def _maps():
    """Every named layer's output shape, without computing."""
    images = jax.ShapeDtypeStruct((2, 299, 299, 3), np.float32)
    apply = lambda v, x: Inception().apply(v, x, capture_intermediates=True, mutable=["intermediates"])  # noqa: E731
    output, state = jax.eval_shape(apply, variable_shapes(), images)
    return output, {name: leaf["__call__"][0] for name, leaf in state["intermediates"].items() if "__call__" in leaf}


def test_the_maps_have_the_published_sizes():
    output, maps = _maps()
    maps.pop("fc", None)
    assert output.pool.shape == (2, 2048) and output.logits.shape == (2, 1008)
    sides = {name: (leaf.shape[1], leaf.shape[3]) for name, leaf in maps.items()}
    assert sides == {
        "Conv2d_1a_3x3": (149, 32), "Conv2d_2a_3x3": (147, 32), "Conv2d_2b_3x3": (147, 64), "Conv2d_3b_1x1": (73, 80),
        "Conv2d_4a_3x3": (71, 192), "Mixed_5b": (35, 256), "Mixed_5c": (35, 288), "Mixed_5d": (35, 288),
        "Mixed_6a": (17, 768),
        "Mixed_6b": (17, 768), "Mixed_6c": (17, 768), "Mixed_6d": (17, 768),
        "Mixed_6e": (17, 768), "Mixed_7a": (8, 1280), "Mixed_7b": (8, 2048), "Mixed_7c": (8, 2048),
    }  # fmt: skip


@pytest.mark.nightly
def test_every_layer_is_pytorchs(load_tool):
    torch = pytest.importorskip("torch", reason="compared with PyTorch where it is: pip install -e '.[reference]'")
    from tests.models.inception_peer import with_random_weights

    net = with_random_weights(0)
    tool = load_tool("convert_inception_weights")
    flat = tool.from_pytorch({name: value.numpy() for name, value in net.state_dict().items()})
    variables = traverse_util.unflatten_dict(flat, sep="/")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    apply = jax.jit(lambda v, x: Inception().apply(v, x, capture_intermediates=True, mutable=["intermediates"]))
    output, state = apply(variables, images)
    ours = {name: leaf["__call__"][0] for name, leaf in state["intermediates"].items() if name in theirs}
    assert ours.keys() == theirs.keys() - {"pool", "logits"}
    for name, value in ours.items():
        expected = theirs[name].numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(value, expected, atol=1e-4 * np.abs(expected).max(), err_msg=name)
    for value, name in ((output.pool, "pool"), (output.logits, "logits")):
        np.testing.assert_allclose(value, theirs[name], atol=1e-4 * theirs[name].abs().max(), err_msg=name)
    assert theirs["pool"].std() > 1e-3  # the comparison says something
