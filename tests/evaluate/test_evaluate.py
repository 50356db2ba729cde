import json
from dataclasses import replace

import numpy as np
import pytest

from configs import smoke
from depthjax.config_values import override
from depthjax.errors import UserError
from depthjax.evaluate import recognition, variety
from depthjax.evaluate.judged import measure
from depthjax.evaluate.run import evaluate
from depthjax.files import write_json

SETTINGS = {"evaluate.feature_size": "64", "evaluate.kid_subsets": "20", "evaluate.bootstrap": "100"}
FEW = {"evaluate.scarcity": "0.1,0.25,0.5,1", "evaluate.scarcity_draws": "3"}
CONFIG = override(smoke.get_config(), SETTINGS | FEW | {"evaluate.seeds": "2"})


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
def found(sets, cache, said):
    return evaluate(CONFIG, *sets, cache, progress=said.append)


@pytest.fixture(scope="module")
def evaluation(found):
    return found.result


def test_it_is_plain_json_and_says_what_it_does(evaluation, said, tmp_path):
    write_json(tmp_path / "evaluation.json", evaluation)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == evaluation
    assert any("features of method/cdcgan_kd " in line for line in said) and said[-1].endswith("evaluated")


def test_data_and_settings_are_stated(evaluation):
    assert evaluation["schema"] == 2
    assert evaluation["spaces"] == ["relief", "fused", "depthnet"]
    assert "no Inception weights" in evaluation["inception"]["reason"]
    assert len(evaluation["settings"].pop("depthnet")["sha256"]) == 64
    assert evaluation["data"] == {
        "source": "depth_heads", "emotions": ["neutral", "happiness", "fear"], "resolution": 32,
        "train": {"images": 72, "subjects": 8}, "test": {"images": 27, "subjects": 3}, "window_mm": [-10.0, 80.0],
        "drawn_from": {"train": 72, "test": 27},
    }  # fmt: skip
    assert evaluation["settings"] == {
        "feature_size": 64, "seeds": [0, 1], "bootstrap": 100, "kid_subsets": 20, "kid_subset_size": 36,
        "xgboost_device": "cpu", "bins": 64,
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
    for kind in ("kid", "frechet", "precision", "recall", "density", "coverage"):
        for space in ("relief", "fused", "depthnet"):
            floor = evaluation["floor"][kind][space]
            for distance in (noisy[kind][space], clean[kind][space], floor):
                assert distance["n_real"] == distance["n_other"] == 36
                assert distance["interval"][0] <= distance["value"] <= distance["interval"][1]
            assert clean[kind][space]["floor"] == {key: floor[key] for key in ("value", "interval")}
            assert len(floor.get("by_emotion", ())) == (3 if kind == "coverage" else 0)
        worse = 1 if kind in ("kid", "frechet") else -1
        assert worse * noisy[kind]["fused"]["value"] > worse * clean[kind]["fused"]["value"]
    assert noisy["kid"]["fused"]["value"] > noisy["kid"]["fused"]["floor"]["interval"][1]
    assert noisy["relief_residual"]["interval"][0] > 1.5 > clean["relief_residual"]["ratio"]


def test_likeness_stands_beside_held_out_people(evaluation):
    for method in evaluation["methods"].values():
        for kind in ("ssim", "psnr"):
            assert method[kind]["n"] == 72 and method[kind]["real"]["n"] == 27
            assert method[kind]["interval"][0] < method[kind]["value"] < method[kind]["interval"][1]
    noisy, clean = evaluation["methods"].values()
    assert noisy["ssim"]["value"] < clean["ssim"]["value"]


def test_faces_of_the_training_people_are_near_to_them_and_varied(evaluation):
    for method in evaluation["methods"].values():
        for space in evaluation["spaces"]:
            assert 0 <= method["auth_pct"][space]["value"] <= 1 and method["auth_pct"][space]["real"]["n"] == 27
            assert method["nearest_ratio"][space]["interval"][0] <= method["nearest_ratio"][space]["value"]
            assert 1 <= method["vendi"][space]["value"] <= method["vendi"][space]["n"]
            assert method["vendi"][space]["real"]["value"] >= 1
        assert 0 < method["ms_ssim"]["value"] < method["ms_ssim"]["real"]["value"] + 0.1
        assert 0 <= method["emotion_agreement"]["value"] <= 1 <= method["emotion_score"]["value"] <= 3
    _, clean = evaluation["methods"].values()
    assert clean["nearest_ratio"]["relief"]["value"] < 0.9  # the same people as in train, with other noise


def test_few_real_people_without_and_with_generated_faces(evaluation):
    few = evaluation["scarcity"]
    assert few["people"] == {"0.1": 1, "0.25": 2, "0.5": 4, "1": 8} and few["draws"] == 3
    clean = evaluation["methods"]["cdcgan_kd_ga"]["scarcity"]["random_forest"]
    real = few["real"]["random_forest"]
    for share, people in few["people"].items():
        assert real[share]["n_train"] == 9 * people and clean[share]["n_train"] == 9 * people + 72
        assert len(real[share]["runs"]["f1"]) == 3 and len(few["real"]["xgboost"][share]["runs"]["f1"]) == 1
    assert clean["0.1"]["accuracy"]["value"] > real["0.1"]["accuracy"]["value"]
    assert real["1"]["accuracy"]["value"] >= real["0.1"]["accuracy"]["value"]
    gain = clean["0.5"]["accuracy"]["value"] - real["0.5"]["accuracy"]["value"]
    assert clean["0.5"]["paired"]["difference"] == pytest.approx(gain) and "right" not in real["0.5"]


def test_pairs_of_training_sets_are_compared_on_the_same_people(evaluation):
    for tests in evaluation["paired"].values():
        assert [(t["a"], t["b"]) for t in tests] == [
            ("real", "cdcgan_kd"), ("real", "cdcgan_kd_ga"), ("cdcgan_kd", "cdcgan_kd_ga"),
        ]  # fmt: skip
        assert all(0 < t["p"] <= 1 and t["people"] == 3 for t in tests)
    trtr, tstr = (evaluation["methods"]["cdcgan_kd"][key]["random_forest"]["accuracy"] for key in ("trtr", "tstr"))
    assert evaluation["paired"]["random_forest"][0]["difference"] == pytest.approx(tstr["value"] - trtr["value"])


def test_real_faces_also_teach_about_generated_ones(evaluation):
    noisy, clean = (method["trts"]["random_forest"] for method in evaluation["methods"].values())
    assert clean["n_test"] == 72 and "subjects_test" not in clean
    assert clean["accuracy"]["value"] > max(0.6, noisy["accuracy"]["value"])


def test_the_released_formulas_say_so(evaluation):
    for method in evaluation["methods"].values():
        published = method["as_published"]
        assert published["frechet"]["features"] == published["score"]["features"] == "depthnet"
        assert published["frechet"]["value"] < method["frechet"]["depthnet"]["value"]
        assert published["score"]["value"] >= 1.7 and -1 <= published["ssim"]["value"] <= 1


def test_people_added_to_be_tested_on_have_no_part_in_what_was_published(sets, cache):
    train, test, methods = sets
    one, say = {"cdcgan_kd": methods["cdcgan_kd"]}, lambda line: None
    quick = {"evaluate.seeds": "1", "evaluate.classifiers": "random_forest,decision_tree"}
    config = override(CONFIG, quick | {"data.subjects": "101", "data.extra_test_subjects": "2"})
    judged = measure(config, train, test, one, cache, say)
    own = measure(CONFIG, train, test.take(test.subject == 100), one, cache, say)
    assert recognition.published(config, judged, say) == recognition.published(override(CONFIG, quick), own, say)
    assert variety.as_published(config, judged) == variety.as_published(CONFIG, own)
    assert recognition.unseen_people(config, judged)[0]["cdcgan_kd"]["tstr"]["random_forest"]["subjects_test"] == 3


def test_what_the_figures_need_is_stored_for_every_set(found, sets):
    train, _test, methods = sets
    for name, faces in methods.items():
        index = found.nearest[f"index/{name}"]
        assert (train.emotion[index] == faces.emotion).all() and len(found.nearest[f"distance/{name}"]) == len(faces)
    assert found.nearest["reference"] == np.median(found.nearest["held_out"]) and len(found.nearest["held_out"]) == 27
    for name in ("train", "test", *methods):
        assert found.embedding[f"tsne/{name}"].shape == (len(found.embedding[f"emotion/{name}"]), 2)


def test_same_arguments_same_numbers_with_or_without_the_cache(evaluation, sets, tmp_path):
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree"})
    again = evaluate(small, *sets, tmp_path, progress=lambda _: None).result
    for name, method in again["methods"].items():
        for key in ("kid", "coverage", "vendi", "auth_pct", "ms_ssim", "emotion_score", "psnr", "relief_residual"):
            assert method[key] == evaluation["methods"][name][key]
        assert method["tstr"]["decision_tree"] == evaluation["methods"][name]["tstr"]["decision_tree"]


def test_people_on_both_sides_leave_no_score_on_unseen_people(sets, cache):
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree"})
    train, _, methods = sets
    result = evaluate(small, train, train, methods, cache, progress=lambda _: None).result
    assert "8 people are in both" in result["methods"]["cdcgan_kd"]["tstr"]["reason"]


def test_a_large_set_is_judged_by_a_draw_of_it(faces, cache):
    large, test = faces(12, 6), faces(3, 3, first=100)
    small = override(CONFIG, {"evaluate.classifiers": "decision_tree", "evaluate.most_real": "100"})
    result = evaluate(small, large, test, {"cdcgan_kd": test}, cache, progress=lambda _: None).result
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
