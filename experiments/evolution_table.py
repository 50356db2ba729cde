"""Is evolution better than a selection? Each way to select faces, at equal numbers of decoded faces, on one run.

    python experiments/evolution_table.py --config configs/quick.py --workdir runs/quick

For each seed, N faces an emotion by each row: the first random latents; the best of each group; farthest first
(k-centre); truncation; those that novelty search would select of random ones; the paper's genetic algorithm with its
released fitness, and with `realism`; dominated novelty search, and a wider one. Evaluated by the package's own
evaluation, on subjects that no network has seen.
Writes table.csv, table.md and faces.png, and the latents and numbers of each seed, into runs/quick/evolve/table
(--out); what is stored of the same settings is not computed again.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from depthjax import pipeline  # noqa: E402
from depthjax.cdcgan_kd import read_noise, with_training_noise  # noqa: E402
from depthjax.config import Config, Evolve, to_dict  # noqa: E402
from depthjax.config_file import load_config  # noqa: E402
from depthjax.config_values import override  # noqa: E402
from depthjax.data.depth_range import DepthRange  # noqa: E402
from depthjax.data.faces import DepthFaces  # noqa: E402
from depthjax.errors import UserError  # noqa: E402
from depthjax.evaluate.bank import FeatureBank, build_bank, seed_of  # noqa: E402
from depthjax.evaluate.measures import MEASURES, measure_faces  # noqa: E402
from depthjax.evaluate.recognition import unseen_subjects  # noqa: E402
from depthjax.evaluate.resampling import draw_halves  # noqa: E402
from depthjax.evolve.run import evolve  # noqa: E402
from depthjax.evolving import Inputs, evolution_inputs, program_of  # noqa: E402
from depthjax.files import digest, read_arrays, read_json, replacing, write_arrays, write_json, write_text  # noqa: E402
from depthjax.keys import key_for  # noqa: E402
from depthjax.models.dcgan import decode  # noqa: E402
from depthjax.scores import Score, Scores, read_scores  # noqa: E402
from depthjax.train.state import networks  # noqa: E402
from experiments.references import REFERENCES, select_references  # noqa: E402

ISLAND = 20  # population and hall of fame of the paper's algorithm
SHOWN = 12  # faces a row and emotion of the picture
Numbers = dict[str, Any]


def novelty(config: Config, count: int, generations: int) -> Evolve:
    """One population of as many as are wanted."""
    return replace(
        config.evolve, algorithm="novelty", fitness="natural", population=count, islands=1, generations=generations
    )


def paper(config: Config, count: int, generations: int, fitness: Any = "released") -> Evolve:
    """The paper's population of 20, as often as it takes; every island's hall of fame counts."""
    size = min(ISLAND, count)
    return replace(
        config.evolve,
        algorithm="paper",
        fitness=fitness,
        population=size,
        islands=-(-count // size),
        generations=generations,
        hall_of_fame=size,
    )


def paper_realism(config: Config, count: int, generations: int) -> Evolve:
    """The same, with the fitness that the runs had so far."""
    return paper(config, count, generations, "realism")


def novelty_wide(config: Config, count: int, generations: int) -> Evolve:
    """Novelty search for more variety: faces and their mean may differ more from the training faces."""
    return replace(
        novelty(config, count, generations),
        feasible_fitness=-2.0,
        emotion_weight=100.0,
        mix_probability=1.0,
        shape_balance=0.5,
        emotion_balance=3.0,
    )


EVOLVED: dict[str, Callable[[Config, int, int], Evolve]] = {
    "paper": paper,
    "paper_realism": paper_realism,
    "novelty": novelty,
    "novelty_wide": novelty_wide,
}
ROWS = (*REFERENCES, *EVOLVED)


def latents_of(
    rows: list[str], config: Config, inputs: Inputs, seed: int, options: argparse.Namespace
) -> dict[str, np.ndarray]:
    """(classes, N, d) latents of each row."""
    key = key_for(seed, "evolution table")
    found: dict[str, np.ndarray] = {}
    if set(rows) & set(REFERENCES):
        settings = novelty(config, options.count, options.generations)
        evaluations = options.count * (options.generations + 1)
        sizes = {"count": options.count, "evaluations": evaluations}
        selected = select_references(program_of(config, settings), key, *inputs, settings, **sizes)
        found |= {name: np.asarray(latents) for name, latents in selected.items()}
    for name in (row for row in rows if row in EVOLVED):
        settings, start = EVOLVED[name](config, options.count, options.generations), time.monotonic()
        made = evolve(program_of(config, settings), key, *inputs, settings)
        winners = np.asarray(made.winners).transpose(0, 2, 1, 3)  # best of every island first
        found[name] = winners.reshape(len(winners), -1, winners.shape[-1])[:, : options.count]
        print(
            f"seed {seed}: {name}: {made.evaluations.sum()} faces decoded, {time.monotonic() - start:.0f} s", flush=True
        )
    return {name: found[name] for name in rows}


def faces_of(config: Config, generator: Any, latents: np.ndarray, spectrum: np.ndarray | None = None) -> DepthFaces:
    """(classes, N, d) latents as faces of nobody; an empty place of a hall of fame makes none.

    With noise of `spectrum`, as `sample.noise` would have it, if there is one.
    """
    flat, emotion = latents.reshape(-1, latents.shape[-1]), np.repeat(np.arange(len(latents)), latents.shape[1])
    there = np.isfinite(flat).all(1)
    flat, emotion = flat[there], emotion[there].astype(np.int32)
    images = decode(networks(config).generator, generator, flat, emotion)
    if spectrum is not None:
        images = with_training_noise(images, emotion, spectrum, seed=config.sample.seed, name="table")
    number = np.arange(len(images), dtype=np.int32)
    return DepthFaces(images, emotion, number, 0 * number, config.data.emotions, DepthRange.of(config.data))


def judge(config: Config, folder: Path, methods: dict[str, DepthFaces], workdir: Path) -> dict[str, Numbers]:
    """Every row's numbers, by the functions of the evaluation."""
    train, test = (pipeline.prepared_faces(config, workdir, part) for part in ("train", "test"))
    bank = build_bank(config, train, test, methods, folder / "features", lambda line: print(line, flush=True))
    draws = draw_halves(train, methods, draws=config.evaluate.kid_subsets, seed=seed_of(config, "halves"))
    protocols = ("distance", "diversity", "memorisation", "emotion")
    rows = measure_faces(config, bank, draws, [m for m in MEASURES if m.protocol in protocols])
    print("classifiers", flush=True)
    rows += unseen_subjects(config, bank).rows
    return {
        name: {
            "distinct": distinct(bank, name),
            "scores": Scores(row for row in rows if row.method in (name, "real")).to_records(),
        }
        for name in methods
    }


