"""The tables: each cell is the stored number, what is absent is words, and files say the same to programs."""

import copy
import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from evaluation_fake import METHODS

from depthjax.errors import UserError
from depthjax.report import published
from depthjax.report.numbers import POINTS, Number, lookup, number_if_any
from depthjax.report.table import ABSENT, Table
from depthjax.report.table_files import csv_text, latex_text, markdown_text, write_tables
from depthjax.report.tables import all_tables

NAMES = ["table_1", "table_1_published", "table_2", "table_2_published", "table_3", "table_4"]


def numbers(tables: dict[str, Table]) -> Iterator[Number]:
    return (cell for table in tables.values() for row in table.rows for cell in row if isinstance(cell, Number))


def rows(table: Table, *words: str) -> list[tuple]:
    return [row for row in table.rows if set(words) <= {cell for cell in row if isinstance(cell, str)}]


def pointers(table: Table, *words: str) -> list[list[str]]:
    return [[cell.pointer for cell in row if isinstance(cell, Number)] for row in rows(table, *words)]


def notes(table: Table) -> dict[str, str]:
    return dict(table.notes)


def test_every_cell_is_the_stored_number(evaluation: dict) -> None:
    tables = all_tables(evaluation, 3)
    assert list(tables) == NAMES
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
    found = list(numbers(tables))
    assert len(found) > 900
    for number in found:
        keys = tuple(number.pointer.split("/")[1:])
        assert lookup(evaluation, keys) == number.value
        stored = lookup(evaluation, keys[:-1])
        if number.interval and isinstance(stored, dict):
            assert list(number.interval) == stored["interval"]


def test_table_1_asks_about_unseen_people(evaluation: dict) -> None:
    table = all_tables(evaluation, 3)["table_1"]
    assert len(table.rows) == 3 * (1 + 2 * 6)
    assert pointers(table, "XGBoost", "real only")[0][0] == "/methods/gan/trtr/xgboost/accuracy/value"
    alone = pointers(table, "XGBoost", "generated only", "KDE")[0]
    assert alone[:4] == [f"/methods/kde/tstr/xgboost/{s}/value" for s in ("accuracy", "precision", "recall", "f1")]
    assert evaluation["paired"]["xgboost"][int(alone[4].split("/")[3])]["b"] == "kde"
    both = pointers(table, "XGBoost", "generated + all real", "KDE")[0]
    assert both[0] == "/methods/kde/scarcity/xgboost/1/accuracy/value"
    assert both[4] == "/methods/kde/scarcity/xgboost/1/paired/difference"
    assert "33.3" in notes(table)["Guessing"]


def test_the_papers_numbers_stand_beside(evaluation: dict) -> None:
    table = all_tables(evaluation, 3)["table_1_published"]
    (row,) = rows(table, "XGBoost", "generated + real", "KD-cDCGAN, evolved")
    assert [row[i] for i in (4, 6, 8, 10)] == ["95.46", "96.48", "96.43", "96.42"]
    assert row[-4].value + row[-3].value == 600 and row[-2:] == ("200", "800")
    (row,) = rows(table, "Random forest", "real")
    assert row[4] == "97.92" and row[-2:] == ("100", "400")
    table = all_tables(evaluation, 3)["table_2_published"]
    beside = {(row[0], row[2]): row[4] for row in table.rows}
    assert beside["As published (not FID)\u00a0↓", "VAE"] == "153.57"
    assert beside["As published (not PSNR), dB\u00a0↑", "KD-cDCGAN"] == "20.68"
    assert "4.14 ± 0.17" in notes(table)["Not IS"] and "3.57 ± 0.16" in notes(table)["Not IS"]
    assert not {"FID", "IS", "PSNR"} & {str(row[0]).split("\u00a0")[0] for row in table.rows}


def test_published_numbers_are_whole_and_plausible() -> None:
    assert len(published.TABLE_1) == 3 * 2 * 5 * 4 + 3 * 4
    assert len(published.TABLE_2) == 4 * 5 + 1 and len(published.TABLE_2_SPREAD) == 6
    for (classifier, mix, method, score), value in published.TABLE_1.items():
        accuracy = published.TABLE_1[classifier, mix, method, "accuracy"]
        assert abs(value - accuracy) < 1.3, (classifier, mix, method, score)  # a slip of the pen would show
    assert published.TABLE_1["random_forest", "synthetic", "gmm", "f1"] == 64.52
    assert published.TABLE_2["frechet", "proposed"] == 45.556
    assert published.published_column("cdcgan_kd_ga") == "proposed" and published.published_column("mine") is None


