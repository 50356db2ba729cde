"""Is evolution better than a selection? Each way to select faces, at equal numbers of decoded faces, on one run.

    python experiments/evolution_table.py --config configs/quick.py --workdir runs/quick

For each seed, N faces an emotion by each row: the first random latents; the best of each group; farthest first
(k-centre); truncation; those that novelty search would select of random ones; the paper's genetic algorithm with its
released fitness, and with `realism`; dominated novelty search, and a wider one. Evaluated by the package's own
evaluation, on held-out subjects.
Writes table.csv, table.md, real.json and faces.png, and the latents and scores of each seed, into
runs/quick/evolve/table (--out); what is stored of the same settings is not computed again.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax import pipeline  # noqa: E402
from depthjax.config import Config, Evolve, to_dict  # noqa: E402
from depthjax.config_file import load_config  # noqa: E402
from depthjax.config_values import override  # noqa: E402
from depthjax.data.faces import DepthFaces  # noqa: E402
from depthjax.data.noise import read_noise, with_training_noise  # noqa: E402
from depthjax.errors import UserError  # noqa: E402
from depthjax.evaluate.spaces import RELIEF_DIMENSIONS, box_means, fit_principal_space  # noqa: E402
from depthjax.evolve.run import evolve  # noqa: E402
from depthjax.evolving import Inputs, evolution_inputs, program_of  # noqa: E402
from depthjax.files import digest, read_arrays, replacing, write_arrays, write_json, write_text  # noqa: E402
from depthjax.keys import key_for  # noqa: E402
from depthjax.methods import as_faces  # noqa: E402
from depthjax.models.dcgan import decode  # noqa: E402
from depthjax.scores import Score, Scores  # noqa: E402
from depthjax.train.state import networks  # noqa: E402
from experiments.ablation import evaluated  # noqa: E402
from experiments.references import REFERENCES, select_references  # noqa: E402

ISLAND = 20  # population and hall of fame of the paper's algorithm
SHOWN = 12  # faces a row and emotion of the picture
# What each evolution has instead of the config's settings; `novelty_wide` lets faces and their mean differ more from
# the training faces.
NOVELTY = {"algorithm": "novelty", "fitness": "natural", "islands": 1}
WIDE = {"feasible_fitness": -2.0, "emotion_weight": 100.0, "mix_probability": 1.0, "shape_balance": 0.5}
EVOLVED: dict[str, dict[str, Any]] = {
    "paper": {"algorithm": "paper", "fitness": "released"},
    "paper_realism": {"algorithm": "paper", "fitness": "realism"},
    "novelty": NOVELTY,
    "novelty_wide": NOVELTY | WIDE | {"emotion_balance": 3.0},
}
ROWS = (*REFERENCES, *EVOLVED)
# Column: the score that it shows of each row.
COLUMNS = {
    "distinct": Score("", "diversity", measure="distinct", space="relief"),
    "Vendi, depthnet": Score("", "diversity", measure="vendi", space="depthnet"),
    "Vendi, relief": Score("", "diversity", measure="vendi", space="relief"),
    "coverage, depthnet": Score("", "distance", measure="coverage", space="depthnet", against="test"),
    "coverage, relief": Score("", "distance", measure="coverage", space="relief", against="test"),
    "density, depthnet": Score("", "distance", measure="density", space="depthnet", against="test"),
    "density, relief": Score("", "distance", measure="density", space="relief", against="test"),
    "KID, depthnet": Score("", "distance", measure="kid", space="depthnet", against="test"),
    "KID, relief": Score("", "distance", measure="kid", space="relief", against="test"),
    "emotion as requested": Score("", "emotion", measure="agreement", space="depthnet"),
    "near a training face, depthnet": Score("", "memorisation", measure="near_share", space="depthnet"),
    "near a training face, relief": Score("", "memorisation", measure="near_share", space="relief"),
    "latent norm": Score("", "latents", measure="norm"),
    "TSTR, random forest": Score("", "tstr", "random_forest", "accuracy"),
    "TSTR, XGBoost": Score("", "tstr", "xgboost", "accuracy"),
}


def settings_of(name: str, config: Config, count: int, generations: int) -> Evolve:
    """Return the settings of an evolution to `count` faces an emotion.

    Novelty search has one population of as many; the paper's algorithm its population of 20, as often as it takes:
    every island's hall of fame counts.
    """
    settings = replace(config.evolve, generations=generations, **EVOLVED[name])
    if settings.algorithm == "novelty":
        return replace(settings, population=count)
    size = min(ISLAND, count)
    return replace(settings, population=size, hall_of_fame=size, islands=-(-count // size))


def latents_of(
    rows: Sequence[str], config: Config, inputs: Inputs, seed: int, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Return the latents (classes, N, d) of each row."""
    key, sizes = key_for(seed, "evolution table"), (options.count, options.generations)
    found: dict[str, np.ndarray] = {}
    if set(rows) & set(REFERENCES):
        settings, evaluations = settings_of("novelty", config, *sizes), sizes[0] * (sizes[1] + 1)
        program = program_of(config, settings)
        selected = select_references(program, key, *inputs, settings, count=options.count, evaluations=evaluations)
        found |= {name: np.asarray(latents) for name, latents in selected.items()}
    for name in (row for row in rows if row in EVOLVED):
        settings, start = settings_of(name, config, *sizes), time.monotonic()
        made = evolve(program_of(config, settings), key, *inputs, settings)
        winners = np.asarray(made.winners).transpose(0, 2, 1, 3)  # best of every island first
        found[name] = winners.reshape(len(winners), -1, winners.shape[-1])[:, : options.count]
        decoded, seconds = made.evaluations.sum(), time.monotonic() - start
        print(f"seed {seed}: {name}: {decoded} faces decoded, {seconds:.0f} s", flush=True)
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


