"""The whole run, once, as a user starts it; then everything a user may do to a finished run."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from depthjax.__main__ import main
from depthjax.files import read_arrays
from depthjax.lock import NAME as LOCK
from depthjax.scores import read_scores
from tests.conftest import CHEAP, METHODS, SMOKE


def launch(workdir, *arguments):
    return main(["--config", SMOKE, "--workdir", str(workdir), *CHEAP, *arguments])


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def newest_checkpoint(workdir):
    return max((workdir / "checkpoints").iterdir(), key=lambda path: int(path.name))


def stamps(workdir):
    """When each file was written, but for the lock, which says who was at work last."""
    files = (path for path in workdir.rglob("*") if path.is_file() and path.name != LOCK)
    return {path: path.stat().st_mtime_ns for path in files}


def test_a_run_leaves_every_file_of_the_work_folder(finished):
    for name in ("config.json", "environment.json", "metrics.jsonl", "evaluation.json", "report.html"):
        assert (finished / name).stat().st_size > 0
    for method in METHODS:
        stored = np.load(finished / "samples" / method / "samples.npz")
        assert stored["images"].shape == (36, 32, 32) and np.bincount(stored["emotion"]).tolist() == [12, 12, 12]
        assert np.abs(stored["images"]).max() <= 1
    assert not list(finished.rglob("*.tmp"))


def test_the_pictures_are_the_stored_faces(finished):
    folder = finished / "samples" / "cdcgan_kd"
    stored = np.load(folder / "samples.npz")
    first_fear = stored["images"][stored["emotion"] == 2][0]
    png = np.asarray(Image.open(folder / "fear" / "00000.png"), np.float32)
    assert np.abs(png / 127.5 - 1 - first_fear).max() <= 0.5 / 127.5 + 1e-6


def test_the_same_command_again_repeats_nothing(finished, capsys):
    before = stamps(finished)
    assert launch(finished) == 0
    assert stamps(finished) == before
    printed = capsys.readouterr().out
    assert printed.count("done before, unchanged") == 7
    # The log ends with the scorecard and the page's path.
    *card, last = printed.partition("scorecard: One training")[2].splitlines()
    for question in ("Does it help beyond augmented copies? By ", "Is it the best method? By "):
        assert any(line.startswith(question) for line in card)
    assert last == f"report: {finished / 'report.html'}"


def test_a_changed_setting_redoes_only_what_depends_on_it(copy, capsys, page_undrawn):
    before = stamps(copy)
    assert launch(copy, "--config.evaluate.bootstrap=50", "--config.evaluate.classifiers=decision_tree") == 0
    lines = capsys.readouterr().out
    assert "sample: done before" in lines and "evaluate: starting" in lines and "report: starting" in lines
    after = stamps(copy)
    kept = [p for p in before if p.parts[len(copy.parts)] in ("checkpoints", "samples", "evolve", "faces", "data")]
    assert kept and all(after[p] == before[p] for p in kept)
    assert json.loads((copy / "evaluation.json").read_text())["settings"]["bootstrap"] == 50


def test_sampling_reads_the_generator_teacher_alone(copy):
    """Everything of a checkpoint but the generator teacher's arrays is removed: sampling does not notice."""
    shutil.rmtree(newest_checkpoint(copy) / "training")
    arguments = ("--stages=sample", "--config.sample.count=30", "--config.sample.methods=cdcgan_kd")
    assert launch(copy, *arguments, "--config.sample.emotions=fear,neutral") == 0
    folder = copy / "samples" / "cdcgan_kd"
    assert len(list(folder.glob("fear/*.png"))) == len(list(folder.glob("neutral/*.png"))) == 30
    assert not (folder / "happiness").exists()


def test_the_first_samples_do_not_depend_on_how_many_are_asked_for(finished, copy):
    assert launch(copy, "--stages=sample", "--config.sample.count=30") == 0
    few, many = (np.load(w / "samples" / "cdcgan_kd" / "samples.npz") for w in (finished, copy))
    for label in range(3):
        first = many["images"][many["emotion"] == label][:12]
        assert np.allclose(few["images"][few["emotion"] == label], first, atol=1e-5)


def test_the_winners_are_what_is_decoded(finished):
    winners = np.load(finished / "evolve" / "winners.npz")["latents"]
    sampled = np.load(finished / "samples" / "cdcgan_kd_ga" / "samples.npz")
    for label in range(3):
        held = {latent.tobytes() for latent in winners[label].reshape(-1, winners.shape[-1])}
        assert all(latent.tobytes() in held for latent in sampled["latents"][sampled["emotion"] == label])


def test_evolution_never_loses_its_best(finished):
    best = np.load(finished / "evolve" / "history.npz")["best"]
    assert best.shape == (3, 2, 6) and (np.diff(best, axis=-1) >= 0).all()


