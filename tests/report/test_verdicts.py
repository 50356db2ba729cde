"""The sentences: they follow the scores, and claim no difference that chance could make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evaluation_fake import METHODS, changed, without

from depthjax.report.formats import POINTS, Number
from depthjax.report.stored import StoredEvaluation
from depthjax.report.verdicts import Difference, differences, too_few_subjects, verdicts
from depthjax.scores import Score, Scores

TOPICS = ["With training faces", "Alone", "Distance", "Copies and variety", "Best method"]
HELP, ALONE, DISTANCE, COPIES, BEST = TOPICS


def sentences(evaluation: StoredEvaluation) -> dict[str, str]:
    found = verdicts(evaluation)
    return {v.topic: "".join(p if isinstance(p, str) else p.text for p in v.parts) for v in found}


def interval(evaluation: StoredEvaluation, value: float, low: float, high: float, **where: Any) -> StoredEvaluation:
    return changed(evaluation, where, value=value, low=low, high=high)


def set_pairs(evaluation: StoredEvaluation, *, p: float, **levels: float) -> StoredEvaluation:
    """Paired differences of accuracy levels (0 if not named), with intervals of ±2 points and 40 subjects."""

    def pair(row: Score) -> Score:
        if row.protocol != "paired_tstr" or row.classifier != "xgboost":
            return row
        value = levels.get(row.method, 0.0) - levels.get(row.against, 0.0)
        return replace(row, value=value, low=value - 0.02, high=value + 0.02, n=40, p=p if value else 1.0)

    return replace(evaluation, scores=Scores(map(pair, evaluation.scores)))


def set_gain(
    evaluation: StoredEvaluation, value: float, *, p: float, spread: float = 0.02, **where: Any
) -> StoredEvaluation:
    columns = {"protocol": "paired_added", "classifier": "xgboost", "against": "augmented"} | where
    return changed(evaluation, columns, value=value, low=value - spread, high=value + spread, p=p, n=40)


def test_p_is_taken_as_stored_for_it_is_adjusted_already() -> None:
    row = Score("a", "paired_tstr", measure="accuracy", value=0.1, low=0.05, high=0.2, p=0.03, n=9, against="real")
    absent = Score("b", "paired_tstr", measure="accuracy", reason="one subject", against="real")
    found = differences([row, absent, replace(row, method="c")])
    assert list(found) == [("a", "real"), ("c", "real")] and found["a", "real"].p == 0.03


@pytest.mark.parametrize(
    ("low", "high", "p", "sign"),
    [(0.01, 0.2, 0.05, 1), (0.01, 0.2, 0.051, 0), (0.0, 0.2, 0.001, 0), (None, None, 0.001, 0)],
)
def test_significance_needs_p_and_interval(low: float | None, high: float | None, p: float, sign: int) -> None:
    row = Score("a", "paired_tstr", value=0.1, low=low, high=high)
    assert Difference(Number(row, POINTS), p).sign == sign
    if low is not None and high is not None:
        falls = replace(row, value=-0.1, low=-high, high=-low)
        assert Difference(Number(falls, POINTS), p).sign == -sign


def test_too_few_subjects_for_any_difference_are_named() -> None:
    def family(count: int, n: int) -> dict[tuple[str, str], Difference]:
        row = Score("a", "paired_tstr", value=0.1, n=n)
        return {(str(i), "real"): Difference(Number(row, POINTS), 1.0) for i in range(count)}

    # 6 x 2/256 = 0.047
    assert too_few_subjects(family(6, 8)) is None
    assert too_few_subjects(family(15, 8)) == 8 and too_few_subjects(family(15, 10)) is None
    assert too_few_subjects({}) is None


def test_help_is_against_augmented_copies_and_names_methods(evaluation: StoredEvaluation) -> None:
    assert list(sentences(evaluation)) == TOPICS
    none = set_gain(evaluation, 0.01, p=0.5)
    words = sentences(none)[HELP]
    assert "instead of as many augmented copies do not change XGBoost's accuracy on held-out subjects" in words
    some = set_gain(set_gain(none, 0.123, p=0.001, method="kde"), -0.05, p=0.001, method="vae")
    words = sentences(some)[HELP]
    assert "raise or lower XGBoost's accuracy on held-out subjects significantly." in words
    first, second = words.index("Against augmented copies: "), words.index("Against training faces alone: ")
    assert first < words.index("\u22125.0\u202fpoints (VAE)") < words.index("+12.3\u202fpoints (KDE)") < second
    assert "Not significant: GAN, GMM, KD-cDCGAN and KD-cDCGAN evolved." in words
    assert "augmented copies: +" not in words[second:] and "mixtures" not in words and "Holm" in words


def test_a_gain_over_training_faces_alone_is_no_help(evaluation: StoredEvaluation) -> None:
    none = set_gain(evaluation, 0.01, p=0.5)
    assert "do not change" in sentences(set_gain(none, 0.2, p=0.001, against="real"))[HELP]


@pytest.mark.parametrize(("p", "spread"), [(0.06, 0.02), (0.001, 0.2)])
def test_help_is_not_claimed_from_chance(evaluation: StoredEvaluation, p: float, spread: float) -> None:
    # An interval of ±0.2 includes zero.
    found = set_gain(set_gain(evaluation, 0.01, p=0.5), 0.123, p=p, spread=spread, method="kde")
    assert "do not change" in sentences(found)[HELP]


def test_use_alone_is_beside_training_faces_and_guessing(evaluation: StoredEvaluation) -> None:
    words = sentences(evaluation)[ALONE]
    assert "51.2\u202f% (KD-cDCGAN)" in words and "trained on training faces 73.7\u202f%" in words
    assert "guessing 33.3\u202f%" in words and "Not significantly better than guessing: GMM" in words
    assert "Worse than training faces: all methods." in words
    words = sentences(set_pairs(evaluation, p=0.0001, gan=-0.2))[ALONE]
    assert "Worse than training faces: GAN." in words
    others = "VAE, GMM, KDE, KD-cDCGAN and KD-cDCGAN evolved"
    assert f"Not significantly different from training faces: {others}." in words


def test_copies_name_method_and_sign(evaluation: StoredEvaluation) -> None:
    for method in METHODS:
        evaluation = interval(evaluation, 0.8, 0.75, 0.85, method=method, measure="auth_pct")
        evaluation = interval(evaluation, 0.95, 0.85, 1.0, method=method, measure="nearest_ratio")
        evaluation = interval(evaluation, 0.68, 0.67, 0.69, method=method, protocol="nearest", measure="ssim")
        evaluation = interval(evaluation, 20.7, 20.4, 21.0, method=method, protocol="nearest", measure="psnr")
    assert sentences(evaluation)[COPIES].startswith("No sign of copies")
    found = interval(evaluation, 0.8, 0.75, 0.89, method="vae", measure="nearest_ratio", space="relief")
    found = interval(found, 25.0, 24.0, 26.0, method="kde", protocol="nearest", measure="psnr")
    found = changed(found, {"method": "kde", "measure": "identical"}, value=3.0)
    found = interval(found, 0.3, 0.2, 0.4, method="gmm", measure="auth_pct", space="depthnet")
    words = sentences(found)[COPIES]
    assert words.startswith("Possible copies")
    for part in ("VAE by Nearest ratio (relief)", "KDE by Nearest PSNR (pixels)", "GMM by AuthPct (depthnet)"):
        assert part in words
    assert "Identical to a training face: 3 (KDE)" in words and "SSIM" not in words


def test_variety_stands_beside_training_faces(evaluation: StoredEvaluation) -> None:
    assert "of training faces 21.3. Significantly less varied: all methods." in sentences(evaluation)[COPIES]
    same = interval(evaluation, 21.0, 20.0, 22.0, measure="vendi", space="relief")
    assert "less varied" not in sentences(same)[COPIES]


def test_the_best_method_is_better_than_all_in_everything(evaluation: StoredEvaluation) -> None:
    words = sentences(evaluation)[BEST]
    assert "No method is significantly better" in words and "With 8 subjects no difference can be significant" in words
    assert "Evolved instead of random latents do not change it significantly" in words and "+2.1\u202fpoints" in words
    kde = interval(evaluation, 0.01, 0.0, 0.02, method="kde", measure="kid")
    kde = interval(kde, 0.9, 0.88, 0.92, method="kde", measure="coverage")
    words = sentences(kde)[BEST]
    assert "No method is best by every measure" in words and "KDE by KID (relief)" in words
    words = sentences(set_pairs(kde, p=0.0005, kde=0.1))[BEST]
    assert words.startswith("KDE is significantly better than all others by every measure.")
    assert "can be significant" not in words
    assert "No method is best by every measure" in sentences(set_pairs(kde, p=0.06, kde=0.1))[BEST]


def test_evolution_is_significant_or_not(evaluation: StoredEvaluation) -> None:
    worse = sentences(set_pairs(evaluation, p=0.04, cdcgan_kd_ga=-0.1))[BEST]
    assert "latents lower it (KD-cDCGAN evolved minus KD-cDCGAN: \u221210.0\u202fpoints)" in worse
    assert "latents raise it" in sentences(set_pairs(evaluation, p=0.04, cdcgan_kd_ga=0.1))[BEST]


def test_distance_follows_the_reference(evaluation: StoredEvaluation) -> None:
    assert "worse than the reference by KID (relief)" in sentences(evaluation)[DISTANCE]
    for name in METHODS[1:]:
        evaluation = interval(evaluation, -0.001, -0.003, 0.001, method=name, measure="kid", space="relief")
    words = sentences(evaluation)[DISTANCE]
    assert "worse than the reference by KID (relief): GAN." in words and "\u22120.00100" in words
    bare = changed(evaluation, {"measure": "kid", "method": "real"}, low=None, high=None)
    assert "reference by KID" not in sentences(bare)[DISTANCE]


def test_the_fused_features_rank_nothing(evaluation: StoredEvaluation) -> None:
    before = sentences(evaluation)
    fused = interval(evaluation, 99.0, 98.0, 100.0, space="fused")
    fused = interval(fused, 0.0, 0.0, 0.0, space="fused", method="gmm")
    assert sentences(fused) == before


def test_nothing_is_said_without_an_interval(evaluation: StoredEvaluation) -> None:
    bare = replace(evaluation, scores=Scores(replace(row, low=None, high=None) for row in evaluation.scores))
    words = " ".join(sentences(bare).values())
    assert "ignificantly better than all" not in words.replace("No method is significantly better than all", "")
    assert "Worse" not in words and "Possible copies" not in words and "raise " not in words


def test_whatever_is_absent_the_rest_is_said(evaluation: StoredEvaluation) -> None:
    for protocol in evaluation.scores.values("protocol"):
        assert list(sentences(without(evaluation, protocol=protocol)))[:3] == TOPICS[:3], protocol
        gone = changed(
            evaluation, {"protocol": protocol}, value=None, low=None, high=None, p=None, reason="too few faces"
        )
        assert list(sentences(gone))[:3] == TOPICS[:3], protocol
    unknown = sentences(without(evaluation, protocol="paired_added"))[HELP]
    assert "is unknown" in unknown
    assert verdicts(replace(evaluation, data=evaluation.data | {"generated": {}})) == []
