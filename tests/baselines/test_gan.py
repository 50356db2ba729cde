"""The plain GAN is the training loop with its teachers silenced."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from depthjax.baselines import gan
from depthjax.baselines.fits import fit_once
from depthjax.files import read_json
from depthjax.progress import no_log
from depthjax.train import loop
from depthjax.train.metrics_log import truncate_metrics


@pytest.mark.nightly
def test_it_samples_the_student_of_the_last_step(config, faces, fitted):
    plain = gan.without_teachers(config, seed=gan.host_seed(jax.random.key(1)))
    state = loop.train(plain, faces, fitted("gan"))  # finished: restored, not trained
    jax.tree.map(np.testing.assert_array_equal, state.params, state.teacher_params)
    jax.tree.map(np.testing.assert_array_equal, state.batch_stats, state.teacher_batch_stats)
    assert int(state.step) == 120 * (96 // 24)


@pytest.mark.nightly
def test_distillation_is_measured_but_weighs_nothing(fitted):
    rows = truncate_metrics(fitted("gan") / "metrics.jsonl", 480)
    assert rows[-1]["step"] == 480
    for row in rows:
        np.testing.assert_allclose(row["g_loss"], row["g_adv"], rtol=1e-6)
        np.testing.assert_allclose(row["d_loss"], (row["d_adv_real"] + row["d_adv_fake"]) / 2, rtol=1e-5)
        assert row["g_kd"] > 0


@pytest.mark.nightly
def test_more_epochs_go_on_from_the_last_step(config, faces, fitted, tmp_path, monkeypatch):
    folder, asked = shutil.copytree(fitted("gan"), tmp_path / "gan"), []

    def restored(plain, faces, folder, *, quiet):
        asked.append((plain.train.epochs, quiet))
        return loop.starting_state(plain, folder / "checkpoints", loop.data_fingerprint(faces))

    monkeypatch.setattr(gan, "train", restored)
    longer = replace(config, train=replace(config.train, epochs=150))
    fit_once(gan, jax.random.key(1), longer, faces, folder, log=no_log)
    assert asked == [(150, True)]
    assert read_json(folder / "fit.json")["chosen"] == {"steps": 480}  # the checkpoint there was taken up
    assert gan.without_teachers(config, seed=0).train.epochs == 120


def test_it_stays_a_plain_dcgan_whatever_ours_becomes(config):
    modern = replace(
        config,
        model=replace(config.model, validity_mask=True, output_lowpass=1.0),
        train=replace(config.train, ema_decay=0.5, generator_kd_norm="l2", teacher_batch_stats="frozen"),
    )
    assert gan.without_teachers(modern, seed=3) == gan.without_teachers(config, seed=3)
