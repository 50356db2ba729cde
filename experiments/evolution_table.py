"""Is evolution better than a selection? Each way to select faces, at equal cost, on one finished run.

    python -m experiments.evolution_table --config configs/quick.py --workdir runs/quick

For each seed, N faces an emotion by each row. From one pool of random latents: the first; the best of each group;
farthest first (k-centre), of all and of the feasible; truncation; greedy k-DPP; facility location; kernel herding. By
search: gradient ascent through the generator (at equal floating-point operations; all else at equal numbers of decoded
faces); the paper's genetic algorithm with its released fitness, and with `realism`; the evolution `k_dpp`, with new
random latents as offspring (`accumulated`), as in `quick` (`evolved`), and with offspring nearer to their parents
(`evolved_wide`).

What chooses does not judge: selections read shapes (near to the space `relief`) and emotion classifiers that were
trained on the training faces; `depthnet` and classifiers on held-out subjects judge. Columns in `relief` show what was
optimised, and are named so.
Writes table.csv, table.md, differences-ROW.md, real.json and faces.png, and the latents and scores of each seed, into
runs/quick/evolve/table (--out); what is stored of the same settings is not computed again.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import t as student

from depthjax import pipeline
from depthjax.config import Config, Evolve, to_dict
from depthjax.config_file import load_config
from depthjax.config_values import override
from depthjax.data.faces import DepthFaces
from depthjax.data.noise import read_noise, with_training_noise
from depthjax.errors import without_traceback
from depthjax.evaluate.bank import FeatureBank, build_bank, classifier_seeds
from depthjax.evaluate.classification import FitTask, fit_predict, seeds_for, unseen_subjects_split
from depthjax.evaluate.measures import (
    ANCHORS,
    BOTH,
    Estimates,
    Measure,
    Task,
    effective_number,
    emotions,
    kernel_distance,
    measure_faces,
    neighbours,
)
from depthjax.evaluate.memorisation import near_share
from depthjax.evaluate.spaces import Sides
from depthjax.evolve.run import evolve
from depthjax.evolving import Inputs, evolution_inputs, program_of
from depthjax.files import digest, read_arrays, read_json, replacing, write_arrays, write_json, write_text
from depthjax.keys import key_for
from depthjax.methods import as_faces
from depthjax.models.dcgan import decode
from depthjax.scores import Score, Scores, read_scores
from depthjax.train.state import networks
from experiments.gradient_ascent import ANGLE, ascend
from experiments.references import REFERENCES, descriptors_of, select_references

ISLAND = 20  # population and hall of fame of the paper's algorithm
SHOWN = 12  # faces a row and emotion of the picture
GRADIENT = "gradient"
# What each evolution has instead of the config's settings. The offspring of `accumulated` are new random latents.
DIVERSE = {"algorithm": "k_dpp", "fitness": "natural", "islands": 1}
EVOLVED: dict[str, dict[str, Any]] = {
    "paper": {"algorithm": "paper", "fitness": "released"},
    "paper_realism": {"algorithm": "paper", "fitness": "realism"},
    "accumulated": DIVERSE | {"angle": np.pi / 2},
    "evolved": DIVERSE,
    "evolved_wide": DIVERSE | {"angle": 0.5},
}
ROWS = (*REFERENCES, GRADIENT, *EVOLVED)
COMPARED_WITH = ("random", "k_dpp", "evolved")  # rows that each other row is subtracted from
SPACES = ("depthnet", "relief")
HEADS = {"kid": "KID to", "coverage": "coverage of", "density": "density among"}
TO = {"train": "training faces", "test": "held-out faces"}


def columns() -> dict[str, Score]:
    """Return the score that each column shows of each row."""
    found = {
        "TSTR, random forest": Score("", "tstr", "random_forest", "accuracy"),
        "TSTR, XGBoost": Score("", "tstr", "xgboost", "accuracy"),
        "emotion as requested": Score("", "emotion", measure="agreement", space="depthnet"),
    }
    for space in SPACES:
        found[f"distinct, {space}"] = Score("", "diversity", measure="distinct", space=space)
        found[f"Vendi, {space}"] = Score("", "diversity", measure="vendi", space=space)
        for measure, (against, words) in itertools.product(HEADS, TO.items()):
            key = Score("", "distance", measure=measure, space=space, against=against)
            found[f"{HEADS[measure]} {words}, {space}"] = key
        found[f"near a training face, {space}"] = Score("", "memorisation", measure="near_share", space=space)
    return found | {"latent norm": Score("", "latents", measure="norm")}


COLUMNS = columns()


def settings_of(name: str, config: Config, count: int, generations: int) -> Evolve:
    """Return the settings of an evolution to `count` faces an emotion.

    A diverse evolution has one population of as many; the paper's algorithm its population of 20, as often as it takes:
    every island's hall of fame counts.
    """
    settings = replace(config.evolve, generations=generations, **EVOLVED[name])
    if settings.algorithm == "k_dpp":
        return replace(settings, population=count)
    size = min(ISLAND, count)
    return replace(settings, population=size, hall_of_fame=size, islands=-(-count // size))


def latents_of(
    rows: Sequence[str],
    config: Config,
    inputs: Inputs,
    known: Sequence[np.ndarray],
    seed: int,
    options: argparse.Namespace,
) -> dict[str, np.ndarray]:
    """Return the latents (classes, N, d) of each row; `known` are the training faces' descriptors of each emotion."""
    key, count, generations = key_for(seed, "evolution table"), options.count, options.generations
    settings, cost = settings_of("evolved", config, count, generations), count * (generations + 1)
    found: dict[str, np.ndarray] = {}
    if set(rows) & set(REFERENCES):
        found |= select_references(
            program_of(config, settings), key, *inputs, known, settings, count=count, evaluations=cost
        )
    for name in (row for row in rows if row not in REFERENCES):
        start = time.monotonic()
        if name == GRADIENT:
            program = program_of(config, settings)
            found[name], steps = ascend(program, key, *inputs, settings, count=count, evaluations=cost)
            what = f"{steps} steps of each face"
        else:
            own = settings_of(name, config, count, generations)
            made = evolve(program_of(config, own), key, *inputs, own)
            winners = np.asarray(made.winners).transpose(0, 2, 1, 3)  # best of every island first
            found[name] = winners.reshape(len(winners), -1, winners.shape[-1])[:, :count]
            what = f"{made.evaluations.sum()} faces decoded"
        print(f"seed {seed}: {name}: {what}, {time.monotonic() - start:.0f} s", flush=True)
    return {name: found[name] for name in rows}


