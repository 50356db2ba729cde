"""NaN and infinity in faces, losses and gradients: caught at once, never saved, and a way back if it is asked for."""

import json
import os
import signal
from dataclasses import replace

import jax
import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.signals import TrainingInterrupted
from depthjax.train import loop, not_finite
from depthjax.train.not_finite import lowered, read_rollbacks

CAUSES = ("loss", "gradient")


@pytest.fixture
def small(trained):
    return trained(epochs=3, steps_per_dispatch=2, save_every_epochs=1)


@pytest.fixture
def going(state, monkeypatch):
    """(cause, at step, above rate) → (step, rate) of each dispatch to come; no network: a step adds the rate."""
    monkeypatch.setattr(loop, "starting_state", _starting(jax.tree.map(np.zeros_like, state)))
    monkeypatch.setattr(loop, "draw_grid", lambda *_: None)

    def use(cause="", at=-1, rates_above=0.0):
        seen = []

        def compiled(config, *_):
            rate = config.train.generator_lr

            def steps(now, data, count):
                seen.append((int(now.step), rate))
                values = {"g_loss": np.full(count, rate, np.float32), "d_loss": np.ones(count, np.float32)}
                bad = int(now.step) <= at < int(now.step) + count and rate > rates_above
                if bad and cause == "loss":
                    values["d_loss"][-1] = np.inf
                add = np.nan if bad and cause == "gradient" else rate * count
                step = np.int32(now.step + count)
                return now._replace(step=step, params=jax.tree.map(lambda x: x + np.float32(add), now.params)), values

            return steps

        monkeypatch.setattr(loop, "compiled_steps", compiled)
        return seen

    return use


def _starting(fresh):
    """The real function, without compiling a program for the fresh state."""

    def start(config, checkpoints, fingerprint, *_):
        restored = loop.checkpoint.restore_latest(checkpoints, fresh, config=config, fingerprint=fingerprint)
        return fresh if restored is None else restored

    return start


def _rolling(config):
    return replace(config, train=replace(config.train, on_not_finite="rollback"))


def _saved(workdir):
    return sorted(int(f.name) for f in (workdir / "checkpoints").glob("[0-9]*"))


def _rows(workdir):
    return [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("cause", CAUSES)
def test_it_aborts_within_the_dispatch_and_saves_nothing(small, faces, going, tmp_path, cause):
    going(cause, at=7)
    with pytest.raises(UserError, match=r"step 8.*on_not_finite=rollback.*last checkpoint is untouched"):
        loop.train(small, faces, tmp_path)
    assert _saved(tmp_path) == [4] and _rows(tmp_path) == [2, 4, 6] and not read_rollbacks(tmp_path / "checkpoints")


@pytest.mark.parametrize("cause", CAUSES)
def test_it_rolls_back_with_half_the_rates_and_says_so(small, faces, going, tmp_path, capsys, cause):
    rate = small.train.generator_lr
    seen = going(cause, at=7, rates_above=rate / 2)
    assert loop.train(_rolling(small), faces, tmp_path).step == 12
    assert seen == [(step, rate) for step in (0, 2, 4, 6)] + [(step, rate / 2) for step in range(4, 12, 2)]
    assert len(read_rollbacks(tmp_path / "checkpoints")) == 1
    assert _rows(tmp_path) == list(range(2, 14, 2))
    assert "back to the last checkpoint with half the learning rates, 1 of at most 3 times" in capsys.readouterr().err


def test_a_restart_after_a_rollback_replays_it(small, faces, going, tmp_path):
    config, rate = _rolling(small), small.train.generator_lr
    going("gradient", at=7, rates_above=rate / 2)
    whole = loop.train(config, faces, tmp_path / "whole")

    def stop(row):
        if row["step"] == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        loop.train(config, faces, tmp_path / "parts", progress=stop)
    seen = going("gradient", at=7, rates_above=rate / 2)
    parts = loop.train(config, faces, tmp_path / "parts")
    assert seen[0] == (10, rate / 2)
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    assert _rows(tmp_path / "parts") == _rows(tmp_path / "whole")


def test_before_the_first_checkpoint_it_starts_again(small, faces, going, tmp_path):
    rate = small.train.generator_lr
    seen = going("loss", at=1, rates_above=rate / 4)
    loop.train(_rolling(small), faces, tmp_path)
    assert seen[:3] == [(0, rate), (0, rate / 2), (0, rate / 4)]


def test_tries_are_bounded_also_over_restarts(small, faces, going, tmp_path):
    config = _rolling(small)
    going("loss", at=7)
    with pytest.raises(UserError, match="after 3 rollbacks: lower the learning rates"):
        loop.train(config, faces, tmp_path)
    again = going("loss", at=7)
    with pytest.raises(UserError, match="3 rollbacks"):
        loop.train(config, faces, tmp_path)
    assert len(again) == 2 and len(read_rollbacks(tmp_path / "checkpoints")) == 3 and _saved(tmp_path) == [4]


def test_a_face_that_is_not_finite_is_named(small, faces, tmp_path):
    images = faces.images.copy()
    images[17, 3, 4] = np.nan
    with pytest.raises(UserError, match="face 17 of the training set"):
        loop.train(small, replace(faces, images=images), tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_the_real_update_shows_a_gradient_that_overflows(state):
    assert bool(not_finite.all_finite(state))
    params = jax.tree.map(lambda x: x, state.params)
    leaf = next(iter(params.discriminator.values()))
    name = next(iter(leaf))
    leaf[name] = leaf[name].at[(0,) * leaf[name].ndim].set(np.inf)
    assert not bool(not_finite.all_finite(state._replace(params=params)))


def test_only_the_rates_are_lowered(small):
    train = lowered(small, 2).train
    assert (train.generator_lr, train.discriminator_lr) == (5e-5, 2.5e-5)
    assert replace(train, generator_lr=2e-4, discriminator_lr=1e-4) == small.train and lowered(small, 0) == small


@pytest.mark.parametrize("text", ["{", "3", '{"a": 1}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / not_finite.NAME).write_text(text)
    with pytest.raises(UserError, match=r"rollbacks\.json"):
        read_rollbacks(tmp_path)
