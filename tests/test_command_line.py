"""What the command line says, and where it says nothing."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import depthjax.__main__ as command
from depthjax import library
from depthjax.__main__ import main
from depthjax.errors import ConfigError, UserError
from tests.conftest import CHEAP, SMOKE


def test_quiet_does_the_work_and_says_nothing(finished, tmp_path, capsys, page_undrawn):
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "evolve" / "winners.npz").unlink()
    (workdir / "report.html").unlink()
    asked = ["--config", SMOKE, "--workdir", str(workdir), *CHEAP, "--quiet"]
    assert main([*asked, "--stages=evolve,report"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
    assert (workdir / "evolve" / "winners.npz").exists() and (workdir / "report.html").exists()


def test_quiet_still_tells_what_is_wrong(tmp_path, capsys):
    assert main(["--config", SMOKE, "--workdir", str(tmp_path), "--stages=sample", "--quiet"]) == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("depthjax: sample needs train")


def test_a_report_of_nothing_is_refused(tmp_path, capsys):
    assert main(["--config", SMOKE, "--workdir", str(tmp_path), "--stages=report"]) == 1
    assert "no stage has finished" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_errors_are_coloured_on_a_terminal_alone(monkeypatch, capsys):
    command.print_error("wrong")
    assert capsys.readouterr().err == "depthjax: wrong\n"
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    command.print_error("wrong")
    monkeypatch.setenv("NO_COLOR", "1")
    command.print_error("wrong")
    assert screen.getvalue() == "\033[31mdepthjax:\033[0m wrong\ndepthjax: wrong\n"


def test_help_says_how_it_was_started():
    root = Path(__file__).parents[1]
    for start, name in ((["launch.py"], "launch.py"), (["-m", "depthjax"], "python -m depthjax")):
        done = subprocess.run([sys.executable, *start, "--help"], cwd=root, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"usage: {name} ") and "--quiet" in done.stdout


def test_a_tilde_is_the_home_folder_wherever_a_path_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(SMOKE, tmp_path / "mine.py")
    flags, _ = command.parse(["--config=~/mine.py", "--workdir=~/runs/x"])
    assert (flags.config, flags.workdir) == (tmp_path / "mine.py", tmp_path / "runs" / "x")
    paths = {"data.source": "folder", "data.path": "~/faces", "evolve.fitness": "~/own.py:score"}
    config = library.load_config(SMOKE, paths | {"evaluate.inception": "~/inception.safetensors"})
    assert config.data.path == str(tmp_path / "faces") and config.evolve.fitness == f"{tmp_path / 'own.py'}:score"
    assert config.evaluate.inception == str(tmp_path / "inception.safetensors")
    with pytest.raises(UserError, match="no such home folder"):
        command.parse(["--config=smoke", "--workdir=~nobody-of-this-name/x"])


def test_a_list_of_folders_may_hold_one_with_a_comma(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "one, two", "c,d", "c"):
        (tmp_path / name).mkdir()

    def split(text, **how):
        return [str(path) for path in command.split_folders(text, **{"alone": True} | how)]

    assert split("a,one, two") == ["a", "one, two"] and split("one, two , a,") == ["one, two", "a"]
    assert split("a,c,d") == ["a", "c,d"]
    assert split("a,gone") == ["a", "gone"]  # the comparison says which is missing
    (tmp_path / "d").mkdir()
    with pytest.raises(ConfigError, match="several ways: give the flag once for each"):
        split("c,d")
    assert split("c,d", alone=False) == ["c,d"]
    assert command.parse(["--stages=compare", "--workdirs=c,d", "--workdirs=a"])[0].workdirs == ["c,d", "a"]


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--config.evaluate.classifiers=decision_tree,forest", "'forest' is not one of"),
        ("--config.evaluate.inception=/nowhere/inception.safetensors", "/nowhere/inception.safetensors"),
    ],
)
def test_what_only_the_evaluation_reads_is_looked_at_before_anything_is_made(tmp_path, capsys, flag, told):
    assert main(["--config", SMOKE, "--workdir", str(tmp_path), flag]) == 1
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
