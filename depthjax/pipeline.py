"""prepare → train → evolve → sample → evaluate → report: each stage reads and writes only the run's work folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depthjax import fonts, keys, stages
from depthjax.config import EXPORT_FACES, OWN_METHODS, Config, own_fitness, to_dict
from depthjax.data import load
from depthjax.data.crop import CROP_SHAPE
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.data.frames import read_by
from depthjax.data.inputs import read_inputs, write_inputs
from depthjax.data.noise import NOISE, noise_spectrum
from depthjax.environment import cache_programs, check_python, describe, devices
from depthjax.errors import UserError, counted
from depthjax.evaluate.weights import digests
from depthjax.files import remove_half_written, write_arrays, write_json, write_text
from depthjax.lock import only_one
from depthjax.progress import Log, no_log, say, with_prefix
from depthjax.stages import Stage

if TYPE_CHECKING:  # what takes long to import comes with its stage
    from depthjax.export.run import FaceSet

MIN_FACES = 2  # of each emotion, to train on and to test on


def run(config: Config, workdir: Path, wanted: Sequence[str] = stages.STAGES, *, log: Log | None = say) -> Path:
    """Run the wanted stages in order, skipping those that are done and unchanged.

    Every line goes to `log`; with None nothing is logged, and no progress is shown.

    Returns:
        The path of the report, whether or not it was asked for.
    Raises:
        UserError: a stage lacks what an earlier one writes, the folder holds another training, another process is
            at work in it, or Python or jax are set so that it cannot run, or would give other faces.
    """
    check_python()
    keys.check_settings()
    first = _join_processes(config, wanted)
    devices()  # those that the user's shell asks for, before anything is written
    workdir.mkdir(parents=True, exist_ok=True)
    log = log if first and log else no_log
    cache_programs()
    with only_one(workdir, log) if first else nullcontext() as cut_off:
        if cut_off:
            remove_half_written(workdir)
        _check_before(config, workdir, wanted)
        for line in fonts.notes(config.data.emotions):
            log(line)
        for stage in ALL.values():
            if stage.name in wanted and (stage is not BASELINES or config.baselines.methods):
                whole = with_export_sets(config, workdir) if stage is EXPORT else config
                _run_stage(stage, whole, workdir, log, writes=first)
        if REPORT.name in wanted:
            _log_scorecard(workdir, log)
    return workdir / "report.html"


def _log_scorecard(workdir: Path, log: Log) -> None:
    """Log the scorecard of the last evaluation, if there is one."""
    from depthjax.report.scorecard import as_lines
    from depthjax.report.stored import read_evaluation

    evaluation = read_evaluation(workdir)
    for line in as_lines(evaluation) if evaluation else ():
        log(line)


def _join_processes(config: Config, wanted: Sequence[str]) -> bool:
    """Join the other processes, if the config names any; return whether this is the first, which writes and logs."""
    if not config.distributed.coordinator:
        return True
    from depthjax.train.mesh import is_first, join

    if list(wanted) != ["train"]:
        raise UserError(
            "several processes share the train stage alone: give --stages=train, and one process the others"
        )
    join(config.distributed)
    return is_first()


def _check_before(config: Config, workdir: Path, wanted: Sequence[str]) -> None:
    """Raise a UserError before anything is overwritten: checkpoints of other settings, what a later stage refuses."""
    if "train" in wanted:
        from depthjax.train.checkpoint import check_same_settings

        check_same_settings(workdir / "checkpoints", config)
    if own_fitness(config.evolve) and {"evolve", "sweep", "few"} & set(wanted):
        from depthjax.evolving import load_fitness

        load_fitness(config)
    if "evaluate" in wanted:
        from depthjax.evaluate.classification import check_classifiers

        check_classifiers(config.evaluate.classifiers)
        if config.evaluate.inception:
            from depthjax.evaluate.inception import load_inception

            load_inception(Path(config.evaluate.inception))
    if "few" in wanted:
        from depthjax.few.people import check_few

        check_few(config)
    if "recognise" in wanted:
        from depthjax.evaluate.unseen_people import check_split

        check_split(config, "recognise")


def _run_stage(stage: Stage, config: Config, workdir: Path, log: Log, *, writes: bool) -> None:
    faces = stages.faces_state(stage.name, config, workdir)
    if stage.is_done(config, workdir, faces):
        bad = stages.damaged(stage.name, workdir)
        if bad is None:
            log(f"{stage.name}: done before, unchanged")
            return
        _check_replaceable(bad, workdir)
        log(f"{stage.name}: {bad} is damaged: doing the stage again")
    _check_inputs(stage, config, workdir)
    if writes:
        stages.record_path(stage.name, workdir).unlink(missing_ok=True)
        write_json(workdir / "config.json", to_dict(config))
        write_json(workdir / "environment.json", describe(config))
    log(f"{stage.name}: starting")
    start = time.monotonic()
    outputs = stage.run(config, workdir, with_prefix(stage.name, log))
    seconds = time.monotonic() - start
    if writes:
        stage.finish(config, workdir, outputs, seconds=seconds, faces=faces)
    log(f"{stage.name}: done in {seconds:.0f} s")


def _check_replaceable(bad: Path, workdir: Path) -> None:
    """Raise a UserError for a damaged file that its stage would not write again."""
    if bad.name == "metrics.jsonl" and bad.exists():
        raise UserError(
            f"{bad} is damaged (not what was written), and only training writes it: put a copy back, or delete it to "
            "go on without these curves"
        )
    if workdir / "data" in bad.parents and bad.parent.exists():
        raise UserError(f"{bad} is damaged (not what was written): delete {bad.parent} and run --stages=prepare")


def _check_inputs(stage: Stage, config: Config, workdir: Path) -> None:
    """Raise a UserError unless the stages before are done with these settings, undamaged."""
    if stage is REPORT:
        if not any(stages.record_path(needed.name, workdir).exists() for needed in stage.needs):
            raise UserError(f"report: no stage has finished in {workdir}: run the other stages first")
        return
    before = stage.inputs(config)
    for needed in before:
        if bad := stages.damaged(needed.name, workdir, partly=True):
            raise UserError(f"{bad} is damaged (not what was written): run --stages={needed.name},{stage.name}")
    for needed in before:
        if not needed.is_done(config, workdir):
            raise UserError(
                f"{stage.name} needs {needed.name}, which has not finished in {workdir} with these settings: "
                f"run --stages={','.join(_unfinished(stage, config, workdir))},{stage.name}"
            )


def _unfinished(stage: Stage, config: Config, workdir: Path) -> list[str]:
    """Return the names of the stages, in order, that must run before this one."""
    names = set()
    for before in stage.inputs(config):
        names |= {*_unfinished(before, config, workdir)}
        names |= set() if before.is_done(config, workdir) else {before.name}
    return [name for name in ALL if name in names]


def prepare(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Store the faces, then the train and test images that the networks and the evaluation see."""
    from depthjax.report.dataset import write_dataset_card

    load.prepare(config.data, workdir / "data", progress=log)
    faces = load.stored(config.data, workdir / "data")
    test = load.held_out(faces, config.data)
    stored = load.stored_folder(config.data, workdir / "data")  # not cut_faces.png, of which each check makes another
    outputs = [stored]
    for part, members in (("train", ~test), ("test", test)):
        index = np.flatnonzero(members)
        _check_emotions(part, faces.emotion[index], config)
        outputs += write_inputs(workdir / "faces" / part, faces, index, config.data)
        log(f"{part}: {counted(len(index), 'face')} of {counted(len(np.unique(faces.subject[index])), 'subject')}")
    outputs.append(workdir / NOISE)
    write_arrays(outputs[-1], spectrum=noise_spectrum(prepared_faces(config, workdir, "train").images))
    outputs += write_dataset_card(faces, config.data, test=test, folder=workdir, stored=stored)
    log(f"dataset card: {workdir / 'dataset.html'}")
    return outputs


