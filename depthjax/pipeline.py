"""prepare → train → evolve → sample → evaluate → report: each stage reads and writes only the run's work folder.

export, if asked for, hands what any of them made to other programs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depthjax import compile_cache, stages
from depthjax.config import BASELINE_METHODS, Config, own_fitness, to_dict
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import remove_half_written, write_arrays, write_json
from depthjax.lock import only_one
from depthjax.progress import no_log, with_prefix

if TYPE_CHECKING:
    from depthjax.export.sets import FaceSet

Say = Callable[[str], None]


def run(
    config: Config, workdir: Path, wanted: Sequence[str] = tuple(stages.STAGES), *, say: Say | None = print
) -> Path:
    """Run the wanted stages in order, skipping what is done and unchanged.

    Args:
        config: of the run.
        workdir: the run's folder.
        wanted: names of stages.
        say: told every line; None: nothing is said, and no progress shown.
    Returns:
        The path of the report (whether or not it was asked for).
    Raises:
        UserError: a stage lacks what an earlier one writes, the folder holds another training, or another process is
            at work in it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    first = _join_processes(config, wanted)
    say = say if first and say else no_log
    compile_cache.turn_on()
    with only_one(workdir, say) if first else nullcontext() as cut_off:
        if cut_off:
            remove_half_written(workdir)
        if "train" in wanted:
            _refuse_other_training(config, workdir)
        _refuse_unusable_fitness(config, wanted)
        nothing_to_do = () if config.baselines.methods else ("baselines",)
        for stage in stages.KNOWN:
            if stage in wanted and stage not in nothing_to_do:
                whole = with_export_sets(config, workdir) if stage == "export" else config
                _run_stage(stage, whole, workdir, say, writes=first)
    return workdir / "report.html"


def _join_processes(config: Config, wanted: Sequence[str]) -> bool:
    """Meet the other processes, if the config says so; whether this one is the first, which writes and speaks."""
    if not config.distributed.coordinator:
        return True
    from depthjax.train.processes import is_first, join

    if list(wanted) != ["train"]:
        raise UserError(
            "several processes share the train stage alone: give --stages=train, and one process the others"
        )
    join(config.distributed)
    return is_first()


def _run_stage(stage: str, config: Config, workdir: Path, say: Say, *, writes: bool) -> None:
    faces = stages.faces_state(stage, config, workdir)
    if stages.is_done_with(faces, stage, config, workdir):
        bad = stages.damaged(stage, workdir)
        if bad is None:
            say(f"{stage}: done before, unchanged")
            return
        _refuse_irreplaceable(bad, workdir)
        say(f"{stage}: {bad} is damaged: doing the stage again")
    _require_inputs(stage, config, workdir)
    if writes:
        stages.clear(stage, workdir)
        _write_descriptions(config, workdir)
    say(f"{stage}: starting")
    start = time.monotonic()
    outputs = RUNNERS[stage](config, workdir, with_prefix(stage, say))
    seconds = time.monotonic() - start
    if writes:
        stages.mark_done(stage, config, workdir, outputs=outputs, seconds=seconds, faces=faces)
    say(f"{stage}: done in {seconds:.0f} s")


def _refuse_irreplaceable(bad: Path, workdir: Path) -> None:
    """Raise a UserError for a damaged file that its stage would not write again."""
    if bad.name == "metrics.jsonl" and bad.exists():
        raise UserError(
            f"{bad} is damaged (not what was written), and only training writes it: put a copy back, or delete it to "
            "go on without these curves"
        )
    if workdir / "data" in bad.parents and bad.parent.exists():
        raise UserError(f"{bad} is damaged (not what was written): delete {bad.parent} and run --stages=prepare")


def _require_inputs(stage: str, config: Config, workdir: Path) -> None:
    """The report takes what is there; every other stage needs the stages before it, with these settings, undamaged."""
    if stage == "report":  # its reader looks at all that is there
        return
    before = stages.inputs(stage, config)
    for name in before:
        if bad := stages.damaged(name, workdir, partly=True):
            raise UserError(f"{bad} is damaged (not what was written): run --stages={name},{stage}")
    needed = [s for s in before if stage not in ("sample", "evaluate") or s not in _idle(config)]
    for missing in (s for s in needed if not stages.is_done(s, config, workdir)):
        raise UserError(
            f"{stage} needs {missing}, which has not finished in {workdir} with these settings: "
            f"run --stages={missing},{stage}"
        )


def _idle(config: Config) -> set[str]:
    """The stages whose files none of the sampled methods needs."""
    own = "cdcgan_kd" in config.sample.methods or "cdcgan_kd_ga" in config.sample.methods
    used = {"evolve": "cdcgan_kd_ga" in config.sample.methods, "train": own}
    used["baselines"] = any(method in BASELINE_METHODS for method in config.sample.methods)
    return {stage for stage, is_used in used.items() if not is_used}


