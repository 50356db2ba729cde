"""RS-IMLE: who is rejected and who is nearest, by brute force; a training that learns, repeats and resumes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.baselines import rs_imle
from depthjax.baselines.fits import fit_once
from depthjax.errors import UserError
from depthjax.files import read_arrays, write_arrays
from depthjax.progress import no_log
from depthjax.train.state import networks

KEY = jax.random.key(4)


@pytest.fixture(scope="module", autouse=True)
def small_pool():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rs_imle, "POOL", 32)
        patch.setattr(rs_imle, "PASSES", 2)
        yield


@pytest.fixture(scope="module")
def small(config):
    """Thirty rounds of six steps, stored after the tenth and the twentieth."""
    base = replace(config.baselines, rs_imle_epochs=60, rs_imle_lr=1e-2)
    model = replace(config.model, generator_width=16, latent_size=4)
    return replace(config, baselines=base, model=model, train=replace(config.train, batch_size=4, save_every_epochs=20))


@pytest.fixture(scope="module")
def twelve(faces):
    """Of three emotions five, four and three faces."""
    where = [np.flatnonzero(faces.emotion == label)[:: 32 // (5 - label)][: 5 - label] for label in range(3)]
    return faces.take(np.concatenate(where))


@pytest.fixture(scope="module")
def straight(small, twelve, tmp_path_factory):
    """(state, lines of the log, folder) of a training without a break."""
    lines, folder = [], tmp_path_factory.mktemp("straight")
    state, _ = rs_imle.train(KEY, small, twelve, folder, log=lines.append)
    return state, lines, folder


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_distances_are_a_mean_over_boxes_of_mean_squares():
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    found = rs_imle.distances(rs_imle.scales(a), rs_imle.scales(b))
    for i, j in np.ndindex(3, 3):
        squares = []
        for box in (1, 2, 4, 8, 16):
            starts = range(0, 16, box)
            cells = [(a[i] - b[j])[y : y + box, x : x + box].mean() for y in starts for x in starts]
            squares.append(np.mean(np.square(cells)))
        assert found[i, j] == pytest.approx(np.sqrt(np.mean(squares)), abs=1e-5)
    np.testing.assert_allclose(np.diag(rs_imle.distances(rs_imle.scales(a), rs_imle.scales(a))), 0, atol=1e-3)


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 0.3, 9.0])
def test_the_nearest_of_those_that_are_near_to_no_face(epsilon):
    distance = np.random.default_rng(1).uniform(0.1, 1, (6, 9)).astype(np.float32)
    filled = np.array([True, True, False, True, True, False])
    index, rejected = rs_imle.nearest_kept(jnp.asarray(distance), jnp.asarray(filled), epsilon)
    out = [m for m in range(9) if min(distance[t, m] for t in range(6) if filled[t]) < epsilon]
    out = [] if len(out) == 9 else out  # nobody would be left
    assert (epsilon in (0.0, 9.0)) == (not out)
    np.testing.assert_array_equal(np.flatnonzero(rejected), out)
    for face in np.flatnonzero(filled):
        assert index[face] == min((m for m in range(9) if m not in out), key=lambda m: distance[face, m])


def _nearest(config, state, faces, key):
    """Distance of each latent of the first emotion's pool to the nearest face."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    pool = jax.random.normal(jax.random.fold_in(key, 0), (1, 32, 4))[0]
    made = networks(config).generator.apply(variables, pool, jnp.zeros(32, jnp.int32), False)
    return rs_imle.distances(rs_imle.scales(faces.images[faces.emotion == 0]), rs_imle.scales(made)).min(0)


