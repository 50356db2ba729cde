"""R1 + R2: second derivatives through our own convolutions, against PyTorch's and against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.models.dcgan import Discriminator
from depthjax.train.penalty import penalty_gradient, squared_gradient

NET = Discriminator(4, 3, norm="none")
EMOTION = jnp.array([0, 1, 2, 1], jnp.int32)


@pytest.fixture(scope="module")
def params():
    shapes = jax.eval_shape(lambda: NET.init(jax.random.key(0), jnp.zeros((2, 16, 16)), EMOTION[:2], False))["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (2, 4, 16, 16)).astype(np.float32))


def _judge(params, images):
    return NET.apply({"params": params}, images, EMOTION, True)


@pytest.fixture(scope="module")
def penalty():
    """A function of (params, real, fake, step): weight 0.7, every third step."""
    return jax.jit(lambda p, real, fake, step: penalty_gradient(_judge, p, real, fake, step=step, weight=0.7, every=3))


def test_r1_and_r2_equal_pytorch(penalty, params, images):
    torch = pytest.importorskip("torch")
    import torch.nn.functional as F

    weights = jax.tree.map(lambda leaf: torch.from_numpy(np.array(leaf)).requires_grad_(), params)
    planes = torch.eye(3)[EMOTION.tolist()][:, :, None, None].expand(-1, -1, 16, 16)

    def judge(x):
        x = torch.cat([x[:, None], planes], 1)
        for i in range(1, 5):
            layer = weights[f"conv_{i}"]
            x = F.leaky_relu(F.conv2d(x, layer["kernel"].permute(3, 2, 0, 1), layer["bias"], 2, 1), 0.2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        return (x @ weights["linear"]["kernel"] + weights["linear"]["bias"])[:, 0]

    total = 0
    for part in images:
        x = torch.from_numpy(np.array(part)).requires_grad_()
        (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        total = total + gradient.square().sum((1, 2)).mean()
    expected = 0.7 * 3 / 2 * total
    expected.backward()
    value, gradient = penalty(params, *images, jnp.int32(3))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-4)
    for name, layer in gradient.items():
        theirs = weights[name]["kernel"].grad.numpy()
        np.testing.assert_allclose(layer["kernel"], theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=name)


def test_the_gradient_obeys_euler(penalty, params, images):
    """Without biases the logit is homogeneous of degree 5 in the kernels, so the penalty is of degree 10.

    (Differences of its values would be no check: wherever a LeakyReLU turns, the penalty jumps.)
    """
    no_bias = jax.tree_util.tree_map_with_path(lambda path, leaf: leaf * (path[-1].key == "kernel"), params)
    value, gradient = penalty(no_bias, *images, jnp.int32(0))
    for name, layer in gradient.items():
        np.testing.assert_allclose(jnp.vdot(layer["kernel"], no_bias[name]["kernel"]), 2 * value, rtol=1e-3)


def test_other_steps_have_none(penalty, params, images):
    value, gradient = penalty(params, *images, jnp.int32(4))
    assert value == 0 and not any(leaf.any() for leaf in jax.tree.leaves(gradient))


def test_a_linear_judge_has_its_weights_as_gradient():
    weights = jnp.arange(12.0).reshape(3, 4)
    found = squared_gradient(lambda w, x: (x * w[None]).sum((1, 2)), weights, jnp.zeros((2, 3, 4)))
    np.testing.assert_allclose(found, [(np.arange(12) ** 2).sum()] * 2)
