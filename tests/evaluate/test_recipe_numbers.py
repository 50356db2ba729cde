"""A recipe's yardsticks on sets whose order is known, and what is made of them."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from configs import smoke
from depthjax.config_values import override
from depthjax.data.filters import released_filters
from depthjax.evaluate.recipe import judge_real, judge_recipe
from depthjax.evaluate.relief import holes
from depthjax.report import ablation

CONFIG = override(smoke.get_config(), {"evaluate.feature_size": "32", "evaluate.bootstrap": "50"})


@pytest.fixture(scope="module")
def judged(faces, tmp_path_factory):
    train, test, cache = faces(8, 4), faces(3, 4, first=100), tmp_path_factory.mktemp("cache")
    one = faces(8, 4, seed=3)
    collapsed = replace(one, images=one.images[one.emotion.argsort(kind="stable")[::32].repeat(32)],
                        emotion=np.sort(one.emotion))  # fmt: skip
    sets = {"alike": one, "noisy": faces(8, 4, noise=0.3, seed=3), "collapsed": collapsed, "copies": train}
    found = {name: judge_recipe(CONFIG, train, test, made, cache) for name, made in sets.items()}
    return found, judge_real(CONFIG, train, test, cache)


def test_holes_are_counted_on_the_faces_and_on_unseen_people(judged, faces):
    of_made, of_real = (holes(made.images).mean() for made in (faces(8, 4, seed=3), faces(3, 4, first=100)))
    assert judged[0]["alike"]["holes"]["value"] == pytest.approx(of_made / of_real)


def test_better_faces_stand_nearer_and_collapse_shows(judged):
    found, ceiling = judged
    assert found["noisy"]["frechet_relief"]["excess"] > found["alike"]["frechet_relief"]["excess"]
    assert found["noisy"]["residual"]["value"] > 1.5 > found["alike"]["residual"]["value"]
    assert found["noisy"]["checkerboard"]["value"] > 1.5 > found["alike"]["checkerboard"]["value"]
    for name in ("vendi", "spread"):
        assert found["collapsed"][name]["value"] < 0.6 < found["alike"][name]["value"] < 1.3
        assert found["copies"][name]["value"] == pytest.approx(1, abs=0.1)
    assert found["copies"]["nearest_ratio"]["value"] == 0 < found["alike"]["nearest_ratio"]["value"]
    assert set(ceiling) == {"trtr_random_forest", "trtr_xgboost"}
    assert ceiling["trtr_xgboost"]["value"] == found["copies"]["tstr_xgboost"]["value"]
    assert set(found["alike"]) == {column.key for column in ablation.COLUMNS}


def _rows(found):
    costs = {"steps": 100, "flops": 1e9, "seconds": 20.0}
    kinds = {"alike": "reference", "noisy": "minus", "collapsed": "plus"}
    rows = [{"name": n, "kind": k, "seed": 0, "numbers": found[n]} | costs for n, k in kinds.items()]
    return [*rows, {"name": "alike", "kind": "reference", "seed": 1, "numbers": found["copies"]} | costs]


def test_tables_and_figure(judged, tmp_path):
    found, ceiling = judged
    rows = _rows(found)
    paths = ablation.write_ablation(rows, ceiling, tmp_path)
    assert [p.name for p in paths] == ["ablation.csv", "ablation.md", "ablation.png", "ablation.svg"]
    lines = list(csv.DictReader(io.StringIO(paths[0].read_text())))
    assert [(line["recipe"], line["seed"]) for line in lines] == [
        ("alike", "0"), ("noisy", "0"), ("collapsed", "0"), ("alike", "1")]  # fmt: skip
    assert float(lines[1]["residual_value"]) == found["noisy"]["residual"]["value"]
    text = paths[1].read_text().splitlines()
    assert text[2].startswith("| alike | 2 | 100 | 0.20 |") and "TRTR" in text[-1]
    with Image.open(paths[2]) as image:
        assert image.width > 800
    column = ablation.COLUMNS[4]
    cell = ablation.cell_of([rows[0], rows[3]], column)
    values = [row["numbers"]["vendi"]["value"] for row in (rows[0], rows[3])]
    assert (cell.value, cell.low, cell.high, cell.seeds) == (
        pytest.approx(np.mean(values)),
        min(values),
        max(values),
        2,
    )
    single = ablation.cell_of(rows[1:2], ablation.COLUMNS[0])
    number = rows[1]["numbers"]["frechet_relief"]
    assert single.low == pytest.approx(number["interval"][0] - number["floor"])


def test_a_sheet_shows_clean_faces_below_those_of_the_sensor(faces, tmp_path):
    made, clean = faces(4, 3, noise=0.1), faces(4, 3, noise=0)
    heights = []
    for other in (made, clean):
        ablation.write_sheet(tmp_path / "faces.png", made, other, CONFIG.data)
        with Image.open(tmp_path / "faces.png") as image:
            heights.append(image.height)
    assert heights[1] > 1.9 * heights[0]


def test_recipes_stand_beside_real_people_in_blocks(faces, tmp_path):
    real, made = faces(4, 3, noise=0), faces(6, 3, noise=0.1)
    widths = []
    for generated in ({"ours": made}, {"ours": made, "theirs": made}):
        ablation.write_recipes(tmp_path / "recipes.png", real, generated, CONFIG.data)
        with Image.open(tmp_path / "recipes.png") as image:
            widths.append(image.width)
            block = np.asarray(image.convert("L"))
    wide = 4 * 96 + 3 * 6
    assert widths[1] - widths[0] == wide + 22
    # The last block shows the same faces as the one before.
    ours, theirs = block[38:, -(2 * wide + 22) - 8 : -(wide + 22) - 8], block[38:, -wide - 8 : -8]
    np.testing.assert_array_equal(ours, theirs)


def test_released_filters_take_the_middle_and_stretch():
    image = np.full((1, 9, 9), 0.0, np.float32)
    image[:, :, :4] = -0.6
    speck = image.copy()
    speck[:, 2, 6] = 1.0
    np.testing.assert_array_equal(released_filters(speck)[:, 1:-1, 1:-1], released_filters(image)[:, 1:-1, 1:-1])
    levels = (released_filters(image) + 1) * 127.5
    assert np.ptp(levels) == pytest.approx(1.3 * np.ptp(np.rint((image + 1) * 127.5)), abs=1.5)
