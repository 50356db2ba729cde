import json
from dataclasses import replace

import numpy as np
import pytest

from configs import smoke
from depthjax.config import override
from depthjax.errors import UserError
from depthjax.evaluate.run import evaluate
from depthjax.files import write_json

SETTINGS = {"evaluate.feature_size": "64", "evaluate.kid_subsets": "20", "evaluate.bootstrap": "100"}
CONFIG = override(smoke.get_config(), SETTINGS | {"evaluate.seeds": "2"})


@pytest.fixture(scope="module")
def sets(faces):
    methods = {"cdcgan_kd": faces(8, 3, noise=0.3, seed=3), "cdcgan_kd_ga": faces(8, 3, seed=4)}
    return faces(8, 3), faces(3, 3, first=100), methods


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def evaluation(sets, cache, said):
    return evaluate(CONFIG, *sets, cache, progress=said.append)


def test_it_is_plain_json_and_says_what_it_does(evaluation, said, tmp_path):
    write_json(tmp_path / "evaluation.json", evaluation)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == evaluation
    assert any("features of method/cdcgan_kd " in line for line in said) and said[-1].endswith("evaluated")


def test_data_and_settings_are_stated(evaluation):
    assert evaluation["schema"] == 1
    assert evaluation["data"] == {
        "source": "depth_heads", "emotions": ["neutral", "happiness", "fear"], "resolution": 32,
        "train": {"images": 72, "subjects": 8}, "test": {"images": 27, "subjects": 3}, "window_mm": [-10.0, 80.0],
        "drawn_from": {"train": 72, "test": 27},
    }  # fmt: skip
    assert evaluation["settings"] == {
        "feature_size": 64, "seeds": [0, 1], "bootstrap": 100, "kid_subsets": 20, "kid_subset_size": 36,
    }  # fmt: skip


def test_every_method_has_every_score_with_an_interval(evaluation):
    assert list(evaluation["methods"]) == ["cdcgan_kd", "cdcgan_kd_ga"]
    for method in evaluation["methods"].values():
        assert method["n"] == 72 and method["n_per_emotion"] == 24
        tables = [method["trtr"], method["tstr"], *method["published"].values()]
        assert list(method["published"]) == ["real", "synthetic", "synthetic_real"]
        for table in tables:
            assert list(table) == ["random_forest", "decision_tree", "xgboost"]
            for name, scores in table.items():
                assert scores["seeds"] == (1 if name == "xgboost" else 2)
                for score in ("accuracy", "precision", "recall", "f1"):
                    assert 0 <= scores[score]["value"] <= 1
                    low, high = scores[score].get("interval", (0, 1))
                    assert low <= scores[score]["value"] <= high or table in tables[:2]
        assert method["tstr"]["random_forest"]["n_test"] == 27
        assert method["published"]["synthetic_real"]["random_forest"]["n_train"] == 138


def test_distances_stand_beside_their_floor_and_rank_noise_last(evaluation):
    noisy, clean = evaluation["methods"].values()
    for kind in ("kid", "frechet"):
        for space in ("relief", "fused"):
            floor = evaluation["floor"][kind][space]
            for distance in (noisy[kind][space], clean[kind][space], floor):
                assert distance["n_real"] == distance["n_other"] == 36
                assert distance["interval"][0] <= distance["value"] <= distance["interval"][1]
            assert clean[kind][space]["floor"] == {key: floor[key] for key in ("value", "interval")}
        assert noisy[kind]["fused"]["value"] > noisy[kind]["fused"]["floor"]["interval"][1]
        assert noisy[kind]["fused"]["value"] > clean[kind]["fused"]["value"]
    assert noisy["relief_residual"]["interval"][0] > 1.5 > clean["relief_residual"]["ratio"]


def test_likeness_stands_beside_held_out_people(evaluation):
    for method in evaluation["methods"].values():
        for kind in ("ssim", "psnr"):
            assert method[kind]["n"] == 72 and method[kind]["real"]["n"] == 27
            assert method[kind]["interval"][0] < method[kind]["value"] < method[kind]["interval"][1]
    noisy, clean = evaluation["methods"].values()
    assert noisy["ssim"]["value"] < clean["ssim"]["value"]


def test_same_arguments_same_numbers_with_or_without_the_cache(evaluation, sets, tmp_path):
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree"})
    again = evaluate(small, *sets, tmp_path, progress=lambda _: None)
    for name, method in again["methods"].items():
        for key in ("kid", "frechet", "ssim", "psnr", "relief_residual"):
            assert method[key] == evaluation["methods"][name][key]
        assert method["tstr"]["decision_tree"] == evaluation["methods"][name]["tstr"]["decision_tree"]


def test_people_on_both_sides_leave_no_score_on_unseen_people(sets, cache):
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree"})
    train, _, methods = sets
    result = evaluate(small, train, train, methods, cache, progress=lambda _: None)
    assert "8 people are in both" in result["methods"]["cdcgan_kd"]["tstr"]["reason"]


def test_a_large_set_is_judged_by_a_draw_of_it(faces, cache):
    large, test = faces(12, 6), faces(3, 3, first=100)
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree", "evaluate.most_real": "100"})
    result = evaluate(small, large, test, {"cdcgan_kd": test}, cache, progress=lambda _: None)
    assert result["data"]["train"]["images"] == 100 and result["data"]["drawn_from"] == {"train": 216, "test": 27}
    assert result["methods"]["cdcgan_kd"]["trtr"]["decision_tree"]["n_train"] == 100


def _broken(sets, change):
    train, test, methods = sets
    ours = methods["cdcgan_kd"]
    match change:
        case "none":
            return (train, test, {}), "run the sample stage"
        case "shape":
            other = replace(ours, images=ours.images[:, :16])
            return (train, test, {"cdcgan_kd": other}), r"method cdcgan_kd has images of shape \(16, 32\)"
        case "emotions":
            other = replace(ours, emotions=("neutral", "fear", "happiness"))
            return (train, test, {"cdcgan_kd": other}), "method cdcgan_kd has the emotions neutral, fear"
        case "finite":
            other = replace(ours, images=np.where(ours.images > 0.9, np.nan, ours.images))
            return (train, test, {"cdcgan_kd": other}), "not finite"
        case "few":
            first = int(np.flatnonzero(test.emotion == 2)[0])
            few = test.take((test.emotion != 2) | (np.arange(len(test)) == first))
            return (train, few, methods), "the real test faces has 1 faces of 'fear'"


@pytest.mark.parametrize("change", ["none", "shape", "emotions", "finite", "few"])
def test_bad_input_is_one_line(sets, cache, change):
    broken, message = _broken(sets, change)
    with pytest.raises(UserError, match=message) as caught:
        evaluate(CONFIG, *broken, cache, progress=lambda _: None)
    assert "\n" not in str(caught.value)
