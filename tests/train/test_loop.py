"""The loop: resume bit for bit, stop in one line, what it writes."""

import json
import os
import signal
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from depthjax.errors import UserError
from depthjax.signals import TrainingInterrupted
from depthjax.train import loop
from depthjax.train.feed import feed_for
from depthjax.train.step import make_steps

TIMES = ("steps_per_second", "images_per_second", "seconds")


@pytest.fixture(scope="module")
def program(trained, faces):
    """The training program, compiled once for all tests of this file, without LLVM's optimisation: half the time."""
    config = trained(steps_per_dispatch=5)
    state = jax.eval_shape(lambda: loop.init_state(jax.random.key(0), config))
    feed = feed_for(config, faces, 0)
    lowered = loop.jitted(make_steps(config, 5), feed).lower(state, feed.shapes, np.int32(1))
    return lowered.compile({"xla_backend_optimization_level": 0})


@pytest.fixture
def steps(program, monkeypatch):
    """Let `train` run the given function of (state, faces, count) instead, by default the program itself."""

    def use(function=program):
        monkeypatch.setattr(loop, "compiled_steps", lambda *_: function)

    use()
    return use


def _rows(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


@pytest.fixture
def small(trained):
    return trained(steps_per_dispatch=5)


def test_twenty_steps_are_ten_and_a_restart_and_ten(small, faces, steps, program, tmp_path):
    seen = []
    whole = loop.train(small, faces, tmp_path / "whole", progress=seen.append)
    assert [row["step"] for row in seen] == [5, 10, 15, 20] and whole.step == 20

    def interrupted(state, data, count):
        if int(state.step) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return program(state, data, count)

    before = signal.getsignal(signal.SIGTERM)
    steps(interrupted)
    with pytest.raises(TrainingInterrupted, match="SIGTERM at step 10") as stopped:
        loop.train(small, faces, tmp_path / "parts")
    assert stopped.value.exit_code == 143 and signal.getsignal(signal.SIGTERM) is before
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:  # as if killed later, in the middle of a line
        file.write(json.dumps(_rows(tmp_path / "parts")[-1] | {"step": 15, "seconds": 0.0}) + '\n{"step": 2')
    steps()
    parts = loop.train(small, faces, tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    assert _rows(tmp_path / "parts") == _rows(tmp_path / "whole")
    assert [row["epoch"] for row in _rows(tmp_path / "whole")] == [1, 2, 3, 5]

    def never(*_):
        raise AssertionError("a finished training must not train")

    steps(never)
    again = loop.train(small, faces, tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, again, whole)


def test_quiet_training_shows_nothing(small, faces, steps, tmp_path, capsys):
    loop.train(small, faces, tmp_path, quiet=True)
    assert capsys.readouterr().err == ""


def test_ctrl_c_exits_130(small, faces, steps, program, tmp_path):
    def interrupted(state, data, count):
        os.kill(os.getpid(), signal.SIGINT)
        return program(state, data, count)

    steps(interrupted)
    with pytest.raises(TrainingInterrupted, match="same command") as stopped:
        loop.train(small, faces, tmp_path)
    assert stopped.value.exit_code == 130
    assert (tmp_path / "checkpoints" / "5" / "manifest.json").exists()


def test_a_loss_that_is_not_finite_stops_and_saves_nothing(small, faces, steps, program, tmp_path):
    def bursting(state, data, count):
        first = int(state.step)
        state, log = program(state, data, count)
        if first == 12:
            log["d_loss"] = log["d_loss"].at[2].set(np.nan)
            log["g_loss"] = log["g_loss"].at[3].set(np.inf)
        return state, log

    steps(bursting)
    with pytest.raises(UserError, match="d_loss is nan at step 15"):
        loop.train(replace(small, train=replace(small.train, save_every_epochs=1)), faces, tmp_path)
    assert max(int(f.name) for f in (tmp_path / "checkpoints").iterdir()) == 12
    assert _rows(tmp_path)[-1]["step"] == 12


def test_sample_grids_and_metrics(small, faces, steps, tmp_path):
    loop.train(replace(small, train=replace(small.train, epochs=2, samples_every_epochs=1)), faces, tmp_path)
    grids = sorted((tmp_path / "figures" / "progress").iterdir())
    assert [g.name for g in grids] == ["epoch_00001.png", "epoch_00002.png"]
    with Image.open(grids[0]) as image:
        assert image.mode == "L" and image.width > loop.GRID_COLUMNS * 96 and image.height > 3 * 96
    names = {"step", "epoch", *TIMES, "g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd"}
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert set(rows[0]) == names | {"d_acc_real", "d_acc_fake"}
    assert [row["step"] for row in rows] == [4, 8]
    assert rows[0]["images_per_second"] == pytest.approx(6 * rows[0]["steps_per_second"], rel=1e-3)


def test_faces_that_do_not_fit_are_refused(small, faces, tmp_path):
    few = faces.take(np.arange(5))
    with pytest.raises(UserError, match="5 faces to train on are fewer than a batch"):
        loop.train(small, few, tmp_path)
    with pytest.raises(UserError, match=r"data\.resolution is 64"):
        loop.train(replace(small, data=replace(small.data, resolution=64)), faces, tmp_path)
    with pytest.raises(UserError, match=r"data\.emotions"):
        loop.train(replace(small, data=replace(small.data, emotions=("fear", "anger"))), faces, tmp_path)


def test_dispatches_are_cut_alike_wherever_they_start(trained):
    config = trained(epochs=7, steps_per_dispatch=6, samples_every_epochs=2, save_every_epochs=3)
    whole = list(loop.dispatches(config, 5, 0))
    assert whole[0] == (0, 6) and whole[-1][1] == 35
    assert {10, 15, 20, 30} <= {last for _, last in whole}
    for first, _ in whole:
        assert list(loop.dispatches(config, 5, first)) == [pair for pair in whole if pair[0] >= first]
