"""What is shown of progress, on a terminal and elsewhere."""

import io
import re
import threading
import time

import pytest

from depthjax.progress import Progress, counting, say, waiting

ROW = {"step": 10, "epoch": 1, "g_loss": 0.5, "d_loss": 0.25, "steps_per_second": 2.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Call it within the test, for pytest puts its own stream in between."""

    def begin():
        monkeypatch.setattr("sys.stderr", screen := Terminal())
        return screen

    return begin


def test_elsewhere_a_wait_is_one_plain_line(capsys):
    with waiting("compiling the training program"):
        pass
    assert capsys.readouterr().err == "compiling the training program…\n"


def test_on_a_terminal_a_wait_counts_its_seconds_and_leaves_a_clean_line(on_terminal):
    terminal = on_terminal()
    with waiting("compiling"):
        time.sleep(1.2)
    shown = terminal.getvalue()
    assert "compiling… 0 s" in shown and "compiling… 1 s" in shown
    assert "\n" not in shown and shown.endswith("\r\033[K")


def test_a_wait_that_fails_leaves_a_clean_line_too(on_terminal):
    terminal = on_terminal()
    with pytest.raises(ValueError), waiting("compiling"):
        raise ValueError
    assert terminal.getvalue().endswith("\r\033[K")


def test_elsewhere_progress_is_a_line_every_tenth_with_the_time_left(capsys):
    shown = Progress(100, 0)
    for step in (5, 10, 15, 20):
        shown(ROW | {"step": step})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and re.fullmatch(r"step 10/100 \(epoch 1\): .*, 0:45 left", lines[0])


def test_on_a_terminal_progress_is_a_bar_with_the_time_left(on_terminal):
    terminal = on_terminal()
    shown = Progress(100, 0)
    time.sleep(0.2)
    shown(ROW)
    shown.close()
    assert "10/100" in terminal.getvalue() and "<" in terminal.getvalue()


def test_on_a_terminal_a_count_follows_the_wait_from_any_thread_and_ends_with_the_block(on_terminal):
    terminal = on_terminal()
    with counting("compiling", 40, "generation") as count:

        def tell():
            for done in (0, 20, 40):
                count(done)
                time.sleep(0.15)

        thread = threading.Thread(target=tell)
        thread.start()
        thread.join()
    shown = terminal.getvalue()
    assert shown.index("compiling… 0 s") < shown.index("0/40") < shown.index("40/40")
    assert "compiling" not in shown[shown.index("0/40") :] and "generations/s" in shown
    count(30)
    assert terminal.getvalue() == shown


@pytest.mark.parametrize("where", ["terminal", "elsewhere"])
def test_quiet_is_quiet(where, on_terminal, capsys):
    screen = on_terminal() if where == "terminal" else None
    shown = Progress(100, 0, quiet=True)
    with waiting("compiling", quiet=shown.quiet):
        shown(ROW)
        shown.log("a line")
    shown.close()
    assert (screen.getvalue() if screen else capsys.readouterr().err) == ""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_standard_output_cannot_write_is_escaped(monkeypatch, encoding):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written := io.BytesIO(), encoding=encoding, write_through=True))
    say("Ärger, 快乐, \udcff")
    expected = {
        "latin-1": "Ärger, \\u5feb\\u4e50, \\udcff",
        "ascii": "\\xc4rger, \\u5feb\\u4e50, \\udcff",
        "utf-8": "Ärger, 快乐, \\udcff",
    }
    assert written.getvalue().decode(encoding) == expected[encoding] + "\n"
