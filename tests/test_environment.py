import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import jax
import pytest

from depthjax import environment
from depthjax.__main__ import main
from depthjax.config import Config
from depthjax.errors import UserError


def test_the_doctor_needs_no_config_and_fits_a_screen(capsys, tmp_path):
    assert main(["--stages=doctor", f"--workdir={tmp_path / 'not' / 'there'}"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) < 24
    for word in ("devices", "memory", "disk", "compiled", f"jax {jax.__version__}", "cpu: "):
        assert any(word in line for line in said), word
    assert not (tmp_path / "not").exists()


def test_the_doctor_names_what_is_short(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    monkeypatch.setattr(environment, "_memory", lambda: (8.0, 0.5))
    advice = [line for line in environment.doctor(tmp_path) if line.startswith("!")]
    assert any("free disk" in line for line in advice) and any("free memory" in line for line in advice)


def test_the_doctor_runs_alone(capsys):
    assert main(["--stages=doctor,train", "--config=configs/smoke.py"]) == 2
    assert "doctor runs alone" in capsys.readouterr().err


@pytest.fixture
def kept_setting():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_cache_of_our_choosing_is_the_users_alone(kept_setting, monkeypatch, tmp_path):
    monkeypatch.delenv(environment.CACHE)
    monkeypatch.delenv(environment.MIN_TIME, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "depthjax" / "jax").mkdir(parents=True, mode=0o777)
    place = environment.cache_programs()
    assert place == tmp_path / "depthjax" / "jax" and place.stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_dir == str(place)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == environment.MIN_SECONDS
    monkeypatch.setattr("os.getuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(UserError, match="belongs to another user"):
        environment.cache_programs()


def test_a_home_that_cannot_be_written_is_no_reason_to_stop(kept_setting, monkeypatch, tmp_path):
    monkeypatch.delenv(environment.CACHE)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert environment.cache_programs() is None


def test_a_named_cache_is_taken_as_it_is(kept_setting, monkeypatch, tmp_path):
    monkeypatch.setenv(environment.CACHE, str(tmp_path))
    mode = tmp_path.stat().st_mode
    assert environment.cache_programs() == tmp_path and tmp_path.stat().st_mode == mode


def test_a_user_without_a_home_compiles_anew(monkeypatch, tmp_path):
    def unknown(_):
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", environment.CACHE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert environment.cache_folder() is None and environment.cache_programs() is None
    lines = environment.doctor(tmp_path)
    assert any(line.startswith("! no home folder") for line in lines) and not any("None" in line for line in lines)


@pytest.mark.parametrize(
    "error", [AssertionError(), RuntimeError("Unable to initialize backend 'tpu': x (set JAX_...")]
)
def test_a_device_that_is_not_there_is_one_line_before_anything_is_written(monkeypatch, tmp_path, capsys, error):
    def fail():
        raise error

    monkeypatch.setattr(jax, "devices", fail)
    workdir = tmp_path / "run"
    for stage in ("doctor", "prepare"):
        assert main(["--config=smoke", f"--stages={stage}", f"--workdir={workdir}"]) == 1
        said = capsys.readouterr().err
        assert "no such device" in said and "set JAX_PLATFORMS=cpu, or unset it" in said and said.count("\n") == 1
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        ({"PYTHONOPTIMIZE": "2"}, "PYTHONOPTIMIZE=2 (-OO) drops docstrings"),
        ({"JAX_DEFAULT_PRNG_IMPL": "foo"}, "jax_default_prng_impl: unset that variable"),
    ],
)
def test_a_shell_in_which_no_run_can_end_is_refused_at_the_start(tmp_path, shell, told):
    command = [sys.executable, "-m", "depthjax", "--config=smoke", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, env=os.environ | shell, capture_output=True, text=True)
    assert done.returncode == 1 and told in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_is_left_to_the_shell_is_written_down(monkeypatch):
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "float32")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")  # which no run follows
    shell = environment.describe(Config())["shell"]
    assert shell["JAX_DEFAULT_MATMUL_PRECISION"] == "float32" and shell["XLA_FLAGS"] == os.environ["XLA_FLAGS"]
    assert not {"JAX_ENABLE_X64", environment.CACHE} & {*shell} and json.dumps(shell)
