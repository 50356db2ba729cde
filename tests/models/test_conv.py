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
    return jnp.asarray(x), jnp.asarray(
        rng.normal(size=(side, side, channels, features)).astype(np.float32) / (4 * channels**0.5)
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("channels", "features"), [(5, 3), (1, 4), (128, 2), (2, 128)])
def test_equal_to_xla_in_values_and_gradients(name, channels, features):
    chosen, dense, plain = CASES[name]
    inputs = _inputs(channels, 1, side=3) if name == "to one" else _inputs(channels, features)

    def gradients(fn):
        return jax.jit(jax.grad(lambda x, k: jnp.sin(fn(x, k)).sum(), (0, 1)))(*inputs)

    expected = gradients(plain)
    np.testing.assert_allclose(dense(*inputs), plain(*inputs), atol=1e-5)
    for fn in (dense, chosen):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), gradients(fn), expected)


def test_transposed_conv_by_its_definition():
    x, kernel = _inputs(2, 3, h=3, w=2)
    expected = np.zeros((3, 8, 6, 3))  # every input pixel paints its 4x4 kernel, turned as lax.conv_transpose turns it
    for i in range(3):
        for j in range(2):
            patch = np.einsum("nc,abcf->nabf", x[:, i, j], kernel[::-1, ::-1])
            expected[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
    np.testing.assert_allclose(conv.transposed_conv(x, kernel), expected[:, 1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_and_vmap(name):
    _, dense, plain = CASES[name]
    x, kernel = _inputs(2, 1, h=4, side=3) if name == "to one" else _inputs(2, 3, h=4)

    def penalty(fn):  # a gradient penalty, as an experiment may take
        return jax.grad(lambda k: jnp.square(jax.grad(lambda x: jnp.tanh(fn(x, k)).sum())(x)).sum())(kernel)

    np.testing.assert_allclose(
        jax.jit(penalty, static_argnums=0)(dense), jax.jit(penalty, static_argnums=0)(plain), atol=1e-4
    )
    mapped = jax.jit(jax.vmap(dense, (0, None)))(jnp.stack([x, 2 * x]), kernel)
    np.testing.assert_allclose(mapped[1], 2 * plain(x, kernel), atol=1e-5)


@pytest.mark.parametrize(("platform", "holes"), [("cpu", False), ("cuda", True), ("tpu", True)])
def test_a_gpu_gets_the_convolution_as_xla_has_it(platform, holes):
    program = jax.export.export(jax.jit(conv.transposed_conv), platforms=[platform])(*_inputs(2, 3)).mlir_module()
    assert ("lhs_dilate = [2, 2]" in program) == holes
    to_one = jax.export.export(jax.jit(conv.conv_to_one), platforms=[platform])(*_inputs(2, 1, side=3)).mlir_module()
    assert ("stablehlo.convolution" in to_one) == holes


def test_conv_to_one_is_flax_s_with_the_same_parameters():
    x = _inputs(3, 1)[0]
    ours, theirs = conv.ConvToOne(), nn.Conv(1, (3, 3))
    variables = theirs.init(jax.random.key(0), x)
    variables["params"]["bias"] += 0.5
    expected = theirs.apply(variables, x)[..., 0]
    np.testing.assert_allclose(ours.apply(variables, x), expected, atol=1e-5)
    half = conv.ConvToOne(jnp.bfloat16).apply(variables, x)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), expected, atol=0.03)


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
    key, shape = jax.random.key(5), (4, 4, 3, 5)
    np.testing.assert_allclose(conv.xavier_uniform(key, shape), nn.initializers.xavier_uniform()(key, shape), rtol=1e-6)
