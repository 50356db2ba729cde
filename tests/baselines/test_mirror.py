"""With `train.mirror` every baseline learns from mirrored faces, as ours does; without it none does."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

from depthjax.baselines import gan, rs_imle, vae
from depthjax.baselines.densities import GMM, KDE
from depthjax.baselines.fits import fit_once, sample_fit
from depthjax.config import BASELINE_METHODS
from depthjax.progress import no_log
from depthjax.train import step
from depthjax.train.state import init_state
from tests.baselines.conftest import MODULES

KEY, ADAM = jax.random.key(0), optax.adam(1e-3)


def _gan(config, faces):
    plain = gan.without_teachers(config, seed=0)
    return step.make_update(plain), jax.eval_shape(lambda: init_state(KEY, plain)), _batch(faces), KEY


def _vae(config, faces):
    return vae.make_update(config, ADAM), jax.eval_shape(lambda: vae.init_state(KEY, config, ADAM)), _batch(faces), KEY


def _rs_imle(config, faces):
    state = jax.eval_shape(lambda: rs_imle.init_state(KEY, config=config, optimizer=ADAM))
    return rs_imle.make_round(config, ADAM, KEY), state, _batch(faces), rs_imle.members_of(faces)


def _batch(faces):
    return step.Batch(jax.numpy.asarray(faces.images[:24]), jax.numpy.asarray(faces.emotion[:24]))


NETWORKS = {"gan": (step, _gan), "vae": (vae, _vae), "rs_imle": (rs_imle, _rs_imle)}
DENSITIES = {"gmm": GMM, "kde": KDE}


def test_this_file_asks_every_baseline():
    assert {*NETWORKS, *DENSITIES} == set(BASELINE_METHODS) == set(MODULES)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_network_is_shown_mirrored_faces(name, mirror, config, faces, monkeypatch):
    (module, program), seen, mirrored = NETWORKS[name], [], step.mirrored
    monkeypatch.setattr(module, "mirrored", lambda key, batch: seen.append(batch) or mirrored(key, batch))
    rule, *inputs = program(replace(config, train=replace(config.train, mirror=mirror)), faces.take(np.arange(24)))
    jax.eval_shape(rule, *inputs)  # traced, not computed
    assert len(seen) == mirror


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_density_has_its_mass_on_both_sides(name, mirror, config, faces, tmp_path):
    near_left = faces.images.copy()
    near_left[:, :, :8] -= 0.4
    lopsided = replace(faces, images=near_left.clip(-1, 1))
    one_sided = replace(config, train=replace(config.train, mirror=mirror))
    fit_once(DENSITIES[name], KEY, one_sided, lopsided, tmp_path, log=no_log)
    drawn = sample_fit(DENSITIES[name], KEY, one_sided, tmp_path, np.repeat(np.arange(3, dtype=np.int32), 200))
    nearer_left = drawn[:, :, 8:].mean((1, 2)) - drawn[:, :, :8].mean((1, 2)) > 0
    share = nearer_left.mean()
    assert abs(share - 0.5) < 0.1 if mirror else share > 0.95
