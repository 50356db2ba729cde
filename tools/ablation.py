"""Recipes beside each other at equal compute: trains, samples and judges each row, and writes the table.

    python tools/ablation.py --config configs/ablation.py --workdir runs/ablation [--budget 3e12] [--only repaired,ours]

Every row and seed has a folder of its own; stopped, the same command goes on where it was. Of each row: steps and
seconds, the yardsticks of `depthjax.evaluate.recipe`, and a sheet of the first faces. Of all: `ablation.csv`,
`ablation.md`, `ablation.png`, `ablation.svg`, and `recipes.png`, the faces of the reference recipes beside real people,
written anew after every row.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

ROOT = Path(__file__).parents[1]
READ = ("data", "model", "train", "sample", "evaluate")  # sections of a config that a row depends on
sys.path.insert(0, str(ROOT))

from depthjax import pipeline  # noqa: E402
from depthjax.config import Config, to_dict  # noqa: E402
from depthjax.config_file import load_config  # noqa: E402
from depthjax.data.faces import DepthFaces  # noqa: E402
from depthjax.data.filters import released_filters  # noqa: E402
from depthjax.errors import UserError  # noqa: E402
from depthjax.evaluate.recipe import judge_real, judge_recipe  # noqa: E402
from depthjax.files import digest, read_arrays, read_json, write_arrays, write_json  # noqa: E402
from depthjax.report.ablation import write_ablation, write_recipes, write_sheet  # noqa: E402
from depthjax.sampling import decode, random_latents, read_noise, seen_by_sensor, with_noise_of_real  # noqa: E402
from depthjax.train.cost import step_flops  # noqa: E402
from depthjax.train.loop import train  # noqa: E402
from depthjax.train.step import teacher_variables  # noqa: E402


def main() -> None:
    """Run every row that is not there yet."""
    flags = parsed()
    base = load_config(flags.config)
    module = importlib.import_module(f"{flags.config.resolve().parent.name}.{flags.config.stem}")
    jobs = wanted_jobs(module, flags.only)
    pipeline.run(base, flags.workdir, ["prepare"])
    faces = {part: pipeline.prepared_faces(base, flags.workdir, part) for part in ("train", "test")}
    ceiling = known_ceiling(base, faces, flags.workdir)
    for number, (recipe, seed) in enumerate(jobs, 1):
        folder = flags.workdir / "rows" / f"{slug(recipe.name)}-{seed}"
        config = planned(recipe, seed, flags.budget or module.BUDGET, len(faces["train"]), flags.workdir)
        if is_done(folder, config):
            continue
        print(f"{number} of {len(jobs)}: {recipe.name}, seed {seed}, {config.train.epochs} epochs", flush=True)
        run_row(recipe, config, faces, folder, flags.workdir)
        jax.clear_caches()  # a hundred programs would fill the memory
        write_table(jobs, ceiling, faces, base, flags.workdir)
    write_table(jobs, ceiling, faces, base, flags.workdir)
    print(flags.workdir / "ablation.md")


def known_ceiling(base: Config, faces: dict[str, DepthFaces], workdir: Path) -> dict[str, Any]:
    """What real faces teach about these people: kept in `ceiling.json`, with the settings it holds for."""
    path, settings = workdir / "ceiling.json", {"data": to_dict(base.data), "evaluate": to_dict(base.evaluate)}
    kept = read_json(path) if path.exists() else {}
    if kept.get("settings") != settings:
        numbers = judge_real(base, faces["train"], faces["test"], workdir / "features")
        kept = {"settings": settings, "numbers": numbers}
        write_json(path, kept)
    return dict(kept["numbers"])


def parsed() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "ablation.py")
    parser.add_argument("--workdir", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--budget", type=float, help="floating-point operations of a training (default: the config's)")
    parser.add_argument("--only", default="", help="names of rows, separated by commas (default: all)")
    return parser.parse_args()


def wanted_jobs(module: Any, only: str) -> list[tuple[Any, int]]:
    """(recipe, seed) of every row, the first seed of all before the second of any."""
    recipes, names = module.get_recipes(), [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in {recipe.name for recipe in recipes}]
    if unknown:
        raise UserError(f"--only: there is no '{unknown[0]}'; known: {', '.join(r.name for r in recipes)}")
    chosen = [recipe for recipe in recipes if not names or recipe.name in names]
    seeds = sorted({seed for recipe in chosen for seed in recipe.seeds})
    return [(recipe, seed) for seed in seeds for recipe in chosen if seed in recipe.seeds]


def planned(recipe: Any, seed: int, budget: float, count: int, workdir: Path) -> Config:
    """The recipe with this seed, for as many whole epochs as come nearest to the budget, its schedules over them."""
    per_epoch = count // recipe.config.train.batch_size
    flops = known_flops(recipe.config, workdir / "flops.json")
    epochs = max(1, round(budget / (flops * per_epoch)))
    fields = {"seed": seed, "epochs": epochs, "schedule_steps": epochs * per_epoch, "samples_every_epochs": epochs}
    return replace(
        recipe.config,
        train=replace(recipe.config.train, **fields),
        sample=replace(recipe.config.sample, seed=seed),
    )


def known_flops(config: Config, path: Path) -> float:
    """`step_flops`, kept: it compiles the step."""
    plain = {key: to_dict(config)[key] for key in ("data", "model", "train")}
    known = read_json(path) if path.exists() else {}
    name = digest(plain)[:16]
    if name not in known:
        known[name] = step_flops(config)
        write_json(path, known)
    return known[name]


def run_row(recipe: Any, config: Config, faces: dict[str, DepthFaces], folder: Path, workdir: Path) -> None:
    """Train (going on from a checkpoint), sample, judge, and write `samples.npz`, `faces.png` and, last, `row.json`."""
    start = time.monotonic()
    state = train(config, faces["train"], folder)
    source = random_latents(config)
    clean = decode(config, teacher_variables(state).generator, source)
    images = seen_by_sensor(config, clean) if config.train.sensor else clean
    if config.sample.noise:
        spectrum, seed = read_noise(workdir), config.sample.seed
        images = with_noise_of_real(images, source.emotion, spectrum, seed=seed, name="cdcgan_kd")
    images = released_filters(images) if recipe.filtered else images
    made = replace_faces(faces["train"], images, source.emotion)
    numbers = judge_recipe(config, faces["train"], faces["test"], made, workdir / "features", drawn=clean)
    write_arrays(folder / "samples.npz", images=images, clean=clean, emotion=source.emotion)
    write_sheet(folder / "faces.png", made, replace_faces(faces["train"], clean, source.emotion), config.data)
    flops = known_flops(recipe.config, workdir / "flops.json")
    row = {"name": recipe.name, "kind": recipe.kind, "seed": config.train.seed, "config": to_dict(config)}
    row |= {
        "steps": int(state.step),
        "flops": flops * int(state.step),
        "seconds": training_seconds(folder / "metrics.jsonl"),
    }
    write_json(folder / "row.json", row | {"numbers": numbers, "wall_seconds": round(time.monotonic() - start, 1)})


def write_table(
    jobs: list[tuple[Any, int]], ceiling: dict[str, Any], faces: dict[str, DepthFaces], base: Config, workdir: Path
) -> None:
    """The table and the pictures of every finished row among the jobs."""
    rows = [row for recipe, seed in jobs if (row := stored_row(workdir, recipe.name, seed)) is not None]
    write_ablation(rows, ceiling, workdir)
    show_references(jobs, faces, base, workdir)


def show_references(jobs: list[tuple[Any, int]], faces: dict[str, DepthFaces], base: Config, workdir: Path) -> None:
    """`recipes.png`: real people beside the first faces of every reference recipe, of its first seed."""
    shown: dict[str, DepthFaces] = {}
    for recipe, seed in jobs:
        path = workdir / "rows" / f"{slug(recipe.name)}-{seed}" / "samples.npz"
        if recipe.kind == "reference" and recipe.name not in shown and path.exists():
            stored = read_arrays(path)
            shown[recipe.name] = replace_faces(faces["train"], stored["images"], stored["emotion"])
    if shown:
        write_recipes(workdir / "recipes.png", faces["train"], shown, base.data)


def replace_faces(like: DepthFaces, images: np.ndarray, emotion: np.ndarray) -> DepthFaces:
    """Generated images as faces of nobody, in the window and with the emotions of real ones."""
    everyone = np.arange(len(images), dtype=np.int32)
    return DepthFaces(images, emotion, everyone, np.zeros_like(everyone), like.emotions, like.depth_range)


def training_seconds(path: Path) -> float:
    """What training took in all, by the last line of `metrics.jsonl`: without compiling."""
    return float(json.loads(path.read_text().splitlines()[-1])["seconds"])


def is_done(folder: Path, config: Config) -> bool:
    """Whether the row is there, of this config in all that rows read; one of another is refused, not overwritten."""
    path = folder / "row.json"
    if not path.exists():
        return False
    stored, wanted = read_json(path)["config"], to_dict(config)
    if any(stored.get(section) != wanted[section] for section in READ):
        raise UserError(f"{folder} is a row of other settings: delete it, or take another --workdir")
    return True


def stored_row(workdir: Path, name: str, seed: int) -> dict[str, Any] | None:
    """A finished row, or None."""
    path = workdir / "rows" / f"{slug(name)}-{seed}" / "row.json"
    return read_json(path) if path.exists() else None


def slug(name: str) -> str:
    """A row's name as a folder's: letters, digits and hyphens."""
    words = "".join(c if c.isalnum() else " " for c in name.replace("+", " plus ").replace(" - ", " minus "))
    return "-".join(words.lower().split())


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
