"""Several trainings of every method: what a run reports, as means over trainings with intervals that contain training.

Command: python -m experiments.trainings --config configs/comparison.py --workdir runs/trainings --seeds 0,1,2,3,4
Device:  as the config's; a run of it for each seed. Stopped, the same command resumes.

Faces are prepared once. Each seed is a run of its own, WORKDIR/SEED, with its report; it seeds the training, the other
methods, the evolution and the samples. The seeds of the evaluation are the same in all, so that they differ by training
only. After each seed, all that are finished are put together:

    trainings.csv    every score: mean over trainings, 95 % interval, and its standard deviation over trainings
    trainings.md     the scorecard, the tables, and the methods compared pair by pair
    evaluation.json  the same scores as those of a run

Intervals of accuracies, and of their differences, are over trainings and subjects (crossed random effects). Those of
other numbers add the variance over trainings to the mean variance within one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from depthjax import pipeline, stages
from depthjax.config import Config
from depthjax.config_file import load_config
from depthjax.config_values import validate
from depthjax.errors import without_traceback
from depthjax.evaluate.recognition import adjusted
from depthjax.few.effects import mean_over_people
from depthjax.files import write_json, write_text
from depthjax.progress import with_prefix
from depthjax.report.formats import POINTS
from depthjax.report.scorecard import as_lines, as_table, extent, scorecard
from depthjax.report.stored import StoredEvaluation, method_name, read_evaluation
from depthjax.report.table import Column, Line, Table, heads, markdown_text, pivot
from depthjax.report.tables import all_tables, classifier_name
from depthjax.scores import Score, Scores

SEEDED = ("train", "baselines", "evolve", "sample")  # sections of the config
PREPARED = "prepared"
NORMAL = 1.96  # half of a 95 % interval in standard deviations
PAIRED = "paired_"
INTERVALS = ("Interval", "Intervals")
TEST = (
    "paired difference of accuracies on the same faces; p of crossed random effects over trainings and subjects, "
    "adjusted for the number of sets compared (Holm)"
)
OWN_NOTES = {name: (name, TEST) for name in ("Against", "Against training faces")}


def main(arguments: list[str]) -> None:
    """Run each seed that is not finished, and write the tables after each."""
    flags = parsed(arguments)
    base = load_config(flags.config)
    pipeline.run(base, flags.workdir / PREPARED, ["prepare"])
    found: list[StoredEvaluation] = []
    for seed in flags.seeds:
        folder = flags.workdir / str(seed)
        share_prepared(flags.workdir, folder)
        pipeline.run(seeded(base, seed), folder, log=with_prefix(f"training {seed}", print))
        evaluation = read_evaluation(folder)
        found += [evaluation] if evaluation else []
        write_results(together(found), found, flags.workdir)
    print("\n".join([*as_lines(together(found)), str(flags.workdir / "trainings.md")]))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, default=Path("configs/comparison.py"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/trainings"))
    parser.add_argument("--seeds", type=_seeds, default=(0, 1, 2, 3, 4), help="such as 0,1,2,3,4")
    return parser.parse_args(arguments)


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))


def seeded(config: Config, seed: int) -> Config:
    """Return the config with this seed for all that is trained, evolved or sampled."""
    return validate(replace(config, **{name: replace(getattr(config, name), seed=seed) for name in SEEDED}))


def share_prepared(workdir: Path, folder: Path) -> None:
    """Give a run the prepared faces, as links to the same files, and the folder of features that all runs share."""
    prepared, record = workdir / PREPARED, stages.read("prepare", workdir / PREPARED)
    if record is None or (folder / "stages" / "prepare.json").exists():
        return
    for name in (*record.sha256, "stages/prepare.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        _link(prepared / name, folder / name)
    (workdir / "features").mkdir(exist_ok=True)
    if not (folder / "features").exists():
        (folder / "features").symlink_to(Path("..") / "features", target_is_directory=True)


def _link(source: Path, target: Path) -> None:
    # No stage writes into a file that is there: each replaces it.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def together(found: Sequence[StoredEvaluation]) -> StoredEvaluation:
    """Return the evaluation whose scores are those of all trainings, with p values adjusted after Holm."""
    rows = [over_trainings(row, found) for row in found[0].scores]
    settings = found[0].settings | {"trainings": len(found)}
    return StoredEvaluation(found[0].data, settings, Scores(adjusted(rows)), {})


def over_trainings(key: Score, found: Sequence[StoredEvaluation]) -> Score:
    """Return a score's mean over trainings and its interval; without a value where one of them has none."""
    rows = [evaluation.scores.at(key) for evaluation in found]
    absent = next((row for row in rows if row is None or row.value is None), key)
    if absent is None or absent.value is None:
        reason = absent.reason if absent else "not measured in every training"
        return replace(key, value=None, low=None, high=None, p=None, reason=reason)
    if len(found) == 1:
        return key
    by_subject = [accuracies(key, evaluation) for evaluation in found]
    if any(values is None for values in by_subject):
        return _mean_of(key, [row for row in rows if row])
    estimate = mean_over_people(np.stack([values for values in by_subject if values is not None])[None])
    p = estimate.p if key.protocol.startswith(PAIRED) else None
    return replace(key, value=estimate.value, low=estimate.low, high=estimate.high, p=p, reason=estimate.reason)