def test_distances_stand_beside_their_floor(evaluation: dict) -> None:
    table = all_tables(evaluation, 3)["table_2"]
    for kind, name in (("kid", "KID\u00a0↓"), ("coverage", "Coverage\u00a0↑")):
        for space in ("relief", "fused", "depthnet"):
            (found,) = pointers(table, name, space)
            assert found[0] == f"/floor/{kind}/{space}/value"
            assert found[1:7] == [f"/methods/{m}/{kind}/{space}/value" for m in METHODS]
    (found,) = pointers(table, "Nearest PSNR, dB\u00a0≈")
    assert found[0] == "/methods/gan/psnr/real/value"


def test_fid_and_is_are_named_only_with_inception_weights(evaluation: dict) -> None:
    def heads(table: Table) -> str:
        return " ".join(str(row[0]) for row in table.rows)

    table = all_tables(evaluation, 3)["table_2"]
    assert not re.search(r"\b(FID|IS)\b", heads(table))
    assert "no Inception weights were given" in notes(table)["FID, IS"]
    del evaluation["inception"]
    evaluation["spaces"] += ["inception"]
    for part in (evaluation["floor"], *evaluation["methods"].values()):
        for kind in ("kid", "frechet"):
            part[kind]["inception"] = part[kind]["depthnet"]
    for method in evaluation["methods"].values():
        method["inception_score"] = {"value": 2.5, "spread": 0.1, "n": 300}
    table = all_tables(evaluation, 3)["table_2"]
    assert rows(table, "FID\u00a0↓")[0][1] == "inception" and len(rows(table, "FID\u00a0↓")) == 1
    assert len(rows(table, "IS\u00a0↑")) == 1 and "FID, IS" not in notes(table)


def test_scarcity_says_what_the_generators_had_seen(evaluation: dict) -> None:
    table = all_tables(evaluation, 3)["table_4"]
    assert len(table.rows) == 3 * 4 * 2
    assert "learnt from all of the training people" in notes(table)["To bear in mind"]
    assert [row[2] for row in rows(table, "XGBoost", "accuracy, %\u00a0↑")] == ["10", "25", "50", "100"]
    assert pointers(table, "XGBoost", "gain, points\u00a0↑", "10")[0][1] == (
        "/methods/gan/scarcity/xgboost/0.1/paired/difference"
    )


def test_an_earlier_schema_gives_tables_too(evaluation_1: dict) -> None:
    tables = all_tables(evaluation_1, 3)
    assert list(tables) == NAMES
    assert all("earlier version" in notes(table)["Not computed"] for table in tables.values())
    assert pointers(tables["table_2"], "Nearest SSIM\u00a0≈")[0][0] == "/methods/cdcgan_kd/ssim/real"
    assert rows(tables["table_4"], "XGBoost", ABSENT)


def test_whatever_is_absent_is_words(evaluation: dict) -> None:
    paths = [(key,) for key in evaluation if key not in ("methods", "schema")]
    paths += [("methods", "kde", key) for key in evaluation["methods"]["kde"]]
    for *parents, last in paths:
        damaged = copy.deepcopy(evaluation)
        del lookup(damaged, tuple(parents))[last]
        assert list(all_tables(damaged, 3)) == NAMES, last


def test_a_reason_is_told_once_beneath_the_table(evaluation: dict) -> None:
    why = {"reason": "3 people are in both train and test"}
    for method in evaluation["methods"].values():
        method |= {"tstr": why, "trtr": why, "scarcity": why}
    evaluation |= {"paired": why, "scarcity": why}
    table = all_tables(evaluation, 3)["table_1"]
    assert notes(table)["Not computed"] == "3 people are in both train and test."
    assert all(row[3] == ABSENT for row in table.rows) and len(table.rows) == 39
    evaluation["methods"]["kde"]["kid"]["relief"] = {"reason": "use more subjects"}
    assert "use more subjects" in notes(all_tables(evaluation, 3)["table_2"])["Not computed"]


@pytest.mark.parametrize("damage", [{}, {"value": "0.5"}, {"value": float("nan")}, {"value": 1, "interval": 3}, "0.5"])
def test_damage_is_an_error_that_names_the_place(evaluation: dict, damage: object) -> None:
    evaluation["methods"]["kde"]["tstr"]["xgboost"]["accuracy"] = damage
    with pytest.raises(UserError, match="/methods/kde/tstr/xgboost/accuracy"):
        all_tables(evaluation, 3)


