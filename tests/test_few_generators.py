"""Other ways to train for few people: each differs from the paper's rule by what its name says, and all run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import few
from depthjax.data.augment import BACKGROUND
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_update, teacher_variables
from experiments import few_generators, few_rules, refiner
from experiments.few_rules import Rule

RANGE = DepthRange(-10.0, 80.0)


@pytest.fixture(scope="module")
def config():
    base = few.get_config()
    return replace(
        base,
        data=replace(base.data, resolution=16, emotions=("neutral", "fear")),
        model=replace(base.model, generator_width=16, discriminator_width=4, latent_size=8),
        train=replace(base.train, batch_size=4),
    )


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(0, 0.4, (24, 16, 16)), -1, 1).astype(np.float32)
    images[:, :2] = 1
    subject = np.repeat(np.arange(6, dtype=np.int32), 4)
    emotion = np.tile(np.array([0, 0, 1, 1], np.int32), 6)
    return DepthFaces(images, emotion, subject, np.zeros(24, np.int32), ("neutral", "fear"), RANGE)


def changed(before, after):
    return {name for name in before if not jax.tree.all(jax.tree.map(np.array_equal, before[name], after[name]))}


def test_without_additions_it_is_the_rule_of_the_package(config, faces):
    batch, key = Batch(jnp.asarray(faces.images[:4]), jnp.asarray(faces.emotion[:4])), jax.random.key(3)
    carry = few_rules.start(config, jax.random.key(0))
    expected = jax.jit(make_update(config))(carry.state, batch, key)[0]
    found = jax.jit(few_rules.make_update(config, Rule()))(carry, batch, key).state
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found.params, expected.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found.batch_stats, expected.batch_stats)


def test_frozen_layers_keep_their_weights_and_statistics_alone_move(config, faces):
    prior = teacher_variables(init_state(jax.random.key(1), config))
    rule = Rule(frozen=few_rules.FROZEN, statistics_only=True)
    state = few_generators.trained(config, rule, faces, jax.random.key(2), 3, prior).state
    generator, discriminator = (prior.generator["params"], prior.discriminator["params"])
    moved = changed(generator, state.params.generator)
    assert moved == {name for name in generator if name.startswith("norm_")} | {"linear"}
    linear, before = state.params.generator["linear"], generator["linear"]
    np.testing.assert_array_equal(linear["bias"], before["bias"])
    np.testing.assert_array_equal(linear["kernel"][:8], before["kernel"][:8])
    assert not np.array_equal(linear["kernel"][8:], before["kernel"][8:])
    assert changed(discriminator, state.params.discriminator) == set(discriminator) - set(few_rules.FROZEN)


def test_faces_are_augmented_with_a_probability(faces):
    images = jnp.asarray(faces.images[:3])
    np.testing.assert_allclose(few_rules.augmented(jax.random.key(0), images, jnp.float32(0)), images, atol=1e-5)
    moved = few_rules.augmented(jax.random.key(0), images, jnp.float32(1))
    assert np.abs(moved - images).max() > 0.1 and np.abs(moved).max() <= 1


@pytest.mark.nightly
def test_all_rules_train(config, faces):
    for rule in few_generators.RULES.values():
        carry = few_generators.trained(config, rule, faces, jax.random.key(2), 5)
        assert jax.tree.all(jax.tree.map(lambda leaf: bool(np.isfinite(leaf).all()), carry))


@pytest.mark.nightly
def test_the_probability_of_augmentation_follows_the_discriminator(config, faces):
    update = jax.jit(few_rules.make_update(config, Rule(augment=True)))
    batch = Batch(jnp.asarray(faces.images[:4]), jnp.asarray(faces.emotion[:4]))
    carry = few_rules.start(config, jax.random.key(0))._replace(probability=jnp.float32(0.5))
    for bias, change in ((50.0, few_rules.RATE), (-50.0, -few_rules.RATE)):
        weights = carry.state.params.discriminator
        sure = weights | {"linear": weights["linear"] | {"bias": jnp.full((1,), bias)}}
        state = carry.state._replace(params=carry.state.params._replace(discriminator=sure))
        found = update(carry._replace(state=state), batch, jax.random.key(1)).probability
        np.testing.assert_allclose(found, 0.5 + change, atol=1e-6)


def test_two_faces_of_a_pair_share_a_person_and_an_identity(faces):
    others = jnp.asarray([[row for row in range(24) if row // 4 == i // 4 and row != i] for i in range(24)])
    images = jnp.asarray(np.broadcast_to(faces.subject[:, None, None], (24, 16, 16)), jnp.float32)
    few_faces = few_rules.Few(Batch(images, jnp.asarray(faces.emotion)), others)
    first, second = few_rules.halves(few_rules.drawn(jax.random.key(0), few_faces, 8, pairs=True))
    np.testing.assert_array_equal(first.images, second.images)
    latents = few_rules.share_identity(jnp.arange(32.0).reshape(4, 8))
    np.testing.assert_array_equal(latents[:2, :4], latents[2:, :4])
    assert len(np.unique(latents[:, 4:])) == 16


def test_an_expression_is_transferred_to_neutral_faces_in_their_own_outline(faces):
    change = np.full((1, 16, 16), 0.25, np.float32)
    change[:, :, 8:] = np.nan
    made = few_generators.transferred(faces, {1: change}, 5, np.random.default_rng(0))
    assert list(made.emotion) == [0] * 5 + [1] * 5
    neutral = faces.images[faces.emotion == 0]
    for image in made.images[5:]:
        same = [of for of in neutral if np.array_equal(of[:, 8:], image[:, 8:])]
        (base,) = same
        valid = base[:, :8] < BACKGROUND
        expected = np.where(valid, np.clip(base[:, :8] + 0.25, -1, 1), base[:, :8])
        np.testing.assert_allclose(image[:, :8], expected, atol=1e-6)


def test_a_refined_face_keeps_its_outline(faces, monkeypatch):
    monkeypatch.setattr(refiner, "STEPS", 3)
    monkeypatch.setattr(refiner, "FIRST", 0)
    made = refiner.refined(faces.images, faces.images[:5] * 0.5, seed=0)
    assert made.shape == faces.images.shape and np.abs(made).max() <= 1
    np.testing.assert_array_equal(made[:, :2], 1)
    assert not np.array_equal(made, faces.images)


def test_the_table_compares_with_copies():
    rng = np.random.default_rng(0)
    found = rng.uniform(0.7, 0.8, (3, 4, 2, 6))
    found[:, 2] = found[:, 1] + 0.02
    lines = list(few_generators.table(3, found, ["prior"]))
    assert "augmented + prior |" in lines[6] and lines[6].count("2.0 (2.0 to 2.0) *") == 2
