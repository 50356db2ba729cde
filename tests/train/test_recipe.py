"""Every switch of the recipe in a whole step: what it changes, and what it must leave as it is."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import AUGMENTATIONS
from depthjax.train import checkpoint
from depthjax.train.state import init_state
from depthjax.train.step import (
    make_discriminator_loss,
    make_update,
    metric_names,
    moved_anchors,
    networks_at,
    other_emotion,
    penalty_of,
)

KEY = jax.random.key(3)
SWITCHES = {
    "relativistic": ({}, {"loss": "relativistic"}),
    "hinge, spectral": ({"discriminator_norm": "spectral"}, {"loss": "hinge"}),
    "penalty": (
        {"discriminator_norm": "none"},
        {"penalty": 1.0, "penalty_every": 4, "penalty_end": 0.1, "schedule_steps": 9},
    ),
    "transition": ({"projection": True}, {"transition": 0.5, "schedule_steps": 10, "remat": True}),
    "augment": ({}, {"augment": AUGMENTATIONS}),
    "sensor": ({}, {"sensor": True}),
    "feature kd": ({}, {"kd": "feature", "kd_anneal": True, "schedule_steps": 10}),
    "no kd": ({}, {"kd": "none"}),
    "lecam": ({}, {"lecam": 0.1}),
    "mismatched": ({"emotion_gain": 16.0, "grain": True}, {"mismatched": 0.25}),
    "networks": ({"projection": True, "minibatch_std": True, "geometry": "normals", "upsampling": "resize"}, {}),
    "mask": ({"return_mask": True, "output_lowpass": 1.0}, {"remat": True}),
    "bfloat16": (
        {"dtype": "bfloat16", "return_mask": True, "discriminator_norm": "spectral", "minibatch_std": True},
        {},
    ),
}
ALL = (
    {"discriminator_norm": "none", "projection": True, "geometry": "normals", "upsampling": "resize"},
    {"loss": "relativistic", "penalty": 1.0, "augment": ("mirror", "shift", "depth"), "sensor": True, "kd": "none",
     "schedule": "cosine", "schedule_steps": 10, "ema_ramp": 0.1, "lecam": 0.1},
)  # fmt: skip


@pytest.fixture(scope="module")
def switched(config):
    """(fields of model, fields of train) → the config with those replaced."""

    def switch(of_model, of_train):
        return replace(config, model=replace(config.model, **of_model), train=replace(config.train, **of_train))

    return switch


@pytest.mark.parametrize("name", SWITCHES)
def test_a_step_gives_back_a_state_of_the_same_shape(name, switched, batch):
    config = switched(*SWITCHES[name])
    state = jax.eval_shape(lambda: init_state(KEY, config))
    new, metrics = jax.eval_shape(make_update(config), state, batch, KEY)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), new) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert sorted(metrics) == sorted(metric_names(config))


@pytest.mark.parametrize("projection", [False, True])
def test_in_transition_networks_begin_without_the_emotion_and_end_with_it(projection, switched, batch):
    config = switched({"projection": projection}, {"transition": 0.5, "schedule_steps": 10})
    state = jax.jit(init_state, static_argnums=1)(KEY, config)
    latents = jnp.ones((len(batch.emotion), config.model.latent_size))

    def heard(step):
        nets = networks_at(jnp.int32(step), config)
        pairs = zip(nets, state.params, state.batch_stats, (latents, batch.images), strict=True)
        for net, params, stats, inputs in pairs:
            variables = {"params": params, "batch_stats": stats}
            one, other = (net.apply(variables, inputs, batch.emotion * 0 + label, False) for label in (0, 1))
            yield float(jnp.abs(one - other).max())

    (g_first, d_first), (g_middle, d_middle), (g_last, d_last) = heard(0), heard(2), heard(5)
    assert g_first == d_first == 0
    assert 0 < g_middle < g_last and 0 < d_middle < d_last
    assert list(heard(50)) == [g_last, d_last]


def test_a_step_before_the_transition_does_not_depend_on_the_emotions(switched, batch):
    config = switched({}, {"transition": 0.5, "schedule_steps": 10, "kd": "none"})
    state = jax.jit(init_state, static_argnums=1)(KEY, config)
    update = jax.jit(make_update(config), compiler_options={"xla_backend_optimization_level": 0})
    other = batch._replace(emotion=(batch.emotion + 1) % 3)

    def differs(step):
        ours, theirs = (update(state._replace(step=jnp.int32(step)), faces, KEY)[1] for faces in (batch, other))
        return any(float(ours[name]) != float(theirs[name]) for name in ours)

    assert not differs(0) and differs(5)


def test_the_penalty_of_a_step_falls_with_its_schedule(switched, batch):
    fields = {"penalty": 1.0, "penalty_every": 4, "schedule_steps": 8}
    plain, falling = (switched({"discriminator_norm": "none"}, fields | {"penalty_end": end}) for end in (1.0, 0.1))
    state = jax.jit(init_state, static_argnums=1)(KEY, plain)
    params, shown = state.params.discriminator, (batch.images, -batch.images)

    def penalty(config, step):
        return float(penalty_of(config, params, {}, batch.emotion, shown, jnp.int32(step))[0])

    assert penalty(plain, 0) == penalty(plain, 8) > 0
    assert penalty(falling, 0) == pytest.approx(penalty(plain, 0), rel=1e-5)
    assert penalty(falling, 4) == pytest.approx(0.55 * penalty(plain, 0), rel=1e-5)
    assert penalty(falling, 8) == pytest.approx(0.1 * penalty(plain, 0), rel=1e-5)


@pytest.fixture(scope="module")
def stepped(switched, batch):
    """The state after a step with (nearly) everything on, the state before, and the metrics."""
    config = switched(*ALL)
    before = jax.jit(init_state, static_argnums=1)(KEY, config)
    update = jax.jit(make_update(config), compiler_options={"xla_backend_optimization_level": 0})
    return config, before, *update(before, batch, KEY)


def test_everything_together_takes_a_finite_step(stepped):
    config, before, after, metrics = stepped
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, metrics)))
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.params, before.params)
    largest = jax.tree.map(lambda leaf: float(leaf), moved)
    assert max(jax.tree.leaves(largest.generator)) > 1e-4 < max(jax.tree.leaves(largest.discriminator))
    assert metrics["d_penalty"] > 0 and metrics["d_adv_real"] == metrics["d_adv_fake"]
    # At step 0 the ramp forgets the start almost wholly: the teacher is the student.
    near = jax.tree.map(lambda t, s: np.allclose(t, s, atol=1e-5), after.teacher_params, after.params)
    assert all(jax.tree.leaves(near))
    assert config.train.lecam and set(after.batch_stats.discriminator) == {"anchors"}


def test_a_discriminator_without_statistics_survives_a_checkpoint(stepped, tmp_path):
    config, _, after, _ = stepped
    bare = after._replace(batch_stats=after.batch_stats._replace(discriminator={}),
                          teacher_batch_stats=after.teacher_batch_stats._replace(discriminator={}))  # fmt: skip
    for name, state in (("anchors", after), ("bare", bare)):
        folder = tmp_path / name
        checkpoint.save(folder, state, config=config, fingerprint="f", keep=1)
        again = checkpoint.restore_latest(folder, state, config=config, fingerprint="f")
        assert jax.tree.structure(again) == jax.tree.structure(state)
        jax.tree.map(np.testing.assert_array_equal, again, state)
        teachers, _ = checkpoint.restore_teachers(folder, config=config)
        jax.tree.map(
            np.testing.assert_array_equal, teachers.discriminator["params"], state.teacher_params.discriminator
        )
    assert teachers.discriminator["batch_stats"] == {}


def test_anchors_are_running_means():
    new = moved_anchors(
        {"real": jnp.array(1.0), "fake": jnp.array(0.0)}, jnp.array([3.0, 5.0]), jnp.array([-1.0, -3.0])
    )
    np.testing.assert_allclose([new["real"], new["fake"]], [0.99 + 0.01 * 4, -0.01 * 2], rtol=1e-5)


def test_a_checkpoint_from_before_the_switches_goes_on(state, tmp_path, config):
    """Its stored config lacks them: their defaults are what it was trained with."""
    folder = checkpoint.save(tmp_path, state, config=config, fingerprint="f", keep=1)
    meta = json.loads((folder / "meta.json").read_text())
    for section, fields in (("model", ("upsampling", "geometry")), ("train", ("loss", "augment", "sensor"))):
        for field in fields:
            del meta["config"][section][field]
    checkpoint.refuse_other_training(meta, config, "f", folder)


def test_another_emotion_is_never_ones_own_and_any_other():
    emotion = jnp.asarray(np.arange(3000) % 3)
    other = np.asarray(other_emotion(KEY, emotion, 3))
    away = (other - np.asarray(emotion)) % 3
    assert set(away) == {1, 2} and abs((away == 1).mean() - 0.5) < 0.05 and set(other) == {0, 1, 2}


def test_mismatched_faces_take_their_share_of_the_refused(switched, state, batch):
    """(1 - w) of generated faces and w of real faces that claim another emotion, by hand."""
    from depthjax.train.state import networks
    from depthjax.train.step import D_WRONG, forward

    config = switched({}, {"mismatched": 0.25, "kd": "none"})
    params, stats = state.params.discriminator, state.batch_stats.discriminator
    fakes, net = -batch.images, networks(config).discriminator
    loss, (_, _, metrics) = make_discriminator_loss(config)(params, state, stats, batch, fakes, KEY)
    wrong = other_emotion(jax.random.fold_in(KEY, D_WRONG), batch.emotion, len(config.data.emotions))
    pairs = ((batch.images, batch.emotion), (fakes, batch.emotion), (batch.images, wrong))
    real, fake, refused = (forward(net, params, stats, *pair)[0] for pair in pairs)
    of_fakes = 0.75 * np.logaddexp(0, fake).mean() + 0.25 * np.logaddexp(0, refused).mean()
    np.testing.assert_allclose(metrics["d_adv_fake"], of_fakes, rtol=1e-5)
    np.testing.assert_allclose(loss, (np.logaddexp(0, -real).mean() + of_fakes) / 2, rtol=1e-5)