def distinct(train: DepthFaces, methods: Mapping[str, DepthFaces]) -> Scores:
    """Return each row's share of faces farther from every one kept before than 1 % of pairs of training faces are."""
    means = box_means(train.images)
    space = fit_principal_space(means, RELIEF_DIMENSIONS)
    known, scores = space.project(means), []
    for name, faces in methods.items():
        where, shares = space.project(box_means(faces.images)), []
        for label in range(len(train.emotions)):
            ours = where[faces.emotion == label]
            near = cdist(ours, ours) <= np.percentile(pdist(known[train.emotion == label]), 1)
            kept = np.zeros(len(ours), bool)
            for i in range(len(ours)):
                kept[i] = not near[i, kept].any()
            shares.append(kept.mean())
        scores.append(replace(COLUMNS["distinct"], method=name, value=float(np.mean(shares))))
    return Scores(scores)


def norms(latents: Mapping[str, np.ndarray]) -> Scores:
    """Return the mean norm of each row's latents, with the smallest and the largest."""
    scores = []
    for name, values in latents.items():
        norm = np.linalg.norm(values[np.isfinite(values).all(-1)], axis=-1)
        mean, low, high = float(norm.mean()), float(norm.min()), float(norm.max())
        scores.append(replace(COLUMNS["latent norm"], method=name, value=mean, low=low, high=high))
    return Scores(scores)


def of_seed(config: Config, inputs: Inputs, seed: int, options: argparse.Namespace) -> Scores:
    """Return the scores of one seed's rows: latents and evaluation are read where stored, else made and stored."""
    sizes, workdir = (options.count, options.generations), options.workdir
    own = {name: to_dict(settings_of(name, config, *sizes)) for name in EVOLVED}
    mark = digest(*sizes, seed, to_dict(config.evolve), own, pipeline.TRAIN.fingerprint(config))
    stem = f"seed_{seed}-{mark[:12]}"
    path = options.out / f"{stem}.npz"
    latents = read_arrays(path) if path.exists() else {}
    if missing := [row for row in options.rows if row not in latents]:
        latents |= latents_of(missing, config, inputs, seed, options)
        write_arrays(path, **latents)
    latents = {name: latents[name] for name in options.rows}
    methods = {name: faces_of(config, inputs.networks.generator, own, workdir) for name, own in latents.items()}
    train, held_out = (pipeline.prepared_faces(config, workdir, part) for part in ("train", "test"))
    if seed == options.seeds[0]:
        draw(options.out / "faces.png", methods, held_out)
    scores = evaluated(config, train, held_out, methods, options.out / f"{stem}.json", options.out / "features")
    return Scores([*scores, *distinct(train, methods), *norms(latents)])


def table(found: Sequence[Scores], rows: Sequence[str]) -> list[list[str]]:
    """Return a line for each row: the mean over seeds, and the mean ends of the 95 % intervals."""
    body = [[row, *(cell(found, replace(key, method=row)) for key in COLUMNS.values())] for row in rows]
    return [["faces by", *COLUMNS], *body]


def cell(found: Sequence[Scores], key: Score) -> str:
    """Return a score as `0.814 [0.78, 0.85]`; a dash where it has no value."""
    scores = [score for score in (scores.at(key) for scores in found) if score and score.value is not None]
    if not scores:
        return "–"
    value, ends = (
        np.mean([score.value for score in scores]),
        [(s.low, s.high) for s in scores if s.low is not None and s.high is not None],
    )
    interval = " [{:.3g}, {:.3g}]".format(*np.mean(ends, axis=0)) if ends else ""
    return f"{value:.3f}{interval}" if value < 10 else f"{value:.1f}{interval}"


def of_real(scores: Scores) -> dict[str, float]:
    """Return the references by column: distances between held-out subjects, and TRTR for TSTR."""
    keys = {name: replace(key, method="held_out" if key.against else "real") for name, key in COLUMNS.items()}
    keys |= {name: replace(key, protocol="trtr") for name, key in keys.items() if key.protocol == "tstr"}
    found = {name: scores.at(key) for name, key in keys.items()}
    return {name: score.value for name, score in found.items() if score and score.value is not None}


def write_tables(out: Path, lines: list[list[str]], caption: str) -> None:
    """Write table.csv, and table.md, which has a column for each row of the table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(out / "table.csv", text.getvalue())
    head, *body = [list(column) for column in zip(*lines, strict=True)]
    cells = [head, ["---"] * len(head), *body]
    write_text(out / "table.md", "\n".join("| " + " | ".join(c) + " |" for c in cells) + f"\n\n{caption}\n")


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
    parser.add_argument("--config", type=Path, required=True, help="of the run; its section evolve tunes `novelty`")
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
    """Make the table."""
    options = parsed()
    few: dict[str, Any] = {"classifiers": ("random_forest", "xgboost")}
    try:
        config = override(load_config(options.config), dict(item.split("=", 1) for item in options.set))
        config = replace(config, evaluate=replace(config.evaluate, **few))
        inputs = evolution_inputs(config, options.workdir, pipeline.prepared_faces(config, options.workdir, "train"))
        found = [of_seed(config, inputs, seed, options) for seed in options.seeds]
    except UserError as error:
        sys.exit(f"error: {error}")
    write_json(options.out / "real.json", of_real(found[0]))
    caption = (
        f"{options.count} faces an emotion, at most {options.count * (options.generations + 1)} decoded for each row; "
        f"means over seeds {', '.join(map(str, options.seeds))}, in brackets the mean 95 % interval (KID, coverage, "
        "density: half-sets; TSTR: subjects; latent norm: range)."
    )
    write_tables(options.out, table(found, options.rows), caption)
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