def distinct(bank: FeatureBank, name: str) -> float:
    """The share of faces farther from every other one before it than 1 % of pairs of real faces are, by the relief."""
    shares = []
    for label in range(bank.classes):
        real = bank.spaces["relief"]["train"][bank.train.emotion == label]
        ours = bank.spaces["relief"][name][bank.methods[name].emotion == label]
        least = np.percentile(pdist(real), 1)
        near, kept = cdist(ours, ours) <= least, np.zeros(len(ours), bool)
        for i in range(len(ours)):
            kept[i] = not near[i, kept].any()
        shares.append(kept.mean())
    return float(np.mean(shares))


Cell = Callable[[Numbers], tuple[float, list[float] | None]]


def score(numbers: Numbers, protocol: str, measure: str, *, real: bool = False, space: str = "", by: str = "") -> Score:
    """Return the score of the row's own faces, or of real ones; `by` names a classifier."""
    rows = read_scores(numbers["scores"], "the stored row")
    found = rows.where(protocol=protocol, measure=measure, space=space, classifier=by, emotion="")
    return next(row for row in found if (row.method == "real") == real)


def _of(protocol: str, measure: str, space: str = "", by: str = "") -> Cell:
    def cell(numbers: Numbers) -> tuple[float, list[float] | None]:
        found = score(numbers, protocol, measure, space=space, by=by)
        return found.value, None if found.low is None else [found.low, found.high]

    return cell


