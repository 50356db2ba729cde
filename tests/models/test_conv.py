"""The convolutions without dilation against XLA's own, in values, gradients and what is lowered where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthjax.models import conv

CASES = {
    "transposed": (conv.transposed_conv, conv.transposed_conv_dense, conv.transposed_conv_dilated),
    "strided": (conv.strided_conv, conv.strided_conv_dense, conv.strided_conv_plain),
    "to one": (conv.conv_to_one, conv.conv_to_one_by_taps, conv.conv_to_one_plain),
}


def _inputs(channels, features, h=6, w=4, side=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, h, w, channels)).astype(np.float32)
    return x, rng.normal(size=(side, side, channels, features)).astype(np.float32) / np.float32(4 * channels**0.5)


# With 128 features one of the dense forms is another: forwards, or in the gradient of the input.
TELLING = {(5, 3, "transposed"), (5, 3, "strided"), (5, 3, "to one"), (128, 2, "transposed"), (2, 128, "strided")}
SHAPES = [
    pytest.param(*case, marks=() if case in TELLING else pytest.mark.nightly)
    for case in ((*sizes, name) for sizes in ((5, 3), (1, 4), (128, 2), (2, 128)) for name in CASES)
]


@pytest.mark.parametrize(("channels", "features", "name"), SHAPES)
def test_equal_to_xla_in_values_and_gradients(name, channels, features):
    inputs = _inputs(channels, 1, side=3) if name == "to one" else _inputs(channels, features)

    def both(fn):
        def loss(x, kernel):
            values = fn(x, kernel)
            return jnp.sin(values).sum(), values

        return jax.grad(loss, (0, 1), has_aux=True)

    found = jax.jit(lambda *inputs: [both(fn)(*inputs) for fn in CASES[name]])(*inputs)
    for ours in found[:2]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, found[2])


def test_transposed_conv_by_its_definition():
    x, kernel = _inputs(2, 3, h=3, w=2)
    expected = np.zeros((3, 8, 6, 3))  # every input pixel paints its 4x4 kernel, turned as lax.conv_transpose turns it
    for i in range(3):
        for j in range(2):
            patch = np.einsum("nc,abcf->nabf", x[:, i, j], kernel[::-1, ::-1])
            expected[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
    np.testing.assert_allclose(jax.jit(conv.transposed_conv)(x, kernel), expected[:, 1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_and_vmap(name):
    _, dense, plain = CASES[name]
    x, kernel = _inputs(2, 1, h=4, side=3) if name == "to one" else _inputs(2, 3, h=4)

    def found(x, kernel):
        def penalty(fn):  # a gradient penalty, as an experiment may take
            return jax.grad(lambda k: jnp.square(jax.grad(lambda x: jnp.tanh(fn(x, k)).sum())(x)).sum())(kernel)

        mapped = jax.vmap(dense, (0, None))(jnp.stack([x, 2 * x]), kernel)
        return penalty(dense), penalty(plain), mapped[1], 2 * plain(x, kernel)

    ours, expected, mapped, alone = jax.jit(found)(x, kernel)
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    np.testing.assert_allclose(mapped, alone, atol=1e-5)


@pytest.mark.parametrize(("platform", "holes"), [("cpu", False), ("cuda", True), ("tpu", True)])
def test_a_gpu_gets_the_convolution_as_xla_has_it(platform, holes):
    program = jax.export.export(jax.jit(conv.transposed_conv), platforms=[platform])(*_inputs(2, 3)).mlir_module()
    assert ("lhs_dilate = [2, 2]" in program) == holes
    to_one = jax.export.export(jax.jit(conv.conv_to_one), platforms=[platform])(*_inputs(2, 1, side=3)).mlir_module()
    assert ("stablehlo.convolution" in to_one) == holes


def test_conv_to_one_is_flax_s_with_the_same_parameters():
    x = _inputs(3, 1)[0]
    ours, theirs = conv.ConvToOne(), nn.Conv(1, (3, 3))
    rng, shapes = np.random.default_rng(1), jax.eval_shape(lambda: theirs.init(jax.random.key(0), x))
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.15, leaf.shape).astype(np.float32), shapes)
    nets = ours, theirs, conv.ConvToOne(jnp.bfloat16)
    found, expected, half = jax.jit(lambda *inputs: [net.apply(*inputs) for net in nets])(variables, x)
    np.testing.assert_allclose(found, expected[..., 0], atol=1e-5)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(half, np.float32), expected[..., 0], atol=0.03)


@pytest.mark.parametrize(("module", "size"), [(conv.UpConv(5), 8), (conv.DownConv(5), 2)])
def test_modules_share_the_parameter_layout(module, size):
    x = jnp.zeros((1, 4, 4, 3))
    images, variables = jax.jit(module.init_with_output)(jax.random.key(0), x)
    assert images.shape == (1, size, size, 5)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"kernel": (4, 4, 3, 5), "bias": (5,)}
    bound = np.sqrt(6 / (16 * 3 + 16 * 5))  # Xavier uniform
    assert 0.8 * bound < np.abs(variables["params"]["kernel"]).max() <= bound
    assert not variables["params"]["bias"].any()


def test_xavier_uniform_is_flax_s():
    shape, kinds = (4, 4, 3, 5), (conv.xavier_uniform, nn.initializers.xavier_uniform())
    ours, theirs = jax.jit(lambda key: [kind(key, shape) for kind in kinds])(jax.random.key(5))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
