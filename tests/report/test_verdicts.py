"""The sentences: they follow the numbers, and claim no difference that noise could make."""

import copy

import pytest
from evaluation_fake import METHODS

from depthjax.report.comparisons import Measure, Paired, holm, paired_tests, too_few
from depthjax.report.numbers import POINTS, SHARE, Number, lookup
from depthjax.report.verdicts import verdicts

SHARES = ("0.1", "0.25", "0.5", "1")


def said(evaluation: dict) -> dict[str, str]:
    found = verdicts(evaluation, 3)
    return {v.topic: "".join(p if isinstance(p, str) else p.text for p in v.parts) for v in found}


def set_pairs(evaluation: dict, *, p: float, people: int = 40, **differences: float) -> None:
    """Paired differences of the methods' accuracies (0 if not named) from one level, with intervals of ±2 points."""
    for row in evaluation["paired"]["xgboost"]:
        difference = differences.get(row["b"], 0.0) - differences.get(row["a"], 0.0)
        interval = [difference - 0.02, difference + 0.02]
        row |= {"difference": difference, "interval": interval, "people": people, "p": p if difference else 1.0}


def set_gain(evaluation: dict, method: str, share: str, difference: float, *, p: float, spread: float = 0.02) -> None:
    evaluation["methods"][method]["scarcity"]["xgboost"][share]["paired"] = {
        "difference": difference,
        "interval": [difference - spread, difference + spread],
        "p": p,
        "people": 40,
    }


def no_gains(evaluation: dict) -> None:
    for method in METHODS:
        for share in SHARES:
            set_gain(evaluation, method, share, 0.01, p=0.5)


def test_holm_is_the_known_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # R: p.adjust(p, "holm")
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([0.02]) == [0.02] and holm([]) == []


def test_a_family_is_corrected_together() -> None:
    stored = {"x": [{"difference": 0.1, "interval": [0.05, 0.2], "p": 0.03, "people": 9}, {"reason": "one person"}]}
    alone = paired_tests(stored, {"a": ("x", "0"), "b": ("x", "1"), "c": ("x", "2")})
    assert list(alone) == ["a"] and alone["a"].told and alone["a"].rises and not alone["a"].falls
    twice = paired_tests(stored, {"a": ("x", "0"), "b": ("x", "0")})
    assert twice["a"].adjusted == pytest.approx(0.06) and not twice["a"].told


@pytest.mark.parametrize(
    ("interval", "adjusted", "told"),
    [((0.01, 0.2), 0.05, True), ((0.01, 0.2), 0.051, False), ((0.0, 0.2), 0.001, False), (None, 0.001, False)],
)
def test_a_difference_needs_p_and_interval(interval: tuple[float, float] | None, adjusted: float, told: bool) -> None:
    assert Paired(Number(0.1, interval, "/x", POINTS), adjusted, adjusted, 8).told is told


def test_too_few_people_for_any_difference_are_named() -> None:
    def family(count: int, people: int) -> dict:
        return {i: Paired(Number(0.1, None, "/x", POINTS), 1.0, 1.0, people) for i in range(count)}

    assert too_few(family(6, 8)) is None  # 6 x 2/256 = 0.047
    assert too_few(family(15, 8)) == 8 and too_few(family(15, 10)) is None and too_few({}) is None


def test_intervals_that_meet_rank_nothing() -> None:
    def value(low: float, high: float) -> Number:
        return Number((low + high) / 2, (low, high), "/x", SHARE)

    more, less = (Measure("x", ("x",), SHARE, higher=higher) for higher in (True, False))
    assert more.ahead(value(2, 3), value(0, 1)) and not more.ahead(value(0, 1), value(2, 3))
    assert less.ahead(value(0, 1), value(2, 3)) and not less.ahead(value(0, 2), value(2, 3))
    assert not more.ahead(Number(9.0, None, "/x", SHARE), value(0, 1))


