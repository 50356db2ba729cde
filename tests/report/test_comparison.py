"""Runs side by side: what differs, what is missing, and bad folders in one line."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depthjax.__main__ import main
from depthjax.errors import UserError
from depthjax.report.comparison import differing, write_comparison


@pytest.fixture(scope="module")
def other(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run with a setting, an accuracy and its GA changed."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("others") / "longer")
    config = json.loads((folder / "config.json").read_text())
    config["train"]["epochs"] = 4321
    (folder / "config.json").write_text(json.dumps(config))
    evaluation = json.loads((folder / "evaluation.json").read_text())
    del evaluation["data"]["generated"]["cdcgan_kd_ga"]
    rows = {(r["protocol"], r["classifier"], r["measure"], r["space"], r["emotion"]): r
            for r in evaluation["scores"] if r["method"] == "cdcgan_kd"}  # fmt: skip
    rows["tstr", "random_forest", "accuracy", "", ""] |= {"value": 0.987, "low": 0.97, "high": 0.99}
    absent = {"value": None, "low": None, "high": None, "reason": "not enough <faces>"}
    rows["c2st", "", "accuracy", "depthnet", ""] |= absent
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


@pytest.fixture(scope="module")
def page(finished: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_comparison([finished, other], tmp_path_factory.mktemp("out") / "compare.html")
    return path.read_text("utf-8")


def rows(page: str) -> list[list[str]]:
    table = page.partition('id="table-main"')[2].partition("</table>")[0].partition("<tbody>")[2]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in table.split("</tr>")[:-1]]
    return [[re.sub(r"<[^>]+>", " ", cell).split("  ")[0].strip() for cell in row] for row in cells]


def test_every_method_of_every_run_has_a_row(page: str, finished: Path, other: Path) -> None:
    expected = [
        name
        for folder in (finished, other)
        for name in [folder.name] * len(json.loads((folder / "evaluation.json").read_text())["data"]["generated"])
    ]
    assert [row[0] for row in rows(page)] == expected
    ours = [row for row in rows(page) if row[0] == "longer" and row[1] == "KD-cDCGAN"]
    assert ours[0][3] == "98.7" and "97.0\u201399.0" in page


def test_a_method_has_one_colour_in_all_runs(page: str) -> None:
    table = page.partition('id="table-main"')[2].partition("</table>")[0]
    colours: dict[str, set[str]] = {}
    for row in table.split("</tr>"):
        method = re.search(r'<td class="t">(.*?)</td>', row)
        if method:
            colours.setdefault(method[1], set()).update(re.findall(r'fill="(#\w+)"', row))
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def test_only_settings_that_differ_are_listed(page: str) -> None:
    settings = page.partition('id="settings"')[2]
    assert "train.epochs" in settings and "4321" in settings
    assert "train.batch_size" not in settings
    assert differing({"a": {"x": "1", "y": "2"}, "b": {"x": "1"}}) == [("y", "2", "\u2013")]


def test_what_is_not_computed_says_why_and_stays_inert(page: str) -> None:
    assert 'title="not enough &lt;faces&gt;">not computed' in page
    assert page.count("<script") == 1
    assert not re.search(r"https?://|@import|url\(", page)


def test_minutes_and_pictures_of_each(page: str) -> None:
    minutes = page.partition('id="minutes"')[2]
    assert re.search(r'<th scope="row">train</th>\s*<td>5\.2</td>\s*<td>5\.2</td>', minutes)
    assert page.partition('id="pictures"')[2].count("<img src=") == 3  # two, and the empty one that enlarges


def test_runs_are_shown_with_what_they_have(finished: Path, fabricate: Callable[..., Path], tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    bare = fabricate(tmp_path / "a" / finished.name, emotions=(hostile, "joy"), size=16, people=3)
    (bare / "evaluation.json").unlink()
    page = write_comparison([finished, bare], tmp_path / "out" / "compare.html").read_text("utf-8")
    assert f"a/{finished.name} has not been evaluated" in page
    assert "No overview has been drawn" in page
    assert "have different emotions" in page and hostile not in page


def test_runs_evaluated_on_other_faces_are_named(finished: Path, other: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(other, tmp_path / "changed")
    evaluation = json.loads((changed / "evaluation.json").read_text())
    evaluation["data"]["test"]["subjects"] += 1
    (changed / "evaluation.json").write_text(json.dumps(evaluation))
    page = write_comparison([finished, changed], tmp_path / "compare.html").read_text("utf-8")
    assert "evaluated on different faces" in page


def test_a_damaged_picture_is_named(finished: Path, other: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(other, tmp_path / "changed")
    (changed / "figures" / "overview.png").write_bytes(b"\x89PNG no")
    with pytest.raises(UserError, match=r"overview\.png"):
        write_comparison([finished, changed], tmp_path / "compare.html")


def test_the_command_writes_the_page(
    finished: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stages=compare", f"--workdirs={finished},{other}", "--workdir", str(tmp_path)]) == 0
    assert str(tmp_path / "compare.html") in capsys.readouterr().out
    assert (tmp_path / "compare.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stages=compare"], "at least two runs"),
        (["--stages=compare", "--workdirs={finished}"], "at least two runs"),
        (["--stages=compare", "--workdirs={finished},{finished}/"], "named twice"),
        (["--stages=compare", "--workdirs={finished},{finished}/none"], "is no folder"),
        (["--stages=compare", "--workdirs={finished},{finished}/faces"], "holds no run"),
        (["--stages=compare,report", "--workdirs={finished}"], "runs alone"),
        (["--stages=compare", "--config=c.py", "--workdirs={finished}"], "takes no config"),
        (["--stages=compare", "--config.train.epochs=3", "--workdirs={finished}"], "takes no config"),
        (["--stages=report", "--config=c.py", "--workdirs={finished}"], "goes with --stages=compare"),
    ],
)
def test_bad_input_is_one_line(
    finished: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(finished=finished) for argument in arguments]) != 0
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1