def _check_emotions(part: str, emotion: np.ndarray, config: Config) -> None:
    """Raise a UserError for an emotion of fewer faces than an evaluation needs: it runs hours after this."""
    counts = np.bincount(emotion, minlength=len(config.data.emotions))
    few = [f"{n} of '{name}'" for n, name in zip(counts, config.data.emotions, strict=True) if n < MIN_FACES]
    if few:
        change = "smaller" if part == "train" else "larger"
        raise UserError(
            f"{part}: too few faces, {', '.join(few)}: at least {MIN_FACES} of each emotion are needed to train on and "
            f"to test on. Take a {change} --config.data.test_fraction (now {config.data.test_fraction:g}), choose "
            f"other subjects by --config.data.seed (now {config.data.seed}), add faces, or leave the emotion out"
        )


def prepared_faces(config: Config, workdir: Path, part: str) -> DepthFaces:
    """Return the `train` or `test` faces that prepare stored; their images are mapped from the file, read-only."""
    arrays = read_inputs(workdir / "faces" / part)
    columns = {name: arrays[name] for name in ("images", "emotion", "subject", "frame")}
    return DepthFaces(**columns, emotions=config.data.emotions, depth_range=DepthRange.of(config.data))


def _fitting(stage: str) -> Callable[[Config, Path, Log], list[Path]]:
    """Return the run of a stage that fits methods to the training faces: those whose last need is the stage."""

    def fit(config: Config, workdir: Path, log: Log) -> list[Path]:
        from depthjax.methods import REGISTRY

        faces = prepared_faces(config, workdir, "train")
        methods = (REGISTRY[name] for name in (*OWN_METHODS, *config.baselines.methods))
        fitted = [method.fit(config, workdir, faces, log) for method in methods if method.needs[-1] == stage]
        return [path for paths in fitted for path in paths]

    return fit


