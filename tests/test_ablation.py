"""The rows of the ablation: each is our recipe less one ingredient, or the repaired paper and one more."""

import importlib.util
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from configs import ablation, paper, quick
from depthjax.config import to_dict
from depthjax.errors import UserError

PATH = Path(__file__).parents[1] / "tools" / "ablation.py"
RECIPES = {recipe.name: recipe for recipe in ablation.get_recipes()}


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("ablation_tool", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _differences(a, b):
    pairs = ((getattr(a, s), getattr(b, s)) for s in ("model", "train", "sample"))
    found = {f.name for x, y in pairs for f in fields(x) if getattr(x, f.name) != getattr(y, f.name)}
    return found - {"schedule_steps", "count", "methods"}


def test_each_row_differs_by_its_ingredient_alone():
    ours, repaired = RECIPES["ours"].config, RECIPES["repaired"].config
    for name, parts in (ablation.ADOPTED | ablation.OTHERS).items():
        wanted = {field for part in parts for field in part}
        assert _differences(RECIPES[f"repaired + {name}"].config, repaired) == wanted
        if name in ablation.ADOPTED:
            assert _differences(RECIPES[f"ours - {name}"].config, ours) == wanted
    assert _differences(RECIPES["ours - distillation"].config, ours) == {"kd"}
    assert _differences(ours, quick.get_config()) == set()


def test_as_released_has_the_released_training_and_its_filters():
    released = RECIPES["as released"]
    assert released.filtered and not RECIPES["repaired"].filtered
    assert _differences(released.config, paper.get_config()) == {
        "generator_width", "discriminator_width", "batch_size", "teacher_batch_stats"}  # fmt: skip


def test_a_plan_spends_the_budget_in_whole_epochs(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, "step_flops", lambda config: 2e9)
    config = tool.planned(RECIPES["repaired"], 2, 3e12, 960, tmp_path)
    assert config.train.epochs == 25 and config.train.schedule_steps == 25 * 60
    assert (config.train.seed, config.sample.seed) == (2, 2)
    monkeypatch.setattr(tool, "step_flops", lambda config: pytest.fail("it is kept"))
    assert tool.planned(RECIPES["repaired"], 1, 1.0, 960, tmp_path).train.epochs == 1


def test_rows_have_folders_of_their_own_and_the_first_seed_comes_first(tool):
    jobs = tool.wanted_jobs(ablation, "")
    assert len({(tool.slug(recipe.name), seed) for recipe, seed in jobs}) == len(jobs)
    seeds = np.array([seed for _, seed in jobs])
    assert (np.diff(seeds) >= 0).all() and len(tool.wanted_jobs(ablation, "ours, repaired")) == 10 + 3
    assert tool.slug("ours - RpGAN with R1 + R2") == "ours-minus-rpgan-with-r1-plus-r2"
    with pytest.raises(UserError, match="there is no 'our'"):
        tool.wanted_jobs(ablation, "our")


def test_a_row_of_other_settings_is_refused_but_not_for_what_it_does_not_read(tool, tmp_path):
    config = RECIPES["ours"].config
    assert not tool.is_done(tmp_path, config)
    (tmp_path / "row.json").write_text(json.dumps({"config": to_dict(config)}))
    assert tool.is_done(tmp_path, replace(config, evolve=replace(config.evolve, seed=7)))
    with pytest.raises(UserError, match="is a row of other settings"):
        tool.is_done(tmp_path, replace(config, sample=replace(config.sample, seed=7)))