def test_evaluation_is_one_table_in_two_formats(finished):
    stored = json.loads((finished / "evaluation.json").read_text())
    assert set(stored) == {"data", "settings", "scores"} and list(stored["data"]["generated"]) == list(METHODS)
    scores = read_scores(stored["scores"], "evaluation.json")
    assert scores.to_csv() == (finished / "evaluation.csv").read_text()
    for method in ("real", *METHODS):
        for space in ("relief", "fused"):
            columns = {"protocol": "distance", "measure": "kid", "space": space, "against": "train"}
            found = scores.find(method=method, **columns)
            assert found.low <= found.value <= found.high
        for classifier in ("decision_tree",):
            columns = {"classifier": classifier, "measure": "accuracy"}
            found = scores.find(method=method, protocol="trtr" if method == "real" else "tstr", **columns)
            assert 0 <= found.low <= found.value <= found.high <= 1
    runs = read_arrays(finished / "evaluation" / "runs.npz")
    assert runs["tstr/kde/decision_tree/accuracy"].shape == (1,)


def test_other_training_settings_are_refused_before_anything_is_touched(copy, capsys):
    before = stamps(copy)
    assert launch(copy, "--config.train.generator_lr=1e-3", "--config.data.frames=4") == 1
    error = capsys.readouterr().err
    assert "data.frames" in error and "--workdir" in error and error.count("\n") == 1
    assert stamps(copy) == before


def test_training_goes_on_when_given_more_epochs(copy):
    rows = len((copy / "metrics.jsonl").read_text().splitlines())
    assert launch(copy, "--stages=train", "--config.train.epochs=5") == 0
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) > rows and [r["step"] for r in lines] == sorted({r["step"] for r in lines})


def test_a_stage_without_what_it_needs_says_which(tmp_path, capsys):
    assert launch(tmp_path / "empty", "--stages=sample") == 1
    error = capsys.readouterr().err
    assert "sample needs train" in error and error.count("\n") == 1
    assert "--stages=prepare,train,baselines,evolve,sample" in error


def test_the_report_can_be_written_from_a_part(copy, monkeypatch):
    monkeypatch.setattr("depthjax.report.page.draw_figures", lambda *_: {})
    (copy / "evaluation.json").unlink()
    (copy / "report.html").unlink()
    assert launch(copy, "--stages=report") == 0
    assert "--stages=evaluate" in (copy / "report.html").read_text()


def test_damaged_faces_are_named(copy, capsys):
    path = copy / "faces" / "train" / "images.npy"
    path.write_bytes(path.read_bytes()[:1000])
    assert launch(copy, "--stages=evolve", "--config.evolve.generations=4") == 1
    error = capsys.readouterr().err
    assert "images.npy is damaged" in error and error.count("\n") == 1


def test_damaged_samples_stop_the_evaluation_and_are_made_again(copy, capsys):
    path = copy / "samples" / "kde" / "samples.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    assert launch(copy, "--stages=evaluate", "--config.evaluate.bootstrap=50") == 1
    error = capsys.readouterr().err
    assert "kde/samples.npz is damaged" in error and "--stages=sample,evaluate" in error and error.count("\n") == 1
    assert launch(copy, "--stages=sample") == 0
    assert "is damaged: doing the stage again" in capsys.readouterr().out
    assert read_arrays(path)["images"].shape == (36, 32, 32)


def damaged_teacher(workdir):
    """The newest checkpoint, a bit of its generator teacher turned over."""
    newest = newest_checkpoint(workdir)
    (arrays,) = (newest / "generator").glob("ocdbt.process_0/d/*")
    arrays.write_bytes(arrays.read_bytes()[:-1] + bytes([arrays.read_bytes()[-1] ^ 1]))
    return newest


def test_a_damaged_teacher_does_not_evolve_by_an_older_one_unseen(copy, capsys):
    newest = damaged_teacher(copy)
    assert launch(copy, "--stages=evolve", "--config.evolve.seed=5") == 1
    assert f"delete {newest}" in capsys.readouterr().err


def test_a_damaged_teacher_is_not_replaced_by_an_older_one_unseen(copy, capsys):
    newest = damaged_teacher(copy)
    changed = ("--stages=sample", "--config.sample.count=13")
    assert launch(copy, *changed) == 1
    error = capsys.readouterr().err
    assert "generator/ocdbt.process_0/d/" in error and f"delete {newest}" in error
    assert launch(copy, "--stages=train", "--config.train.strict_checkpoints=true") == 1
    assert "is damaged: delete" in capsys.readouterr().err
    assert launch(copy, "--stages=train") == 0
    assert "passing over checkpoint" in capsys.readouterr().err
    assert launch(copy, *changed) == 0


def test_curves_that_were_changed_are_not_taken_for_what_was_written(copy, capsys):
    log = copy / "metrics.jsonl"
    log.write_text(log.read_text().replace("0.", "1.", 1))
    assert launch(copy, "--stages=train") == 1
    assert "metrics.jsonl is damaged" in capsys.readouterr().err
    (copy / "report.html").unlink()
    assert launch(copy, "--stages=report") == 1
    assert "metrics.jsonl is damaged" in capsys.readouterr().err
    log.unlink()
    assert launch(copy, "--stages=train") == 0 and "no curves" in capsys.readouterr().out


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert launch(tmp_path / "file" / "run", "--stages=prepare") == 1
    assert capsys.readouterr().err.count("\n") == 1