def test_differences_carry_their_sign() -> None:
    stored = {"up": {"value": 0.05, "interval": [0.01, 0.09]}, "none": -0.00001}
    up, none = (number_if_any(stored, (key,), POINTS) for key in stored)
    assert up is not None and none is not None
    assert (up.text, up.interval_text, up.beyond_zero) == ("+5.0\u202fpoints", "+1.0 to +9.0", True)
    assert (none.digits, none.beyond_zero) == ("0.0", False)
    assert number_if_any({"a": [{"b": 2}]}, ("a", "1", "b"), POINTS) is None


def test_csv_reads_back_as_plain_numbers(evaluation: dict) -> None:
    for table in all_tables(evaluation, 3).values():
        read = list(csv.DictReader(io.StringIO(csv_text(table))))
        assert len(read) == len(table.rows)
        for row, cells in zip(read, table.rows, strict=True):
            values = dict(list(row.items())[table.text_columns :])
            plain = {name: float(value) for name, value in values.items() if value}
            for name in {n.removesuffix("_low") for n in plain if n.endswith("_low")}:
                assert plain[f"{name}_low"] <= plain[name] <= plain[f"{name}_high"]
            stored = [c.value * c.style.factor for c in cells if isinstance(c, Number) and c.value is not None]
            assert {f"{v:.8g}" for v in stored} <= {f"{v:.8g}" for v in plain.values()}
    read = list(csv.DictReader(io.StringIO(csv_text(all_tables(evaluation, 3)["table_1"]))))
    assert {"classifier", "trained_on", "method", "accuracy_percent_low", "n_train", "people"} <= set(read[0])
    assert read[1]["against_real_only_points"] == "-30.48" and read[0]["p"] == ""


def test_latex_is_inert_and_even(evaluation: dict) -> None:
    evaluation["methods"]["50%_of $x$ & {y}\\^~#<|>"] = evaluation["methods"]["kde"]
    for table in all_tables(evaluation, 3).values():
        text = latex_text(table)
        assert text.isascii()
        bare = re.sub(r"\\[\\%&$#_{}]", "", text)
        assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) == len(table.rows) + 1
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(table.columns) - 1}
        assert not re.search(r"(?<!\\)[%#_]", body)


def test_markdown_is_inert_and_even(evaluation: dict) -> None:
    evaluation["methods"]["<script>|alert(1)|</script>"] = evaluation["methods"]["kde"]
    for table in all_tables(evaluation, 3).values():
        text = markdown_text(table)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == len(table.rows) + 2
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.columns) + 1}
        assert not re.search(r"(?<!\\)<", text)


def test_a_name_is_no_formula_to_a_spreadsheet(evaluation: dict) -> None:
    hostile = '=HYPERLINK("http://x","y")'
    evaluation["methods"][hostile] = evaluation["methods"]["kde"]
    texts = [csv_text(table) for table in all_tables(evaluation, 3).values()]
    assert any("HYPERLINK" in text for text in texts)
    cells = [cell for text in texts for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]


def test_files_are_written_for_every_table(evaluation: dict, tmp_path: Path) -> None:
    tables = all_tables(evaluation, 3)
    paths = write_tables(tables, tmp_path / "tables")
    assert [p.name for p in paths] == [f"{n}.{e}" for n in NAMES for e in ("csv", "tex", "md")]
    before = [p.read_bytes() for p in paths]
    assert [p.read_bytes() for p in write_tables(tables, tmp_path / "tables")] == before
    assert len(list((tmp_path / "tables").iterdir())) == 18


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("readme_results")


def test_readme_holds_both_tables_with_the_papers_beside(
    fabricate: Callable[..., Path], tool: ModuleType, tmp_path: Path
) -> None:
    text = tool.block(fabricate(tmp_path, size=16, people=2))
    assert "| XGBoost, unseen people | generated only | 73.7 (67.7–79.1) | 43.2 (37.2–48.6) |" in text
    assert re.search(r"\| XGBoost, published protocol, here / paper \| generated \| .* 77\.2 / 94\.58 \|", text)
    assert "| −21.40 / 45.56 | −21.61 / 45.56 |" in text and "fused" not in text
    for words in (
        "Imagined CPU",
        "2026-11-23",
        "960 faces of 32 people",
        "300 generated faces",
        "3 classifier seeds",
        "64 quantiles",
    ):
        assert words in text
    readme = "a\n<!-- results -->\nold\n<!-- /results -->\n<!-- results big -->\n<!-- /results big -->\n"
    assert tool.with_block(readme, "quick", "new") == readme.replace("old", "new")
    assert "old" in tool.with_block(readme, "big", "new") and "big -->\nnew\n" in tool.with_block(readme, "big", "new")
    with pytest.raises(UserError, match="no marks"):
        tool.with_block("nothing", "quick", "new")
