"""Recipes compared at equal compute: as released, repaired, ours, and ours without each of its ingredients.

Command: python -m experiments.ablation [--config configs/quick.py] [--workdir runs/ablation] [--budget 3e12]
         [--only "ours,ours - distillation"]
Device:  two CPU cores, about ten minutes a training. Stopped, the same command resumes.

Every recipe gets the same number of floating-point operations, as XLA counts them. All recipes of a seed are evaluated
together, as the stage evaluate does it but without latent inversion. Default: as released, repaired, ours, and
ours without distillation, three trainings each; another ingredient that is named in --only is trained once.
Writes `ablation.csv` (every score with its seed) and `ablation.md`: means, smallest and largest over seeds; and over
the seeds that all recipes have, the scorecard, the accuracies beside augmented copies and the recipes pair by pair,
with intervals over trainings and subjects. `faces.png` shows faces of the first seed.
Ingredients that were not shown to help have left the package: docs/results/recipes.md has their table, and the commit.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from depthjax import pipeline
from depthjax.cdcgan_kd import random_latents
from depthjax.config import Config
from depthjax.config_file import load_config
from depthjax.config_values import validate
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.data.noise import read_noise, with_training_noise
from depthjax.errors import UserError, without_traceback
from depthjax.evaluate.run import evaluate
from depthjax.files import digest, read_arrays, write_arrays, write_json, write_text
from depthjax.methods import as_faces, asked_emotions
from depthjax.models.dcgan import decode
from depthjax.report.scorecard import as_table, scorecard
from depthjax.report.stored import StoredEvaluation, read_evaluation
from depthjax.report.table import markdown_text
from depthjax.report.tables import table_4
from depthjax.scores import Score, Scores
from depthjax.train.loop import train
from depthjax.train.state import init_state, networks
from depthjax.train.step import Batch, make_update, teacher_variables
from experiments.evolution_table import draw
from experiments.pixel_ratios import checkerboard_ratio, invalid_ratio
from experiments.trainings import pairs, together, with_notes

DEFAULT = "as released,repaired,ours,ours - distillation"
BUDGET = 1e13  # floating-point operations of a training: half of the quick run

# Ingredient of ours: the settings that the repaired recipe has instead. It is the paper's, but at half its width and
# batch. At the budget both averages look back over 6 % of the steps.
REPAIRED: dict[str, dict[str, dict[str, Any]]] = {
    "narrow networks": {"model": {"generator_width": 256, "discriminator_width": 32}},
    "small batches": {"train": {"batch_size": 16}},
    "longer average": {"train": {"ema_decay": 0.98}},
    "low-pass output": {"model": {"output_lowpass": 0.0}},
    "new noise": {"sample": {"noise": False}},
    "validity mask": {"model": {"validity_mask": False}},
}
NO_DISTILLATION = {"train": {"generator_kd_weight": 0.0, "discriminator_kd_weight": 0.0}}
RELEASED = {"train": {"teacher_batch_stats": "frozen", "generator_lr": 8e-5, "discriminator_lr": 1.5e-5,
                      "ema_decay": 0.994, "mirror": False}}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A row of the table: its config, its seeds, and whether the released filters go over its samples."""

    name: str
    config: Config
    seeds: tuple[int, ...] = (0,)
    filtered: bool = False


@dataclass(frozen=True)
class Column:
    """A column of the table: which score, and how it is shown."""

    head: str
    measure: str
    protocol: str
    space: str = ""
    classifier: str = ""
    factor: float = 1.0
    decimals: int = 2
    against: str = ""


CLASSIFIER_NAMES = {
    "random_forest": "random forest",
    "xgboost": "XGBoost",
    "network": "small network",
    "depthnet": "depthnet",
}
TABLE = (
    Column("KID to held-out faces, relief", "kid", "distance", "relief", against="test"),
    Column("KID to held-out faces, depthnet", "kid", "distance", "depthnet", against="test"),
    Column("told from held-out faces, %", "accuracy", "c2st", "depthnet", factor=100, decimals=1, against="test"),
    Column("Vendi, relief", "vendi", "diversity", "relief", decimals=1),
    Column("Vendi, depthnet", "vendi", "diversity", "depthnet", decimals=1),
    *(
        Column(f"{name}, %", "accuracy", "tstr", classifier=key, factor=100, decimals=1)
        for key, name in CLASSIFIER_NAMES.items()
    ),
    Column("emotion as requested, %", "agreement", "emotion", "depthnet", factor=100, decimals=1),
    Column("near a training face, %", "near_share", "memorisation", "relief", factor=100, decimals=1),
    Column("detail", "residual_ratio", "distance", "relief"),
    Column("checkerboard", "checkerboard", "distance", "pixels"),
    Column("invalid pixels in the face", "invalid_pixels", "distance", "pixels"),
)
# Relative to held-out faces; no feature space shows them.
PIXEL_RATIOS = {"checkerboard": checkerboard_ratio, "invalid_pixels": invalid_ratio}


