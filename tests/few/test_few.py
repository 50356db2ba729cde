"""The stage `few` as a user starts it, killed and resumed, and on people who cannot be used."""

import csv
import json

import numpy as np
import pytest

from depthjax.__main__ import main
from depthjax.few import run as few_run
from depthjax.files import read_arrays
from tests.conftest import SMOKE
from tests.data.trees import tree

SMALL = (
    "--config.evaluate.classifiers=random_forest,recogniser",
    "--config.train.batch_size=6",
    "--config.few.trainings=2",
)
ROWS = ["real", "augmented", "augmented+augmented_again", "mixtures", "rendered", "augmented+rendered"]


def launch(workdir, *flags):
    return main(["--config", SMOKE, "--workdir", str(workdir), "--stages=prepare,few", *SMALL, *flags])


class Killed(KeyboardInterrupt):
    """A kill between two cells."""


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A finished run, killed after its first cell and started again; what was printed, and how many cells ran."""
    workdir = tmp_path_factory.mktemp("few")
    real, ran = few_run.accuracies, []

    def until_killed(*arguments):
        if len(ran) == 1:
            raise Killed
        ran.append(1)
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_run, "accuracies", until_killed)
        with pytest.raises(Killed):
            launch(workdir)
    first = next(workdir.rglob("draw_0_training_0.npz"))
    before = first.stat().st_mtime_ns
    assert not (workdir / "few.json").exists()

    def counted(*arguments):
        ran.append(1)
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_run, "accuracies", counted)
        assert launch(workdir) == 0
    assert first.stat().st_mtime_ns == before
    return workdir, len(ran)


@pytest.mark.nightly
def test_every_cell_runs_once_and_is_kept(few):
    workdir, ran = few
    cells = sorted(path.relative_to(workdir / "few").as_posix() for path in (workdir / "few").rglob("draw_*.npz"))
    assert ran == len(cells) == 4
    assert cells[0] == "people_3/draw_0_training_0.npz" and cells[-1] == "people_3/draw_1_training_1.npz"


@pytest.mark.nightly
def test_the_result_is_a_table_arrays_a_picture_and_sentences(few):
    workdir, _ = few
    arrays = read_arrays(workdir / "few.npz")
    rows = arrays["rows"].tolist()
    assert rows == [*ROWS, "cdcgan_kd", "cdcgan_kd_ga", "augmented+cdcgan_kd", "augmented+cdcgan_kd_ga"]
    assert arrays["accuracy/3"].shape == (2, 2, len(rows), 2, len(arrays["subjects"]))
    assert ((arrays["accuracy/3"] >= 0) & (arrays["accuracy/3"] <= 1)).all()
    held = json.loads((workdir / "few.json").read_text())
    assert len(held["sentences"]) == 1 and held["sentences"][0].startswith("From 3 people, use ")
    assert len(held["scores"]) == 2 * (len(rows) + len(rows) - 1 + len(rows) - 2)
    assert len(list(csv.DictReader((workdir / "few.csv").open()))) == len(held["scores"])
    page = (workdir / "few.md").read_text()
    assert all(sentence in page for sentence in held["sentences"])
    assert {score["draws"] for score in held["scores"]} == {2}
    assert (workdir / "figures" / "few.png").stat().st_size > 10_000


@pytest.mark.nightly
def test_nobody_who_is_tested_is_known(few):
    arrays = read_arrays(few[0] / "few.npz")
    tested = set(arrays["subjects"].tolist())
    known = arrays["known/3"]
    assert known.shape == (2, 3) and not tested & set(known.ravel().tolist())
    assert len(set(known.ravel().tolist())) == 6


@pytest.mark.nightly
def test_the_rows_without_a_generator_are_the_same_in_both_trainings_but_for_seeds(few):
    accuracy = read_arrays(few[0] / "few.npz")["accuracy/3"]
    assert not np.array_equal(accuracy[:, 0], accuracy[:, 1])


@pytest.mark.nightly
def test_the_same_command_again_repeats_nothing(few, capsys):
    assert launch(few[0]) == 0
    assert capsys.readouterr().out.count("done before, unchanged") == 2


@pytest.mark.nightly
def test_finished_cells_are_trained_no_more(few, capsys, monkeypatch):
    monkeypatch.setattr(few_run, "train_many", lambda *_, **__: pytest.fail("trained again"))
    (few[0] / "few.md").unlink()
    # No cell depends on the epochs of a run: `few.steps` is the length of its trainings.
    for flags in ([], ["--config.train.epochs=9"]):
        assert launch(few[0], *flags) == 0
        assert "done before, unchanged: 4 cells" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--config.data.test_fraction=0.9"], "9 are to be tested on and 1 may be known: at least 2 and 2 are needed"),
        (["--config.few.people=1"], "must be at least 2, or 0"),
        (["--config.sample.count=13"], "keeps 12 faces of each emotion"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_is_trained(few, flags, says, capsys, monkeypatch):
    monkeypatch.setattr(few_run, "train_many", lambda *_, **__: pytest.fail("trained"))
    assert launch(few[0], *flags) != 0
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_folder_of_people_without_names_or_with_a_missing_emotion_is_refused(tmp_path, capsys):
    root = tree(tmp_path / "faces", subjects=8)
    own = ["--config.data.source=folder", f"--config.data.path={root}", "--config.data.test_fraction=0.25"]
    own.append("--config.data.seed=1")  # which leaves the third of them known
    assert launch(tmp_path / "run", *own) == 1
    assert "the people have no names" in capsys.readouterr().err
    assert not (tmp_path / "run" / "data").exists()
    for path in (root / "fear").glob("s3_*"):
        path.unlink()
    assert launch(tmp_path / "run", *own, "--config.data.pattern=s{subject}_f{frame}") == 1
    error = capsys.readouterr().err
    assert "no face of 'fear' of 3: everyone known must show every emotion" in error and error.count("\n") == 1


@pytest.mark.nightly
def test_a_folder_has_rendered_faces_as_a_rival(tmp_path):
    root = tree(tmp_path / "faces", subjects=8)
    own = ["--config.data.source=folder", f"--config.data.path={root}", "--config.data.pattern=s{subject}_f{frame}"]
    assert launch(tmp_path / "run", *own, "--config.few.people=3", "--config.few.draws=1") == 0
    assert "rendered" in read_arrays(tmp_path / "run" / "few.npz")["rows"].tolist()


def test_a_config_may_name_its_stages(capsys):
    from depthjax import load_config

    config = load_config("few")
    assert config.stages == ("prepare", "few") and config.few.people == (3, 8)