def test_help_comes_first_and_names_shares_and_methods(evaluation: dict) -> None:
    assert list(said(evaluation))[:5] == ["Help", "Use", "Copies", "Winner", "Losses"]
    no_gains(evaluation)
    words = said(evaluation)["Help"]
    assert "cannot be told to help XGBoost" in words and "better with" not in words and "worse with" not in words
    set_gain(evaluation, "kde", "0.1", 0.123, p=0.001)
    set_gain(evaluation, "vae", "1", -0.05, p=0.001)
    words = said(evaluation)["Help"]
    assert "help XGBoost to recognise emotions of unseen people with 10\u202f% of the real people" in words
    assert "and harm with 100\u202f%" in words
    assert "better with KDE (+12.3\u202fpoints)" in words and "worse with VAE (\u22125.0\u202fpoints)" in words
    assert "With 25 and 50\u202f% no method's faces make a difference" in words
    assert "Holm's correction over the 6 comparisons" in words and "learnt from all" in words


@pytest.mark.parametrize(("p", "spread"), [(0.02, 0.02), (0.001, 0.2)])
def test_help_is_not_claimed_from_noise(evaluation: dict, p: float, spread: float) -> None:
    no_gains(evaluation)
    set_gain(evaluation, "kde", "0.1", 0.123, p=p, spread=spread)  # 6 x 0.02 is over 0.05; an interval that holds 0
    assert "cannot be told to help" in said(evaluation)["Help"]


def test_use_says_who_is_behind_real_faces_and_who_guesses(evaluation: dict) -> None:
    words = said(evaluation)["Use"]
    assert "51.2\u202f% (KD-cDCGAN)" in words and "73.7\u202f%" in words
    assert (
        "guessing gives 33.3\u202f% (240 pictures, 8 people)" in words and "GMM cannot be told from guessing" in words
    )
    assert "Worse than real faces: all of them." in words
    set_pairs(evaluation, p=0.0001, real=0.0, gan=-0.2)
    words = said(evaluation)["Use"]
    assert "Worse than real faces: GAN." in words
    assert "Not to be told from real faces: VAE, GMM, KDE, KD-cDCGAN and KD-cDCGAN, evolved." in words


def test_copies_name_method_and_sign(evaluation: dict) -> None:
    for method in evaluation["methods"].values():
        for space in ("relief", "depthnet", "fused"):
            method["auth_pct"][space] |= {"value": 0.8, "interval": [0.75, 0.85]}
            method["nearest_ratio"][space] |= {"value": 0.95, "interval": [0.85, 1.0]}
        method["ssim"] |= {"value": 0.68, "interval": [0.67, 0.69]}
        method["psnr"] |= {"value": 20.7, "interval": [20.4, 21.0]}
    words = said(evaluation)["Copies"]
    assert words.startswith("No sign of copies") and "No generated face is identical" in words
    evaluation["methods"]["vae"]["nearest_ratio"]["relief"] |= {"value": 0.8, "interval": [0.75, 0.89]}
    evaluation["methods"]["kde"]["psnr"] |= {"value": 25.0, "interval": [24, 26], "identical": 3}
    evaluation["methods"]["gmm"]["auth_pct"]["depthnet"] |= {"value": 0.3, "interval": [0.2, 0.4]}
    words = said(evaluation)["Copies"]
    assert words.startswith("Look for copies")
    for part in ("VAE by nearest ratio on relief", "KDE by PSNR", "GMM by AuthPct on depthnet"):
        assert part in words
    assert "Identical to a training face: 3 (KDE)" in words and "SSIM" not in words


