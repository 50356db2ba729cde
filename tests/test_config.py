import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from depthjax.__main__ import parse, parse_stages
from depthjax.config import Config, Sweep, to_dict
from depthjax.config_file import load_config
from depthjax.config_values import override, sweepable, validate
from depthjax.errors import ConfigError
from depthjax.train.state import BETAS

CONFIGS = Path(__file__).parents[1] / "configs"


def test_an_override_takes_the_type_of_its_field():
    config = override(
        Config(),
        {
            "train.epochs": "3",
            "train.generator_lr": "1e-3",
            "train.mirror": "true",
            "data.emotions": "fear,anger",
            "train.teacher_batch_stats": "frozen",
        },
    )
    assert config.train.epochs == 3 and config.train.generator_lr == 1e-3 and config.train.mirror is True
    assert config.data.emotions == ("fear", "anger") and config.train.teacher_batch_stats == "frozen"
    assert Config().train.epochs == 500  # the original is as it was


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("train.epoch", "3", "did you mean 'epochs'"),
        ("trian.epochs", "3", "did you mean 'train'"),
        ("train", "3", "this is a section"),
        ("train.epochs.x", "3", "is a value"),
        ("train.epochs", "3.5", "not a whole number"),
        ("train.epochs", "__import__('os')", "not a whole number"),
        ("train.generator_lr", "fast", "not a number"),
        ("train.mirror", "yes", "neither true nor false"),
        ("train.teacher_batch_stats", "thawed", "not one of"),
        ("data.emotions", "joy,fear", "not among"),
        ("data.emotions", "fear,fear", "twice"),
        ("data.emotions", "fear", "at least two emotions"),
        ("data.resolution", "100", "multiple of 16"),
        ("data.path", "faces", "read only with data.source = folder"),  # else it would be ignored
        ("train.epochs", "-1", "at least 1"),
        ("sample.emotions", "anger", "only knows"),
        ("evolve.population", "7", "multiple of 2"),
        ("train.penalty", "1", "there is no 'penalty'"),
        ("train.ema_decay", "1", "must lie in"),
        ("model.validity_mask", "maybe", "neither true nor false"),
        ("evaluate.bins", "1", "at least 2, or none"),
        ("evaluate.equal_draws", "0", "at least 1"),
        ("evaluate.bootstrap", "0", "at least 1"),
        ("model.output_lowpass", "1.5", "between 0 and 1"),
    ],
)
def test_a_wrong_override_is_one_clear_line(key, text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        override(Config(), {key: text})
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="nobody trained on"):
        override(Config(), {"data.extra_test_subjects": "8", "data.split": "image"})


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("mutation_sigm", "0.1", "did you mean 'mutation_sigma'"),
        ("fitness", "paper,released", "there is no 'fitness'"),
        ("classifier_steps", "5", "there is no 'classifier_steps'"),
        ("mutation_sigma.x", "0.1", "is a value"),
        ("mutation_sigma", "fast", "not a number"),
        ("mutation_sigma", "0.1,nan", "finite"),
        ("population", "4,7", "multiple of 2"),
        ("gene_probability", "0.5,1.5", "between 0 and 1"),
        ("generations", "0", "at least 1"),
        ("elite", "1,20", "must be above the elite = 20"),
    ],
)
def test_a_sweep_of_an_unknown_field_or_value_is_refused(field, text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        override(Config(), {f"sweep.{field}": text})
    assert str(caught.value).startswith("--config.sweep") and "\n" not in str(caught.value)


def test_every_flag_that_a_page_or_script_names_is_one():
    root = CONFIGS.parent
    kinds = {"md": "docs", "py": "configs", "sh": "docker", "yaml": "docker"}
    files = [
        root / "README.md",
        *(path for kind, folder in kinds.items() for path in (root / folder).rglob(f"*.{kind}")),
    ]
    named = {flag for path in files for flag in re.findall(r"--config\.([a-z_]+\.[a-z_]+)", path.read_text("utf-8"))}
    sections = [field.name for field in dataclasses.fields(Config) if field.name not in ("name", "stages")]
    known = {f"{name}.{field.name}" for name in sections for field in dataclasses.fields(getattr(Config(), name))}
    known |= {f"sweep.{field}" for field in sweepable()}
    assert len(named) > 10 and named <= known


def test_a_sweep_takes_fields_from_the_command_line():
    config = override(Config(), {"sweep.angle": "0.1,0.2", "sweep.population": "4,8", "sweep.seeds": "2"})
    assert config.sweep == Sweep(2, {"angle": (0.1, 0.2), "population": (4, 8)})
    assert override(config, {"sweep.angle": ""}).sweep.grid == {"population": (4, 8)}
    assert hash(config) != hash(override(config, {"sweep.seeds": "3"}))  # a static argument of jit
    for grid in ({"angel": (0.1,)}, {"population": (4.5,)}, {"angle": ()}, {"angle": "0.1"}):
        with pytest.raises(ConfigError, match=r"--config\.sweep\."):
            validate(replace(Config(), sweep=Sweep(grid=grid)))


def test_a_config_survives_json():
    plain = to_dict(override(Config(), {"sweep.angle": "0.1,0.2"}))
    assert json.loads(json.dumps(plain)) == plain and plain["sweep"]["grid"] == {"angle": [0.1, 0.2]}
    assert plain["data"]["emotions"] == ["neutral", "happiness", "fear"]


def test_the_paper_config_has_the_papers_values():
    paper = load_config(CONFIGS / "paper.py")
    train, evolve = paper.train, paper.evolve
    assert (train.epochs, train.batch_size, train.generator_lr, train.discriminator_lr) == (500, 32, 8e-5, 1.5e-5)
    assert (train.ema_decay, train.generator_kd_weight, train.discriminator_kd_weight) == (0.994, 1.0, 0.5)
    assert train.teacher_batch_stats == "frozen" and evolve.fitness == "released"
    assert (*BETAS, paper.model.latent_size, paper.data.resolution) == (0.5, 0.999, 256, 256)
    assert (evolve.population, evolve.generations, evolve.tournament, evolve.crossover_probability) == (20, 100, 3, 0.8)
    assert (evolve.blend_alpha, evolve.mutation_probability, evolve.gene_probability, evolve.mutation_sigma) == (
        0.5, 0.2, 0.3, 0.1)  # fmt: skip


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_config_that_comes_along_is_valid(path):
    assert load_config(path).name in {path.stem, "quick"}  # the sweep is of a quick run


def test_repaired_quick_and_smoke_derive_from_the_paper():
    names = ("paper", "repaired", "quick", "smoke")
    paper, repaired, quick, smoke = (load_config(CONFIGS / f"{name}.py") for name in names)
    assert (repaired.train.teacher_batch_stats, repaired.evolve.fitness) == ("averaged", "realism")
    train, evolve = (
        dataclasses.replace(repaired.train, teacher_batch_stats="frozen"),
        dataclasses.replace(repaired.evolve, fitness="released"),
    )
    assert dataclasses.replace(repaired, name="paper", train=train, evolve=evolve) == paper
    assert quick.train.teacher_batch_stats == "averaged"
    assert (quick.data.subjects, len(quick.data.emotions), quick.data.frames, quick.data.resolution) == (40, 3, 10, 64)
    assert (quick.data.extra_test_subjects, smoke.data.extra_test_subjects) == (96, 0)
    assert smoke.train.generator_kd_weight == quick.train.generator_kd_weight == 1.0
    assert (quick.train.ema_decay, smoke.train.ema_decay) == (0.9975, 0.98)  # smoke takes too few steps for quick's
    assert smoke.data.crop == quick.data.crop == "face"


def test_flags_and_overrides_are_told_apart():
    flags, assignments = parse(["--config", "a.py", "--config.train.epochs=3", "--config.sample.count", "7"])
    assert str(flags.config) == "a.py" and assignments == {"train.epochs": "3", "sample.count": "7"}


@pytest.mark.parametrize(
    "arguments", [["--config", "a.py", "--confg=3"], ["--config", "a.py", "--config.train.epochs"]]
)
def test_unknown_flags_are_refused(arguments):
    with pytest.raises(ConfigError):
        parse(arguments)


def test_stages_come_in_the_order_of_the_pipeline():
    assert parse_stages("report,evolve") == ["evolve", "report"]
    assert parse_stages("all")[0] == "prepare"
    with pytest.raises(ConfigError, match="evolv"):
        parse_stages("evolv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def get_config(:", "SyntaxError"),
        ("x = 1", "get_config"),
        ("def get_config(): return 3", "must return"),
        ("def get_config(): raise KeyError('a')", "KeyError"),
    ],
)
def test_a_broken_config_file_is_one_clear_line(tmp_path, text, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_config(path)
    assert "broken.py" in str(caught.value)


def test_the_configs_that_come_along_go_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("smoke")).name == "smoke"
    with pytest.raises(ConfigError, match="no such file; those that come with depthjax go by name: comparison, "):
        load_config(Path("smock"))
    with pytest.raises(ConfigError, match="no such file"):
        load_config(Path("configs/smoke"))
    (tmp_path / "smoke").write_text("a file of the user's comes first")
    with pytest.raises(ConfigError, match="not a Python file"):
        load_config(Path("smoke"))
