"""The page: it agrees with its files, loads nothing, and stays inert and honest whatever is or is not there."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest
from evaluation_fake import METHODS

from depthjax.errors import UserError
from depthjax.report.figure_style import STYLE, Drawn, render
from depthjax.report.figures import all_figures, losses
from depthjax.report.figures_faces import face_figure_name
from depthjax.report.page import card_text, facts, render_page, scorecard_of, write_report
from depthjax.report.scorecard import answer_text, as_lines
from depthjax.report.stored import read_run
from depthjax.scores import COLUMNS


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
        if "data-key" in dict(attrs):
            self._number = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._number is not None:
            self.numbers.append((self._number["data-key"], self._number["data-value"], data))
            self._number = None
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def stored_numbers(workdir: Path) -> dict[str, float]:
    """Every number of evaluation.json by the key that the page gives it."""
    found = {}
    for row in json.loads((workdir / "evaluation.json").read_text())["scores"]:
        assert set(row) == set(COLUMNS)
        share = "" if row["share"] is None else f"{row['share']:g}"
        names = [row[name] for name in ("protocol", "method", "classifier", "measure", "space")]
        key = "/".join([*names, share, row["against"], row["emotion"]])
        found |= {f"{key}/{field}": row[field] for field in ("value", "n", "p")}
    return found


@pytest.fixture(scope="module")
def html(finished: Path) -> str:
    return (finished / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_number_is_that_of_evaluation_json(page: Page, finished: Path) -> None:
    stored = stored_numbers(finished)
    assert len(page.numbers) > 150
    in_percent = {
        "accuracy",
        "f1",
        "auth_pct",
        "agreement",
        "near_share",
        "near_share_planted_10",
        "near_share_planted_30",
    }
    for key, value, text in page.numbers:
        assert float(value) == stored[key], key
        digits = text.replace("\u2212", "-").replace(",", "").split("\u202f")[0]
        protocol, _, classifier, measure, *_, field = key.split("/")
        share = measure in in_percent or (bool(classifier) and measure in ("precision", "recall"))
        scale = 100 if field == "value" and share else 1
        decimals = len(digits.partition(".")[2])
        assert float(digits) == pytest.approx(scale * float(value), abs=0.5001 * 10**-decimals), (protocol, key)


def test_every_measure_of_every_method_is_on_the_page(page: Page, finished: Path) -> None:
    shown = {key for key, _, _ in page.numbers}
    values = {key for key in stored_numbers(finished) if key.endswith("/value")}
    # Coverage by emotion stands in a figure, differences between methods in the summary.
    figures = {key for key in values if key.split("/")[-2] or (key.startswith("paired_tstr") and "/real/" not in key)}
    # Table 4 has the accuracy alone, Table 1 all four scores.
    others = {key for key in values if key.startswith(("added", "trts")) and "/accuracy/" not in key}
    assert values - figures - others <= shown


def test_intervals_are_stored_ones(html: str, finished: Path) -> None:
    rows = json.loads((finished / "evaluation.json").read_text())["scores"]
    row = next(r for r in rows if (r["protocol"], r["method"], r["classifier"]) == ("tstr", "cdcgan_kd", "xgboost"))
    assert f'data-low="{row["low"]}" data-high="{row["high"]}"' in html
    assert f"{100 * row['low']:.1f}\u2013{100 * row['high']:.1f}" in html
    assert not re.search(
        r"\b(nan|NaN|None)\b",
        re.sub(r"data:[^\"]*", "", html.partition("<header>")[2].partition('<h2 id="h-details')[0]),
    )


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
    assert all(th.get("scope") in ("col", "row", "rowgroup") for th in page.all("th"))
    assert len(page.all("h1")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_opens_with_the_scorecard(html: str, page: Page, finished: Path) -> None:
    first = html.partition("<section")[2].partition("<figure")[0]
    card = first.partition('id="scorecard"')[2].partition("</table>")[0]
    rows = scorecard_of(read_run(finished))
    assert card.count('scope="row"') == len(rows) and 'scope="col"' in card and "<caption>One training" in card
    assert card.count('<td class="answer') == len(rows) * len(METHODS)
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = re.findall(r'href="#(table-[^"]+)"', card)
    assert len(links) == len(rows) and set(links) <= ids
    assert {path.name for path in (finished / "tables").glob("scorecard.*")} == {
        f"scorecard.{e}" for e in ("csv", "md", "tex")
    }


def test_the_log_has_every_answer(finished: Path) -> None:
    run = read_run(finished)
    assert run.evaluation is not None
    text = "\n".join(as_lines(run.evaluation))
    for row in scorecard_of(run):
        assert row.question in text and row.measure in text
        assert all(answer_text(answer) in text for answer in row.answers.values())


def test_names_are_never_borrowed(page: Page) -> None:
    text = " ".join(page.text)
    denied = re.sub(r"[Nn]ot (the )?(FID|IS|PSNR)\b|Its IS with spread", "", text)
    assert not re.search(r"\bFID\b|\bIS\b", denied)
    assert "As published" in text and "IKFDB" in text
    assert "97.92" in text and "91.67" in text


def test_rendered_faces_are_not_called_real(page: Page) -> None:
    text = " ".join("".join(page.text).rpartition("How it was run")[0].split())
    assert not re.search(r"\breal\b", text, re.I)
    assert "rendered (depth_heads)" in text and "960 images of 32 subjects" in text


def test_faces_of_a_users_own_are_called_so_and_by_their_folder(finished: Path) -> None:
    run = read_run(finished)
    data = run.config["data"] | {"source": "folder", "path": "/home/me/lab<b>"}
    own = dataclasses.replace(run, config=run.config | {"data": data}, evaluation=None)
    assert dict(facts(own))["Faces"].startswith("the user's own (folder)")
    card = card_text(own, "run")
    assert "lab&lt;b&gt;" in card and "Not known to depthjax" in card and "/home/me" not in card
    assert "IKFDB" not in card


def test_header_says_what_was_run(page: Page) -> None:
    text = " ".join("".join(page.text).split())
    for word in ("quick", "2026-11-23", "0123abcd", "240 images of 8 subjects", "train 5.2", "classifiers 0, 1, 2"):
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
        figure = losses(run)
        assert figure is not None
        again = render("losses", figure)
    assert again.svg == (finished / "figures" / "losses.svg").read_bytes()
    assert again.png == (finished / "figures" / "losses.png").read_bytes()
    assert render_page(run, {}) == render_page(read_run(finished), {})


def test_hostile_names_are_inert(fabricate: Callable[..., Path], tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    page = Page(render_page(read_run(fabricate(tmp_path, emotions=(hostile, "$\\bad{"), size=16, people=3)), {}))
    assert [attrs.get("type") for attrs in page.all("script")] == ["application/json", None]
    assert hostile in "".join(page.text)


def test_method_names_are_inert_too(finished: Path, tmp_path: Path) -> None:
    workdir = shutil.copytree(finished, tmp_path / "run")
    hostile = '"><img src=x onerror=alert(1)>'
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    evaluation["data"]["generated"][hostile] = 300
    rows = evaluation["scores"]
    rows += [row | {"method": hostile} for row in rows if row["method"] == "cdcgan_kd"]
    (workdir / "evaluation.json").write_text(json.dumps(evaluation))
    html = render_page(read_run(workdir), {})
    assert "&lt;img src=x onerror" in html
    assert not [attrs for _, attrs in Page(html).tags if "onerror" in attrs]


def test_a_run_that_only_began_names_the_stages_to_run(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "config.json", tmp_path / "config.json")
    text = "".join(Page(write_report(tmp_path).read_text("utf-8")).text)
    for stages in ("train,report", "evolve,sample,report", "evaluate,report", "prepare,train,evolve,sample,report"):
        assert f"--stages={stages}" in text
    assert "not recorded" in text


@pytest.mark.parametrize(
    ("absent", "stages", "gone"),
    [
        ("evaluation.json", "evaluate,report", "Compared with"),
        ("evolve", "evolve,sample,report", "what the search maximises"),
        ("metrics.jsonl", "train,report", "it separates all"),
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
    with matplotlib.rc_context(STYLE):
        wanted = [spec for spec in all_figures(run) if spec.name in ("losses", "evolution") and spec.draw(run)]
    html = render_page(run, {spec.name: Drawn(spec.name, b"", b"", 1, 1, spec.caption) for spec in wanted})
    assert f"<code>--stages={stages}</code>" in html
    assert gone not in html
    others = {"Compared with", "what the search maximises", "it separates all"} - {gone}
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
        ("evaluation.json", "{}"),
        ("evaluation.json", '{"data": [], "settings": {}, "scores": []}'),
        ("evaluation/runs.npz", "PK"),
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


@pytest.mark.parametrize(
    "damage", [{"value": "0.5"}, {"value": float("nan")}, {"low": []}, {"more": 1}, {"method": "gan"}]
)
def test_a_damaged_score_is_one_line_that_names_the_file(finished: Path, tmp_path: Path, damage: dict) -> None:
    workdir = shutil.copytree(finished, tmp_path / "run")
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    rows = [row for row in evaluation["scores"] if row["protocol"] == "tstr" and row["method"] == "vae"]
    rows[0] |= damage
    (workdir / "evaluation.json").write_text(json.dumps(evaluation))
    with pytest.raises(UserError, match=r"evaluation\.json") as error:
        read_run(workdir)
    assert "\n" not in str(error.value)


def test_a_missing_config_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        write_report(tmp_path)


def test_the_card_has_every_answer(finished: Path) -> None:
    card, run = (finished / "model_card.md").read_text(), read_run(finished)
    rows = scorecard_of(run)
    for row in rows:
        assert f"- **{row.question}**" in card
        assert all(answer_text(answer) in card for answer in row.answers.values())
    assert rows and "One training" in card
    assert "Not evaluated yet" not in card and "| Training | " in card


def test_the_card_of_a_run_without_evaluation_says_so(finished: Path, tmp_path: Path) -> None:
    workdir = shutil.copytree(finished, tmp_path / "run")
    (workdir / "evaluation.json").unlink()
    run = read_run(workdir)
    assert "Not evaluated yet" in card_text(run, "runs/x")


def test_names_in_the_card_stay_names(finished: Path) -> None:
    run = read_run(finished)
    run.config["name"] = "x\n# heading | <script>[a](b)"
    card = card_text(run, "runs/x")
    assert "<script>" not in card and "\n# heading" not in card and "[a](b)" not in card
    assert card.startswith("# x \\# heading \\| &lt;script&gt;")
