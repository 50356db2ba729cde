"""Checkpoints: whole, checked, refused by another training, and readable in part."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from depthjax import artifact
from depthjax.errors import UserError
from depthjax.train import checkpoint

PRINT = "f" * 64


def _equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, state, config):
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    for step in (4, 8, 12):
        now = state._replace(step=state.step + step)
        checkpoint.save(folder, now, config=config, fingerprint=PRINT, keep=2)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


def _flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _restore(folder, state, config, **options):
    return checkpoint.restore_latest(folder, state, config=config, fingerprint=PRINT, **options)


def test_round_trip_keeps_the_newest(saved, state, config):
    assert sorted(f.name for f in saved.iterdir()) == ["12", "8"]
    restored = _restore(saved, state, config)
    _equal(restored, state._replace(step=state.step + 12))
    assert restored.step.dtype == np.int32


def test_no_checkpoint_is_a_fresh_start_but_not_for_a_sampler(tmp_path, state, config):
    assert _restore(tmp_path / "absent", state, config) is None
    with pytest.raises(UserError, match="holds no checkpoint: run the train stage"):
        checkpoint.restore_generator(tmp_path / "absent", config)


@pytest.mark.parametrize("part", ["generator/ocdbt.process_0/d/*", "training/d/*", "training/_METADATA"])
def test_one_flipped_bit_falls_back_a_step_and_names_the_file(copy, state, config, part):
    (damaged,) = (copy / "12").glob(part)
    _flip_a_bit(damaged)
    lines = []
    assert _restore(copy, state, config, log=lines.append).step == 8
    assert len(lines) == 1 and str(damaged) in lines[0]


def test_all_damaged_is_an_error(copy, state, config):
    (copy / "12" / "manifest.json").write_text("{")
    (copy / "8" / "training" / "_METADATA").unlink()
    lines = []
    with pytest.raises(UserError, match="every checkpoint"):
        _restore(copy, state, config, log=lines.append)
    assert "manifest.json" in lines[0] and "_METADATA" in lines[1]


def test_a_kill_in_mid_save_leaves_nothing_that_counts(copy, state, config):
    (copy / ".16.99.tmp").mkdir()
    (copy / ".16.99.tmp" / "manifest.json").write_text("{}")
    assert _restore(copy, state, config).step == 12
    now = state._replace(step=state.step + 16)
    checkpoint.save(copy, now, config=config, fingerprint=PRINT, keep=2)
    assert sorted(f.name for f in copy.iterdir()) == ["12", "16"]


def test_the_generator_alone_needs_nothing_else(copy, state, config):
    shutil.rmtree(copy / "12" / "training")
    variables = checkpoint.restore_generator(copy, config)
    expected = {"params": state.teacher_params.generator, "batch_stats": state.teacher_batch_stats.generator}
    _equal(variables, expected)


def test_the_generators_own_bits_are_checked(copy, config):
    (damaged,) = (copy / "12" / "generator").glob("ocdbt.process_0/d/*")
    _flip_a_bit(damaged)
    with pytest.raises(UserError, match=f"{damaged} is damaged: delete {damaged.parents[3]} "):
        checkpoint.restore_generator(copy, config)


def test_both_teachers(saved, state, config):
    teachers = checkpoint.restore_teachers(saved, config)
    _equal(teachers.discriminator["params"], state.teacher_params.discriminator)
    _equal(teachers.discriminator["batch_stats"], state.teacher_batch_stats.discriminator)
    _equal(teachers.generator["params"], state.teacher_params.generator)


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("data", {"resolution": 64}),
        ("data", {"emotions": ("fear", "happiness")}),
        ("data", {"far_mm": 90.0}),
        ("model", {"generator_width": 32}),
        ("model", {"latent_size": 9}),
        ("model", {"dtype": "bfloat16"}),
        ("train", {"generator_lr": 1e-3}),
        ("train", {"mirror": False}),
        ("train", {"teacher_batch_stats": "frozen"}),
    ],
)
def test_another_training_is_refused_by_the_field_that_differs(saved, state, config, section, change):
    other = replace(config, **{section: replace(getattr(config, section), **change)})
    with pytest.raises(UserError, match=rf"{section}\.{next(iter(change))} is "):
        _restore(saved, state, other)


def test_going_on_longer_is_not_another_training(saved, state, trained):
    longer = trained(epochs=900, save_every_epochs=1, samples_every_epochs=2, keep_checkpoints=9, steps_per_dispatch=7)
    assert _restore(saved, state, longer).step == 12
    assert _restore(saved, state, trained(writers=("wandb",), strict_checkpoints=True, remat=True)).step == 12
    tested_on_more = replace(longer, data=replace(longer.data, extra_test_subjects=5))  # training never sees them
    assert _restore(saved, state, tested_on_more).step == 12


def test_a_setting_that_a_checkpoint_does_not_know_was_its_default(copy, state, config):
    step = copy / "12"
    record = artifact.read_record(step / "manifest.json")

    def forget(section, field):
        del record.settings["config"][section][field]
        arrays = [step / "generator", step / "training"]
        artifact.finish(step / "manifest.json", step, arrays, record.settings, record.facts)

    for section, field in (("model", "output_lowpass"), ("train", "accumulate"), ("data", "invalid_value")):
        forget(section, field)
    assert _restore(copy, state, config).step == 12
    forget("train", "mirror")
    with pytest.raises(UserError, match=r"train\.mirror is False there and True here"):
        _restore(copy, state, config)


def test_other_faces_are_refused(saved, state, config):
    with pytest.raises(UserError, match="the faces"):
        checkpoint.restore_latest(saved, state, config=config, fingerprint="0" * 64)


def test_a_sampler_minds_networks_but_not_rates(saved, config, trained):
    checkpoint.restore_generator(saved, trained(generator_lr=1.0))
    with pytest.raises(UserError, match=r"model\.latent_size"):
        checkpoint.restore_generator(saved, replace(config, model=replace(config.model, latent_size=99)))


def test_a_checkpoint_is_a_few_files_that_all_stand_in_the_manifest(saved):
    files = {f.relative_to(saved / "12").as_posix() for f in (saved / "12").rglob("*") if f.is_file()}
    manifest = json.loads((saved / "12" / "manifest.json").read_text())
    assert files == {*manifest["sha256"], "manifest.json"} and len(files) == 15
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]


def test_other_settings_are_refused_before_anything_is_overwritten(saved, config, trained, tmp_path):
    checkpoint.check_same_settings(tmp_path / "absent", config)
    checkpoint.check_same_settings(saved, trained(epochs=900))
    with pytest.raises(UserError, match=r"train\.ema_decay is 0\.994 there and 0\.9 here"):
        checkpoint.check_same_settings(saved, trained(ema_decay=0.9))


def test_a_disk_without_room_is_one_line_and_leaves_nothing(copy, state, config, monkeypatch):
    usage = shutil.disk_usage(copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    now = state._replace(step=state.step + 16)
    with pytest.raises(UserError, match=r"No space left on device: 10000 bytes are left and it takes [0-9]{5,}"):
        checkpoint.save(copy, now, config=config, fingerprint=PRINT, keep=2)
    assert sorted(f.name for f in copy.iterdir()) == ["12", "8"]


def test_writers_that_fail_are_one_line_and_leave_nothing(copy, state, config, monkeypatch, capfd, recwarn):
    handler = checkpoint.ocp.PyTreeCheckpointHandler
    real = handler.save

    def save(self, directory, *args, **options):
        (directory / "ocdbt.process_0").write_text("a file where a folder is to be")
        return real(self, directory, *args, **options)

    monkeypatch.setattr(handler, "save", save)
    with pytest.raises(UserError, match="the checkpoint could not be written"):
        checkpoint.save(copy, state._replace(step=state.step + 16), config=config, fingerprint=PRINT, keep=2)
    assert sorted(f.name for f in copy.iterdir()) == ["12", "8"]
    assert not capfd.readouterr().err and not recwarn.list