def _refuse_other_training(config: Config, workdir: Path) -> None:
    """Before anything is overwritten: a folder whose checkpoints come from other settings is left as it is."""
    from depthjax.train.checkpoint import check_same_settings

    check_same_settings(workdir / "checkpoints", config)


def _refuse_unusable_fitness(config: Config, wanted: Sequence[str]) -> None:
    """Before anything is trained: a fitness of the user's own that could not be run in the end."""
    if own_fitness(config.evolve) and {"evolve", "sweep"} & set(wanted):
        from depthjax.evolving import load_fitness

        load_fitness(config)


def _write_descriptions(config: Config, workdir: Path) -> None:
    from depthjax.environment import describe

    write_json(workdir / "config.json", to_dict(config))
    write_json(workdir / "environment.json", describe(config))


def prepare(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Store the faces, then the train and test images that the networks and the evaluation see."""
    from depthjax.data import load
    from depthjax.data.inputs import write_inputs
    from depthjax.data.noise import NOISE, noise_spectrum
    from depthjax.report.dataset import write_dataset_page

    load.prepare(config.data, workdir / "data", progress=say)
    faces = load.stored(config.data, workdir / "data")
    test = load.held_out(faces, config.data)
    outputs = [workdir / "data"]
    for part, members in (("train", ~test), ("test", test)):
        index = np.flatnonzero(members)
        _refuse_missing_emotion(part, faces.emotion[index], config)
        outputs += write_inputs(workdir / "faces" / part, faces, index, config.data)
        say(f"{part}: {len(index)} faces of {len(np.unique(faces.subject[index]))} people")
    outputs.append(workdir / NOISE)
    write_arrays(outputs[-1], spectrum=noise_spectrum(prepared_faces(config, workdir, "train").images))
    sides = {"train": faces.subject[~test], "test": faces.subject[test], "held_out": test}
    place = load.stored_folder(config.data, workdir / "data")
    outputs += write_dataset_page(faces, config.data, **sides, folder=workdir, stored=place)
    say(f"what the faces are: {workdir / 'dataset.html'}")
    return outputs


def _refuse_missing_emotion(part: str, emotion: np.ndarray, config: Config) -> None:
    missing = [name for label, name in enumerate(config.data.emotions) if label not in emotion]
    if missing:
        raise UserError(
            f"{part}: no face of {', '.join(missing)}, for few people show it: choose others to test on by "
            f"--config.data.seed (now {config.data.seed}) or --config.data.test_fraction, or leave the emotion out"
        )


def prepared_faces(config: Config, workdir: Path, part: str) -> DepthFaces:
    """The `train` or `test` faces that prepare stored; their images are mapped from the file, read-only."""
    from depthjax.data.inputs import read_inputs

    arrays = read_inputs(workdir / "faces" / part)
    columns = {name: arrays[name] for name in ("images", "emotion", "subject", "frame")}
    return DepthFaces(**columns, emotions=config.data.emotions, depth_range=DepthRange.of(config.data))


def train(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Train the networks, going on from the newest good checkpoint."""
    from depthjax.train.loop import train as train_networks
    from depthjax.train.processes import sharing_a_fate
    from depthjax.train.writers import check_writers

    check_writers(config)
    faces = prepared_faces(config, workdir, "train")
    with sharing_a_fate():
        state = train_networks(config, faces, workdir, quiet=say is no_log)
    say(f"{int(state.step)} steps of {config.train.batch_size} faces")
    log = workdir / "metrics.jsonl"
    if not log.exists():
        say(f"{log} is gone: this training has no curves")
    return [workdir / "checkpoints", *([log] if log.exists() else [])]


def baselines(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Fit the methods that ours is compared with, each in a folder of its own."""
    from depthjax.baselines.methods import BASELINES
    from depthjax.keys import key_for

    folders = []
    for method in config.baselines.methods:
        key, faces = key_for(config.baselines.seed, f"fit {method}"), prepared_faces(config, workdir, "train")
        folders.append(workdir / "baselines" / method)
        BASELINES[method].fit(key, config, faces, folders[-1], progress=with_prefix(method, say))
    return folders


def evolve(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Evolve latents of each emotion under the teachers, and keep the winners."""
    from depthjax.evolving import evolution_inputs, evolve_latents, reads_emotions

    quiet, faces = say is no_log, prepared_faces(config, workdir, "train")
    inputs = evolution_inputs(config, workdir, faces, readers=reads_emotions(config), quiet=quiet)
    return evolve_latents(config, inputs, workdir / "evolve", say, quiet=quiet)


def sample(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Write each method's faces; of our training, only the generator teacher is read, and the noise's spectrum."""
    from depthjax.sampling import draw, write_samples

    folders = []
    for method, drawn in draw(config, workdir):
        folders.append(workdir / "samples" / method)
        write_samples(folders[-1], drawn, config.data.emotions)
        counts = np.bincount(drawn.emotion, minlength=len(config.data.emotions))
        named = ", ".join(f"{n} {e}" for n, e in zip(counts, config.data.emotions, strict=True) if n)
        say(f"{method}: {named} in {folders[-1]}")
        if counts.max() < config.sample.count:
            say(f"{method}: no more winners were kept (evolve.islands x evolve.hall_of_fame sets how many)")
    return folders


def evaluate(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Judge every method's samples against the real faces."""
    from depthjax.evaluate.run import evaluate as judge
    from depthjax.sampling import read_samples

    methods = {method: read_samples(workdir / "samples" / method, config) for method in config.sample.methods}
    train_faces, test_faces = prepared_faces(config, workdir, "train"), prepared_faces(config, workdir, "test")
    found = judge(config, train_faces, test_faces, methods, workdir / "features", progress=say)
    write_arrays(workdir / "evaluation" / "nearest.npz", **found.nearest)
    write_arrays(workdir / "evaluation" / "embedding.npz", **found.embedding)
    write_json(workdir / "evaluation.json", found.result)
    return [workdir / "evaluation", workdir / "evaluation.json"]


def report(config: Config, workdir: Path, say: Say) -> list[Path]:
    """One page from the stored files."""
    from depthjax.report.page import write_report

    del config
    page, tables = write_report(workdir), workdir / "tables"
    say(f"the same tables as CSV, LaTeX and Markdown: {tables}" if tables.exists() else "no tables yet: run evaluate")
    return [page, workdir / "model_card.md", *([tables] if tables.exists() else [])]


def with_export_sets(config: Config, workdir: Path) -> Config:
    """The config with every set that is there in `export.sets`, if none was named."""
    known = ("real", *config.sample.methods)
    for name in config.export.sets:
        if name not in known:
            raise UserError(f"export.sets: '{name}' is not one of {', '.join(known)} (real, and sample.methods)")
    there = [name for name in known if stages.is_done("prepare" if name == "real" else "sample", config, workdir)]
    sets = tuple(dict.fromkeys(config.export.sets)) or tuple(there)
    if not sets:
        raise UserError(f"{workdir} holds no faces of these settings to export: run --stages=prepare,export")
    return dataclasses.replace(config, export=dataclasses.replace(config.export, sets=sets))


def export(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Write each set as images, arrays, point clouds or meshes for other programs."""
    from depthjax.export.run import write_set

    return [
        write_set(_export_set(name, config, workdir), workdir / "export", config.export.formats, progress=say)
        for name in config.export.sets
    ]


def _export_set(name: str, config: Config, workdir: Path) -> FaceSet:
    from depthjax.data import load
    from depthjax.data.crop import CROP_SHAPE
    from depthjax.export.sets import real_set, sample_set
    from depthjax.sampling import read_samples

    if name == "real":
        stored = load.stored(config.data, workdir / "data")
        return real_set(config.data, stored, fingerprint=stages.fingerprint("prepare", config))
    rendered = config.data.source == "depth_heads"  # whose shape is known without opening what prepare stored
    return sample_set(
        config.data,
        read_samples(workdir / "samples" / name, config),
        method=name,
        crop_shape=CROP_SHAPE if rendered else load.stored(config.data, workdir / "data").shape,
        seed=config.evolve.seed if name == "cdcgan_kd_ga" else config.sample.seed,  # of which faces; not of their noise
        fingerprint=stages.fingerprint("sample", config),
    )


def sweep(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Evolve with every setting of a grid, and tell what each came to; the run's winners stay as they are."""
    from depthjax.evolving import evolution_inputs, sweep_settings
    from depthjax.report.sweep_figure import draw_sweep

    folder, quiet = workdir / "evolve", say is no_log
    inputs = evolution_inputs(config, workdir, prepared_faces(config, workdir, "train"), quiet=quiet)
    paths, settings, outcomes = sweep_settings(config, inputs, folder, say, quiet=quiet)
    return [*paths, *draw_sweep(workdir / "figures", settings, outcomes)]


RUNNERS: dict[str, Callable[[Config, Path, Say], list[Path]]] = {
    "prepare": prepare,
    "train": train,
    "baselines": baselines,
    "evolve": evolve,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,
    "export": export,
    "sweep": sweep,
}