COLUMNS: dict[str, Cell] = {
    "distinct": lambda numbers: (numbers["distinct"], None),
    "Vendi, depthnet": _of("diversity", "vendi", "depthnet"),
    "Vendi, relief": _of("diversity", "vendi", "relief"),
    "coverage, depthnet": _of("distance", "coverage", "depthnet"),
    "coverage, relief": _of("distance", "coverage", "relief"),
    "density, depthnet": _of("distance", "density", "depthnet"),
    "density, relief": _of("distance", "density", "relief"),
    "KID, depthnet": _of("distance", "kid", "depthnet"),
    "KID, relief": _of("distance", "kid", "relief"),
    "read as intended": _of("emotion", "agreement", "depthnet"),
    "nearest train, depthnet": _of("memorisation", "nearest_ratio", "depthnet"),
    "nearest train, relief": _of("memorisation", "nearest_ratio", "relief"),
    "latent norm": lambda numbers: (numbers["norm"]["mean"], [numbers["norm"]["least"], numbers["norm"]["most"]]),
    "TSTR, random forest": _of("tstr", "accuracy", by="random_forest"),
    "TSTR, XGBoost": _of("tstr", "accuracy", by="xgboost"),
}


def table(found: list[dict[str, Numbers]], rows: list[str]) -> list[list[str]]:
    """A line a row: the mean over seeds, and the mean ends of the 95 % intervals, by faces or by people."""
    lines = [["faces by", *(name for name in COLUMNS)]]
    for row in rows:
        line = [row]
        for column in COLUMNS.values():
            cells = [column(numbers[row]) for numbers in found]
            value, ends = np.mean([cell[0] for cell in cells]), [cell[1] for cell in cells if cell[1]]
            inside = " [{:.3g}, {:.3g}]".format(*np.mean(ends, axis=0)) if ends else ""
            line.append(f"{value:.3f}{inside}" if value < 10 else f"{value:.1f}{inside}")
        lines.append(line)
    return lines


def of_real(numbers: Numbers) -> dict[str, float]:
    """Return the same of real faces, by the columns of the table: the references of distances, and TRTR."""

    def value(protocol: str, measure: str, **columns: str) -> float:
        return score(numbers, protocol, measure, real=True, **columns).value

    spaces = ("relief", "depthnet")
    found = {f"KID, {space}": value("distance", "kid", space=space) for space in spaces}
    found |= {f"Vendi, {space}": value("diversity", "vendi", space=space) for space in spaces}
    found["read as intended"] = value("emotion", "agreement", space="depthnet")
    named = {"random forest": "random_forest", "XGBoost": "xgboost"}
    return found | {f"TSTR, {name}": value("trtr", "accuracy", by=key) for name, key in named.items()}


def write_tables(out: Path, lines: list[list[str]], caption: str) -> None:
    """table.csv, and table.md that has a column a row of the table: it is read more easily."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(out / "table.csv", text.getvalue())
    head, *body = [list(column) for column in zip(*lines, strict=True)]
    marks = [head, ["---"] * len(head), *body]
    write_text(out / "table.md", "\n".join("| " + " | ".join(m) + " |" for m in marks) + f"\n\n{caption}\n")


def draw(path: Path, methods: dict[str, DepthFaces], real: DepthFaces) -> None:
    """Shaded faces: a band for each emotion, in it a line a row, none picked: every so-manieth of the row's."""
    import matplotlib.pyplot as plt

    from depthjax.data.crop import CROP_WIDTH_MM
    from depthjax.report.faces_image import mosaic, shade

    side = real.images.shape[-1]
    window, names, rows = (real.depth_range.near_mm, real.depth_range.far_mm), [], []
    for label, emotion in enumerate(real.emotions):
        for name, faces in ({"real": real} | methods).items():
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


