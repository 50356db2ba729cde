"""The page: it agrees with its files, loads nothing, and stays inert and honest whatever is or is not there."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest

from depthjax.errors import UserError
from depthjax.report.figures import STYLE, Drawn, _render, _wanted, losses
from depthjax.report.numbers import PERCENT, number
from depthjax.report.page import render_page, write_report
from depthjax.report.stored import read_run
from depthjax.report.verdicts import verdicts


class Page(HTMLParser):
    """What a browser would make of the page: tags, numbers, tables and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.numbers: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self._number: dict | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if "data-pointer" in dict(attrs):
            self._number = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._number is not None:
            self.numbers.append((self._number["data-pointer"], self._number["data-value"], data))
            self._number = None
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def _at(value: object, pointer: str) -> object:
    for key in pointer.split("/")[1:]:
        value = value[key.replace("~1", "/").replace("~0", "~")]
    return value


@pytest.fixture(scope="module")
def html(finished: Path) -> str:
    return (finished / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_number_is_that_of_evaluation_json(page: Page, finished: Path) -> None:
    evaluation = json.loads((finished / "evaluation.json").read_text())
    assert len(page.numbers) > 150
    for pointer, value, text in page.numbers:
        stored = _at(evaluation, pointer)
        assert float(value) == stored, pointer
        digits = text.replace("\u2212", "-").replace(",", "").split("\u202f")[0]
        scale = 100 if pointer.split("/")[-2] in ("accuracy", "precision", "recall", "f1") else 1
        decimals = len(digits.partition(".")[2])
        assert float(digits) == pytest.approx(scale * stored, abs=0.5001 * 10**-decimals), pointer


def test_every_measure_of_every_method_is_on_the_page(page: Page, finished: Path) -> None:
    shown = {pointer for pointer, _, _ in page.numbers}
    for method in ("cdcgan_kd", "cdcgan_kd_ga"):
        start = f"/methods/{method}"
        for classifier in ("random_forest", "decision_tree", "xgboost"):
            for score in ("accuracy", "precision", "recall", "f1"):
                assert f"{start}/tstr/{classifier}/{score}/value" in shown
                assert f"{start}/published/synthetic/{classifier}/{score}/value" in shown
        for distance in ("kid", "frechet"):
            assert {f"{start}/{distance}/{s}/floor/value" for s in ("relief", "fused")} <= shown
        assert {f"{start}/relief_residual/ratio", f"{start}/ssim/value", f"{start}/psnr/real"} <= shown


def test_intervals_are_stored_ones(html: str, finished: Path) -> None:
    stored = json.loads((finished / "evaluation.json").read_text())["methods"]["cdcgan_kd"]["tstr"]["xgboost"][
        "accuracy"
    ]
    low, high = stored["interval"]
    assert f'data-low="{low}" data-high="{high}"' in html
    assert f"{100 * low:.1f}\u2013{100 * high:.1f}" in html


def test_nothing_is_loaded_from_elsewhere(page: Page, html: str) -> None:
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attrs.get(name, "data:").startswith(("data:", "#")), (tag, attrs)
    assert not re.search(r"https?://|@import|url\(", html)
    assert "default-src 'none'" in html
    assert len(html) < 5_000_000


def test_page_is_accessible(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert all(i.get("alt") for i in page.all("img")[:-1])
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    assert len(page.all("h1")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_names_are_never_borrowed(page: Page) -> None:
    text = " ".join(page.text)
    assert not re.search(r"\bFID\b|\bIS\b|Inception", text)
    assert "As published" in text and "IKFDB" in text
    assert "97.92" in text and "91.67" in text


def test_header_says_what_was_run(page: Page) -> None:
    text = " ".join("".join(page.text).split())
    for word in ("quick", "2026-11-23", "0123abcd", "960 images of 32 people", "train 5.2", "classifiers 0, 1, 2"):
        assert word in text


def test_figures_are_stored_as_png_and_svg(finished: Path) -> None:
    names = {path.stem for path in (finished / "figures").glob("*.png")}
    assert names == {path.stem for path in (finished / "figures").glob("*.svg")}
    assert {"overview", "losses", "evolution", "recognition", "distances", "faces_2_fear_shaded"} <= names
    assert not list(finished.glob("**/*.tmp"))


def test_figures_and_page_are_the_same_when_made_again(finished: Path, html: str) -> None:
    run = read_run(finished)
    assert run.metrics is not None
    with matplotlib.rc_context(STYLE):
        again = _render("losses", losses(run.metrics))
    assert again.svg == (finished / "figures" / "losses.svg").read_bytes()
    assert again.png == (finished / "figures" / "losses.png").read_bytes()
    assert render_page(run, {}) == render_page(read_run(finished), {})


def test_hostile_names_are_inert(fabricate: Callable[..., Path], tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    page = Page(write_report(fabricate(tmp_path, emotions=(hostile, "$\\bad{"), size=16, people=3)).read_text("utf-8"))
    assert len(page.all("script")) == 1
    assert hostile in "".join(page.text)
    assert {path.parent for path in tmp_path.glob("**/*alert*")} == {tmp_path / "figures"}


def test_method_names_are_inert_too(finished: Path) -> None:
    run = read_run(finished)
    assert run.evaluation is not None
    run.evaluation["methods"]['"><img src=x onerror=alert(1)>'] = run.evaluation["methods"]["cdcgan_kd"]
    page = Page(render_page(run, {}))
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]


def test_a_run_that_only_began_names_the_stages_to_run(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "config.json", tmp_path / "config.json")
    text = "".join(Page(write_report(tmp_path).read_text("utf-8")).text)
    for stages in ("train,report", "evolve,sample,report", "evaluate,report", "prepare,train,evolve,sample,report"):
        assert f"--stages={stages}" in text
    assert "not recorded" in text


@pytest.mark.parametrize(
    ("absent", "stages", "gone"),
    [
        ("evaluation.json", "evaluate,report", "In brackets"),
        ("evolve", "evolve,sample,report", "independent islands"),
        ("metrics.jsonl", "train,report", "it has won"),
    ],
)
def test_without_one_stage_the_rest_is_still_shown(
    finished: Path, tmp_path: Path, absent: str, stages: str, gone: str
) -> None:
    workdir = shutil.copytree(finished, tmp_path / "run")
    target = workdir / absent
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    run = read_run(workdir)
    wanted = _wanted(run)
    html = render_page(run, {name: Drawn(name, b"", b"", 1, 1) for name in wanted})
    assert f"<code>--stages={stages}</code>" in html
    assert gone not in html
    others = {"In brackets", "independent islands", "it has won"} - {gone}
    assert all(words in html for words in others)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", "{"),
        ("evaluation.json", "[]"),
        ("config.json", '{"name": "x"}'),
        ("environment.json", "\u0000"),
        ("stages/train.json", "{}"),
        ("metrics.jsonl", '{"epoch": 1}\n'),
        ("metrics.jsonl", '{"epoch":'),
        ("evolve/history.npz", "not a zip"),
        ("samples/cdcgan_kd/samples.npz", ""),
        ("real/train/images.npy", "PK"),
        ("real/train/labels.npz", "PK"),
    ],
)
def test_damage_is_one_line_that_names_the_file(finished: Path, tmp_path: Path, name: str, content: str) -> None:
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / name).write_text(content)
    with pytest.raises(UserError) as error:
        read_run(workdir)
    assert Path(name).name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("broken", ["missing", "text", "nan", "interval"])
def test_a_damaged_number_is_named(finished: Path, broken: str) -> None:
    run = read_run(finished)
    assert run.evaluation is not None
    scores = run.evaluation["methods"]["cdcgan_kd"]["tstr"]["xgboost"]
    damage = {
        "missing": {},
        "text": {"value": "0.5"},
        "nan": {"value": float("nan")},
        "interval": {"value": 1, "interval": 3},
    }
    scores["accuracy"] = damage[broken]
    with pytest.raises(UserError, match="/methods/cdcgan_kd/tstr/xgboost/accuracy"):
        render_page(run, {})


def test_a_missing_config_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        write_report(tmp_path)


def _said(evaluation: dict) -> dict[str, str]:
    found = verdicts(evaluation, 3)
    return {v.topic: "".join(p if isinstance(p, str) else p.text for p in v.parts) for v in found}


def test_verdicts_follow_the_numbers(evaluation: dict) -> None:
    said = _said(evaluation)
    assert "51.2\u202f% (KD-cDCGAN)" in said["Use"] and "73.7\u202f%" in said["Use"]
    assert "guessing gives 33.3\u202f%" in said["Use"] and "cannot be told from guessing" not in said["Use"]
    assert "recognition does not change" in said["Evolution"]
    assert "can still be told" in said["Shape"]
    assert "look for copies" in said["Copies"]


def test_verdicts_turn_when_the_numbers_do(evaluation: dict) -> None:
    before, after = (evaluation["methods"][m] for m in ("cdcgan_kd", "cdcgan_kd_ga"))
    before["tstr"]["xgboost"]["accuracy"] = {"value": 0.35, "interval": [0.30, 0.40]}
    after["tstr"]["xgboost"]["accuracy"] = {"value": 0.80, "interval": [0.75, 0.85]}
    after["kid"]["relief"] |= {"value": -0.001, "interval": [-0.003, 0.001]}
    for method in (before, after):
        method["ssim"] |= {"value": 0.6, "interval": [0.55, 0.65]}
    assert "By PSNR, KD-cDCGAN and KD-cDCGAN + GA are closer" in _said(evaluation)["Copies"]
    for method in (before, after):
        method["psnr"] |= {"value": 20.0, "interval": [19.5, 20.5]}
    said = _said(evaluation)
    assert "KD-cDCGAN cannot be told from guessing" in said["Use"]
    assert "recognition rises" in said["Evolution"] and "shrinks" in said["Evolution"]
    assert "only KD-cDCGAN can be told" in said["Shape"]
    assert "\u22120.00100" in said["Shape"]
    assert "no sign of copying" in said["Copies"]


def test_a_number_not_computed_says_so() -> None:
    found = number({"a": {"value": None, "interval": None}}, ("a",), PERCENT)
    assert (found.text, found.interval_text) == ("not computed", "")
