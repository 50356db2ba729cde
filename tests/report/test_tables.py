"""The tables: each cell is the stored score, what is absent is words, and files say the same to programs."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_fake import CLASSIFIERS, CONTROLS, MEASURES, METHODS, SPACES, changed, without

from depthjax.config import INPUTS
from depthjax.errors import UserError
from depthjax.report import paper as published
from depthjax.report.formats import ABSENT, CLASSIFIER_NAMES, POINTS, Number
from depthjax.report.stored import StoredEvaluation
from depthjax.report.table import NONE, Table, csv_text, latex_text, markdown_text, write_tables
from depthjax.report.tables import SPACES_EXPLAINED, all_tables
from depthjax.scores import Score, Scores, read_scores

NAMES = ["table_1", "table_1_published", "table_2", "table_2_emotions", "table_2_published", "table_3", "table_4"]


ANCHORS = ("real", "held_out", "copies", "gaussian")


def test_every_classifier_has_a_name_and_what_it_reads_is_explained() -> None:
    assert set(CLASSIFIER_NAMES) == set(INPUTS) and set(INPUTS.values()) <= set(SPACES_EXPLAINED)


def numbers(tables: dict[str, Table]) -> Iterator[Number]:
    return (cell for table in tables.values() for row in table.rows for cell in row if isinstance(cell, Number))


def rows(table: Table, *words: str) -> list[tuple]:
    return [row for row in table.rows if set(words) <= {cell for cell in row if isinstance(cell, str)}]


def keys(table: Table, *words: str) -> list[list[str]]:
    return [[cell.key for cell in row if isinstance(cell, Number)] for row in rows(table, *words)]


def notes(table: Table) -> dict[str, str]:
    return dict(table.notes)


def with_method(evaluation: StoredEvaluation, name: str) -> StoredEvaluation:
    """The evaluation with another method that has KDE's scores."""
    new = [replace(row, method=name) for row in evaluation.scores.where(method="kde")]
    data = evaluation.data | {"generated": evaluation.data["generated"] | {name: 300}}
    return replace(evaluation, data=data, scores=Scores([*evaluation.scores, *new]))


def test_every_cell_is_the_stored_score(evaluation: StoredEvaluation) -> None:
    tables = all_tables(evaluation)
    assert list(tables) == NAMES
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}
    found = list(numbers(tables))
    assert len(found) > 900
    assert all(evaluation.scores.at(number.score) is number.score for number in found)


def test_table_1_is_about_held_out_subjects(evaluation: StoredEvaluation) -> None:
    table = all_tables(evaluation)["table_1"]
    assert len(table.rows) == len(CLASSIFIERS) * (1 + 6)
    assert keys(table, "XGBoost", "training faces")[0][0] == "trtr/real/xgboost/accuracy/////value"
    alone = keys(table, "XGBoost", "generated faces", "KDE")[0]
    assert alone[:4] == [f"tstr/kde/xgboost/{s}/////value" for s in MEASURES]
    assert alone[4:6] == [f"paired_tstr/kde/xgboost/accuracy///real//{field}" for field in ("value", "p")]
    assert "no upper bound" in notes(table)["Training faces"]
    assert "33.3" in notes(table)["Guessing"]
    assert "960 training faces of 32 subjects" in notes(table)["Sizes"]


def test_the_papers_numbers_stand_beside(evaluation: StoredEvaluation) -> None:
    table = all_tables(evaluation)["table_1_published"]
    (row,) = rows(table, "XGBoost", "generated + prepared faces", "KD-cDCGAN evolved")
    assert [row[i] for i in (4, 6, 8, 10)] == ["95.46", "96.48", "96.43", "96.42"] and row[-1] == "800"
    (row,) = rows(table, "Random forest", "prepared faces")
    assert row[4] == "97.92" and row[-1] == "400"
    table = all_tables(evaluation)["table_2_published"]
    beside = {(row[0], row[2]): row[4] for row in table.rows}
    assert beside["As published (not FID)\u00a0↓", "VAE"] == "153.57"
    assert beside["As published (not PSNR), dB\u00a0↑", "KD-cDCGAN"] == "20.68"
    assert "4.14 ± 0.17" in notes(table)["In the paper"]
    assert not {"FID", "IS", "PSNR"} & {str(row[0]).split("\u00a0")[0] for row in table.rows}


