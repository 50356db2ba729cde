"""prepare → train → evolve → sample → evaluate → report: each stage reads and writes only the run's work folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from depthjax import stages
from depthjax.config import Config, to_dict
from depthjax.data.faces import DepthFaces
from depthjax.data.window import DepthWindow
from depthjax.errors import UserError
from depthjax.files import read_arrays, write_arrays, write_json

Say = Callable[[str], None]


def run(config: Config, workdir: Path, wanted: Sequence[str] = tuple(stages.STAGES), *, say: Say = print) -> Path:
    """Run the wanted stages in order, skipping what is done and unchanged.

    Returns:
        The path of the report (whether or not it was asked for).
    Raises:
        UserError: a stage lacks what an earlier one writes, or the folder holds another training.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    if "train" in wanted:
        _refuse_other_training(config, workdir)
    for stage in stages.STAGES:
        if stage in wanted:
            _run_stage(stage, config, workdir, say)
    return workdir / "report.html"


def _run_stage(stage: str, config: Config, workdir: Path, say: Say) -> None:
    if stages.is_done(stage, config, workdir):
        say(f"{stage}: done before, unchanged")
        return
    _require_inputs(stage, config, workdir)
    stages.clear(stage, workdir)
    _write_descriptions(config, workdir)
    say(f"{stage}: starting")
    start = time.monotonic()
    outputs = RUNNERS[stage](config, workdir, lambda line: say(f"{stage}: {line}"))
    seconds = time.monotonic() - start
    stages.mark_done(stage, config, workdir, outputs=outputs, seconds=seconds)
    say(f"{stage}: done in {seconds:.0f} s")


def _require_inputs(stage: str, config: Config, workdir: Path) -> None:
    """The report takes what is there; every other stage needs the stages before it, with these settings."""
    if stage == "report":
        return
    needed = [s for s in stages.STAGES[stage][1] if not (s == "evolve" and "cdcgan_kd_ga" not in config.sample.methods)]
    for missing in (s for s in needed if not stages.is_done(s, config, workdir)):
        raise UserError(
            f"{stage} needs {missing}, which has not finished in {workdir} with these settings: "
            f"run --stages={missing},{stage}"
        )


def _refuse_other_training(config: Config, workdir: Path) -> None:
    """Before anything is overwritten: a folder whose checkpoints come from other settings is left as it is."""
    from depthjax.train.checkpoint import refuse_other_settings

    refuse_other_settings(workdir / "checkpoints", config)


def _write_descriptions(config: Config, workdir: Path) -> None:
    from depthjax.environment import describe

    write_json(workdir / "config.json", to_dict(config))
    write_json(workdir / "environment.json", describe(config))


def prepare(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Store the faces, then the train and test images that the networks and the evaluation see."""
    from depthjax.data import load

    load.prepare(config.data, workdir / "data", progress=say)
    parts = dict(zip(("train", "test"), load.split(load.load(config.data, workdir / "data"), config.data), strict=True))
    for name, faces in parts.items():
        labels = {"emotion": faces.emotion, "subject": faces.subject, "frame": faces.frame}
        write_arrays(workdir / "real" / f"{name}.npz", images=faces.images, **labels)
        say(f"{name}: {len(faces)} faces of {len(np.unique(faces.subject))} people")
    return [workdir / "data", *(workdir / "real" / f"{name}.npz" for name in parts)]


def real_faces(config: Config, workdir: Path, part: str) -> DepthFaces:
    """The `train` or `test` faces that prepare stored."""
    stored = read_arrays(workdir / "real" / f"{part}.npz")
    window = DepthWindow(config.data.near_mm, config.data.far_mm)
    return DepthFaces(**stored, emotions=config.data.emotions, window=window)


def train(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Train the networks, going on from the newest good checkpoint."""
    from depthjax.train.loop import train as train_networks

    faces = real_faces(config, workdir, "train")
    state = train_networks(config, faces, workdir)
    say(f"{int(state.step)} steps of {config.train.batch_size} faces")
    return [workdir / "checkpoints", workdir / "metrics.jsonl"]


def evolve(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Evolve latents of each emotion under the teachers, and keep the winners."""
    import jax
    import jax.numpy as jnp

    from depthjax.evolve.run import Networks
    from depthjax.evolve.run import evolve as evolve_latents
    from depthjax.keys import key_for
    from depthjax.train.checkpoint import restore_teachers
    from depthjax.train.state import networks

    nets = networks(config)
    teachers, _ = restore_teachers(workdir / "checkpoints", config=config)
    judge = jax.jit(lambda v, x, e: nets.discriminator.apply(v, x, e, train=False))
    faces = real_faces(config, workdir, "train")
    per_emotion = [faces.of(emotion) for emotion in faces.emotions]
    medians = [jnp.median(judge(teachers.discriminator, f.images, f.emotion)) for f in per_emotion]
    size = config.evolve
    say(f"{size.generations} generations x {len(medians)} emotions x {size.islands} islands x {size.population}")
    found = evolve_latents(
        key_for(size.seed, "evolve"),
        Networks(teachers.generator, teachers.discriminator),
        jnp.stack(medians),
        generator=nets.generator,
        discriminator=nets.discriminator,
        settings=size,
        latent_size=config.model.latent_size,
    )
    arrays = jax.tree.map(np.asarray, found)
    folder = workdir / "evolve"
    write_arrays(folder / "history.npz", best=arrays.best, mean=arrays.mean, std=arrays.std)
    write_arrays(folder / "winners.npz", latents=arrays.winners, fitness=arrays.winner_fitness)
    say(f"{int(arrays.evaluations)} evaluations of the generator")
    return [folder / "history.npz", folder / "winners.npz"]


def sample(config: Config, workdir: Path, say: Say) -> list[Path]:
    """Decode each method's latents with the generator teacher, which is all of the training that is read."""
    from depthjax.sampling import decode, latents_of, write_samples
    from depthjax.train.checkpoint import restore_generator

    variables, _ = restore_generator(workdir / "checkpoints", config=config)
    folders = []
    for method in config.sample.methods:
        source = latents_of(method, config, workdir)
        folders.append(workdir / "samples" / method)
        write_samples(folders[-1], decode(config, variables, source), source, config.data.emotions)
        counts = np.bincount(source.emotion, minlength=len(config.data.emotions))
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
    train_faces, test_faces = real_faces(config, workdir, "train"), real_faces(config, workdir, "test")
    result = judge(config, train_faces, test_faces, methods, workdir / "features", progress=say)
    write_json(workdir / "evaluation.json", result)
    return [workdir / "evaluation.json"]


def report(config: Config, workdir: Path, say: Say) -> list[Path]:
    """One page from the stored files."""
    from depthjax.report.page import write_report

    del config, say
    return [write_report(workdir)]


RUNNERS: dict[str, Callable[[Config, Path, Say], list[Path]]] = {
    "prepare": prepare,
    "train": train,
    "evolve": evolve,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,
}
