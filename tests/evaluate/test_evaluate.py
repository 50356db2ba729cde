"""The evaluation as a whole: which rows it gives, what they must show, and what it refuses."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from configs import smoke
from depthjax.config_values import override
from depthjax.errors import UserError
from depthjax.evaluate import classification, network, recognition
from depthjax.evaluate.bank import build_bank
from depthjax.evaluate.distances import NEIGHBOUR_MEASURES
from depthjax.evaluate.inversion import inversion_scores
from depthjax.evaluate.measures import MEASURES, measure_faces
from depthjax.evaluate.memorisation import wins
from depthjax.evaluate.run import evaluate
from depthjax.files import write_json
from depthjax.scores import Score, read_scores

SETTINGS = {"evaluate.feature_size": "32", "evaluate.equal_draws": "10", "evaluate.bootstrap": "50"}
CONFIG = override(smoke.get_config(), SETTINGS | {"evaluate.seeds": "2"})
TREE = override(CONFIG, {"evaluate.classifiers": "decision_tree"})
CLASSIFIERS = ("random_forest", "decision_tree", "xgboost", "depthnet", "network")
METHODS = ("cdcgan_kd", "cdcgan_kd_ga")
SPACES = ["relief", "fused", "depthnet"]
DISTANCES = ("kid", "frechet", *NEIGHBOUR_MEASURES)


def quiet(line):
    del line


@pytest.fixture(scope="module", autouse=True)
def small_fits():
    """Forests of 20 trees, networks of 30 steps: what is asked of them here needs no more."""
    patch = pytest.MonkeyPatch()
    patch.setattr(network, "STEPS", 30)

    def small_forest(seed):
        return RandomForestClassifier(20, random_state=seed)

    patch.setitem(classification.CLASSIFIERS, "random_forest", small_forest)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def sets(faces):
    methods = {"cdcgan_kd": faces(8, 3, noise=0.3, seed=3), "cdcgan_kd_ga": faces(8, 3, seed=4)}
    return faces(8, 3), faces(3, 3, first=100), methods


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def found(sets, cache, lines):
    return evaluate(CONFIG, *sets, cache, log=lines.append)


@pytest.fixture(scope="module")
def scores(found):
    return found.scores


@pytest.fixture
def pair(scores):
    """A function that finds the values of the noisy and the clean set."""

    def values(**columns):
        return [scores.find(method=name, **columns) for name in ("cdcgan_kd", "cdcgan_kd_ga")]

    return values


def test_it_is_plain_json_and_logs_its_parts(found, lines, tmp_path):
    write_json(tmp_path / "evaluation.json", found.to_json())
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored == found.to_json()
    assert list(read_scores(stored["scores"], "here")) == list(found.scores)
    assert any("features of cdcgan_kd " in line for line in lines) and lines[-1].endswith("evaluated")


def test_data_and_settings_are_stated(found):
    stated = found.to_json()
    assert stated["data"] == {
        "source": "depth_heads", "emotions": ["neutral", "happiness", "fear"], "resolution": 32,
        "train": {"images": 72, "subjects": 8}, "test": {"images": 27, "subjects": 3}, "window_mm": [-10.0, 80.0],
        "drawn_from": {"train": 72, "test": 27}, "generated": {"cdcgan_kd": 72, "cdcgan_kd_ga": 72},
        "controls": dict.fromkeys(("augmented", "augmented_again", "mixtures", "copies", "gaussian"), 72),
    }  # fmt: skip
    assert len(stated["settings"].pop("depthnet")["sha256"]) == 64
    assert stated["settings"] == {
        "feature_size": 32, "seeds": [0, 1], "bootstrap": 50, "equal_draws": 10,
        "xgboost_device": "cpu", "bins": 64, "spaces": SPACES,
    }  # fmt: skip


def test_every_row_is_there_once_and_whole(scores):
    keys = Counter(replace(row, value=None, low=None, high=None, n=None, p=None, reason="") for row in scores)
    assert max(keys.values()) == 1
    for row in scores:
        assert (row.value is None) <= bool(row.reason)
        assert row.low is None or row.low <= row.high
    counts = Counter(row.protocol for row in scores)
    four, trees = len(CLASSIFIERS) * 4, 3 * 4
    assert counts == {
        "trtr": four,
        "tstr": 2 * four,
        "trts": 2 * four,
        "paired_tstr": 3 * len(CLASSIFIERS),
        "added": 4 * four,
        "added_augmented": 3 * four,
        "paired_added": (4 + 3) * len(CLASSIFIERS),
        "paired_added_augmented": 3 * len(CLASSIFIERS),
        "published_real": trees,
        "published_synthetic": 2 * trees,
        "published_synthetic_real": 2 * trees,
        # Six sets, to training and to held-out faces; KID, and Fréchet and coverage where subjects suffice, also for
        # each emotion;
        # the divergence from held-out faces of five; the residual of the two methods.
        "distance": 6 * len(SPACES) * (2 * (len(DISTANCES) + 3) + 2 * 3) + 5 * len(SPACES) + 2,
        "c2st": 6 * len(SPACES) * 2,
        "nearest": 3 * 2,
        "diversity": 6 * (2 * len(SPACES) + 1),
        # Seven signs of three anchors and two methods, these with two planted shares, too.
        "memorisation": (5 * 7 + 2 * 2) * len(SPACES),
        "emotion": 3 * 3,
        "as_published": 2 * 4,
    }
    assert "no Inception weights" in scores.find(method="real", measure="inception_score", space="inception").reason


def test_classifiers_have_intervals_and_the_runs_of_their_seeds(found, scores):
    for row in scores:
        if row.classifier and row.value is not None and not row.protocol.startswith("paired"):
            assert 0 <= row.value <= 1 and (row.low is not None or "one seed" in row.reason)
    tstr = scores.find(method="cdcgan_kd", protocol="tstr", classifier="random_forest", measure="accuracy")
    both = {"protocol": "published_synthetic_real", "classifier": "random_forest", "measure": "accuracy"}
    assert tstr.n == 27 and scores.find(method="cdcgan_kd", **both).n == 33
    runs = found.runs["tstr/cdcgan_kd/random_forest/accuracy"]
    assert len(runs) == 2 and runs.mean() == pytest.approx(tstr.value)
    assert len(found.runs["published_real/real/xgboost/f1"]) == 1
    assert len(found.runs["added/augmented/depthnet/f1"]) == 1 and len(found.runs["trtr/real/network/f1"]) == 2


def test_accuracies_of_each_held_out_subject_are_kept(found, scores):
    subjects = {name: values for name, values in found.runs.items() if name.endswith("/subjects")}
    assert len(subjects) == len(CLASSIFIERS) * (1 + 2 + 4 + 3) and all(len(v) == 3 for v in subjects.values())
    for name, values in subjects.items():  # nine faces of each subject
        protocol, method, classifier, _ = name.split("/")
        row = scores.find(protocol=protocol, method=method, classifier=classifier, measure="accuracy")
        assert values.mean() == pytest.approx(row.value)
    gain = subjects["added/cdcgan_kd/xgboost/subjects"] - subjects["added/augmented/xgboost/subjects"]
    paired = {"protocol": "paired_added", "classifier": "xgboost", "measure": "accuracy", "against": "augmented"}
    assert scores.find(method="cdcgan_kd", **paired).value == pytest.approx(gain.mean())


def test_distances_stand_beside_a_reference_and_rank_noise_last(scores, pair):
    for measure in DISTANCES:
        for space in SPACES:
            for row in scores.where(protocol="distance", measure=measure, space=space, emotion="", against="train"):
                assert row.low <= row.value <= row.high and (measure == "kid" or row.n == 3)
        noisy, clean = pair(protocol="distance", measure=measure, space="fused", against="train")
        worse = 1 if measure in ("kid", "frechet") else -1
        # With three subjects a side, shares may be equal.
        assert worse * noisy.value > worse * clean.value or (worse < 0 and noisy.value == clean.value)
    columns = {"protocol": "distance", "measure": "kid", "space": "fused", "against": "train"}
    assert pair(**columns)[0].value > scores.find(method="real", **columns).high
    noisy, clean = pair(protocol="distance", measure="residual_ratio", space="relief")
    assert noisy.low > 1.5 > clean.value
    for measure in ("kid", "frechet", "coverage"):
        found = scores.where(method="real", measure=measure, space="relief", against="train").values("emotion")
        assert found == ["", "neutral", "happiness", "fear"]


def test_training_subjects_are_at_no_distance_from_each_other_and_copies_below(scores):
    """With pairs of one subject in its halves, the reference was far above 0."""
    columns = {"protocol": "distance", "measure": "kid", "space": "relief", "against": "train"}
    real, copies = (scores.find(method=name, **columns) for name in ("real", "copies"))
    assert real.low < 0 < real.high and abs(real.value) < 0.2 * (real.high - real.low)
    assert copies.value < 0  # a copy is nearer to its own subject than training subjects are to each other
    swapped = [scores.find(method=m, **columns | {"against": a}) for m, a in (("held_out", "train"), ("real", "test"))]
    assert swapped[0].value == pytest.approx(swapped[1].value)
    assert "two subjects" in scores.find(method="real", **columns | {"measure": "frechet", "against": "test"}).reason
    assert "fewer than 5 subjects" in scores.find(method="copies", **columns | {
        "protocol": "c2st", "measure": "accuracy", "against": "test"}).reason  # fmt: skip


def test_similarity_stands_beside_held_out_faces(scores, pair):
    for measure in ("ssim", "psnr"):
        rows = scores.where(protocol="nearest", measure=measure)
        assert [row.n for row in rows] == [27, 72, 72]
        assert all(row.low < row.value < row.high for row in rows)
    noisy, clean = pair(protocol="nearest", measure="ssim", space="pixels")
    assert noisy.value < clean.value


def test_signs_of_memorisation_stand_beside_anchors_and_planted_copies(scores):
    rows = scores.where(protocol="memorisation", space="relief")
    assert rows.values("method") == ["held_out", "copies", "gaussian", "cdcgan_kd", "cdcgan_kd_ga"]
    assert rows.values("measure") == [
        "near_share", "auth_pct", "auc_distance", "tpr_distance", "auc_density_ratio", "tpr_density_ratio", "fld_gap",
        "near_share_planted_10", "near_share_planted_30",
    ]  # fmt: skip
    near = {row.method: row.value for row in rows.where(measure="near_share")}
    assert near["copies"] > 0.9 and near["cdcgan_kd"] < near["copies"]
    auc = {row.method: row for row in rows.where(measure="auc_distance")}
    assert auc["copies"].value == 1 and auc["copies"].n == 11 and auc["held_out"].n == 10
    assert scores.find(method="gaussian", protocol="distance", measure="fld", space="relief", against="test").n == 27


def test_generators_are_inverted_for_a_few_faces_of_each_subject(sets, cache, monkeypatch):
    asked = []

    def errors(faces):
        asked.append(faces)
        return np.where(faces.subject < 100, 0.1, 0.2)  # the training subjects are known

    train, test, methods = sets
    bank = build_bank(CONFIG, train, test, methods, cache, quiet)
    rows = {(row.method, row.measure): row for row in inversion_scores(CONFIG, bank, {"cdcgan_kd": errors})}
    assert [len(faces) for faces in asked] == [8 * 2, 3 * 2]
    assert rows["cdcgan_kd", "auc_inversion"].value == rows["cdcgan_kd", "tpr_inversion"].value == 1
    assert 0 <= rows["gaussian", "auc_inversion"].value <= 1 and rows["gaussian", "auc_inversion"].n == 11
    assert not inversion_scores(override(CONFIG, {"evaluate.inversion_steps": "0"}), bank, {"cdcgan_kd": errors})

    def gone(faces):
        raise UserError("no checkpoint")

    lost = {row.method: row for row in inversion_scores(CONFIG, bank, {"gan": gone})}
    assert lost["gan"].reason == "no checkpoint" and lost["gaussian"].value is not None
    lone = test.take((test.subject > 100) | (np.cumsum(test.subject == 100) == 1))
    sides = []
    monkeypatch.setattr("depthjax.evaluate.inversion.wins", lambda *scores: sides.append(scores) or wins(*scores))
    inversion_scores(CONFIG, replace(bank, test=lone), {"cdcgan_kd": lambda faces: faces.frame + faces.emotion + 0.0})
    assert all(np.equal(np.mod(side, 1), 0).all() for side in sides[-1])  # one face each, as one subject has no more
    shared = replace(bank, test=train)
    assert all("in both" in row.reason for row in inversion_scores(CONFIG, shared, {"cdcgan_kd": errors}))


def test_faces_of_the_training_subjects_are_near_to_them_and_varied(scores, pair):
    for space in SPACES:
        for row in (*scores.where(measure="vendi", space=space), *scores.where(measure="rke", space=space)):
            assert 1 <= row.value <= row.n == 3  # as many as there are held-out subjects
    real = scores.find(method="real", measure="ms_ssim", space="pixels").value
    assert all(0 < row.value < real + 0.1 for row in pair(measure="ms_ssim", space="pixels"))
    assert all(0 <= row.value <= 1 for row in scores.where(measure="agreement"))
    assert all(1 <= row.value <= 3 for row in scores.where(measure="score", protocol="emotion"))


def test_no_method_is_compared_with_training_faces_alone(scores):
    """Every method stands beside augmented copies too, for every classifier: the simplest rival is never missing."""
    for classifier in CLASSIFIERS:
        columns = {"classifier": classifier, "measure": "accuracy"}
        for method in METHODS:
            for protocol in ("paired_added", "paired_added_augmented"):
                row = scores.find(method=method, protocol=protocol, against="augmented", **columns)
                after = scores.find(method=method, protocol=protocol.removeprefix("paired_"), **columns)
                copies = scores.find(method="augmented", protocol="added", **columns)
                assert row.value == pytest.approx(after.value - copies.value) and 0 < row.p <= 1
        added = scores.where(protocol="paired_added", **columns)
        assert {(r.method, r.against) for r in added} == {
            *((name, "real") for name in ("augmented", "mixtures", *METHODS)),
            *((name, "augmented") for name in ("mixtures", *METHODS)),
        }


def test_classifiers_with_copies_are_fitted_on_exactly_those_beside_the_training_faces(sets, cache, monkeypatch):
    train, test, methods = sets
    bank, fitted = build_bank(CONFIG, train, test, methods, cache, quiet), {}

    def kept(pairs):
        tasks = dict(pairs)
        fitted.update({(row, c): task.split for (row, c, _), task in tasks.items()})
        return {key: task.split.actual for key, task in tasks.items()}

    monkeypatch.setattr(recognition, "fit_predict", kept)
    recognition.unseen_subjects(CONFIG, bank, quiet)
    copies = bank.controls["augmented"]
    for name, of in methods.items():
        assert np.bincount(copies.emotion).tolist() == np.bincount(of.emotion).tolist()
        both = fitted[Score(name, "added_augmented"), "network"]
        boxes = [bank.means[part] for part in ("train", "augmented", name)]
        assert np.array_equal(both.faces.features[both.train], np.concatenate(boxes))
    split = fitted[Score("augmented", "added"), "xgboost"]
    assert len(split.train) == 72 + 72 and len(split.test) == 27
    assert set(split.faces.subject[split.test]) == set(test.subject)
    again = fitted[Score("augmented_again", "added_augmented"), "network"]
    boxes = [bank.means[part] for part in ("train", "augmented", "augmented_again")]
    assert np.array_equal(again.faces.features[again.train], np.concatenate(boxes))
    split = fitted[Score("augmented", "added"), "network"]
    assert np.array_equal(split.faces.features[split.train][72:], bank.means["augmented"])


def test_rendered_faces_that_cannot_be_made_have_a_reason(sets, cache):
    train, test, methods = sets
    names = ("neutral", "happiness", "boredom")
    own = [replace(of, emotions=names) for of in (train, test, methods["cdcgan_kd"])]
    config = override(TREE, {"data.source": "folder", "data.path": "somewhere", "data.emotions": ",".join(names)})
    bank = build_bank(config, own[0], own[1], {"cdcgan_kd": own[2]}, cache, quiet)
    rows = [row for row in recognition.unseen_subjects(config, bank, quiet).rows if row.method == "rendered"]
    assert [row.measure for row in rows] == list(classification.MEASURES)
    assert {row.reason for row in rows} == {"the renderer does not know boredom"}


def test_training_sets_are_compared_on_the_same_subjects(scores):
    for classifier in CLASSIFIERS:
        tests = scores.where(protocol="paired_tstr", classifier=classifier)
        assert [(t.against, t.method) for t in tests] == [
            ("real", "cdcgan_kd"), ("real", "cdcgan_kd_ga"), ("cdcgan_kd", "cdcgan_kd_ga"),
        ]  # fmt: skip
        assert all(0 < t.p <= 1 and t.n == 3 for t in tests)
        accuracy = {"classifier": classifier, "measure": "accuracy"}
        trtr = scores.find(method="real", protocol="trtr", **accuracy)
        tstr = scores.find(method="cdcgan_kd", protocol="tstr", **accuracy)
        assert tests[0].value == pytest.approx(tstr.value - trtr.value)


def test_training_faces_also_teach_about_generated_ones(pair):
    noisy, clean = pair(protocol="trts", classifier="random_forest", measure="accuracy")
    assert clean.n == 72 and clean.value > max(0.6, noisy.value)


def test_the_released_formulas_say_so(scores, pair):
    for method in ("cdcgan_kd", "cdcgan_kd_ga"):
        rows = {(row.measure, row.space): row.value for row in scores.where(method=method, protocol="as_published")}
        right = scores.find(
            method=method, protocol="distance", measure="frechet", space="depthnet", against="train"
        ).value
        assert rows["frechet", "depthnet"] < right
        assert rows["score", "depthnet"] >= 1.7 and -1 <= rows["ssim", "pixels"] <= 1


def test_added_test_subjects_have_no_part_in_what_was_published(sets, cache):
    train, test, methods = sets
    one = {"cdcgan_kd": methods["cdcgan_kd"]}
    config = override(TREE, {"evaluate.seeds": "1", "data.subjects": "101", "data.extra_test_subjects": "2"})
    more = build_bank(config, train, test, one, cache, quiet)
    own = build_bank(TREE, train, test.take(test.subject == 100), one, cache, quiet)
    released = [m for m in MEASURES if m.protocol == "as_published"]
    values = [[r.value for r in measure_faces(*of, released)] for of in ((config, more), (TREE, own))]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    single = override(TREE, {"evaluate.seeds": "1"})
    assert recognition.published(config, more, quiet).rows == recognition.published(single, own, quiet).rows
    assert {r.n for r in recognition.unseen_subjects(config, more, quiet).rows if r.protocol == "paired_tstr"} == {3}


def test_arrays_of_the_figures_hold_every_set(found, sets):
    train, _test, methods = sets
    for name, faces in methods.items():
        index = found.nearest[f"index/{name}"]
        assert (train.emotion[index] == faces.emotion).all() and len(found.nearest[f"distance/{name}"]) == len(faces)
    assert found.nearest["reference"] == np.median(found.nearest["held_out"]) and len(found.nearest["held_out"]) == 27
    for name in ("train", "test", *methods):
        assert found.embedding[f"tsne/{name}"].shape == (len(found.embedding[f"emotion/{name}"]), 2)


def test_same_arguments_same_numbers_with_or_without_the_cache(scores, sets, tmp_path):
    again = evaluate(TREE, *sets, tmp_path, log=quiet).scores
    assert set(again) <= set(scores)


def test_subjects_on_both_sides_leave_no_score_on_unseen_subjects(sets, cache):
    train, _, methods = sets
    scores = evaluate(TREE, train, train, methods, cache, log=quiet).scores
    for protocol in ("trtr", "tstr", "trts", "added", "added_augmented"):
        rows = scores.where(protocol=protocol)
        assert len(rows) and all(row.value is None and "8 subjects are in both" in row.reason for row in rows)
    assert not any(row.protocol.startswith("paired") for row in scores)


def test_a_large_set_is_evaluated_by_a_draw_of_it(faces, cache, monkeypatch):
    large, test = faces(12, 6), faces(3, 3, first=100)
    monkeypatch.setattr("depthjax.evaluate.run.MAX_FACES", 100)
    found = evaluate(TREE, large, test, {"cdcgan_kd": test}, cache, log=quiet)
    assert found.data["train"]["images"] == 100 and found.data["drawn_from"] == {"train": 216, "test": 27}
    drawn_rows = found.nearest["index/cdcgan_kd"]
    assert drawn_rows.max() >= 100 and (large.emotion[drawn_rows] == test.emotion).all()
