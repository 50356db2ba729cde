"""Every experiment runs: a few steps at toy size."""

from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from configs import quick, smoke
from depthjax import pipeline
from depthjax.errors import ConfigError, UserError, without_traceback
from depthjax.scores import Score, Scores
from experiments import ablation, evolution_table, relativistic
from experiments.pixel_ratios import alternation, checkerboard_ratio, invalid_pixels, invalid_ratio
from tests.conftest import SMOKE
from tests.evaluate.conftest import make_faces

SMALL = {
    "data.subjects": "8",
    "data.frames": "2",
    "data.resolution": "16",
    "data.emotions": "neutral,fear",
    "model.generator_width": "16",
    "model.discriminator_width": "4",
    "train.batch_size": "6",
    "train.epochs": "2",
    "sample.methods": "cdcgan_kd",
    "sample.count": "4",
    "baselines.methods": "",
}


def test_relativistic_pairs_by_its_equation():
    fake, real = np.array([-3.0, 0.2, 1.5]), np.array([1.0, -0.4, 6.0])
    generator, discriminator = relativistic.RELATIVISTIC
    np.testing.assert_allclose(
        generator(jnp.array(fake), jnp.array(real)), -np.log(1 / (1 + np.exp(real - fake))), rtol=1e-5
    )
    first, second = discriminator(jnp.array(real), jnp.array(fake))
    np.testing.assert_allclose(first, -np.log(1 / (1 + np.exp(fake - real))), rtol=1e-5)
    np.testing.assert_array_equal(first, second)


def test_relativistic_runs_all_that_sampling_needs_after_training(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pipeline, "run", lambda config, workdir, stages: asked.append(stages))
    monkeypatch.setattr(pipeline, "prepared_faces", lambda *_: None)
    monkeypatch.setattr(relativistic, "train", lambda *_, **__: None)
    relativistic.main(["--config", "quick", "--workdir", str(tmp_path)])
    sampled = {stage.name for stage in pipeline.SAMPLE.inputs(quick.get_config())}
    assert asked[0] == ["prepare"] and sampled <= {"prepare", *asked[1]} and "report" in asked[1]


@pytest.mark.nightly
def test_relativistic_trains_and_samples(tmp_path):
    flags = [f"--config.{name}={value}" for name, value in SMALL.items()]
    relativistic.main(["--config", "smoke", "--workdir", str(tmp_path), "--stages=sample", *flags])
    assert (tmp_path / "metrics.jsonl").exists()
    assert len(list((tmp_path / "samples" / "cdcgan_kd").glob("*/*.png"))) == 2 * 4


def test_each_recipe_differs_by_its_ingredient():
    rows = {recipe.name: recipe for recipe in ablation.recipes(quick.get_config())}
    ours, repaired, released = (rows[name].config for name in ("ours", "repaired", "as released"))
    assert ours == quick.get_config() and ours != repaired
    assert repaired.train.teacher_batch_stats == "averaged" and released.train.teacher_batch_stats == "frozen"
    assert rows["as released"].filtered and not rows["repaired"].filtered
    without = [recipe.config for name, recipe in rows.items() if name.startswith("ours - ")]
    assert len(without) == len(set(map(str, without))) == len(ablation.REPAIRED) + 1
    assert rows["ours - distillation"].config.train.generator_kd_weight == 0
    with pytest.raises(UserError, match="there is no 'our'"):
        ablation.chosen(ablation.recipes(quick.get_config()), "our")


def test_ablation_plans_by_its_budget(monkeypatch):
    config = ablation.changed(quick.get_config(), {"train": {"batch_size": 16}})
    monkeypatch.setattr(ablation, "step_flops", lambda config: 2e9)
    planned = ablation.planned(config, 2, 3e12, 960)
    assert (planned.train.epochs, planned.train.seed, planned.sample.seed) == (25, 2, 2)
    assert ablation.planned(config, 1, 1.0, 960).train.epochs == 1


