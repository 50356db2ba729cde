"""One update against the same step in PyTorch, and against its equations."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.train.state import Pair, init_state, optimizers
from depthjax.train.step import Batch, GanObjective, make_steps, make_update, mirrored, teacher_variables

KEY = jax.random.key(3)
METRICS = ("g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd", "d_acc_real", "d_acc_fake")


def _close(ours, expected, atol, skip=()):
    """Every leaf, but for those whose path ends in one of `skip`."""

    def check(path, a, b):
        name = "/".join(key.key for key in path)
        if name not in skip:
            np.testing.assert_allclose(a, b, atol=atol, err_msg=name)

    jax.tree_util.tree_map_with_path(check, ours, expected)


def _compiled(function):
    """Jitted without LLVM's optimisation, which takes half of the time that compiling takes."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module")
def update(trained):
    return _compiled(make_update(trained(mirror=False)))


@pytest.fixture(scope="module")
def updated(update, state, batch):
    """The state after one update, and its metrics."""
    return update(state, batch, KEY)


def test_metrics_are_finite_scalars(updated):
    _, metrics = updated
    assert sorted(metrics) == sorted(METRICS)
    assert all(value.shape == () and np.isfinite(value) for value in metrics.values())


def test_losses_add_up_as_configured(updated, config):
    _, m = updated
    train = config.train
    np.testing.assert_allclose(m["g_loss"], m["g_adv"] + train.generator_kd_weight * m["g_kd"], rtol=1e-5)
    adversarial = (m["d_adv_real"] + m["d_adv_fake"]) / 2
    np.testing.assert_allclose(m["d_loss"], adversarial + train.discriminator_kd_weight * m["d_kd"], rtol=1e-5)


def test_teachers_move_by_the_equation(updated, state, config):
    new, _ = updated
    tau = config.train.ema_decay
    for student, old, teacher in (
        (new.params, state.teacher_params, new.teacher_params),
        (new.batch_stats, state.teacher_batch_stats, new.teacher_batch_stats),
    ):
        expected = jax.tree.map(lambda s, t: tau * np.float64(t) + (1 - tau) * np.float64(s), student, old)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), teacher, expected)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), new.teacher_batch_stats, state.teacher_batch_stats)
    assert all(jax.tree.leaves(moved))
    assert new.step == state.step + 1


@pytest.mark.nightly
def test_bfloat16_stays_near_float32(trained, state, batch, updated):
    base = trained(mirror=False)
    low = replace(base, model=replace(base.model, dtype="bfloat16"))
    new, metrics = _compiled(make_update(low))(state, batch, KEY)
    assert {leaf.dtype for leaf in jax.tree.leaves(new.params)} == {jnp.dtype("float32")}
    for name in ("g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake"):
        np.testing.assert_allclose(metrics[name], updated[1][name], rtol=0.03, err_msg=name)


def test_mirror_flips_about_half_and_nothing_else():
    images = np.arange(200 * 6, dtype=np.float32).reshape(200, 2, 3)
    flipped = np.asarray(jax.jit(mirrored)(KEY, Batch(images, np.zeros(200, np.int32))).images)
    same = (flipped == images).all((1, 2))
    other = (flipped == images[:, :, ::-1]).all((1, 2))
    assert (same ^ other).all() and 60 < same.sum() < 140


def test_many_steps_are_the_same_steps(trained, state, faces):
    """By an update that only moves a weight: tests/train/test_loop.py has the real one, 5 steps at a time."""

    def make_walk(_):
        def update(state, batch, key):
            step = batch.images.mean() + jax.random.uniform(key) + 0.5 * state.params.generator["linear"]["bias"].mean()
            params = jax.tree.map(lambda leaf: leaf + step, state.params)
            return state._replace(params=params, step=state.step + 1), dict.fromkeys(METRICS, step)

        return update

    data = Batch(faces.images, faces.emotion)
    steps = _compiled(make_steps(trained(mirror=False), 5, make_update=make_walk))
    five, log = steps(state, data, np.int32(5))
    two, first = steps(state, data, np.int32(2))
    split, second = steps(two, data, np.int32(3))
    jax.tree.map(np.testing.assert_array_equal, split, five)
    for name in METRICS:
        np.testing.assert_array_equal(log[name], [*first[name][:2], *second[name][:3]])
        assert not np.asarray(first[name])[2:].any() and len(np.unique(np.asarray(log[name]))) == 5


def test_every_epoch_is_a_new_permutation(trained, state):
    """By an update that only records the sum of its faces: each epoch takes every face of a full batch once."""

    def make_sum(_):
        def update(state, batch, key):
            return state._replace(step=state.step + 1), {"sum": batch.images[:, 0, 0].sum()}

        return update

    images = jnp.broadcast_to(2.0 ** jnp.arange(24)[:, None, None], (24, 16, 16))
    data = Batch(images, jnp.zeros(24, jnp.int32))
    _, log = jax.jit(make_steps(trained(mirror=False), 8, make_update=make_sum))(state, data, np.int32(8))
    sums = np.asarray(log["sum"])
    assert sums[:4].sum() == sums[4:].sum() == 2**24 - 1
    assert not np.array_equal(sums[:4], sums[4:])


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.nightly), "bfloat16"])
def test_a_step_gives_back_a_state_of_the_same_shape(dtype, config, batch):
    model = replace(config.model, dtype=dtype, validity_mask=True, output_lowpass=1.0)
    own = replace(config, model=model, train=replace(config.train, remat=True, accumulate=3))
    before = jax.eval_shape(lambda: init_state(KEY, own))
    after, metrics = jax.eval_shape(make_update(own), before, batch, KEY)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), before
    )
    assert sorted(metrics) == sorted(METRICS)