def sample(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Write each method's faces; of our training, only the generator teacher is read, and the noise's spectrum."""
    from depthjax.methods import draw, write_samples

    folders = []
    for method, drawn in draw(config, workdir):
        folders.append(workdir / "samples" / method)
        write_samples(folders[-1], drawn, config.data.emotions)
        counts = np.bincount(drawn.emotion, minlength=len(config.data.emotions))
        named = ", ".join(f"{n} {e}" for n, e in zip(counts, config.data.emotions, strict=True) if n)
        log(f"{method}: {named} in {folders[-1]}")
        if counts.max() < config.sample.count:
            diverse = config.evolve.algorithm == "k_dpp"
            how_many = "evolve.population" if diverse else "evolve.islands x evolve.hall_of_fame"
            log(f"{method}: the evolution kept no more ({how_many} sets how many)")
    return folders


def evaluate(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Evaluate every method's samples against training and held-out faces."""
    from depthjax.evaluate.run import evaluate as evaluate_faces
    from depthjax.methods import inversions, read_samples

    methods = {method: read_samples(workdir / "samples" / method, config) for method in config.sample.methods}
    train_faces, test_faces = prepared_faces(config, workdir, "train"), prepared_faces(config, workdir, "test")
    of_faces = inversions(config, workdir)
    found = evaluate_faces(config, train_faces, test_faces, methods, workdir / "features", log=log, inversions=of_faces)
    folder, table = workdir / "evaluation", workdir / "evaluation.json"
    write_arrays(folder / "nearest.npz", **found.nearest)
    write_arrays(folder / "embedding.npz", **found.embedding)
    write_arrays(folder / "runs.npz", **found.runs)
    write_text(table.with_suffix(".csv"), found.scores.to_csv())
    write_json(table, found.to_json())
    return [folder, table, table.with_suffix(".csv")]


def report(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Write one page from the stored files."""
    from depthjax.report.page import write_report

    del config
    page, tables = write_report(workdir), workdir / "tables"
    log(f"the same tables as CSV, LaTeX and Markdown: {tables}" if tables.exists() else "no tables yet: run evaluate")
    return [page, workdir / "model_card.md", *([tables] if tables.exists() else [])]


def with_export_sets(config: Config, workdir: Path) -> Config:
    """Return the config with every set that is there in `export.sets`, if none was named."""
    known = (EXPORT_FACES, *config.sample.methods)
    for name in config.export.sets:
        if name not in known:
            raise UserError(
                f"export.sets: '{name}' is not one of {', '.join(known)} ({EXPORT_FACES}, and sample.methods)"
            )
    there = [name for name in known if (PREPARE if name == EXPORT_FACES else SAMPLE).is_done(config, workdir)]
    sets = tuple(dict.fromkeys(config.export.sets)) or tuple(there)
    if not sets:
        raise UserError(f"{workdir} holds no faces of these settings to export: run --stages=prepare,export")
    return dataclasses.replace(config, export=dataclasses.replace(config.export, sets=sets))


def export(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Write each set as images, arrays, point clouds or meshes for other programs."""
    from depthjax.export.run import write_set

    return [
        write_set(_export_set(name, config, workdir), workdir / "export", config.export.formats, progress=log)
        for name in config.export.sets
    ]


def _export_set(name: str, config: Config, workdir: Path) -> FaceSet:
    from depthjax.export.run import prepared_set, sample_set
    from depthjax.methods import REGISTRY, read_samples

    if name == EXPORT_FACES:
        stored = load.stored(config.data, workdir / "data")
        return prepared_set(config.data, stored, fingerprint=PREPARE.fingerprint(config))
    rendered = config.data.source == "depth_heads"  # whose shape is known without opening what prepare stored
    return sample_set(
        config.data,
        read_samples(workdir / "samples" / name, config),
        method=name,
        crop_shape=CROP_SHAPE if rendered else load.stored(config.data, workdir / "data").shape,
        seed=REGISTRY[name].seed(config),
        fingerprint=SAMPLE.fingerprint(config),
    )


def sweep(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Evolve with every setting of a grid, and report each outcome; the run's winners stay as they are."""
    from depthjax.evolving import evolution_inputs, sweep_settings
    from depthjax.report.figures import draw_sweep

    folder, quiet = workdir / "evolve", log is no_log
    inputs = evolution_inputs(config, workdir, prepared_faces(config, workdir, "train"), quiet=quiet)
    paths, settings, outcomes = sweep_settings(config, inputs, folder, log, quiet=quiet)
    return [*paths, *draw_sweep(workdir / "figures", settings, outcomes)]


def few(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Train on few people, and write what helps a classifier of theirs most: table, arrays, picture, sentences."""
    from depthjax.few.figure import draw_few
    from depthjax.few.results import markdown, sentences, table_of
    from depthjax.few.run import run_few

    names = load.stored(config.data, workdir / "data").subjects
    train_faces, test_faces = prepared_faces(config, workdir, "train"), prepared_faces(config, workdir, "test")
    found = run_few(config, train_faces, test_faces, names, workdir, log=log)
    table, page, paths = table_of(found), workdir / "few.md", [workdir / f"few.{kind}" for kind in ("npz", "csv", "md")]
    write_arrays(paths[0], **found.arrays())
    write_text(paths[1], table.to_csv())
    write_text(paths[2], markdown(found, table))
    paths.append(workdir / "few.json")
    write_json(paths[-1], {"sentences": sentences(found, table), "scores": table.to_records()})
    paths += draw_few(workdir / "figures", found, table)
    for line in page.read_text("utf-8").splitlines():
        log(line)
    return paths


def recognise(config: Config, workdir: Path, log: Log) -> list[Path]:
    """Fit an emotion classifier to the training faces and test it on the held-out ones."""
    from depthjax.evaluate.unseen_people import check_names
    from depthjax.recogniser.run import run_recognise

    stored = load.stored(config.data, workdir / "data")
    check_names(config, stored.subjects, "recognise")
    train_faces, test_faces = prepared_faces(config, workdir, "train"), prepared_faces(config, workdir, "test")
    return run_recognise(config, train_faces, test_faces, workdir, log, shape=stored.shape, framing=stored.framing)


def _sampled(config: Config) -> set[str]:
    # prepare left the noise of the training faces.
    from depthjax.methods import REGISTRY

    return {"prepare"}.union(*(REGISTRY[name].needs for name in config.sample.methods))


PREPARE = Stage("prepare", ("data",), (), prepare, reads=lambda config: read_by(config.data))
TRAIN = Stage("train", ("data", "model", "train"), (PREPARE,), _fitting("train"))
FITTED = ("data", "model", "train", "baselines")
BASELINES = Stage("baselines", FITTED, (PREPARE,), _fitting("baselines"))
EVOLVE = Stage("evolve", ("evolve",), (TRAIN,), _fitting("evolve"))
SAMPLE = Stage("sample", ("sample",), (TRAIN, BASELINES, EVOLVE, PREPARE), sample, uses=_sampled)
EVALUATE = Stage("evaluate", ("evaluate",), (PREPARE, SAMPLE), evaluate, reads=lambda _: digests())
REPORT = Stage("report", (), (PREPARE, TRAIN, BASELINES, EVOLVE, SAMPLE, EVALUATE), report)
EXPORT = Stage("export", ("export",), (PREPARE, SAMPLE), export, uses=lambda config: {
    "prepare" if name == EXPORT_FACES else "sample" for name in config.export.sets
})  # fmt: skip
SWEEP = Stage("sweep", ("evolve", "sweep"), (TRAIN,), sweep)
FEW = Stage(
    "few", ("data", "model", "train", "evolve", "sample", "evaluate", "few"), (PREPARE,), few, reads=lambda _: digests()
)
RECOGNISE = Stage("recognise", ("data", "evaluate"), (PREPARE,), recognise, reads=lambda _: digests())
ALL = {s.name: s for s in (PREPARE, TRAIN, BASELINES, EVOLVE, SAMPLE, EVALUATE, REPORT, EXPORT, SWEEP, FEW, RECOGNISE)}