def faces_of(config: Config, generator: Any, latents: np.ndarray, workdir: Path) -> DepthFaces:
    """Return the faces of (classes, N, d) latents, with noise if `sample.noise`; an empty slot makes none."""
    flat, emotion = latents.reshape(-1, latents.shape[-1]), np.repeat(np.arange(len(latents)), latents.shape[1])
    filled = np.isfinite(flat).all(1)
    flat, emotion = flat[filled], emotion[filled].astype(np.int32)
    images = decode(networks(config).generator, generator, flat, emotion)
    if config.sample.noise:
        images = with_training_noise(images, emotion, read_noise(workdir), seed=config.sample.seed, name="table")
    return as_faces(images, emotion, config)


def near(task: Task) -> Estimates:
    """The share of faces that are nearer to a training face than the nearest 5 % of held-out faces."""
    own, train, held_out = (task.bank.coordinates(task.space, name) for name in (task.name, "train", "test"))
    return [("near_share", near_share(Sides(own, train, held_out), **task.options("copies")))]


def distinct(bank: FeatureBank, space: str) -> list[Score]:
    """Return each row's share of faces farther from every one kept before than 1 % of pairs of training faces are.

    These pairs are of two subjects: frames of one are near to each other, and would make any two faces distinct.
    """
    where, scores, limits = bank.spaces[space], [], []
    for label in range(bank.classes):
        rows = bank.train.emotion == label
        known, subject = where["train"][rows], bank.train.subject[rows]
        limits.append(np.percentile(cdist(known, known)[subject[:, None] != subject[None]], 1))
    for name, faces in bank.methods.items():
        shares = []
        for label, limit in enumerate(limits):
            ours = where[name][faces.emotion == label]
            close = cdist(ours, ours) <= limit
            kept = np.zeros(len(ours), bool)
            for i in range(len(ours)):
                kept[i] = not close[i, kept].any()
            shares.append(kept.mean())
        scores.append(replace(COLUMNS[f"distinct, {space}"], method=name, value=float(np.mean(shares))))
    return scores


def taught(config: Config, bank: FeatureBank) -> list[Score]:
    """Return the accuracy on held-out subjects of classifiers that are fitted on each row's faces alone."""
    test, seeds, scores = bank.labelled("test"), classifier_seeds(config), []
    for name in ("train", *bank.methods):
        split = unseen_subjects_split(bank.labelled(name), test, bins=config.evaluate.bins)
        runs = [(c, seed) for c in config.evaluate.classifiers for seed in seeds_for(c, seeds)]
        given = fit_predict({run: FitTask(split, *run) for run in runs})
        for c in config.evaluate.classifiers:
            right = [(given[run] == test.emotion).mean() for run in runs if run[0] == c]
            method, protocol = ("real", "trtr") if name == "train" else (name, "tstr")
            scores.append(Score(method, protocol, c, "accuracy", value=float(np.mean(right))))
    return scores