def test_published_numbers_are_complete_and_plausible() -> None:
    assert len(published.TABLE_1) == 3 * 2 * 5 * 4 + 3 * 4
    assert len(published.TABLE_2) == 4 * 5 + 1 and len(published.TABLE_2_SPREAD) == 6
    for (classifier, mix, method, score), value in published.TABLE_1.items():
        accuracy = published.TABLE_1[classifier, mix, method, "accuracy"]
        # A typing error would show.
        assert abs(value - accuracy) < 1.3, (classifier, mix, method, score)
    assert published.TABLE_1["random_forest", "synthetic", "gmm", "f1"] == 64.52
    assert published.TABLE_2["frechet", "proposed"] == 45.556
    assert published.published_column("cdcgan_kd_ga") == "proposed" and published.published_column("mine") is None


def test_distances_stand_beside_their_anchors(evaluation: StoredEvaluation) -> None:
    table = all_tables(evaluation)["table_2"]
    for measure, name in (("kid", "KID\u00a0↓"), ("clipped_coverage", "Clipped coverage\u00a0↑")):
        for space, (against, to) in itertools.product(SPACES, {"train": "training", "test": "held-out"}.items()):
            (found,) = keys(table, name, space, to)
            assert found == [f"distance/{m}//{measure}/{space}//{against}//value" for m in (*ANCHORS, *METHODS)]
    (line,) = rows(table, "Emotion as requested, %\u00a0≈ (XGBoost)")
    assert line[3] == NONE and [cell.key for cell in line[4:8] if isinstance(cell, Number)] == [
        "trtr/real/xgboost/accuracy/////value", "trts/gan/xgboost/accuracy/////value"]  # fmt: skip
    table_3 = all_tables(evaluation)["table_3"]
    (line,) = rows(table_3, "AuthPct, %\u00a0↑", "relief")
    assert line[2] == NONE and line[3].key == "memorisation/held_out//auth_pct/relief////value"
    assert rows(table_3, "Relief residual\u00a0≈", "relief")[0][2:4] == (NONE, "1")
    assert keys(table_3, "Vendi\u00a0≈", "relief")[0][0] == "diversity/real//vendi/relief////value"


def test_distances_of_each_emotion_have_a_table_of_their_own(evaluation: StoredEvaluation) -> None:
    table = all_tables(evaluation)["table_2_emotions"]
    assert table.columns[:6] == ("Measure", "Features", "To", "Emotion", "Training faces", "Held-out faces")
    (found,) = keys(table, "KID\u00a0↓", "relief", "held-out", "fear")
    assert found[1] == "distance/held_out//kid/relief//test/fear/value" and len(found) == len(ANCHORS) + len(METHODS)
    assert {row[3] for row in table.rows} == {"neutral", "happiness", "fear"}


def test_an_evaluation_without_controls_has_no_column_for_them(evaluation: StoredEvaluation) -> None:
    bare = without(without(evaluation, method="copies"), method="gaussian")
    columns = all_tables(bare)["table_2"].columns
    assert "Gaussians" not in columns and columns[3:5] == ("Training faces", "Held-out faces")


