"""The model card: it says what the page says, and no name of a run can write in it."""

import json
import shutil

import pytest

from depthjax.report.model_card import card_text
from depthjax.report.numbers import Number
from depthjax.report.page import _facts, _verdicts
from depthjax.report.stored import read_run


@pytest.fixture
def workdir(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_it_has_the_verdicts_with_their_numbers(workdir):
    card, run = (workdir / "model_card.md").read_text(), read_run(workdir)
    for verdict in _verdicts(run):
        assert f"- **{verdict.topic}:**" in card
        for part in verdict.parts:
            if isinstance(part, Number) and part.interval:
                assert part.text in card and part.interval_text in card
    assert "Not evaluated yet" not in card and "| Training | " in card


def test_a_run_without_evaluation_says_so(workdir):
    (workdir / "evaluation.json").unlink()
    run = read_run(workdir)
    assert "Not evaluated yet" in card_text(run, _facts(run), _verdicts(run), "runs/x")


def test_names_stay_names(workdir):
    path = workdir / "config.json"
    config = json.loads(path.read_text())
    config["name"] = "x\n# heading | <script>[a](b)"
    path.write_text(json.dumps(config))
    run = read_run(workdir)
    card = card_text(run, _facts(run), _verdicts(run), "runs/x")
    assert "<script>" not in card and "\n# heading" not in card and "[a](b)" not in card
    assert card.startswith("# x \\# heading \\| &lt;script&gt;")
