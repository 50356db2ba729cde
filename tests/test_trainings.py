"""Several trainings: means, intervals that contain training, and one run a seed on faces that are prepared once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from configs.smoke import get_config
from depthjax import pipeline
from depthjax.config import to_dict
from depthjax.files import read_json, write_arrays, write_json
from depthjax.report.stored import StoredEvaluation, read_evaluation
from depthjax.scores import Score, Scores
from experiments import trainings

SUBJECTS = 40
DATA = {"source": "depth_heads", "emotions": ["fear"], "train": {"images": 9, "subjects": 3},
        "test": {"images": 90, "subjects": SUBJECTS}, "generated": {"gan": 9, "vae": 9}}  # fmt: skip
LEVELS = {"trtr/real": 0.85, "tstr/gan": 0.8, "tstr/vae": 0.7, "added/augmented": 0.9, "added_augmented/gan": 0.9}
ROWS = (
    Score("real", "trtr", "forest", "accuracy"),
    Score("gan", "tstr", "forest", "accuracy"),
    Score("gan", "paired_tstr", "forest", "accuracy", against="real"),
    Score("vae", "paired_tstr", "forest", "accuracy", against="real"),
    Score("vae", "paired_tstr", "forest", "accuracy", against="gan"),
    Score("gan", "paired_added_augmented", "forest", "accuracy", against="augmented"),
    Score("gan", "distance", measure="kid", space="relief", against="test"),
)


def evaluations(shifts: list[float], kid: float = 0.2, spread: float = 0.05) -> list[StoredEvaluation]:
    """One for each training: its methods' accuracies are all moved by a shift, those without a method by none."""
    rng = np.random.default_rng(0)
    subject, found = rng.normal(0, 0.05, SUBJECTS), []
    for shift in shifts:
        runs = {
            f"{name}/forest/subjects": level + subject + (0 if name in ("trtr/real", "added/augmented") else shift)
            + rng.normal(0, 0.01, SUBJECTS) * (name != "trtr/real")
            for name, level in LEVELS.items()
        }  # fmt: skip
        rows = [_stored(row, runs, kid + shift, spread) for row in ROWS]
        found.append(StoredEvaluation(DATA, {"spaces": ["relief"]}, Scores(rows), runs))
    return found


def _stored(row: Score, runs: dict[str, np.ndarray], kid: float, spread: float) -> Score:
    values = trainings.accuracies(row, StoredEvaluation(DATA, {}, Scores([]), runs))
    value = kid if values is None else float(values.mean())
    return replace(row, value=value, low=value - spread, high=value + spread, n=SUBJECTS)


def test_a_difference_is_taken_subject_by_subject() -> None:
    (one,) = evaluations([0.0])
    for row, plus, minus in (
        (ROWS[2], "tstr/gan", "trtr/real"),
        (ROWS[4], "tstr/vae", "tstr/gan"),
        (ROWS[5], "added_augmented/gan", "added/augmented"),
    ):
        found = trainings.accuracies(row, one)
        assert found is not None
        np.testing.assert_allclose(found, one.runs[f"{plus}/forest/subjects"] - one.runs[f"{minus}/forest/subjects"])
    assert trainings.accuracies(ROWS[6], one) is None
    assert trainings.accuracies(replace(ROWS[1], measure="f1"), one) is None


def test_intervals_contain_training() -> None:
    """Trainings that differ by 8 points: an interval over subjects alone leaves that out."""
    equal, apart = (trainings.together(evaluations(shifts)) for shifts in ([0.0] * 3, [-0.04, 0.0, 0.04]))

    def width(evaluation: StoredEvaluation, row: Score) -> float:
        found = evaluation.scores.at(row)
        assert found is not None and found.low is not None and found.high is not None
        return found.high - found.low

    for row in (ROWS[1], ROWS[2], ROWS[5], ROWS[6]):
        assert width(apart, row) > 1.5 * width(equal, row), row
        assert width(apart, row) > 0.08
    # Without a method there is no training: only subjects differ.
    assert width(apart, ROWS[0]) == pytest.approx(width(equal, ROWS[0]))
    values = evaluations([0.0])[0].runs["trtr/real/forest/subjects"]
    half = stats.t.ppf(0.975, SUBJECTS - 1) * values.std(ddof=1) / SUBJECTS**0.5
    assert width(equal, ROWS[0]) == pytest.approx(2 * half)
    assert apart.settings["trainings"] == 3


