"""Training from the first step, or the last checkpoint, to the last epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest
from depthjax.keys import key_for
from depthjax.models.dcgan import Generator
from depthjax.train import checkpoint
from depthjax.train.feed import Feed, feed_for
from depthjax.train.grid import write_grid
from depthjax.train.interrupt import TrainingInterrupted, stop_on_signals
from depthjax.train.mesh import mesh_for, one_copy, placed, replicated, split
from depthjax.train.metrics_log import Row, append_metrics, truncate_metrics
from depthjax.train.not_finite import NotFinite, lowered, read_rollbacks, refuse_faces, refuse_not_finite, roll_back
from depthjax.train.processes import is_first, largest, refuse_differing
from depthjax.train.progress import Progress
from depthjax.train.state import TrainState, init_state
from depthjax.train.step import Batch, Metrics, make_steps, networks_at, teacher_variables
from depthjax.train.writers import writers

GRID_COLUMNS = 8  # faces of each emotion in a sample grid


def train(
    config: Config,
    faces: DepthFaces,
    workdir: Path,
    *,
    progress: Callable[[Row], None] | None = None,
    quiet: bool = False,
) -> TrainState:
    """Train both networks, going on from the latest good checkpoint in `workdir`.

    Writes `checkpoints/STEP/`, `metrics.jsonl` and `figures/progress/epoch_XXXXX.png` there.

    Args:
        config: of the run.
        faces: the training set alone, at `config.data.resolution`.
        workdir: the run's folder.
        progress: called with every new row of metrics (default: a bar, or lines, on standard error).
        quiet: show nothing on standard error but warnings.
    Returns:
        The state after the last epoch.
    Raises:
        UserError: faces that don't fit the config, a checkpoint of another training, or a loss or a weight that is not
            finite (nothing of that dispatch is saved), with `train.on_not_finite = rollback` once too often.
        TrainingInterrupted: SIGTERM or SIGINT came; the state is saved.
    """
    refuse_unfit(config, faces)
    refuse_faces(faces)
    went_back = read_rollbacks(workdir / "checkpoints")
    while True:
        try:
            return _from_last_checkpoint(config, faces, workdir, progress, len(went_back), quiet=quiet)
        except NotFinite as failure:
            went_back = roll_back(config, workdir / "checkpoints", went_back, failure)


def _from_last_checkpoint(
    config: Config,
    faces: DepthFaces,
    workdir: Path,
    progress: Callable[[Row], None] | None,
    went_back: int,
    *,
    quiet: bool,
) -> TrainState:
    """`train`, until something is not finite; `went_back` is how often it was so before."""
    fingerprint, log = data_fingerprint(faces), workdir / "metrics.jsonl"
    mesh, first_process = mesh_for(config), is_first()
    state = starting_state(config, workdir / "checkpoints", fingerprint, mesh)
    per_epoch, done = len(faces) // config.train.batch_size, int(state.step)
    refuse_differing(f"{config.data} {config.model} {config.train} {fingerprint} {done} {went_back}")
    rows = truncate_metrics(log, done) if first_process else []
    if done >= config.train.epochs * per_epoch:
        return state
    shown = Progress(config.train.epochs * per_epoch, done, quiet=quiet or not first_process)
    feed = feed_for(config, faces, done, mesh)
    steps = compiled_steps(lowered(config, went_back), state, feed, shown)
    seconds = rows[-1]["seconds"] if rows else 0.0
    try:
        with stop_on_signals() as stop, writers(config, workdir, done) as write:
            for first, last in dispatches(config, per_epoch, done):
                start = time.perf_counter()
                state, metrics = steps(state, feed.take(last - first), np.int32(last - first))
                values = {name: np.asarray(value)[: last - first] for name, value in metrics.items()}
                elapsed = time.perf_counter() - start
                refuse_not_finite(values, state, first)
                seconds += elapsed
                row = summary(values, first, last, config.train.batch_size, elapsed)
                row |= {"epoch": last // per_epoch, "seconds": round(seconds, 3)}
                if first_process:
                    append_metrics(log, [row])
                    write(row)
                    (progress or shown)(row)
                    if due(config.train.samples_every_epochs, config, per_epoch, last):
                        draw_grid(config, one_copy(state), workdir, last // per_epoch)
                stopped = largest(stop.signal_number)
                saving = due(config.train.save_every_epochs, config, per_epoch, last) or stopped is not None
                if first_process and saving:
                    keep, place, whole = config.train.keep_checkpoints, workdir / "checkpoints", one_copy(state)
                    checkpoint.save(place, whole, config=config, fingerprint=fingerprint, keep=keep)
                if stopped is not None:
                    raise TrainingInterrupted(stopped, last)
    finally:
        shown.close()
    return state


def refuse_unfit(config: Config, faces: DepthFaces) -> None:
    """Raise a UserError if the faces are not what the config says, fewer than a batch, or too few for a transition."""
    size = config.data.resolution
    if faces.images.shape[1:] != (size, size):
        raise UserError(
            f"the faces are {faces.images.shape[1:]} pixels but data.resolution is {size}: prepare them again"
        )
    if tuple(faces.emotions) != tuple(config.data.emotions):
        raise UserError(
            f"the faces show {faces.emotions} but data.emotions is {config.data.emotions}: prepare them again"
        )
    if len(faces) < config.train.batch_size:
        raise UserError(
            f"{len(faces)} faces to train on are fewer than a batch: lower --config.train.batch_size "
            f"(now {config.train.batch_size}) to {len(faces)} or less"
        )
    steps = config.train.epochs * (len(faces) // config.train.batch_size)
    if config.train.transition * config.train.schedule_steps > steps:
        raise UserError(
            f"--config.train.transition: the emotion would come in over {config.train.transition:g} of "
            f"--config.train.schedule_steps = {config.train.schedule_steps}, but this training ends after {steps} steps"
        )


def data_fingerprint(faces: DepthFaces) -> str:
    """A sha256 of everything that training sees of the faces."""
    return digest(faces.images, faces.emotion, list(faces.emotions))


def starting_state(config: Config, checkpoints: Path, fingerprint: str, mesh: Mesh | None = None) -> TrainState:
    """The latest good checkpoint, or a fresh state where there is none; whole on every device of a mesh."""
    key = key_for(config.train.seed, "init")
    shapes = jax.eval_shape(lambda: init_state(key, config))
    state = checkpoint.restore_latest(checkpoints, shapes, config=config, fingerprint=fingerprint)
    state = jax.jit(init_state, static_argnums=1)(key, config) if state is None else state
    return state if mesh is None else placed(state, replicated(mesh))


def compiled_steps(
    config: Config, state: TrainState, feed: Feed, shown: Progress
) -> Callable[[TrainState, Batch, np.int32], tuple[TrainState, Metrics]]:
    """The training program, compiled ahead of the clock; it consumes the state that it is given."""
    start, streamed, mesh = time.perf_counter(), feed.streamed, feed.mesh
    across = None if mesh is None else split(mesh)
    steps = make_steps(config, config.train.steps_per_dispatch, streamed=streamed, across=across)
    with shown.waiting("compiling the training program"):
        program = on_devices(steps, feed).lower(state, feed.shapes, np.int32(1)).compile()
    if streamed:
        shown.say("the training set is larger than data.device_budget: it streams from disk")
    if mesh is not None:
        shown.say(f"{mesh.size} of {jax.device_count()} devices share a batch of {config.train.batch_size}")
    shown.say(f"training program compiled in {time.perf_counter() - start:.0f} s")
    return program


def on_devices(steps: Callable[..., Any], feed: Feed) -> Any:
    """Jitted; on a mesh what goes in and comes out is replicated, but for streamed faces."""
    if feed.mesh is None:
        return jax.jit(steps, donate_argnums=0)
    whole = replicated(feed.mesh)
    return jax.jit(steps, donate_argnums=0, in_shardings=(whole, feed.sharding, whole), out_shardings=whole)


def dispatches(config: Config, per_epoch: int, done: int) -> Iterator[tuple[int, int]]:
    """(first, last) of every dispatch to come: cut where samples or checkpoints are due.

    The cuts of a resumed run fall where those of an uninterrupted one do.
    """
    train, first = config.train, done
    total = train.epochs * per_epoch
    events = (train.samples_every_epochs * per_epoch, train.save_every_epochs * per_epoch)
    while first < total:
        last = min(first + train.steps_per_dispatch, total, *((first // every + 1) * every for every in events))
        yield first, last
        first = last


def due(every_epochs: int, config: Config, per_epoch: int, step: int) -> bool:
    """Whether a step ends an epoch whose number is a multiple of `every_epochs`, or ends the training."""
    return step % (every_epochs * per_epoch) == 0 or step == config.train.epochs * per_epoch


def summary(values: dict[str, np.ndarray], first: int, last: int, batch_size: int, elapsed: float) -> Row:
    """A row of metrics: the mean of each over the steps of a dispatch, and the rates."""
    rate = (last - first) / elapsed
    row: Row = {"step": last} | {name: float(value.mean(dtype=np.float64)) for name, value in values.items()}
    return row | {"steps_per_second": round(rate, 4), "images_per_second": round(rate * batch_size, 3)}


def draw_grid(config: Config, state: TrainState, workdir: Path, epoch: int) -> None:
    """The teacher's faces of the run's fixed latents, as `figures/progress/epoch_XXXXX.png`."""
    emotions = config.data.emotions
    latents = jax.random.normal(key_for(config.train.seed, "grid"), (GRID_COLUMNS, config.model.latent_size))
    labels = jnp.arange(len(emotions), dtype=jnp.int32).repeat(GRID_COLUMNS)
    variables = teacher_variables(state).generator
    generator = networks_at(state.step, config).generator
    generator = generator.clone(emotion_gain=float(generator.emotion_gain))  # under jit it is to be a number
    images = decode(generator, variables, jnp.tile(latents, (len(emotions), 1)), labels)
    rows = np.asarray(images).reshape(len(emotions), GRID_COLUMNS, *images.shape[1:])
    write_grid(workdir / "figures" / "progress" / f"epoch_{epoch:05}.png", rows, emotions, f"epoch {epoch}")


@partial(jax.jit, static_argnums=0)
def decode(generator: Generator, variables: dict[str, Any], latents: jax.Array, emotion: jax.Array) -> jax.Array:
    """(n, d) latents and (n,) emotion → (n, h, w) faces in [-1, 1], in evaluation mode."""
    images: jax.Array = generator.apply(variables, latents, emotion, False)  # type: ignore[assignment]
    return images