def test_a_winner_is_ahead_of_all_in_everything(evaluation: dict) -> None:
    assert "No method wins" in said(evaluation)["Winner"]
    assert "With 8 people no difference could pass it" in said(evaluation)["Winner"]
    kde = evaluation["methods"]["kde"]
    for space in ("relief", "depthnet"):
        kde["kid"][space] |= {"value": 0.01, "interval": [0.0, 0.02]}
        kde["coverage"][space] |= {"value": 0.9, "interval": [0.88, 0.92]}
    words = said(evaluation)["Winner"]
    assert "No method wins by every measure" in words and "KDE by KID on relief" in words
    set_pairs(evaluation, p=0.0005, kde=0.1)
    words = said(evaluation)["Winner"]
    assert words.startswith("KDE wins") and "no difference could pass" not in words
    set_pairs(evaluation, p=0.004, kde=0.1)  # 15 x 0.004 is over 0.05
    words = said(evaluation)["Winner"]
    assert "No method wins by every measure" in words and "cannot be told apart from any other" in words


def test_our_losses_are_told_by_name(evaluation: dict) -> None:
    assert "loses to no other method by more than noise" in said(evaluation)["Losses"]
    set_pairs(evaluation, p=0.01, gmm=0.1)
    evaluation["methods"]["vae"]["coverage"]["relief"] |= {"value": 0.9, "interval": [0.88, 0.92]}
    words = said(evaluation)["Losses"]
    for own in ("KD-cDCGAN", "KD-cDCGAN, evolved"):
        assert f"{own} loses to VAE in coverage on relief; to GMM in recognition (XGBoost)." in words
    set_pairs(evaluation, p=0.02, gmm=0.1)  # 4 x 0.02 is over 0.05
    assert "GMM" not in said(evaluation)["Losses"]


def test_evolution_is_told_apart_or_not(evaluation: dict) -> None:
    words = said(evaluation)["Evolution"]
    assert "cannot be told to change" in words and "not to be told apart by KID on relief" in words
    set_pairs(evaluation, p=0.04, cdcgan_kd_ga=-0.1)
    evaluation["methods"]["cdcgan_kd_ga"]["kid"]["relief"] |= {"value": 0.5, "interval": [0.4, 0.6]}
    words = said(evaluation)["Evolution"]
    assert "falls (\u221210.0\u202fpoints)" in words and "worse by KID on relief" in words


def test_shape_follows_the_floor(evaluation: dict) -> None:
    assert "all of them can be told from that" in said(evaluation)["Shape"]
    for name in METHODS[1:]:
        evaluation["methods"][name]["kid"]["relief"] |= {"value": -0.001, "interval": [-0.003, 0.001]}
    assert "only GAN can be told from that" in said(evaluation)["Shape"]
    assert "\u22120.00100" in said(evaluation)["Shape"]


def test_the_fused_features_rank_nothing(evaluation: dict) -> None:
    before = said(evaluation)
    for method in evaluation["methods"].values():
        for kind in ("kid", "frechet", "coverage", "density", "auth_pct", "nearest_ratio"):
            method[kind]["fused"] |= {"value": 99.0, "interval": [98.0, 100.0]}
    evaluation["methods"]["gmm"]["kid"]["fused"] |= {"value": 0.0, "interval": [0.0, 0.0]}
    assert said(evaluation) == before


def test_an_earlier_schema_is_told_too(evaluation_1: dict) -> None:
    words = said(evaluation_1)
    assert "no paired test of it is stored" in words["Help"]
    assert "KD-cDCGAN and KD-cDCGAN, evolved by SSIM" in words["Copies"]
    assert "Winner" not in words and "Losses" not in words


def test_whatever_is_absent_the_rest_is_told(evaluation: dict) -> None:
    paths = [(key,) for key in evaluation if key != "methods"]
    paths += [("methods", "gan", key) for key in evaluation["methods"]["gan"]]
    for *parents, last in paths:
        for reason in (None, {"reason": "too few faces"}):
            damaged = copy.deepcopy(evaluation)
            node = lookup(damaged, tuple(parents))
            node.pop(last) if reason is None else node.update({last: reason})
            assert {"Help", "Use", "Copies"} <= set(said(damaged)), last


def test_nothing_is_said_of_no_methods() -> None:
    assert verdicts({"methods": {}}, 3) == []
