"""The yardstick network: shapes, what it is told, and that one face's features are its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.models.depthnet import CROPS, SIDE, DepthNet

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, SIDE, SIDE)).astype(np.float32)
CROP = jnp.array([0, 1, 0], jnp.int32)


@pytest.fixture(scope="module")
def variables(filled):
    return filled(DepthNet(7, 5, width=4, size=6), jnp.zeros((2, SIDE, SIDE)))


@pytest.fixture(scope="module")
def heads(variables):
    return jax.jit(lambda images, crop: DepthNet(7, 5, width=4, size=6).apply(variables, images, crop, False))


def test_shapes(heads):
    features, emotion, identity = heads(IMAGES, CROP)
    assert features.shape == (3, 6) and emotion.shape == (3, 7) and identity.shape == (3, 5)
    assert features.dtype == emotion.dtype == jnp.float32


def test_both_heads_read_nothing_but_the_features(heads, variables):
    features, *logits = heads(IMAGES, CROP)
    for name, found in zip(("emotion", "identity"), logits, strict=True):
        layer = variables["params"][name]
        np.testing.assert_allclose(np.asarray(features) @ layer["kernel"] + layer["bias"], found, rtol=1e-4, atol=1e-4)


def test_without_the_identity_head_the_rest_is_the_same(heads, variables):
    params = {name: layer for name, layer in variables["params"].items() if name != "identity"}
    small = DepthNet(7, width=4, size=6)
    apply = jax.jit(small.apply, static_argnums=3)
    features, emotion, identity = apply(variables | {"params": params}, IMAGES, CROP, False)
    expected = heads(IMAGES, CROP)
    np.testing.assert_allclose(features, expected.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(emotion, expected.emotion, rtol=1e-4, atol=1e-4)
    assert identity.shape == (3, 0)


def test_what_stands_beside_a_face_changes_nothing(heads):
    together, other = heads(IMAGES, CROP), heads(np.stack([IMAGES[0], -IMAGES[1], 0 * IMAGES[2]]), CROP)
    np.testing.assert_allclose(together.features[0], other.features[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(together.features[1], other.features[1], atol=1e-2)


def test_it_is_told_how_the_image_was_cut(heads):
    assert CROPS == ("face", "full")
    assert not np.allclose(heads(IMAGES, CROP).features, heads(IMAGES, 1 - CROP).features, atol=1e-2)


def test_the_same_as_pytorchs_layers(heads, variables):
    torch = pytest.importorskip("torch")
    params, stats = variables["params"], variables["batch_stats"]

    def tensor(value):
        return torch.from_numpy(np.ascontiguousarray(value))

    def norm(x, name):
        values = (stats[name]["mean"], stats[name]["var"], params[name]["scale"], params[name]["bias"])
        return torch.nn.functional.batch_norm(x, *map(tensor, values))

    plane = np.broadcast_to(np.array([-1, 1, -1], np.float32)[:, None, None], IMAGES.shape)
    x = tensor(np.stack([IMAGES, plane], 1))
    for i in (1, 2, 3, 4):
        kernel, bias = params[f"conv_{i}"]["kernel"], params[f"conv_{i}"]["bias"]
        x = torch.nn.functional.conv2d(x, tensor(kernel.transpose(3, 2, 0, 1)), tensor(bias), 2, 1)
        x = torch.relu(norm(x, f"norm_{i}"))
    x = x.permute(0, 2, 3, 1).flatten(1) @ tensor(params["features"]["kernel"]) + tensor(params["features"]["bias"])
    np.testing.assert_allclose(heads(IMAGES, CROP).features, norm(x, "norm_features").numpy(), rtol=1e-3, atol=1e-3)