@pytest.mark.nightly
def test_ablation_trains_evaluates_and_resumes(tmp_path, monkeypatch):
    base = smoke.get_config()
    tiny = replace(
        base,
        model=replace(base.model, generator_width=16, discriminator_width=4),
        train=replace(base.train, batch_size=6),
        sample=replace(base.sample, count=8),
        baselines=replace(base.baselines, methods=()),
    )
    tiny = replace(tiny, sample=replace(tiny.sample, methods=("cdcgan_kd",)))
    rows = (ablation.Recipe("ours", tiny, (0, 1), filtered=True), ablation.Recipe("other", tiny, (0, 1)))
    monkeypatch.setattr(ablation, "load_config", lambda path: tiny)
    monkeypatch.setattr(ablation, "recipes", lambda base: rows)
    command = ["--workdir", str(tmp_path), "--budget", "1", "--only", "ours,other"]
    ablation.main(command)
    table = (tmp_path / "ablation.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table[2:4]] == ["| ours", "| other"]
    cells = [line.strip("|").split("|") for line in table[2:4]]
    assert all(row[place].strip() not in ("–", "") for row in cells for place in (6, 7, 8, 10))
    joint = "\n".join(table[4:])
    assert all(part in joint for part in ("## Table 4.", "## Methods pair by pair", "Means of 2 trainings"))
    assert (tmp_path / "ablation.csv").read_text().startswith("seed,method,protocol")
    monkeypatch.setattr(ablation, "train", lambda *_: pytest.fail("it is trained"))
    monkeypatch.setattr(ablation, "evaluate", lambda *_, **__: pytest.fail("it is evaluated"))
    ablation.main(command)


def test_released_filters_take_the_median_and_stretch_contrast():
    image = np.full((1, 9, 9), 0.0, np.float32)
    image[:, :, :4] = -0.6
    speck = image.copy()
    speck[:, 2, 6] = 1.0
    clean, filtered = (ablation.released_filters(images) for images in (image, speck))
    np.testing.assert_array_equal(filtered[:, 1:-1, 1:-1], clean[:, 1:-1, 1:-1])
    levels = (clean + 1) * 127.5
    assert np.ptp(levels) == pytest.approx(1.3 * np.ptp(np.rint((image + 1) * 127.5)), abs=1.5)


def test_the_table_of_selections_shows_means_over_seeds(load_tool):
    key, none = evolution_table.COLUMNS["TSTR, XGBoost"], evolution_table.COLUMNS["KID to training faces, depthnet"]
    found = [
        Scores(
            [
                replace(key, method="paper", value=value),
                replace(key, method="random", value=0.75),
                Score("real", "trtr", "xgboost", "accuracy", value=0.9),
                replace(evolution_table.COLUMNS["KID to held-out faces, relief"], method="held_out", value=0.3),
                replace(none, method="paper", reason="too few faces"),
            ]
        )
        for value in (0.5, 0.6, 0.7)
    ]
    head, line = evolution_table.table(found, ["paper"])
    cells = dict(zip(head, line, strict=True))
    # 4.303 is the 97.5th percentile of Student's t with two degrees of freedom; the standard error is 0.1 / sqrt(3).
    assert cells["faces by"] == "paper" and cells["TSTR, XGBoost"] == "0.600 [0.352, 0.848]"
    assert cells["KID to held-out faces, relief"] == cells["KID to training faces, depthnet"] == "–"
    less = dict(zip(*evolution_table.table(found, ["paper"], "random"), strict=True))
    assert less["TSTR, XGBoost"] == "-0.150 [-0.398, 0.0984]"
    assert evolution_table.of_real(found[0]) == {"TSTR, XGBoost": 0.9, "KID to held-out faces, relief": 0.3}
    assert {quantity.key for quantity in load_tool("results").EVOLUTION} <= set(head)


def test_faces_are_distinct_that_no_face_kept_before_is_near():
    train = SimpleNamespace(emotion=np.zeros(4, int), subject=np.array([1, 2, 3, 3]))
    line = {"train": np.array([[0.0], [1.0], [5.0], [5.001]]), "a": np.array([[0.0], [0.9], [1.1], [1.8]])}
    bank = SimpleNamespace(
        spaces={"relief": line}, methods={"a": SimpleNamespace(emotion=np.zeros(4, int))}, train=train, classes=1
    )
    (score,) = evolution_table.distinct(bank, "relief")
    # Pairs of two subjects lie 1 to 5.001 apart, and 1 % of them within 1.0 (of one: 0.001). 0.9 is near 0; 1.8 to 1.1.
    assert score.value == 0.5 and (score.method, score.space) == ("a", "relief")


def test_a_user_error_ends_a_script_with_its_line_and_code(capsys):
    with pytest.raises(SystemExit) as ended, without_traceback():
        raise ConfigError("no such thing")
    assert ended.value.code == 2 and capsys.readouterr().err == "error: no such thing\n"
    with pytest.raises(ValueError, match="ours"), without_traceback():
        raise ValueError("ours")


@pytest.mark.nightly
def test_selections_are_evaluated_and_resume(finished, load_tool, tmp_path, monkeypatch):
    arguments = ["--config", SMOKE, "--workdir", str(finished), "--out", str(tmp_path), "--count", "4"]
    arguments += ["--generations", "1", "--seeds", "0", "--rows", "random,herding,gradient,paper"]
    arguments += ["--set", "evolve.classifier_steps=5"]
    monkeypatch.setattr("sys.argv", ["evolution_table", *arguments])
    evolution_table.main()
    lines = load_tool("results").evolution_text(tmp_path).splitlines()
    assert lines[0].startswith("|  | random | kernel herding | gradient ascent | paper's GA | held-out faces |")
    assert "–" not in lines[-1].split(" | ")[1:5] and (tmp_path / "differences-random.md").exists()
    assert (tmp_path / "faces.png").exists()
    monkeypatch.setattr(evolution_table, "latents_of", lambda *_: pytest.fail("it is selected"))
    monkeypatch.setattr(evolution_table, "evaluated", lambda *_, **__: pytest.fail("it is evaluated"))
    evolution_table.main()


def test_alternation_is_the_height_of_a_checkerboard_on_the_face():
    rows, columns = np.indices((24, 24))
    board = np.where((rows + columns) % 2, 0.2, -0.2)
    ramp = 0.02 * rows - 0.3
    faces = np.stack([board, board + ramp, ramp + 0.01 * columns, np.where(rows % 2, 0.2, -0.2), np.ones((24, 24))])
    found = alternation(faces)
    step = 1 / 127.5  # of 8 bits
    np.testing.assert_allclose(found[:2], 0.2, atol=step)
    assert (found[2:4] < step).all() and found[4] == 0  # a slope, stripes and no face have none
    half = np.where(columns < 12, board, 1.0)  # what is background counts for nothing
    np.testing.assert_allclose(alternation(half[None]), 0.2, atol=step)


def test_checkerboard_ratio_is_one_for_more_of_the_same_and_sees_a_grid():
    test, more = make_faces(6, 4, first=50), make_faces(6, 4, first=80)
    board = np.where(np.indices(more.images.shape[1:]).sum(0) % 2, 0.03, -0.03).astype(np.float32)

    def ratio(images):
        return checkerboard_ratio(images, test.images, test.subject, draws=200, seed=0)

    same, gridded = ratio(more.images), ratio(np.where(more.images < 0.9, more.images + board, more.images))
    assert 0.9 < same.value < 1.1 and same.low < same.value < same.high
    assert gridded.low > 2 and gridded.n == 72
    none = checkerboard_ratio(more.images, np.zeros((3, 32, 32)), np.arange(3), draws=5, seed=0)
    assert none.value is None and "do not alternate" in none.reason


def test_invalid_pixels_are_counted_inside_the_face_only():
    face = np.ones((24, 24))
    face[4:20, 4:20] = 0
    torn = face.copy()
    torn[8, 8] = torn[10, 12:15] = 1  # inside
    torn[4, 11] = 1  # a notch of the outline: fourteen of the 25 around it are face
    torn[4, 4] = 1  # a corner: eight
    grey = np.where(torn == 1, 0.9, torn)  # blurred, and so valid
    lonely = np.ones((24, 24))
    lonely[12, 12] = 0
    np.testing.assert_array_equal(invalid_pixels(np.stack([face, torn, grey, lonely])), [0, 5, 0, 0])
    found = invalid_ratio(np.stack([torn, face]), np.stack([torn] * 4), np.arange(4) // 2, draws=20, seed=0)
    assert found.value == 0.5 and found.n == 2
    none = invalid_ratio(torn[None], face[None], np.arange(1), draws=5, seed=0)
    assert none.value is None and "no invalid pixel" in none.reason