def test_other_numbers_add_both_variances() -> None:
    spread = 0.05
    row = trainings.together(evaluations([-0.03, 0.0, 0.03], spread=spread)).scores.at(ROWS[6])
    assert row is not None and row.low is not None and row.high is not None and row.value == pytest.approx(0.2)
    within, between = (spread / 1.96) ** 2, 0.03**2 / 3
    freedom = 2 * ((within + between) / between) ** 2
    half = stats.t.ppf(0.975, freedom) * (within + between) ** 0.5
    assert (row.low, row.high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    same = trainings.together(evaluations([0.0] * 2, spread=spread)).scores.at(ROWS[6])
    assert same is not None and same.low is not None
    assert same.low == pytest.approx(0.2 - spread, abs=1e-5)


def test_the_interval_of_a_share_stays_within_its_range() -> None:
    row = trainings.together(evaluations([-0.018, 0.0, 0.018], kid=0.03, spread=0.01)).scores.at(ROWS[6])
    assert row is not None and row.low == 0.0 and row.high is not None and row.high > 0.06


def test_p_values_are_adjusted_over_the_methods() -> None:
    found = trainings.together(evaluations([-0.001, 0.0, 0.001]))
    alone = found.scores.at(ROWS[2])
    assert alone is not None and alone.p is not None and alone.p < 1e-3
    rows = [replace(row, p=p) for row, p in zip(ROWS[2:4], (0.03, 0.01), strict=True)]
    assert [row.p for row in trainings.adjusted(rows)] == [pytest.approx(0.03), pytest.approx(0.02)]
    other = replace(rows[1], classifier="tree")
    assert [row.p for row in trainings.adjusted([rows[0], other])] == [0.03, 0.01]


def test_what_one_training_lacks_has_no_mean() -> None:
    one, two = evaluations([0.0, 0.1])
    scores = Scores(replace(row, value=None, low=None, high=None, reason="too few") if row.measure == "kid" else row
                    for row in two.scores)  # fmt: skip
    row = trainings.together([one, replace(two, scores=scores)]).scores.at(ROWS[6])
    assert row is not None and row.value is None and row.reason == "too few"
    gone = Scores(row for row in two.scores if row.measure != "kid")
    row = trainings.together([one, replace(two, scores=gone)]).scores.at(ROWS[6])
    assert row is not None and row.value is None and "every training" in row.reason


def test_a_seed_is_that_of_all_but_data_and_evaluation() -> None:
    base = get_config()
    before, after = to_dict(base), to_dict(trainings.seeded(base, 7))
    moved = {(s, f) for s, fields in after.items() if isinstance(fields, dict) for f in fields
             if fields[f] != before[s][f]}  # fmt: skip
    assert moved == set(itertools.product(("train", "baselines", "evolve", "sample"), ["seed"]))


def test_faces_are_prepared_once(tmp_path: Path) -> None:
    base, prepared = get_config(), tmp_path / "prepared"
    write_json(prepared / "faces" / "train.json", [1, 2])
    pipeline.PREPARE.finish(base, prepared, [prepared / "faces"])
    for _ in range(2):
        trainings.share_prepared(tmp_path, tmp_path / "3")
    run = tmp_path / "3"
    assert (run / "faces" / "train.json").samefile(prepared / "faces" / "train.json")
    assert pipeline.PREPARE.is_done(trainings.seeded(base, 3), run)
    (run / "features" / "x").touch()
    assert (tmp_path / "features" / "x").exists()
    # What a stage writes replaces the file of its run alone.
    write_json(run / "faces" / "train.json", [3])
    assert read_json(prepared / "faces" / "train.json") == [1, 2]


def test_tables_are_written_after_each_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, done = evaluations([0.0, 0.05, -0.05]), []

    def run(config: object, folder: Path, *wanted: object, log: object = None) -> None:
        done.append(folder.name)
        if not wanted:
            one = made[int(folder.name)]
            write_json(folder / "evaluation.json", {"data": one.data, "settings": one.settings,
                                                    "scores": one.scores.to_records()})  # fmt: skip
            write_arrays(folder / "evaluation" / "runs.npz", **one.runs)
            if folder.name == "1":
                raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", run)
    command = ["--config", "configs/smoke.py", "--workdir", str(tmp_path), "--seeds", "0,1,2"]
    with pytest.raises(KeyboardInterrupt):
        trainings.main(command)
    assert done == ["prepared", "0", "1"] and "One training" in (tmp_path / "trainings.md").read_text()
    monkeypatch.setattr(pipeline, "run", lambda *_, **__: None)
    trainings.main([*command[:-1], "0,1"])
    text = (tmp_path / "trainings.md").read_text()
    assert "Means of 2 trainings" in text and "One training" not in text
    stored = read_evaluation(tmp_path)
    assert stored is not None and stored.settings["trainings"] == 2
    header, first = (tmp_path / "trainings.csv").read_text().splitlines()[:2]
    assert header.endswith(",trainings,deviation") and first.endswith(",2,0")
    assert "GAN" in text and "pair by pair" in text