def of_seed(config: Config, inputs: Callable[[], Inputs], seed: int, options: argparse.Namespace) -> dict[str, Numbers]:
    """The numbers of one seed: read where they are stored, else made and stored with the latents."""
    training = pipeline.TRAIN.fingerprint(config)
    own = {name: to_dict(make(config, options.count, options.generations)) for name, make in EVOLVED.items()}
    made_by = digest(options.count, options.generations, seed, to_dict(config.evolve), own, training)
    stem = options.out / f"seed_{seed}-{made_by[:12]}"
    path = stem.with_suffix(".npz")
    latents = read_arrays(path) if path.exists() else {}
    missing = [row for row in options.rows if row not in latents]
    if missing:
        latents |= latents_of(missing, config, inputs(), seed, options)
        write_arrays(path, **latents)
    spectrum = read_noise(options.workdir) if config.sample.noise else None
    methods = {name: faces_of(config, inputs().networks.generator, latents[name], spectrum) for name in options.rows}
    if seed == options.seeds[0]:
        draw(options.out / "faces.png", methods, pipeline.prepared_faces(config, options.workdir, "test"))
    return {name: _judged_once(config, stem, name, faces, latents[name], options) for name, faces in methods.items()}


def _judged_once(
    config: Config, stem: Path, name: str, faces: DepthFaces, latents: np.ndarray, options: argparse.Namespace
) -> Numbers:
    """The numbers of one row of one seed, stored so that a table that was stopped goes on."""
    judged_by = digest(to_dict(config.evaluate), to_dict(config.sample), to_dict(config.data))
    stored = stem.parent / f"{stem.name}-{name}-{judged_by[:12]}.json"
    if not stored.exists():
        print(f"{stem.name}: judging {name}", flush=True)
        norms = np.linalg.norm(latents.reshape(-1, latents.shape[-1]), axis=1)
        norms = norms[np.isfinite(norms)]
        found = judge(config, options.out, {name: faces}, options.workdir)[name]
        ends = {"mean": float(norms.mean()), "least": float(norms.min()), "most": float(norms.max())}
        write_json(stored, found | {"norm": ends})
    return dict(read_json(stored))


def main() -> None:
    """Make the table."""
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
    options.out = options.out or options.workdir / "evolve" / "table"
    try:
        config = override(load_config(options.config), dict(item.split("=", 1) for item in options.set))
        config = replace(config, evaluate=replace(config.evaluate, classifiers=("random_forest", "xgboost")))
        known: list[Inputs] = []

        def inputs() -> Inputs:
            if not known:
                faces = pipeline.prepared_faces(config, options.workdir, "train")
                known.append(evolution_inputs(config, options.workdir, faces))
            return known[0]

        found = [of_seed(config, inputs, seed, options) for seed in options.seeds]
    except UserError as error:
        sys.exit(f"error: {error}")
    evaluations = options.count * (options.generations + 1)
    real = of_real(found[0][options.rows[0]])
    write_json(options.out / "real.json", real)
    caption = (
        f"{options.count} faces an emotion, {evaluations} decoded for each row at most; means over seeds "
        f"{', '.join(map(str, options.seeds))}, in brackets the mean 95 % interval (KID, coverage, density: half-sets; "
        f"TSTR: people; latent norm: range). Real to real people: KID depthnet "
        f"{real['KID, depthnet']:.3f}, relief {real['KID, relief']:.3f}; random forest "
        f"{real['TSTR, random forest']:.3f}."
    )
    write_tables(options.out, table(found, options.rows), caption)
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