def test_fid_and_is_are_named_only_with_inception_features(evaluation: StoredEvaluation) -> None:
    def heads(found: StoredEvaluation) -> str:
        return " ".join(str(row[0]) for row in all_tables(found)["table_2"].rows)

    assert not re.search(r"\b(FID|IS)\b", heads(evaluation))
    frechet = {"protocol": "distance", "measure": "frechet", "space": "inception", "against": "test"}
    inception = [Score(m, value=5.0, n=240, **frechet) for m in METHODS]
    inception += [Score(m, "emotion", measure="inception_score", space="inception", value=2.5, n=300) for m in METHODS]
    more = replace(evaluation, scores=Scores([*evaluation.scores, *inception]))
    table = all_tables(more)["table_2"]
    assert [row[1] for row in rows(table, "FID\u00a0↓")] == ["inception"] and len(rows(table, "IS\u00a0↑")) == 1


def test_added_faces_stand_against_augmented_copies_first(evaluation: StoredEvaluation) -> None:
    table = all_tables(evaluation)["table_4"]
    assert len(table.rows) == len(CLASSIFIERS) * (1 + len(CONTROLS) + 2 * len(METHODS))
    assert [head.split(",")[0] for head in table.columns] == [
        "Classifier", "Trained on", "Accuracy", "Against augmented copies", "p against augmented copies",
        "Against training faces", "p against training faces", "n"]  # fmt: skip
    of_one = [row[1] for row in rows(table, "small network")]
    assert of_one[:4] == ["training faces", "+ augmented copies", "+ mixtures of two faces", "+ GAN"]
    assert of_one[-1] == "+ augmented copies + KD-cDCGAN evolved"
    (found,) = keys(table, "XGBoost", "+ KDE")
    where = "paired_added/kde/xgboost/accuracy//"
    assert found[:5] == [
        "added/kde/xgboost/accuracy/////value",
        *(f"{where}/{rival}//{field}" for rival in ("augmented", "real") for field in ("value", "p")),
    ]
    (found,) = keys(table, "XGBoost", "+ augmented copies + KDE")
    assert found[1] == "paired_added_augmented/kde/xgboost/accuracy///augmented//value"
    assert len(keys(table, "XGBoost", "training faces")[0]) == 2  # accuracy and n


def test_measures_without_scores_are_left_out(evaluation: StoredEvaluation) -> None:
    for protocol in evaluation.scores.values("protocol"):
        for measure in evaluation.scores.where(protocol=protocol).values("measure"):
            tables = all_tables(without(evaluation, protocol=protocol, measure=measure))
            for table in tables.values():
                assert {len(row) for row in table.rows} == {len(table.columns)}
    less = without(evaluation, measure="kid")
    assert not rows(all_tables(less)["table_2"], "KID\u00a0↓") and "KID" not in notes(all_tables(less)["table_2"])
    assert list(all_tables(replace(evaluation, scores=Scores([])))) == []


def test_a_reason_stands_once_below_the_table(evaluation: StoredEvaluation) -> None:
    gone: dict[str, Any] = {"value": None, "low": None, "high": None, "p": None}
    why = "3 subjects are in both train and test"
    for protocol in ("trtr", "tstr", "paired_tstr"):
        evaluation = changed(evaluation, {"protocol": protocol}, reason=why, **gone)
    table = all_tables(evaluation)["table_1"]
    assert notes(table)["Not computed"] == f"{why}." and len(table.rows) == len(CLASSIFIERS) * 7
    assert all(row[3].digits == ABSENT for row in table.rows)
    bare = changed(evaluation, {"measure": "kid", "method": "kde"}, low=None, high=None, reason="too few subjects")
    table = all_tables(bare)["table_2"]
    assert notes(table)["No interval"] == "too few subjects."
    assert not re.search(r"\b(nan|None)\b", markdown_text(table) + csv_text(table) + latex_text(table))


@pytest.mark.parametrize(
    "damage",
    [
        {"value": "0.5"},
        {"value": float("nan")},
        {"low": True},
        {"n": 1.5},
        {"method": None},
        {"more": 1},
        {"measure": "f1"},
    ],
)
def test_damaged_scores_are_one_error_that_names_the_file(evaluation: StoredEvaluation, damage: dict) -> None:
    records = evaluation.scores.to_records()
    records[0] |= damage
    with pytest.raises(UserError, match=r"evaluation\.json") as error:
        read_scores(records, "evaluation.json")
    assert "\n" not in str(error.value)


