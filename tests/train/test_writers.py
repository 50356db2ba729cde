"""Who else is shown the metrics: TensorBoard by its own reader, Weights & Biases by a stand-in."""

import importlib.util
import sys
import types
from contextlib import contextmanager
from dataclasses import replace

import pytest

from depthjax.config_values import validate
from depthjax.errors import ConfigError, UserError
from depthjax.train.metrics_log import check_writers, writers

ROWS = [{"step": step, "g_loss": 0.5 * step, "epoch": 1} for step in (5, 10)]


def _tracked(config, *names):
    return validate(replace(config, train=replace(config.train, writers=names)))


def test_none_by_default(trained, tmp_path):
    with writers(trained(), tmp_path, 0) as write:
        write(ROWS[0])
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_events_can_be_read_back(trained, tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    with writers(_tracked(trained(), "tensorboard"), tmp_path, 0) as write:
        for row in ROWS:
            write(row)
    (file,) = (tmp_path / "tensorboard").iterdir()
    data, events = file.read_bytes(), []
    while data:  # TFRecord: length, its CRC, the event, its CRC
        size = int.from_bytes(data[:8], "little")
        body = data[12 : 12 + size]
        assert int.from_bytes(data[12 + size : 16 + size], "little") == masked_crc32c(body)
        events.append(Event.FromString(body))
        data = data[16 + size :]
    told = {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}
    assert told[("train/g_loss", 5)] == 2.5 and told[("train/g_loss", 10)] == 5.0
    assert len(told) == 4  # the step is no metric


def test_wandb_is_given_the_config_and_goes_on_with_the_same_run(trained, tmp_path, monkeypatch):
    logged, begun = [], []

    @contextmanager
    def init(**options):
        begun.append(options)
        yield types.SimpleNamespace(log=lambda values, step: logged.append((step, values)))

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    config = _tracked(trained(), "wandb")
    for row in ROWS:
        with writers(config, tmp_path, row["step"] - 5) as write:
            write(row)
    assert logged == [(5, {"train/g_loss": 2.5, "train/epoch": 1}), (10, {"train/g_loss": 5.0, "train/epoch": 1})]
    assert begun[0]["id"] == begun[1]["id"] and begun[0]["resume"] == "allow"
    assert begun[0]["config"]["train"]["batch_size"] == config.train.batch_size


def test_a_writer_that_is_unknown_or_lacks_its_library_is_refused_at_once(trained, monkeypatch):
    with pytest.raises(ConfigError, match=r"train\.writers: tensorbord: is not among tensorboard, wandb"):
        _tracked(trained(), "tensorbord")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wandb needs wandb: pip install 'depthjax\[writers\]'"):
        check_writers(_tracked(trained(), "wandb"))
