"""Strict by default: CPU only, and rank promotion raises."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A cache of the session's own: the user's stays as it is, and runs that start again compile once.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="depthjax-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
# Both workers and every process that a test starts share that cache, small programs too.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# Tests compile much and run little: at level 1, networks compile in two thirds of the time.
os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=1")

import importlib.util
import re
from pathlib import Path

import jax
import pytest

SMOKE = str(Path(__file__).parents[1] / "configs" / "smoke.py")
METHODS = ("gmm", "kde", "cdcgan_kd", "cdcgan_kd_ga")
# Without GAN and VAE, whose programs take half a minute to compile: tests/baselines has them.
CHEAP = (
    "--config.baselines.methods=gmm,kde",
    f"--config.sample.methods={','.join(METHODS)}",
    # tests/evaluate has all classifiers.
    "--config.evaluate.classifiers=decision_tree,depthnet",
    "--config.evaluate.inversion_steps=1",
)

# A function that takes the fixture `finished`.
READS_SMOKE = re.compile(r"def \w+\([^)]*\bfinished\b")

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    """Run what reads the smoke run first: it takes longest."""
    items.sort(key=lambda item: "finished" not in item.fixturenames)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, and all files that read the smoke run on the worker that makes it."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition("::")[0]
            return "smoke" if READS_SMOKE.search((config.rootpath / path).read_text("utf-8")) else path

    return FileScheduling(config, log)


@pytest.fixture(scope="session")
def load_tool():
    """A script of tools/ as a module, by its name."""

    def load(name):
        path = Path(__file__).parents[1] / "tools" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def page_undrawn(monkeypatch):
    """The report is a word: its figures take longest to draw, and tests/report looks at them."""

    def write_report(workdir):
        (workdir / "report.html").write_text("page", "utf-8")
        return workdir / "report.html"

    monkeypatch.setattr("depthjax.report.page.write_report", write_report)


@pytest.fixture(scope="session")
def smoke_config():
    """The config of the finished smoke run."""
    from depthjax.config_file import load_config
    from depthjax.config_values import override

    return override(load_config(Path(SMOKE)), dict(flag.removeprefix("--config.").split("=") for flag in CHEAP))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The work folder of a whole run of `smoke`, done once as a user starts it."""
    from depthjax.__main__ import main

    workdir = tmp_path_factory.mktemp("runs") / "smoke"
    assert main(["--config", SMOKE, "--workdir", str(workdir), *CHEAP]) == 0
    return workdir
