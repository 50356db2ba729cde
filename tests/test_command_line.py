"""What the command line says, and where it says nothing."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import depthjax.__main__ as command
from depthjax.__main__ import main
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