def test_differences_carry_their_sign() -> None:
    up = Number(Score("a", "paired_tstr", value=0.05, low=0.01, high=0.09), POINTS)
    none = Number(Score("a", "paired_tstr", value=-0.00001), POINTS)
    assert (up.text, up.interval_text, up.excludes_zero) == ("+5.0\u202fpoints", "+1.0 to +9.0", True)
    assert (none.digits, none.excludes_zero) == ("0.0", False)
    absent = Number(Score("a", "paired_tstr", reason="one subject"), POINTS)
    assert (absent.text, absent.interval_text) == (ABSENT, "")


def test_csv_reads_back_as_plain_numbers(evaluation: StoredEvaluation) -> None:
    for table in all_tables(evaluation).values():
        read = list(csv.DictReader(io.StringIO(csv_text(table))))
        assert len(read) == len(table.rows)
        for row, cells in zip(read, table.rows, strict=True):
            values = dict(list(row.items())[table.text_columns :])
            plain = {name: float(value) for name, value in values.items() if value}
            for name in {n.removesuffix("_low") for n in plain if n.endswith("_low")}:
                assert plain[f"{name}_low"] <= plain[name] <= plain[f"{name}_high"]
            stored = [c.value * c.format.factor for c in cells if isinstance(c, Number) and c.value is not None]
            assert {f"{v:.8g}" for v in stored} <= {f"{v:.8g}" for v in plain.values()}
    read = list(csv.DictReader(io.StringIO(csv_text(all_tables(evaluation)["table_1"]))))
    assert {"classifier", "trained_on", "method", "accuracy_percent_low", "p_against_training_faces", "n"} <= set(
        read[0]
    )
    assert read[1]["against_training_faces_points"] == "-30.48" and read[0]["p_against_training_faces"] == ""


def test_latex_is_inert_and_even(evaluation: StoredEvaluation) -> None:
    for table in all_tables(with_method(evaluation, "50%_of $x$ & {y}\\^~#<|>")).values():
        text = latex_text(table)
        assert text.isascii()
        bare = re.sub(r"\\[\\%&$#_{}]", "", text)
        assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) == len(table.rows) + 1
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(table.columns) - 1}
        assert not re.search(r"(?<!\\)[%#_]", body)


def test_markdown_is_inert_and_even(evaluation: StoredEvaluation) -> None:
    for table in all_tables(with_method(evaluation, "<script>|alert(1)|</script>")).values():
        text = markdown_text(table)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == len(table.rows) + 2
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.columns) + 1}
        assert not re.search(r"(?<!\\)<", text)


def test_a_name_is_no_formula_to_a_spreadsheet(evaluation: StoredEvaluation) -> None:
    hostile = '=HYPERLINK("http://x","y")'
    texts = [csv_text(table) for table in all_tables(with_method(evaluation, hostile)).values()]
    assert any("HYPERLINK" in text for text in texts)
    cells = [cell for text in texts for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]


def test_the_formats_agree_on_every_number(evaluation: StoredEvaluation) -> None:
    for table in all_tables(evaluation).values():
        latex, plain = latex_text(table).replace("$-$", "\u2212"), markdown_text(table)
        for row in table.rows:
            for cell in row:
                if isinstance(cell, Number):
                    assert cell.digits in latex and cell.digits in plain


def test_files_are_written_for_every_table(evaluation: StoredEvaluation, tmp_path: Path) -> None:
    tables = all_tables(evaluation)
    paths = write_tables(tables, tmp_path / "tables")
    assert [p.name for p in paths] == [f"{n}.{e}" for n in NAMES for e in ("csv", "tex", "md")]
    before = [p.read_bytes() for p in paths]
    assert [p.read_bytes() for p in write_tables(tables, tmp_path / "tables")] == before
    assert len(list((tmp_path / "tables").iterdir())) == 3 * len(NAMES)
