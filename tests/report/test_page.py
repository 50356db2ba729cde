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
from depthjax.report.figure_style import STYLE
from depthjax.report.figures import Drawn, _render, _wanted, losses
from depthjax.report.figures_sheets import face_figure_name
from depthjax.report.numbers import PERCENT, number
from depthjax.report.page import render_page, write_report
from depthjax.report.stored import read_run


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
        value = value[int(key)] if isinstance(value, list) else value[key.replace("~1", "/").replace("~0", "~")]
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
        keys = pointer.split("/")
        in_per_cent = keys[-2] in ("accuracy", "precision", "recall", "f1") or keys[-1] == "difference"
        shares = keys[-1] == "value" and {"auth_pct", "emotion_agreement"} & set(keys)
        scale = 100 if in_per_cent or shares else 1
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
            assert {f"{start}/{distance}/{s}/value" for s in ("relief", "fused", "depthnet")} <= shown
            assert {f"/floor/{distance}/{s}/value" for s in ("relief", "fused", "depthnet")} <= shown
        assert {f"{start}/relief_residual/ratio", f"{start}/ssim/value", f"{start}/psnr/value"} <= shown
        assert {f"{start}/auth_pct/relief/value", f"{start}/vendi/relief/value", f"{start}/ms_ssim/value"} <= shown


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
            # A click may lead to the tables beside the page; nothing is fetched from there.
            allowed = ("data:", "#", "tables/") if tag == "a" else ("data:", "#")
            assert attrs.get(name, "data:").startswith(allowed), (tag, attrs)
    assert not re.search(r"https?://|@import|url\(", html)
    assert "default-src 'none'" in html
    assert len(html) < 15_000_000


def test_page_is_accessible(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert all(i.get("alt") for i in page.all("img")[:-1])
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    assert len(page.all("h1")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_names_are_never_borrowed(page: Page) -> None:
    text = " ".join(page.text)
    denied = re.sub(r"[Nn]ot (FID|IS|PSNR)\b", "", text)
    assert "FID, IS not computed" in " ".join(denied.split())
    assert not re.search(r"\bFID\b|\bIS\b", denied.replace("FID, IS", ""))
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
    page = Page(render_page(read_run(fabricate(tmp_path, emotions=(hostile, "$\\bad{"), size=16, people=3)), {}))
    assert [attrs.get("type") for attrs in page.all("script")] == ["application/json", None]
    assert hostile in "".join(page.text)


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


@pytest.mark.parametrize(("size", "left"), [(100, {"depth", "shaded"}), (1_200_000, {"shaded"}), (2_500_000, set())])
def test_sheets_give_way_where_the_page_would_grow_large(finished: Path, size: int, left: set[str]) -> None:
    run = read_run(finished)
    names = [face_figure_name(run, emotion, view) for emotion in range(3) for view in ("depth", "shaded")]
    html = render_page(run, {name: Drawn(name, b"x" * size, b"", 1, 1) for name in [*names, "other"]})
    assert {name.rpartition("_")[2] for name in names if f'id="figure-{name}"' in html} == left
    assert 'id="figure-other"' in html and len(html) < 15_000_000
    assert ("left out here" in html) == (len(left) < 2)


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
        ("faces/train/images.npy", "PK"),
        ("faces/train/labels.npz", "PK"),
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


def test_a_number_not_computed_says_so() -> None:
    found = number({"a": {"value": None, "interval": None}}, ("a",), PERCENT)
    assert (found.text, found.interval_text) == ("not computed", "")