def recipes(ours: Config) -> tuple[Recipe, ...]:
    """Return every recipe, from the config of ours."""
    repaired = changed(ours, *REPAIRED.values())
    return (
        Recipe("as released", changed(repaired, RELEASED), (0, 1, 2), filtered=True),
        Recipe("repaired", repaired, (0, 1, 2)),
        Recipe("ours", ours, (0, 1, 2)),
        *(Recipe(f"ours - {name}", changed(ours, instead)) for name, instead in REPAIRED.items()),
        Recipe("ours - distillation", changed(ours, NO_DISTILLATION), (0, 1, 2)),
    )


def changed(config: Config, *changes: dict[str, dict[str, Any]]) -> Config:
    """Return the config with fields of its sections replaced, then checked."""
    for change in changes:
        sections = {name: replace(getattr(config, name), **fields) for name, fields in change.items()}
        config = replace(config, **sections)
    return validate(config)


def main(arguments: list[str]) -> None:
    """Run what is not there yet, and write the tables."""
    flags = parsed(arguments)
    base = load_config(flags.config)
    rows, workdir = chosen(recipes(base), flags.only), flags.workdir
    pipeline.run(base, workdir, ["prepare"])
    faces, held_out = (pipeline.prepared_faces(base, workdir, part) for part in ("train", "test"))

    found: dict[int, StoredEvaluation] = {}
    for seed in sorted({seed for recipe in rows for seed in recipe.seeds}):
        made: dict[str, DepthFaces] = {}
        for recipe in (r for r in rows if seed in r.seeds):
            config = planned(recipe.config, seed, flags.budget, len(faces))
            print(f"seed {seed}: {recipe.name}, {config.train.epochs} epochs", flush=True)
            made[recipe.name] = trained(recipe, config, faces, workdir)
            jax.clear_caches()
        if not found:
            draw(workdir / "faces.png", made, held_out)
        folder = workdir / "evaluations" / str(seed)
        found[seed] = evaluated(base, faces, held_out, made, folder, workdir / "features")
        scores = {seed: evaluation.scores for seed, evaluation in found.items()}
        write_text(workdir / "ablation.csv", csv_text(scores))
        text = markdown(scores, [recipe.name for recipe in rows])
        complete = [found[seed] for seed in found if all(seed in recipe.seeds for recipe in rows)]
        write_text(workdir / "ablation.md", text + (joint_text(complete) if complete else ""))
    print(workdir / "ablation.md")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, default=Path("configs/quick.py"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--budget", type=float, default=BUDGET, help="floating-point operations of a training")
    parser.add_argument("--only", default=DEFAULT, help=f"names of recipes, separated by commas (default: {DEFAULT})")
    return parser.parse_args(arguments)


def chosen(rows: tuple[Recipe, ...], only: str) -> list[Recipe]:
    """Return the recipes with these names."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {recipe.name for recipe in rows}
    for name in names:
        if name not in known:
            raise UserError(f"--only: there is no '{name}'; known: {', '.join(sorted(known))}")
    return [recipe for recipe in rows if recipe.name in names]


def planned(config: Config, seed: int, budget: float, count: int) -> Config:
    """Return the config with this seed, for as many whole epochs of `count` faces as come nearest to the budget."""
    per_epoch = count // config.train.batch_size
    epochs = max(1, round(budget / (step_flops(config) * per_epoch)))
    fields = {"seed": seed, "epochs": epochs, "samples_every_epochs": epochs}
    return changed(config, {"train": fields, "sample": {"seed": seed, "methods": ("cdcgan_kd",)}})


def step_flops(config: Config) -> float:
    """Return the floating-point operations of one training step, by XLA's count for this device."""
    config = changed(config, {"train": {"accumulate": 1}})  # XLA counts a loop's body once
    size, count = config.data.resolution, config.train.batch_size
    state = jax.eval_shape(lambda: init_state(jax.random.key(0), config))
    shapes: Any = (jax.ShapeDtypeStruct((count, size, size), jnp.float32), jax.ShapeDtypeStruct((count,), jnp.int32))
    key = jax.eval_shape(lambda: jax.random.key(0))
    # Without LLVM's optimisation, which changes no operation and takes half of the time.
    options: dict[str, Any] | None = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    lowered = jax.jit(make_update(config)).lower(state, Batch(*shapes), key)
    analysis: Any = lowered.compile(options).cost_analysis()
    return float(analysis["flops"])


def trained(recipe: Recipe, config: Config, faces: DepthFaces, workdir: Path) -> DepthFaces:
    """Return a recipe's faces: train (resuming from its last checkpoint), then sample; stored once sampled."""
    folder = workdir / "recipes" / f"{recipe.name}-{config.train.seed}"
    path = folder / f"samples-{digest(str(config))[:16]}.npz"
    if not path.exists():
        state, emotion = train(config, faces, folder), asked_emotions(config)
        teacher = teacher_variables(state).generator
        images = decode(networks(config).generator, teacher, random_latents(config, emotion), emotion)
        if config.sample.noise:
            noise, seed = read_noise(workdir), config.sample.seed
            images = with_training_noise(images, emotion, noise, seed=seed, name="cdcgan_kd")
        images = released_filters(images) if recipe.filtered else images
        write_arrays(path, images=images, emotion=emotion)
    stored = read_arrays(path)
    return as_faces(stored["images"], stored["emotion"], config)


def released_filters(images: np.ndarray) -> np.ndarray:
    """Return (n, h, w) in [-1, 1] after the filters that the released scripts put over their samples.

    A 3x3 median, then contrast 1.3 about the image's mean grey, on 8 bits, as Pillow computes them.
    """
    filtered = [
        ImageEnhance.Contrast(Image.fromarray(levels).filter(ImageFilter.MedianFilter(3))).enhance(1.3)
        for levels in quantise(images)
    ]
    return (np.stack([np.asarray(image) for image in filtered]) / np.float32(127.5) - 1).astype(np.float32)


def evaluated(
    config: Config, faces: DepthFaces, held_out: DepthFaces, made: dict[str, DepthFaces], folder: Path, cache: Path
) -> StoredEvaluation:
    """Return the evaluation of these recipes, stored in `folder`."""
    mark = digest(str(config.evaluate), *made, *(one.images for one in (faces, held_out, *made.values())))
    if not (folder / "digest").exists() or (folder / "digest").read_text() != mark:
        (folder / "digest").unlink(missing_ok=True)
        found = evaluate(config, faces, held_out, made, cache, log=lambda line: print(line, flush=True))
        scores = list(found.scores)
        for (name, one), (measure, ratio) in itertools.product(made.items(), PIXEL_RATIOS.items()):
            value = ratio(one.images, held_out.images, held_out.subject, draws=100, seed=0).value
            scores.append(Score(name, "distance", measure=measure, space="pixels", value=value))
        write_arrays(folder / "evaluation" / "runs.npz", **found.runs)
        write_json(folder / "evaluation.json", replace(found, scores=Scores(scores)).to_json())
        write_text(folder / "digest", mark)
    evaluation = read_evaluation(folder)
    assert evaluation is not None
    return evaluation


def joint_text(found: Sequence[StoredEvaluation]) -> str:
    """Return the scorecard, the accuracies beside augmented copies, and the recipes pair by pair, over all seeds."""
    evaluation = together(found)
    tables = [as_table(evaluation, scorecard(evaluation)), table_4(evaluation), pairs(evaluation)]
    return "".join(f"\n{markdown_text(table)}" for table in with_notes(evaluation, tables))


def csv_text(found: dict[int, Scores]) -> str:
    """Return every score, with its seed in front."""
    tables = {seed: scores.to_csv().splitlines() for seed, scores in found.items()}
    header = next(iter(tables.values()))[0]
    rows = [f"{seed},{line}" for seed, lines in tables.items() for line in lines[1:]]
    return "\n".join([f"seed,{header}", *rows, ""])


def markdown(found: dict[int, Scores], names: Iterable[str]) -> str:
    """Return the table of recipes: a score's mean, and its smallest and largest value over seeds."""
    lines = ["| recipe | " + " | ".join(column.head for column in TABLE) + " |", "|---" * (len(TABLE) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(cell(found, name, column) for column in TABLE) + " |")
    return "\n".join([*lines, ""])


def cell(found: dict[int, Scores], name: str, column: Column) -> str:
    """Return one cell of the table."""
    values = [value_of(scores, name, column) for scores in found.values()]
    numbers = column.factor * np.array([value for value in values if value is not None])
    if not len(numbers):
        return "–"
    mean, low, high = (f"{x:.{column.decimals}f}" for x in (numbers.mean(), numbers.min(), numbers.max()))
    return mean if len(numbers) == 1 else f"{mean} ({low} to {high})"


def value_of(scores: Scores, name: str, column: Column) -> float | None:
    """Return a recipe's value in one evaluation."""
    own = scores.find(
        method=name,
        protocol=column.protocol,
        measure=column.measure,
        space=column.space,
        classifier=column.classifier,
        against=column.against,
    )
    return None if own is None else own.value


if __name__ == "__main__":
    with without_traceback():
        main(sys.argv[1:])
