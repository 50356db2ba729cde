"""Many trainings in one program are as many single ones."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.keys import fold
from depthjax.train.many import Own, init_many, make_many_steps, own_batch, teachers_of, train_many
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_update

MEMBERS = [np.arange(0, 12), np.arange(5, 26), np.arange(3, 10)]  # of three trainings: 12, 21 and 7 faces
STEPS = 4


@pytest.fixture(scope="module")
def keys():
    return jax.vmap(jax.random.key)(jnp.arange(3))


def trained(config, faces, keys, which, tmp_path, *, vmapped=False, steps=STEPS):
    folder = tmp_path / f"{which}{vmapped}"
    members = [MEMBERS[i] for i in which]
    return train_many(config, faces, members, keys[jnp.array(which)], folder, steps=steps, vmapped=vmapped, quiet=True)


@pytest.fixture(scope="module")
def together(config, faces, keys, tmp_path_factory):
    return trained(config, faces, keys, (0, 1, 2), tmp_path_factory.mktemp("together"))


def kernels(params):
    """The convolutions and products of both networks. (Rounding alone moves a bias before batch normalisation.)"""
    return [leaf for path, leaf in jax.tree.leaves_with_path(params) if "kernel" in jax.tree_util.keystr(path)]


def difference(a, b, start):
    """How far two trainings are apart, as a share of what one of them has changed since its start."""
    changed, apart = ([np.asarray(x - y) for x, y in zip(kernels(a), kernels(c), strict=True)] for c in (start, b))
    return np.sqrt(sum((x**2).sum() for x in apart) / sum((x**2).sum() for x in changed))


def part(params, number):
    return jax.tree.map(lambda leaf: leaf[number], params)


def test_a_batch_is_drawn_from_a_trainings_own_faces_and_shows_each_once_an_epoch():
    faces = Batch(jnp.arange(30.0)[:, None, None], jnp.arange(30, dtype=jnp.int32))
    own = Own(jnp.array([4, 7, 9, 11, 20, 21, 1, 2]), jnp.int32(6), jax.random.key(5))
    epochs = [
        np.concatenate([own_batch(faces, own, jnp.int32(step), size=3).emotion for step in (2 * e, 2 * e + 1)])
        for e in range(4)
    ]
    assert all(sorted(epoch) == [4, 7, 9, 11, 20, 21] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    longer = own._replace(rows=jnp.concatenate([own.rows, jnp.zeros(9, jnp.int32)]))
    for step in range(6):
        a, b = (own_batch(faces, of, jnp.int32(step), size=3).emotion for of in (own, longer))
        assert np.array_equal(a, b)


@pytest.mark.nightly  # compiles another program
def test_a_training_is_the_learning_rule_step_by_step(config, faces, keys, together):
    state, update = init_state(fold(keys[1], "init"), config), jax.jit(make_update(config))
    batch = Batch(jnp.asarray(faces.images), jnp.asarray(faces.emotion))
    own = Own(jnp.asarray(MEMBERS[1], jnp.int32), jnp.int32(len(MEMBERS[1])), keys[1])
    for step in range(STEPS):
        of_step = own_batch(batch, own, jnp.int32(step), size=config.train.batch_size)
        state, _ = update(state, of_step, fold(keys[1], "train", step))
    start = init_state(fold(keys[1], "init"), config)
    assert difference(state.params, part(together.params, 1), start.params) < 0.01
    assert difference(state.params, part(together.params, 0), start.params) > 1
    assert int(together.step) == STEPS


@pytest.mark.nightly  # compiles another program
def test_a_training_does_not_depend_on_the_others(config, faces, keys, together, tmp_path):
    alone = trained(config, faces, keys, (2,), tmp_path)
    start = init_many(keys[2:], config)
    assert difference(part(alone.params, 0), part(together.params, 2), part(start.params, 0)) < 0.01


@pytest.mark.nightly  # compiles another program
def test_side_by_side_gives_what_one_after_the_other_gives(config, faces, keys, together):
    batch = Batch(jnp.asarray(faces.images), jnp.asarray(faces.emotion))
    rows = np.stack([np.resize(of, 21) for of in MEMBERS])
    own = Own(jnp.asarray(rows, jnp.int32), jnp.array([12, 21, 7]), keys)
    steps = jax.jit(make_many_steps(config, vmapped=True))
    state, metrics = steps(init_many(keys, config), own, batch, np.int32(STEPS))
    assert difference(state.params, together.params, init_many(keys, config).params) < 0.01
    assert all(value.shape == (3,) for value in metrics.values()) and int(state.step) == STEPS
    of_first = teachers_of(state, 0).generator["params"]["linear"]["kernel"]
    assert np.array_equal(of_first, state.teacher_params.generator["linear"]["kernel"][0])


@pytest.mark.nightly  # compiles the program twice
def test_a_stopped_group_goes_on_to_the_same_numbers(config, faces, keys, together, tmp_path):
    trained(config, faces, keys, (0, 1, 2), tmp_path, steps=3)
    resumed = trained(config, faces, keys, (0, 1, 2), tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (resumed, together)), strict=True))
    with pytest.raises(UserError, match="4 steps, more than 3"):
        trained(config, faces, keys, (0, 1, 2), tmp_path, steps=3)
    with pytest.raises(UserError, match="another training: the draws, their seed or the faces"):
        other = replace(faces, images=-faces.images)
        trained(config, other, keys, (0, 1, 2), tmp_path)


def test_fewer_faces_than_a_batch_are_refused(config, faces, keys, tmp_path):
    with pytest.raises(UserError, match="5 faces to train on are fewer than a batch"):
        train_many(config, faces, [np.arange(5)], keys[:1], tmp_path, steps=1, quiet=True)


def test_numbers_that_are_not_finite_name_the_training(config, faces, keys, tmp_path):
    images = faces.images.copy()
    images[25] = np.nan
    with pytest.raises(UserError, match="of training 1 is nan by step"):
        trained(config, replace(faces, images=images), keys, (0, 1, 2), tmp_path)
    assert not list(tmp_path.rglob("manifest.json"))
