"""The tables of the two studies as the README has them."""

import csv
import sys

import pytest

from depthjax.errors import UserError
from depthjax.files import write_json


@pytest.fixture(scope="module")
def tool(load_tool):
    return load_tool("readme_studies")


def row(name, kind, seed, value):
    keys = {"kid_relief", "kid_depthnet", "vendi", "tstr_xgboost", "tstr_random_forest", "nearest_ratio", "residual"}
    numbers = {key: {"value": value, "excess": value - 1} for key in keys | {"checkerboard", "holes"}}
    numbers |= {"agreement": {"reason": "not known"}}
    return {"name": name, "kind": kind, "seed": seed, "steps": 1200, "seconds": 60 + seed, "numbers": numbers}


@pytest.fixture
def ablation(tmp_path):
    rows = [row("repaired", "reference", seed, 0.5 + seed / 4) for seed in (0, 1)]
    rows += [row("repaired + LeCam", "plus", 0, 0.25), row("as released", "reference", 0, 76.0)]
    for one in rows:
        write_json(tmp_path / "rows" / f"{one['name'].replace(' ', '-')}-{one['seed']}" / "row.json", one)
    (tmp_path / "recipes.png").write_bytes(b"a picture")
    return tmp_path


def test_recipes_stand_side_by_side_over_their_seeds(tool, ablation):
    rows = tool.finished(ablation)
    assert [(r["name"], r["seed"]) for r in rows] == [
        ("as released", 0), ("repaired", 0), ("repaired", 1), ("repaired + LeCam", 0)]  # fmt: skip
    lines = tool.of_references(rows, {"trtr_xgboost": {"value": 0.883}}).splitlines()
    assert lines[0] == "|  | as released | repaired | wished |"
    assert "| steps | 1,200 | 1,200 |  |" in lines
    assert "| trainings | 1 | 2 |  |" in lines
    assert "| KID, relief, above its floor ↓ | 75 | −0.38 (−0.50 to −0.25) | 0 or below |" in lines
    assert any(line.startswith("| XGBoost on unseen people, % ↑ (real: 88.3) |") for line in lines)
    assert "| read as intended, % ↑ | – | – |  |" in lines


def test_ingredients_are_told_by_the_first_seed_alone(tool, ablation):
    lines = tool.of_ingredients(tool.finished(ablation)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| as released", "| repaired", "| repaired + LeCam"]
    assert lines[4] == "| repaired + LeCam | 1,200 | −0.75 | −0.75 | 0.25 | 25 | 25 | – | 0.25 | 0.25 | 0.25 | 0.25 |"


def test_evolution_has_a_column_a_way(tool, tmp_path):
    columns = [name for name, *_ in tool.CHOSEN]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["faces by", *columns])
        out.writerow(["random", *["0.714 [0.5, 0.9]"] * len(columns)])
        out.writerow(["paper", *["181.2"] * (len(columns) - 2), "0.5 [0.4, 0.6]", "0.25 [-0.1, 1]"])
    with pytest.raises(UserError, match=r"real\.json"):
        tool.of_evolution(tmp_path)
    write_json(tmp_path / "real.json", {"KID, relief": 0.338, "TSTR, random forest": 0.87})
    (tmp_path / "faces.png").write_bytes(b"a picture")
    lines = tool.of_evolution(tmp_path).splitlines()
    assert lines[0] == "|  | random | paper's GA |"
    assert lines[2] == "| distinct faces, % ↑ | 71 | 18,120 |"
    assert "| KID, relief ↓ (real people: 0.34) | 0.71 | 181 |" in lines
    assert lines[-1] == "| Random forest on unseen people, % ↑ (real people: 87) | 71 (50–90) | 25 (−10–100) |"


def test_what_is_missing_is_one_line(tool, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no finished row"):
        tool.finished(tmp_path)
    for flags, said in ([], "nothing to do"), (["--evolution", str(tmp_path)], "evolution_table.py first"):
        monkeypatch.setattr(sys, "argv", ["readme_studies", *flags])
        with pytest.raises(SystemExit, match=said):
            tool.main()