def evaluated(
    config: Config, train: DepthFaces, held_out: DepthFaces, methods: Mapping[str, DepthFaces], cache: Path
) -> Scores:
    """Return the scores of the columns, and of their anchors."""
    bank = build_bank(config, train, held_out, methods, cache, lambda line: print(line, flush=True))
    measures = [Measure("emotion", "depthnet", emotions, "test")]
    for space in SPACES:
        measures += [Measure("distance", space, of, "train", ANCHORS, BOTH) for of in (kernel_distance, neighbours)]
        measures.append(Measure("diversity", space, effective_number, "train", ANCHORS))
        measures.append(Measure("memorisation", space, near, anchors=("copies", "gaussian")))
    apart = [score for space in SPACES for score in distinct(bank, space)]
    return Scores([*measure_faces(config, bank, measures), *apart, *taught(config, bank)])


def norms(latents: Mapping[str, np.ndarray]) -> Scores:
    """Return the mean norm of each row's latents, with the smallest and the largest."""
    scores = []
    for name, values in latents.items():
        norm = np.linalg.norm(values[np.isfinite(values).all(-1)], axis=-1)
        mean, low, high = float(norm.mean()), float(norm.min()), float(norm.max())
        scores.append(replace(COLUMNS["latent norm"], method=name, value=mean, low=low, high=high))
    return Scores(scores)


def of_seed(
    config: Config, inputs: Inputs, known: Sequence[np.ndarray], seed: int, options: argparse.Namespace
) -> Scores:
    """Return the scores of one seed's rows: latents and evaluation are read where stored, else made and stored."""
    sizes, workdir = (options.count, options.generations), options.workdir
    own = {name: to_dict(settings_of(name, config, *sizes)) for name in EVOLVED}
    mark = digest(*sizes, seed, ANGLE, to_dict(config.evolve), own, pipeline.TRAIN.fingerprint(config))
    stem = f"seed_{seed}-{mark[:12]}"
    path = options.out / f"{stem}.npz"
    latents = read_arrays(path) if path.exists() else {}
    if missing := [row for row in options.rows if row not in latents]:
        latents |= latents_of(missing, config, inputs, known, seed, options)
        write_arrays(path, **latents)
    latents = {name: latents[name] for name in options.rows}
    methods = {name: faces_of(config, inputs.networks.generator, own, workdir) for name, own in latents.items()}
    train, held_out = (pipeline.prepared_faces(config, workdir, part) for part in ("train", "test"))
    if seed == options.seeds[0]:
        draw(options.out / "faces.png", methods, held_out)
    mark = digest(
        str(config.evaluate), *COLUMNS, *methods, *(one.images for one in (train, held_out, *methods.values()))
    )
    make = partial(evaluated, config, train, held_out, methods, options.out / "features")
    return Scores([*stored(options.out / f"{stem}.json", mark, make), *norms(latents)])


def stored(path: Path, mark: str, make: Callable[[], Scores]) -> Scores:
    """Return the scores that are stored under this mark, or make and store them."""
    if path.exists() and (found := read_json(path))["digest"] == mark:
        return read_scores(found["scores"], str(path))
    scores = make()
    write_json(path, {"digest": mark, "scores": scores.to_records()})
    return scores


def table(found: Sequence[Scores], rows: Sequence[str], against: str = "") -> list[list[str]]:
    """Return a line for each row: the mean over seeds with its interval, or that of the differences to a row."""
    body = [[row, *(cell(values_of(found, key, row, against)) for key in COLUMNS.values())] for row in rows]
    return [["faces by", *COLUMNS], *body]


def values_of(found: Sequence[Scores], key: Score, row: str, against: str = "") -> np.ndarray:
    """Return a score of a row in each seed that has one, less that of another row in the same seed."""

    def of(name: str) -> list[float]:
        own = [scores.at(replace(key, method=name)) for scores in found]
        return [float("nan") if score is None or score.value is None else score.value for score in own]

    values = np.array(of(row)) - (np.array(of(against)) if against else 0.0)
    return values[np.isfinite(values)]


def cell(values: np.ndarray) -> str:
    """Return `0.814 [0.78, 0.85]`: mean and 95 % interval over seeds by Student's t; a dash for no value."""
    if not len(values):
        return "–"
    mean = values.mean()
    text = f"{mean:.3f}" if abs(mean) < 10 else f"{mean:.1f}"
    if len(values) < 2:
        return text
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{text} [{mean - half:.3g}, {mean + half:.3g}]"


