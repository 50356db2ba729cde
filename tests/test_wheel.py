"""The wheel in an environment of its own, used from an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.nightly
LARGEST = 3e6  # bytes; measured 1.8 MB, of which the head model and depthnet are most


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Python of a fresh environment that holds the wheel, and borrows what it depends on from this one.

    Folders named in a .pth are searched after its own, and their .pth files are not read: so this checkout's editable
    install stays out.
    """
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    borrowed = {
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *(p for p in sys.path if "site-packages" in p),
    }
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return folder / "bin" / "python"


def run(python, *arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, "-m", "depthjax", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_holds_the_package_its_configs_and_nothing_else(wheel):
    assert wheel.stat().st_size < LARGEST
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"depthjax"}
    shipped = {name.removeprefix("depthjax/shipped/") for name in names if name.startswith("depthjax/shipped/")}
    assert shipped == {f"configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "depthjax").rglob("*") if path.is_file()}
    assert {name for name in tracked if "__pycache__" not in name} <= set(names)


def test_the_command_line_works_from_an_empty_folder(installed, tmp_path):
    shown = run(installed, "--help", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith("usage: python -m depthjax")
    looked = run(installed, "--stages=doctor", cwd=tmp_path)
    assert looked.returncode == 0 and "devices" in looked.stdout, looked.stderr
    where = subprocess.run(
        [installed, "-c", "import depthjax; print(depthjax.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parents[1])


def test_the_shipped_configs_go_by_name(installed, tmp_path):
    refused = run(installed, "--config", "smoke", "--config.train.epoch=3", cwd=tmp_path)
    assert refused.returncode == 2 and "did you mean 'epochs'" in refused.stderr  # so it was found and read
    absent = run(installed, "--config", "configs/quick.py", cwd=tmp_path)
    assert absent.returncode == 2 and absent.stderr.count("\n") == 1 and "go by name: comparison" in absent.stderr
    (tmp_path / "mine.py").write_text("from configs import quick\nget_config = quick.get_config\n")
    derived = run(installed, "--config", "mine.py", "--stages=sample", cwd=tmp_path)
    assert derived.returncode == 1 and "sample needs train" in derived.stderr
