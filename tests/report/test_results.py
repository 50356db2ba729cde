"""The tables of docs/results, as tools/results.py writes them from stored runs."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from depthjax.errors import UserError
from depthjax.files import write_json


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("results")


def test_a_run_has_both_tables_and_how_they_were_made(
    fabricate: Callable[..., Path], tool: ModuleType, tmp_path: Path
) -> None:
    text = tool.run_text(fabricate(tmp_path, size=16, people=2))
    assert "| XGBoost, held-out subjects | generated only | 73.7 (67.7–79.1) | – | 43.2 (37.2–48.6) |" in text
    with_both = r"with training faces \+ augmented copies \| – \| – \| 78\.7 "
    assert re.search(rf"\| XGBoost, held-out subjects \| {with_both}", text)
    assert "**Scorecard.** One training" in text and "| Does it help beyond augmented copies? |" in text
    assert re.search(r"\| XGBoost, published protocol, here / paper \| generated \| .* 77\.2 / 94\.58 \|", text)
    assert "| −21.40 / 45.56 | −21.61 / 45.56 |" in text and "fused" not in text
    assert "| KID ↓ | relief | held-out | −0.00120 (" in text
    for words in (
        "Imagined CPU",
        "2026-11-23",
        "960 training faces of 32 subjects",
        "300 generated faces",
        "3 classifier seeds",
        "64 quantiles",
        "commit 0123abc",
    ):
        assert words in text


def test_blocks_replace_what_stands_between_their_marks(tool: ModuleType, tmp_path: Path) -> None:
    page = "a\n<!-- results big -->\nold\n<!-- /results big -->\nb\n"
    assert tool.with_block(page, "big", "new") == page.replace("old", "new")
    with pytest.raises(UserError, match="no marks"):
        tool.with_block(page, "quick", "new")
    path = tool.write_block("quick", "one", tmp_path)
    tool.write_block("quick", "two", tmp_path)
    assert "two" in path.read_text() and "one" not in path.read_text()


def test_evolution_has_a_column_for_each_selection(tool: ModuleType, tmp_path: Path) -> None:
    columns = [quantity.key for quantity in tool.EVOLUTION]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["faces by", *columns])
        out.writerow(["random", *["0.714 [0.5, 0.9]"] * len(columns)])
        out.writerow(["paper", "0.5 [0.4, 0.6]", "0.25 [-0.1, 1]", *["181.2"] * (len(columns) - 2)])
    with pytest.raises(UserError, match=r"real\.json"):
        tool.evolution_text(tmp_path)
    write_json(tmp_path / "real.json", {"KID to held-out faces, relief": 0.338, "TSTR, random forest": 0.87})
    lines = tool.evolution_text(tmp_path).splitlines()
    assert lines[0] == "|  | random | paper's GA |" and len(lines) == 2 + len(columns)
    assert lines[2] == "| XGBoost on held-out subjects, % ↑ | 71.4 (50.0–90.0) | 50.0 (40.0–60.0) |"
    beside = "Random forest on held-out subjects, % ↑ (reference: 87.0)"
    assert lines[3] == f"| {beside} | 71.4 (50.0–90.0) | 25.0 (−10.0–100.0) |"
    assert "| distinct faces, relief (chooses), % ↑ | 71 | 18,120 |" in lines
    assert "| KID to held-out faces, relief (chooses) ↓ (reference: 0.34) | 0.71 | 181 |" in lines
    assert tool._selection("0.6", tool.EVOLUTION[0]) == "60.0"  # one test subject gives no interval


def test_what_is_missing_is_one_line(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"ablation\.md is not there"):
        tool.experiment_text(tmp_path, "ablation")
    (tmp_path / "ablation.md").write_text("| a |\n")
    assert tool.experiment_text(tmp_path, "ablation") == "| a |"
    given = (
        (["--evolution", str(tmp_path)], r"experiments\.evolution_table first"),
        (["--trainings", str(tmp_path)], "trainings.md"),
    )
    for flags, words in ([], "nothing to do"), *given:
        monkeypatch.setattr(sys, "argv", ["results", *flags])
        with pytest.raises(SystemExit, match=words):
            tool.main()