def of_real(scores: Scores) -> dict[str, float]:
    """Return the references by column: distances between held-out subjects, and TRTR for TSTR."""
    keys = {name: replace(key, method="held_out" if key.against else "real") for name, key in COLUMNS.items()}
    keys |= {name: replace(key, protocol="trtr") for name, key in keys.items() if key.protocol == "tstr"}
    found = {name: scores.at(key) for name, key in keys.items()}
    return {name: score.value for name, score in found.items() if score and score.value is not None}


def write_tables(out: Path, name: str, lines: list[list[str]], caption: str) -> None:
    """Write NAME.csv, and NAME.md, which has a column for each row of the table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(out / f"{name}.csv", text.getvalue())
    head, *body = [list(column) for column in zip(*lines, strict=True)]
    cells = [head, ["---"] * len(head), *body]
    write_text(out / f"{name}.md", "\n".join("| " + " | ".join(c) + " |" for c in cells) + f"\n\n{caption}\n")


def draw(path: Path, methods: dict[str, DepthFaces], held_out: DepthFaces) -> None:
    """Draw shaded faces: a band for each emotion, in it a line for each row, evenly spaced among its faces."""
    import matplotlib.pyplot as plt

    from depthjax.data.crop import CROP_WIDTH_MM
    from depthjax.report.faces_image import mosaic, shade

    side = held_out.images.shape[-1]
    window, names, rows = (held_out.depth_range.near_mm, held_out.depth_range.far_mm), [], []
    for label, emotion in enumerate(held_out.emotions):
        for name, faces in ({"held-out faces": held_out} | methods).items():
            members = np.flatnonzero(faces.emotion == label)
            some = members[np.linspace(0, len(members) - 1, SHOWN).astype(int)]
            rows.append(shade(faces.images[some], window, CROP_WIDTH_MM / side))
            names.append(f"{emotion} · {name}")
    sheet = mosaic(rows, SHOWN, tile=side)
    step = (sheet.shape[0] + 6) / len(rows)
    figure, axes = plt.subplots(figsize=(sheet.shape[1] / 80, sheet.shape[0] / 80), dpi=100, layout="constrained")
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    axes.set_yticks([step * (i + 0.5) - 3 for i in range(len(rows))], names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    with replacing(path) as file:
        figure.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def parsed() -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="of the run")
    parser.add_argument("--workdir", type=Path, required=True, help="a folder in which train has finished")
    parser.add_argument("--out", type=Path, help="default: evolve/table in the work folder")
    parser.add_argument("--count", type=int, default=400, help="N, faces of an emotion")
    parser.add_argument("--generations", type=int, default=20, help="each row decodes N x (generations + 1) faces")
    parser.add_argument("--seeds", type=lambda s: [int(n) for n in s.split(",")], default=[0, 1, 2])
    parser.add_argument("--rows", type=lambda s: s.split(","), default=list(ROWS))
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="such as evolve.angle=0.3")
    options = parser.parse_args()
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"--rows: '{row}' is not one of {', '.join(ROWS)}")
    for item in options.set:
        if "=" not in item:
            parser.error(f"--set: '{item}' is not FIELD=VALUE")
    options.out = options.out or options.workdir / "evolve" / "table"
    return options


def main() -> None:
    """Make the tables."""
    options = parsed()
    config = override(load_config(options.config), dict(item.split("=", 1) for item in options.set))
    config = replace(config, evaluate=replace(config.evaluate, classifiers=("random_forest", "xgboost")))
    train = pipeline.prepared_faces(config, options.workdir, "train")
    inputs = evolution_inputs(config, options.workdir, train)
    known = descriptors_of(inputs.real, train.images, train.emotion)
    found = [of_seed(config, inputs, known, seed, options) for seed in options.seeds]
    write_json(options.out / "real.json", of_real(found[0]))
    caption = (
        f"{options.count} faces an emotion, at most {options.count * (options.generations + 1)} decoded for each row "
        f"({GRADIENT}: as many operations); means over seeds {', '.join(map(str, options.seeds))} of the selection, in "
        "brackets 95 % intervals over them (Student's t). They contain neither training nor held-out subjects. "
        "Selections read shapes (near to relief); depthnet and classifiers on held-out subjects judge."
    )
    write_tables(options.out, "table", table(found, [*options.rows, *ANCHORS]), caption)
    for row in (row for row in COMPARED_WITH if row in options.rows):
        others = [other for other in options.rows if other != row]
        write_tables(options.out, f"differences-{row}", table(found, others, row), f"Less {row}, by seed. {caption}")
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    with without_traceback():
        main()
