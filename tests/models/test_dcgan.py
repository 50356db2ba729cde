"""The released networks: sizes, shapes, statistics."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.models.dcgan import Discriminator, Generator, binomial_lowpass, decode, latent_noise, masked_depth
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
def nets(filled):
    generator, discriminator = Generator(16, 32, 3), Discriminator(4, 3)
    g, d = filled(generator, jnp.zeros((2, 6))), filled(discriminator, jnp.zeros((2, 16, 16)))
    latents = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    generate = jax.jit(generator.apply, static_argnums=3)
    judge = jax.jit(discriminator.apply, static_argnums=3)
    return generate, judge, g, d, latents, generate(g, latents, LABELS, False)


def test_shapes_range_and_condition(nets):
    generate, judge, g, d, latents, images = nets
    logits, other = judge(d, images, LABELS, False), (LABELS + 1) % 3
    assert images.shape == (4, 16, 16) and logits.shape == (4,)
    assert images.dtype == logits.dtype == jnp.float32
    assert 0.1 < np.abs(images).max() < 1
    assert not np.allclose(generate(g, latents, other, False), images, atol=1e-4)
    assert not np.allclose(judge(d, images, other, False), logits, atol=1e-4)


def test_evaluation_treats_each_sample_alone(nets):
    generate, _, g, _, latents, images = nets
    changed = latents.copy()
    changed[2:] = 9.0
    np.testing.assert_allclose(generate(g, changed, LABELS, False)[:2], images[:2], atol=1e-5)
    assert not np.allclose(generate(g, changed, LABELS, False)[2:], images[2:], atol=1e-2)


def test_bfloat16_computes_and_keeps_float32(nets):
    _, judge, g, d, latents, images = nets
    low_g, low_d = Generator(16, 32, 3, jnp.bfloat16), Discriminator(4, 3, jnp.bfloat16)
    shapes = jax.eval_shape(lambda: low_g.init(jax.random.key(0), latents, LABELS, False))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    faces = jax.jit(low_g.apply, static_argnums=3)(g, latents, LABELS, False)
    assert faces.dtype == jnp.float32
    assert 0 < np.abs(faces - images).mean() < 0.01  # of a range of 2
    logits = jax.jit(low_d.apply, static_argnums=3)(d, images, LABELS, False)
    np.testing.assert_allclose(logits, judge(d, images, LABELS, False), atol=0.1)


def test_batch_norm_keeps_the_unbiased_variance_and_uses_the_biased_one():
    x = np.random.default_rng(0).normal(3, 2, (4, 2, 3, 5)).astype(np.float32)
    norm = BatchNorm()
    variables = {
        "params": {"scale": np.ones(5, np.float32), "bias": np.zeros(5, np.float32)},
        "batch_stats": {"mean": np.zeros(5, np.float32), "var": np.ones(5, np.float32)},
    }
    y, new = jax.jit(partial(norm.apply, train=True, mutable=["batch_stats"]))(variables, x)
    axes = (0, 1, 2)
    np.testing.assert_allclose(y, (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["mean"], 0.1 * x.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.9 + 0.1 * x.var(axes, ddof=1), rtol=1e-5)
    still = jax.jit(partial(norm.apply, train=False))(variables, x)
    np.testing.assert_allclose(still, x / np.sqrt(1 + 1e-5), rtol=1e-5)


def test_lowpass_takes_away_what_alternates_and_nothing_of_a_slope():
    filtered = jax.jit(binomial_lowpass)

    def lowpass(images, strength):
        return np.asarray(filtered(images, strength))

    board = (np.indices((8, 8)).sum(0) % 2).astype(np.float32)[None]
    assert np.ptp(lowpass(board, 1.0)[:, 1:-1, 1:-1]) < 1e-6
    rows = board[:, :1].repeat(8, 1)  # alternates one way only
    for strength, images, kept in [(0.5, board, 0.25), (0.5, rows, 0.5), (0.2, rows, 0.8), (0.0, board, 1.0)]:
        found = np.ptp(lowpass(images, strength)[:, 1:-1, 1:-1])
        np.testing.assert_allclose(found, kept, atol=1e-6)
    slope = np.linspace(-1, 1, 8, dtype=np.float32)[None, None].repeat(8, 1)
    np.testing.assert_allclose(lowpass(slope, 1.0)[..., 1:-1], slope[..., 1:-1], atol=1e-6)


def test_a_validity_mask_cuts_the_same_depth_sharply_by_noise_of_the_latent(filled):
    net, latents = Generator(16, 16, 3, validity_mask=True), np.random.default_rng(1).normal(size=(4, 6))
    latents = latents.astype(np.float32)
    variables = filled(net, jnp.zeros((2, 6)))
    plain = {key: {k: v for k, v in tree.items() if k != "conv_return"} for key, tree in variables.items()}
    labels, generate = np.asarray(LABELS), jax.jit(net.apply, static_argnums=3)
    faces = np.asarray(generate(variables, latents, labels, False))
    depth = np.asarray(jax.jit(Generator(16, 16, 3).apply, static_argnums=3)(plain, latents, labels, False))
    lost = faces == 1
    assert 0.1 < lost.mean() < 0.9
    np.testing.assert_allclose(faces[~lost], depth[~lost], atol=1e-6)
    turned = np.asarray(generate(variables, latents[::-1], labels[::-1], False))[::-1]  # the draw is of each alone
    np.testing.assert_allclose(turned, faces, atol=1e-6)
    # Nearly the same depth, another draw.
    again = np.asarray(generate(variables, latents + np.float32(1e-6), labels, False))
    assert 0.05 < ((again == 1) != lost).mean() < 0.6
    of_one_number = jax.eval_shape(lambda: latent_noise(jnp.ones((2, 1)), 4))
    assert of_one_number.shape == (2, 4, 4)


def test_decoding_in_batches_is_decoding_at_once(nets):
    _, _, g, _, latents, images = nets
    generator = Generator(16, 32, 3)
    for batch_size in (3, 4):
        faces = decode(generator, g, latents, np.asarray(LABELS), batch_size=batch_size)
        assert faces.shape == (4, 16, 16) and faces.dtype == np.float32
        np.testing.assert_allclose(faces, images, atol=1e-5)


def test_the_share_of_valid_pixels_and_its_gradient():
    noise = np.asarray(jax.jit(latent_noise, static_argnums=1)(np.ones((1, 2), np.float32), 64))[0]
    for logit in (-2.0, 0.0, 1.5):
        seen = np.asarray(jax.jit(masked_depth)(np.zeros((64, 64), np.float32), np.float32(logit) + noise))
        assert abs(float((seen == 0).mean()) - 1 / (1 + np.exp(-logit))) < 4 * 0.5 / 64  # four standard errors
        assert set(np.unique(seen)) == {0.0, 1.0}
    depth, score = jnp.array([-0.5, 0.25]), jnp.array([0.7, -1.3])
    of_depth, of_score = jax.jit(jax.grad(lambda *x: masked_depth(*x).sum(), (0, 1)))(depth, score)
    chance = 1 / (1 + np.exp(-np.asarray(score)))
    np.testing.assert_array_equal(of_depth, [1, 0])
    np.testing.assert_allclose(of_score, chance * (1 - chance) * (np.asarray(depth) - 1), rtol=1e-5)
