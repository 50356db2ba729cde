"""Gradient accumulation and rematerialisation: the same step in less memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import Config, Data, Model, Train
from depthjax.train.state import Pair, init_state, networks
from depthjax.train.step import Aux, Batch, accumulate_gradients, forward, make_update

KEY, N = jax.random.key(3), 12
CONFIG = Config(
    data=Data(resolution=16),
    model=Model(latent_size=8, generator_width=16, discriminator_width=4),
    train=Train(batch_size=N, mirror=True),
)
FACES = np.random.default_rng(0).uniform(-1, 1, (N, 16, 16)).astype(np.float32)
BATCH = Batch(jnp.asarray(FACES), jnp.asarray(np.arange(N, dtype=np.int32) % 3))


def _compiled(function):
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def _switched(**fields):
    """The config with fields of its model or train section replaced."""
    model = {name: value for name, value in fields.items() if hasattr(CONFIG.model, name)}
    train = {name: value for name, value in fields.items() if name not in model}
    return replace(CONFIG, model=replace(CONFIG.model, **model), train=replace(CONFIG.train, **train))


def _state(config):
    """Adam has seen gradients, or rounding of one that is almost zero would move a weight by a whole rate."""
    rng = np.random.default_rng(1)

    def value(path, leaf):
        name, signed = jax.tree_util.keystr(path), rng.choice([-1, 1], leaf.shape)
        if leaf.dtype != jnp.float32 or "mu" in name.split(".")[-1]:
            return jnp.zeros(leaf.shape, leaf.dtype)
        return jnp.asarray(rng.uniform(0.05, 0.2, leaf.shape) * (signed if "kernel" in name else 1), leaf.dtype)

    return jax.tree_util.tree_map_with_path(value, jax.eval_shape(lambda: init_state(KEY, config)))


def _close(ours, expected, floor=1.0):
    """Every array to 1e-5 of its largest value, or of `floor`."""

    def check(path, a, b):
        atol = 1e-5 * max(floor, float(np.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=jax.tree_util.keystr(path))

    jax.tree_util.tree_map_with_path(check, ours, expected)


@pytest.fixture
def _frozen_statistics(monkeypatch):
    """Batch normalisation by the running statistics, even in training."""
    from depthjax.models import dcgan

    class Frozen(dcgan.BatchNorm):
        def __call__(self, x, train):
            return super().__call__(x, False)

    monkeypatch.setattr(dcgan, "BatchNorm", Frozen)


@pytest.mark.nightly  # compiles two updates
def test_three_microbatches_take_the_step_of_the_whole_batch(_frozen_statistics):
    state = _state(CONFIG)
    whole, parts = (_compiled(make_update(_switched(accumulate=n)))(state, BATCH, KEY) for n in (1, 3))
    _close(parts, whole)
    gradients = [Pair(*(adam[0].mu for adam in new.opt_state)) for new, _ in (parts, whole)]  # halved: beta1 is 0.5
    _close(*gradients, floor=1e-4)
    assert min(np.abs(leaf).max() for leaf in jax.tree.leaves(gradients)) > 1e-6


def _statistics(net, params, stats, inputs, parts):
    def loss(params, *faces):
        images, new = forward(net, params, stats, *faces)
        return images.mean(), Aux(images, new, {})

    return _compiled(lambda inputs: accumulate_gradients(loss, params, inputs, parts=parts)[1].stats)(inputs)


def test_a_microbatch_is_normalised_by_itself_and_running_means_are_those_of_the_batch():
    net, state = networks(CONFIG).generator, _state(CONFIG)
    inputs = (np.random.default_rng(2).standard_normal((N, 8)).astype(np.float32), BATCH.emotion)
    first, rest = ("mean", "var")
    whole, parts = (
        _statistics(net, state.params.generator, state.batch_stats.generator, inputs, n)["norm_0"] for n in (1, 3)
    )
    np.testing.assert_allclose(parts[first], whole[first], atol=1e-6)
    assert not np.allclose(parts[rest], whole[rest], rtol=1e-3)
    values = np.asarray(inputs[0]) @ np.asarray(state.params.generator["linear"]["kernel"])[:8]
    values += np.asarray(state.params.generator["linear"]["kernel"])[8 + np.asarray(inputs[1])]
    within = np.mean([values[i::3].var(0, ddof=1) for i in range(3)], axis=0)
    old = np.asarray(state.batch_stats.generator["norm_0"]["var"])
    np.testing.assert_allclose(parts[rest], 0.9 * old + 0.1 * within, rtol=1e-4)


def test_faces_come_back_in_their_order_and_means_are_of_all():
    faces, shapes = jnp.arange(12.0), set()

    def loss(params, part):
        shapes.add(part.shape)
        return params * part.mean(), Aux(2 * part, {}, {"mean": part.mean()})

    gradient, found = accumulate_gradients(loss, jnp.float32(3), (faces,), parts=4)
    assert gradient == found.metrics["mean"] == faces.mean() and shapes == {(3,)}
    np.testing.assert_array_equal(found.fakes, 2 * faces)


@pytest.mark.parametrize("net", ["generator", pytest.param("discriminator", marks=pytest.mark.nightly)])
def test_remat_changes_neither_losses_nor_gradients_nor_statistics(net):
    found = []
    for remat in (False, True):
        config = _switched(remat=remat)
        state = _state(config)
        module, params, stats = (getattr(tree, net) for tree in (networks(config), state.params, state.batch_stats))
        inputs = (1 + FACES[:, 0, :8], BATCH.emotion) if net == "generator" else BATCH

        def loss(params, module=module, stats=stats, inputs=inputs):
            output, new = forward(module, params, stats, *inputs)
            return jnp.square(output).mean(), new

        gradient = jax.value_and_grad(loss, has_aux=True)
        assert ("remat" in str(jax.make_jaxpr(gradient)(params))) is remat
        found.append(_compiled(gradient)(params))
    _close(found[1], found[0])
