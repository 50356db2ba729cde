"""metrics.jsonl and the progress shown beside it."""

import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.progress import Progress
from depthjax.train.loop import write_grid
from depthjax.train.metrics_log import append_metrics, truncate_metrics


def test_append_read_truncate(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    assert truncate_metrics(path, 5) == []
    rows = [{"step": step, "g_loss": step / 3} for step in (2, 4, 6)]
    append_metrics(path, rows[:1])
    append_metrics(path, rows[1:])
    assert truncate_metrics(path, 6) == rows
    with path.open("a") as file:
        file.write('{"step": 8, "g_l')
    assert truncate_metrics(path, 4) == truncate_metrics(path, 6) == rows[:2]


def test_a_bad_line_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n')
    with pytest.raises(UserError, match=r"metrics.jsonl, line 2"):
        truncate_metrics(path, 2)


def test_not_a_number_never_reaches_the_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        append_metrics(tmp_path / "metrics.jsonl", [{"step": 1, "g_loss": np.nan}])


def test_progress_prints_a_line_every_tenth(capsys):
    shown = Progress(1000, 500)
    for step in range(510, 1001, 10):
        shown({"step": step, "epoch": 1, "g_loss": 1.0, "d_loss": 0.5, "steps_per_second": 2.0})
    shown.close()
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert [line.split(" (")[0] for line in lines] == [f"step {n}/1000" for n in (600, 700, 800, 900, 1000)]
    assert "3:20 left" in lines[0]


def test_grid_is_dark_where_the_face_is_near(tmp_path):
    from PIL import Image

    images = np.stack([np.full((2, 32, 32), -1.0), np.full((2, 32, 32), 1.0), np.zeros((2, 32, 32))])
    write_grid(tmp_path / "grid.png", images, ("near", "far", "middle"), "epoch 3")
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image)
    right = pixels[:, -50]  # a column through the last faces
    assert (right == 0).sum() >= 96 and (np.abs(right.astype(int) - 128) <= 1).sum() == 96