def test_frozen_statistics_l2_distillation_and_an_objective_of_ones_own(trained, state, batch, updated):
    def generator(fake, real):
        return fake - real

    def discriminator(real, fake):
        return 2 * real, 3 * fake

    config = trained(mirror=False, teacher_batch_stats="frozen", generator_kd_norm="l2")
    new, metrics = _compiled(make_update(config, GanObjective(generator, discriminator)))(state, batch, KEY)
    _, paper = updated
    jax.tree.map(np.testing.assert_array_equal, new.teacher_batch_stats, state.teacher_batch_stats)
    for name in ("d_kd", "d_acc_real"):
        np.testing.assert_allclose(metrics[name], paper[name], rtol=1e-4)
    for name in ("g_kd", "g_adv", "d_adv_real", "d_adv_fake"):
        assert metrics[name] != pytest.approx(float(paper[name]), rel=1e-2)
    adversarial = (metrics["d_adv_real"] + metrics["d_adv_fake"]) / 2
    np.testing.assert_allclose(metrics["d_loss"], adversarial + 0.5 * metrics["d_kd"], rtol=1e-5)


def test_initial_state(config):
    state = _compiled(lambda key: init_state(key, config))(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, state.teacher_params, state.params)
    stats = jax.tree.leaves(state.batch_stats.generator["norm_1"])
    assert {float(v) for leaf in stats for v in leaf} == {0.0, 1.0}
    assert state.step.dtype == jnp.int32


def _torch_state(tool, training, state, config):
    """Our state with the weights and running statistics of the PyTorch peer, and Adam at its start."""

    def convert(generator, discriminator):
        tensors = [{k: v.numpy().copy() for k, v in net.state_dict().items()} for net in (generator, discriminator)]
        ours = teacher_variables(state)
        g = tool.generator_variables(tensors[0], ours.generator)
        d = tool.discriminator_variables(tensors[1], ours.discriminator)
        return Pair(g["params"], d["params"]), Pair(g["batch_stats"], d["batch_stats"])

    params, stats = convert(training.generator, training.discriminator)
    teacher_params, teacher_stats = convert(training.generator_teacher, training.discriminator_teacher)
    return state._replace(
        params=params,
        batch_stats=stats,
        opt_state=Pair(*(o.init(p) for o, p in zip(optimizers(config), params, strict=True))),
        teacher_params=teacher_params,
        teacher_batch_stats=teacher_stats,
    )


def test_whole_update_equals_pytorch(load_tool, trained, update, state, batch):
    torch = pytest.importorskip("torch")
    from benchmarks.torch_peer import Training

    tool, config = load_tool("convert_released_weights"), trained(mirror=False)
    torch.manual_seed(0)
    training = Training(config)
    with torch.no_grad():  # nothing at its start value, or a wrong order of updates would not show
        for net in (training.generator, training.discriminator):
            for name, tensor in net.state_dict().items():
                if name.endswith("running_var"):
                    tensor.uniform_(0.5, 2.0)
                elif tensor.is_floating_point() and tensor.ndim == 1:
                    tensor.add_(0.1 * torch.randn_like(tensor))
    training.start()
    before = _torch_state(tool, training, state, config)
    latents = _compiled(lambda key: jax.random.normal(jax.random.split(key)[0], (6, config.model.latent_size)))(KEY)
    inputs = (np.asarray(batch.images)[:, None], np.asarray(batch.emotion, np.int64), np.asarray(latents))
    expected = training.step(*(torch.from_numpy(np.array(value)) for value in inputs))
    ours, metrics = update(before, batch, KEY)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, atol=1e-4, err_msg=name)
    after = _torch_state(tool, training, state, config)
    # A bias before batch normalisation has no gradient but rounding, which Adam blows up to a full step.
    skip = ("linear/bias", *(f"conv_{i}/bias" for i in range(1, 5)))
    for net, cancelled in (("generator", skip), ("discriminator", skip[2:])):
        _close(getattr(ours.params, net), getattr(after.params, net), 1e-5, cancelled)
        _close(getattr(ours.batch_stats, net), getattr(after.batch_stats, net), 1e-5)
        _close(getattr(ours.teacher_params, net), getattr(after.teacher_params, net), 5e-6)
        _close(getattr(ours.teacher_batch_stats, net), getattr(after.teacher_batch_stats, net), 1e-6)
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), ours.params, before.params)
    assert min(jax.tree.leaves(moved)) > 5e-5  # both really took a step, or parity would mean nothing