@pytest.mark.nightly
def test_each_face_gets_the_nearest_latent_of_its_own_emotion(small, twelve, straight):
    state, members, key = straight[0], rs_imle.members_of(twelve), jax.random.key(7)
    nearest = _nearest(small, state, twelve, key)
    for epsilon in (0.0, float(np.median(nearest))):
        config = replace(small, baselines=replace(small.baselines, rs_imle_epsilon=epsilon))
        chosen = jax.jit(lambda s, x, m, c=config: rs_imle.chosen_latents(c, s, x, m, key))
        latents, share = chosen(state, twelve.images, members)
        generator, variables = networks(config).generator, {"params": state.params, "batch_stats": state.batch_stats}
        rejected = 0
        for label in range(3):
            pool = np.asarray(jax.random.normal(jax.random.fold_in(key, label), (1, 32, 4)))[0]
            made = np.asarray(rs_imle.scales(generator.apply(variables, pool, np.full(32, label), False)))
            faces = np.flatnonzero(twelve.emotion == label)
            known = np.asarray(rs_imle.scales(twelve.images[faces]))
            far = np.linalg.norm(known[:, None] - made[None], axis=2)
            near = far.min(0) < epsilon
            near &= not near.all()
            rejected += near.sum()
            for row, face in enumerate(faces):
                best = np.where(near, np.inf, far[row]).argmin()
                np.testing.assert_array_equal(latents[face], pool[best])
        assert share == pytest.approx(rejected / 96, abs=1e-6)
        assert (rejected > 0) == (epsilon > 0)


def test_no_face_is_of_two_emotions_and_empty_places_hold_none(twelve):
    members = np.asarray(rs_imle.members_of(twelve))
    assert members.shape == (3, 5)
    for label, row in enumerate(members):
        np.testing.assert_array_equal(row[row < 12], np.flatnonzero(twelve.emotion == label))
        assert (row[5 - label :] == 12).all()


@pytest.mark.nightly
def test_the_loss_falls_and_training_repeats(small, twelve, straight, tmp_path):
    state, lines, _ = straight
    roots = [float(line.split("square ")[1].split(",")[0]) for line in lines[1:]]
    assert len(roots) == 10 and roots[-1] < 0.8 * roots[0] and int(state.round) == 30
    again, _ = rs_imle.train(KEY, small, twelve, tmp_path, log=no_log)
    assert_same(state, again)


@pytest.mark.nightly
def test_a_training_goes_on_from_its_last_round_and_ends_alike(small, twelve, straight, monkeypatch, tmp_path):
    written = []

    def stop_after_two(path, **arrays):
        write_arrays(path, **arrays)
        written.append(path.name)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(rs_imle, "write_arrays", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        rs_imle.train(KEY, small, twelve, tmp_path, log=no_log)
    lines = []
    assert_same(rs_imle.train(KEY, small, twelve, tmp_path, log=lines.append)[0], straight[0])
    assert written == ["training.npz"] * 2 and "from round 20" in lines[0]
    # What another fit left, or a damaged file, is no beginning.
    state, identity = straight[0], str(read_arrays(tmp_path / "training.npz")["identity"])
    assert rs_imle.restored(tmp_path / "training.npz", "another", state) is state
    assert int(rs_imle.restored(tmp_path / "training.npz", identity, state).round) == 20
    path = tmp_path / "training.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert rs_imle.restored(path, identity, state) is state


@pytest.mark.nightly
def test_a_fit_stores_the_generator_alone(small, twelve, straight, tmp_path):
    fit_once(rs_imle, KEY, small, twelve, tmp_path, log=no_log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.json", "fit.npz"]
    stored = read_arrays(tmp_path / "fit.npz")
    assert len(stored) == len(jax.tree.leaves((straight[0].params, straight[0].batch_stats)))
    np.testing.assert_array_equal(stored["params.linear.kernel"], straight[0].params["linear"]["kernel"])


def test_a_rate_that_is_too_high_is_refused(small, twelve, tmp_path, monkeypatch):
    monkeypatch.setattr(rs_imle, "make_round", lambda *_: lambda s, *_: (s, jnp.full(2, jnp.nan)))
    with pytest.raises(UserError, match="rs_imle_lr"):
        rs_imle.train(KEY, small, twelve, tmp_path, log=no_log)
    assert not list(tmp_path.iterdir())