def accuracies(key: Score, evaluation: StoredEvaluation) -> np.ndarray | None:
    """Return the (subjects,) accuracies, or differences of them, that a score is the mean of; None: it is of others."""
    if key.measure != "accuracy" or not key.classifier:
        return None
    own = key.protocol.removeprefix(PAIRED)

    def of(*sets: str) -> np.ndarray | None:
        names = (f"{name}/{key.classifier}/subjects" for name in sets)
        return next((evaluation.runs[name] for name in names if name in evaluation.runs), None)

    ours = of(f"{own}/{key.method}")
    if own == key.protocol or ours is None:
        return ours
    theirs = of(f"{own}/{key.against}", f"added/{key.against}", f"trtr/{key.against}")
    return None if theirs is None else ours - theirs


def _mean_of(key: Score, rows: Sequence[Score]) -> Score:
    """Return the mean, with the variance over trainings added to that within one, which all trainings share."""
    values = np.array([row.value for row in rows], float)
    ends = [(row.low, row.high) for row in rows if row.low is not None and row.high is not None]
    within = np.mean([((high - low) / 2 / NORMAL) ** 2 for low, high in ends]) if ends else 0.0
    between = values.var(ddof=1) / len(values)
    variance = within + between
    # Satterthwaite: the variance within counts as known.
    freedom = (len(values) - 1) * (variance / between) ** 2 if between > 0 else np.inf
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    low, high = float(values.mean() - half), float(values.mean() + half)
    # What lies in [0, 1] in every training, with its intervals, is a share.
    if all(0 <= end <= 1 for pair in ends for end in pair):
        low, high = max(low, 0.0), min(high, 1.0)
    return replace(key, value=float(values.mean()), low=low, high=high, p=None, reason="")


def write_results(evaluation: StoredEvaluation, found: Sequence[StoredEvaluation], workdir: Path) -> None:
    """Write trainings.csv, trainings.md and evaluation.json."""
    write_text(workdir / "trainings.csv", csv_text(evaluation, found))
    write_text(workdir / "trainings.md", report_text(evaluation))
    stored: dict[str, Any] = {"data": evaluation.data, "settings": evaluation.settings}
    write_json(workdir / "evaluation.json", stored | {"scores": evaluation.scores.to_records()})


def csv_text(evaluation: StoredEvaluation, found: Sequence[StoredEvaluation]) -> str:
    """Return the score table with the number of trainings and the standard deviation over them."""
    header, *lines = evaluation.scores.to_csv().splitlines()
    spreads = (_spread([one.scores.at(row) for one in found]) for row in evaluation.scores)
    body = [f"{line},{len(found)},{spread}" for line, spread in zip(lines, spreads, strict=True)]
    return "\n".join([f"{header},trainings,deviation", *body, ""])


def _spread(rows: Iterable[Score | None]) -> str:
    values = [row.value for row in rows if row is not None and row.value is not None]
    return f"{np.std(values, ddof=1):.6g}" if len(values) > 1 else ""


def report_text(evaluation: StoredEvaluation) -> str:
    """Return the scorecard, the tables that are not of the published protocol, and the pairs of methods."""
    tables = [as_table(evaluation, scorecard(evaluation)), *all_tables(evaluation).values(), pairs(evaluation)]
    own = [table for table in tables if "published" not in table.name]
    return "\n".join(map(markdown_text, with_notes(evaluation, own)))


def with_notes(evaluation: StoredEvaluation, tables: Iterable[Table]) -> list[Table]:
    """Return the tables that have rows, with notes that say what intervals over trainings contain."""
    interval = ("Interval", extent(evaluation))

    def own(table: Table) -> Table:
        notes = (OWN_NOTES.get(note[0], note) for note in table.notes if note[0] not in INTERVALS)
        return replace(table, notes=(interval, *notes))

    return [own(table) for table in tables if table.rows]


def pairs(evaluation: StoredEvaluation) -> Table:
    """Return the differences between methods: accuracies of classifiers trained on their faces alone."""
    tests = evaluation.scores.where(protocol="paired_tstr")
    keys = dict.fromkeys((row.method, row.against) for row in tests if row.against != "real")
    lines = [
        Line((f"{method_name(a)} \u2212 {method_name(b)}",), replace(tests[0], method=a, against=b), POINTS)
        for a, b in keys
    ]
    columns = [Column(classifier_name(c), {"classifier": c}) for c in evaluation.classifiers]
    rows = pivot(evaluation.scores, lines, columns)
    return Table("pairs", f"Methods pair by pair, alone: difference of accuracies, {POINTS.unit}",
                 heads(("Methods",), columns), 1, rows)  # fmt: skip


if __name__ == "__main__":
    with without_traceback():
        main(sys.argv[1:])
