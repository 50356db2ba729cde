"""The scorecard: it answers by plain rules, and claims no help where augmented copies help more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evaluation_fake import CLASSIFIERS, METHODS, changed, without

from depthjax.report.scorecard import (
    ALONE,
    BEST,
    COPIES,
    HELPS,
    NO,
    OPEN,
    TOLD,
    VARIED,
    YES,
    Row,
    as_lines,
    as_table,
    as_text,
    best_classifier,
    extent,
    scorecard,
)
from depthjax.report.stored import StoredEvaluation
from depthjax.report.table import markdown_text
from depthjax.scores import Score, Scores

QUESTIONS = [HELPS, ALONE, TOLD, COPIES, VARIED, BEST]
BESIDE, INSTEAD = "paired_added_augmented", "paired_added"


def words(evaluation: StoredEvaluation, question: str, row: int = 0) -> dict[str, str]:
    return {method: answer.word for method, answer in of(evaluation, question)[row].answers.items()}


def of(evaluation: StoredEvaluation, question: str) -> list[Row]:
    return [row for row in scorecard(evaluation) if row.question == question]


def questions(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row.question for row in rows))


def interval(evaluation: StoredEvaluation, value: float, spread: float, **where: Any) -> StoredEvaluation:
    return changed(evaluation, where, value=value, low=value - spread, high=value + spread)


def test_questions_stand_in_order_and_name_their_tables(evaluation: StoredEvaluation) -> None:
    rows = scorecard(evaluation)
    # Each question once, then by further measures.
    assert [row.question for row in rows if not row.further] == QUESTIONS == [row.question for row in rows][:6]
    assert all(list(row.answers) == list(METHODS) for row in rows)
    assert {row.table for row in rows} == {"table_1", "table_2", "table_3", "table_4"}
    assert scorecard(replace(evaluation, data=evaluation.data | {"generated": {}})) == []
    one = replace(evaluation, data=evaluation.data | {"generated": {"gan": 300}})
    assert questions(scorecard(one)) == QUESTIONS[:-1]


def test_faces_that_help_less_than_augmented_copies_do_not_help(evaluation: StoredEvaluation) -> None:
    """Training faces < + generated faces < + augmented copies: no sentence may say that generated faces help."""
    gain = interval(evaluation, 0.03, 0.01, protocol=INSTEAD, against="real")
    gain = changed(gain, {"protocol": INSTEAD, "against": "real"}, p=0.0001, n=40)
    behind = interval(gain, -0.02, 0.01, protocol=INSTEAD, against="augmented")
    behind = changed(behind, {"protocol": INSTEAD, "against": "augmented"}, p=0.0001, n=40)
    beside = interval(behind, 0.002, 0.01, protocol=BESIDE)
    assert set(words(beside, HELPS, 0).values()) == {OPEN}
    assert set(words(beside, HELPS, 1).values()) == {NO}
    about_help = as_table(beside, of(beside, HELPS)).rows
    assert len(about_help) == 2 and "yes" not in str(about_help)


@pytest.mark.parametrize(
    ("value", "spread", "p", "word"),
    [(0.03, 0.01, 0.05, YES), (-0.03, 0.01, 0.05, NO), (0.03, 0.01, 0.051, OPEN), (0.03, 0.04, 0.001, OPEN),
     (0.03, 0.01, None, OPEN)],
)  # fmt: skip
def test_a_difference_needs_an_interval_without_zero_and_a_small_p(
    evaluation: StoredEvaluation, value: float, spread: float, p: float | None, word: str
) -> None:
    where = {"protocol": BESIDE, "method": "gan", "classifier": "random_forest"}
    found = changed(interval(evaluation, value, spread, **where), where, p=p)
    assert words(found, HELPS)["gan"] == word
    assert words(found, HELPS)["vae"] == OPEN


def test_the_classifier_is_chosen_without_the_methods(evaluation: StoredEvaluation) -> None:
    assert best_classifier(evaluation) == "random_forest"
    loud = interval(evaluation, 0.99, 0.001, classifier="decision_tree", method="gan", measure="accuracy")
    assert best_classifier(loud) == "random_forest"
    where = {"protocol": "added", "method": "augmented", "classifier": "xgboost"}
    assert best_classifier(interval(evaluation, 0.99, 0.001, **where)) == "xgboost"
    assert best_classifier(without(evaluation, protocol="added")) == "random_forest"


def test_all_classifiers_are_counted(evaluation: StoredEvaluation) -> None:
    where = {"protocol": BESIDE, "method": "kde", "classifier": "xgboost"}
    found = changed(interval(evaluation, -0.03, 0.01, **where), where, p=0.001)
    answer = scorecard(found)[0].answers["kde"]
    assert answer.word == OPEN and answer.note == f"no with 1 of {len(CLASSIFIERS)} classifiers"


def test_numbers_answer_where_intervals_do_not_overlap(evaluation: StoredEvaluation) -> None:
    assert set(words(evaluation, TOLD).values()) == {YES}
    where = {"protocol": "c2st", "method": "gan"}
    assert words(interval(evaluation, 0.55, 0.04, **where), TOLD)["gan"] == OPEN
    assert words(interval(evaluation, 0.40, 0.04, **where), TOLD)["gan"] == NO
    # Without a set to compare with, 50 % is guessing.
    alone = without(interval(evaluation, 0.55, 0.04, **where), protocol="c2st", method="held_out")
    assert words(alone, TOLD)["gan"] == YES
    assert "guessing 50" in as_text(of(alone, TOLD)[0].beside)


def test_copies_are_denied_only_below_planted_ones(evaluation: StoredEvaluation) -> None:
    where = {"protocol": "memorisation", "measure": "near_share", "method": "gan"}
    # Held-out faces 5 %, the same set with near-copies planted 18 %.
    for value, spread, word in ((0.2, 0.02, YES), (0.05, 0.02, NO), (0.03, 0.02, NO), (0.1, 0.07, OPEN)):
        assert words(interval(evaluation, value, spread, **where), COPIES)["gan"] == word
    # Gaussians, which remember nobody, have 4.8 %; where they have as many, it is no sign.
    near = interval(evaluation, 0.19, 0.02, **where | {"method": "gaussian"})
    assert words(interval(near, 0.2, 0.02, **where), COPIES)["gan"] == OPEN
    blind = interval(evaluation, 0.06, 0.02, **where | {"measure": "near_share_planted_10"})
    assert words(interval(blind, 0.05, 0.02, **where), COPIES)["gan"] == OPEN
    unplanted = without(evaluation, measure="near_share_planted_10")
    assert words(interval(unplanted, 0.02, 0.01, **where), COPIES)["gan"] == OPEN
    assert "with 10\u202f% copies" in "\n".join(as_lines(evaluation))


@pytest.mark.parametrize(("row", "attack"), [(1, "auc_distance"), (2, "auc_density_ratio")])
def test_an_attack_counts_beyond_gaussians_only(evaluation: StoredEvaluation, row: int, attack: str) -> None:
    """A Gaussian of each emotion remembers nobody: as high an area under the curve is no sign."""
    where = {"protocol": "memorisation", "measure": attack}
    high = interval(evaluation, 0.75, 0.03, method="gan", **where)
    assert words(interval(high, 0.78, 0.03, method="gaussian", **where), COPIES, row)["gan"] == OPEN
    assert words(interval(high, 0.60, 0.03, method="gaussian", **where), COPIES, row)["gan"] == YES
    # Fewer than copies is no proof that there are none.
    assert words(without(high, method="gaussian", **where), COPIES, row)["gan"] == OPEN


def test_variety_is_that_of_held_out_faces(evaluation: StoredEvaluation) -> None:
    where = {"protocol": "diversity", "measure": "vendi"}
    found = interval(evaluation, 20.0, 1.0, method="real", **where)
    for value, word in ((25.0, YES), (20.0, OPEN), (15.0, NO)):
        assert words(interval(found, value, 1.0, method="gan", **where), VARIED)["gan"] == word


def test_the_best_method_is_ahead_of_all_others(evaluation: StoredEvaluation) -> None:
    levels = dict.fromkeys(METHODS, 0.0) | {"kde": 0.1, "gan": -0.1}

    def pair(row: Score) -> Score:
        if row.protocol != "paired_tstr" or row.against == "real":
            return row
        value = levels[row.method] - levels[row.against]
        return replace(row, value=value, low=value - 0.02, high=value + 0.02, p=0.001 if value else 1.0)

    found = replace(evaluation, scores=Scores(map(pair, evaluation.scores)))
    assert words(found, BEST) == dict.fromkeys(METHODS, NO) | {"kde": YES}
    notes = {method: answer.note for method, answer in of(found, BEST)[0].answers.items()}
    assert notes["kde"] == "ahead of 5, behind 0" and notes["vae"] == "ahead of 1, behind 1"
    equal = replace(found, scores=Scores(replace(row, p=1.0) for row in found.scores))
    assert set(words(equal, BEST).values()) == {OPEN}


def test_the_fused_features_answer_nothing(evaluation: StoredEvaluation) -> None:
    assert scorecard(interval(evaluation, 99.0, 1.0, space="fused")) == scorecard(evaluation)


def test_whatever_is_absent_the_rest_is_answered(evaluation: StoredEvaluation) -> None:
    for protocol in evaluation.scores.values("protocol"):
        for gone in (
            without(evaluation, protocol=protocol),
            changed(
                evaluation, {"protocol": protocol}, value=None, low=None, high=None, p=None, reason="too few faces"
            ),
        ):
            rows = scorecard(gone)
            assert questions(rows) == QUESTIONS, protocol
            empty = [answer for row in rows for answer in row.answers.values() if answer.number is None]
            assert all(answer.word == OPEN and answer.note for answer in empty), protocol
    reason = changed(evaluation, {"protocol": BESIDE}, value=None, low=None, high=None, p=None, reason="too few faces")
    assert scorecard(reason)[0].answers["gan"].note == "too few faces"
    bare = replace(evaluation, scores=Scores(replace(row, low=None, high=None) for row in evaluation.scores))
    assert {answer.word for row in scorecard(bare) for answer in row.answers.values()} == {OPEN}


def test_trainings_are_named(evaluation: StoredEvaluation) -> None:
    assert extent(evaluation).startswith("One training") and "do not contain" in extent(evaluation)
    five = replace(evaluation, settings=evaluation.settings | {"trainings": 5})
    assert extent(five).startswith("Means of 5 trainings") and "One training" not in "".join(as_lines(five))
    assert as_lines(evaluation)[0].startswith("scorecard: One training")


def test_few_subjects_are_named(evaluation: StoredEvaluation) -> None:
    # 6 methods x 2/2^6 exceeds 0.05, x 2/2^8 does not.
    few = changed(evaluation, {"protocol": BESIDE}, n=6)
    assert "with 6 subjects no difference can be significant" in as_text(scorecard(few)[0].beside)
    assert "no difference can" not in as_text(scorecard(evaluation)[0].beside)


def test_files_have_every_answer(evaluation: StoredEvaluation) -> None:
    rows = scorecard(evaluation)
    text = markdown_text(as_table(evaluation, rows))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2 and all(line.count("|") == len(METHODS) + 4 for line in lines)
    assert "real" not in text.replace("really", "").lower().split()
