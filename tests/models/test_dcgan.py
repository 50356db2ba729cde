"""The released networks: sizes, shapes, statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.models.dcgan import Discriminator, Generator
from depthjax.models.norm import BatchNorm

LABELS = jnp.array([0, 1, 2, 0], jnp.int32)


def _parameters(net, *inputs):
    variables = jax.eval_shape(lambda: net.init(jax.random.key(0), *inputs, LABELS[:2], False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameter_counts_at_the_papers_size():
    convs = [(512, 256), (256, 128), (128, 64), (64, 32)]
    flat = 16 * 16 * 512
    expected = (256 + 3) * flat + flat + 2 * flat + sum(16 * i * o + 3 * o for i, o in convs) + 9 * 32 + 1
    assert _parameters(Generator(256, 512, 3), jnp.zeros((2, 256))) == expected == 37_127_873  # 37.1 M
    convs = [(64, 128), (128, 256), (256, 512)]
    expected = 16 * 4 * 64 + 64 + sum(16 * i * o + 3 * o for i, o in convs) + flat + 1
    assert _parameters(Discriminator(64, 3), jnp.zeros((2, 256, 256))) == expected == 2_890_433  # 2.9 M


@pytest.fixture(scope="module")
def nets():
    generator, discriminator = Generator(32, 32, 3), Discriminator(8, 3)
    latents = jax.random.normal(jax.random.key(1), (4, 6))
    images, g = jax.jit(lambda: generator.init_with_output(jax.random.key(0), latents, LABELS, False))()
    logits, d = jax.jit(lambda: discriminator.init_with_output(jax.random.key(0), images, LABELS, False))()
    return generator, discriminator, g, d, latents, images, logits


def test_shapes_range_and_condition(nets):
    generator, discriminator, g, d, latents, images, logits = nets
    assert images.shape == (4, 32, 32) and logits.shape == (4,)
    assert images.dtype == logits.dtype == jnp.float32
    assert np.abs(images).max() < 1
    other = (LABELS + 1) % 3
    assert not np.allclose(generator.apply(g, latents, other, False), images, atol=1e-6)
    assert not np.allclose(discriminator.apply(d, images, other, False), logits, atol=1e-6)


def test_evaluation_is_per_sample_and_training_is_not(nets):
    generator, _, g, _, latents, images, _ = nets
    np.testing.assert_allclose(generator.apply(g, latents[:2], LABELS[:2], False), images[:2], atol=1e-5)
    whole, _ = generator.apply(g, latents, LABELS, True, mutable=["batch_stats"])
    half, _ = generator.apply(g, latents[:2], LABELS[:2], True, mutable=["batch_stats"])
    assert not np.allclose(whole[:2], half, atol=1e-3)


def test_bfloat16_computes_and_keeps_float32(nets):
    generator, discriminator, g, d, latents, images, logits = nets
    low = Generator(32, 32, 3, jnp.bfloat16), Discriminator(8, 3, jnp.bfloat16)
    shapes = jax.eval_shape(lambda: low[0].init(jax.random.key(0), latents, LABELS, False))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    faces = low[0].apply(g, latents, LABELS, False)
    assert faces.dtype == jnp.float32
    np.testing.assert_allclose(faces, images, atol=0.02)
    np.testing.assert_allclose(low[1].apply(d, images, LABELS, False), logits, atol=0.05)


def test_batch_norm_keeps_the_unbiased_variance_and_uses_the_biased_one():
    x = np.random.default_rng(0).normal(3, 2, (4, 2, 3, 5)).astype(np.float32)
    norm = BatchNorm()
    variables = norm.init(jax.random.key(0), x, False)
    y, new = norm.apply(variables, x, True, mutable=["batch_stats"])
    axes = (0, 1, 2)
    np.testing.assert_allclose(y, (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["mean"], 0.1 * x.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.9 + 0.1 * x.var(axes, ddof=1), rtol=1e-5)
    still = norm.apply(variables, x, False)
    np.testing.assert_allclose(still, x / np.sqrt(1 + 1e-5), rtol=1e-5)
