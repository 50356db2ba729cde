"""Training from the first step, or the last checkpoint, to the last epoch."""

import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from PIL import Image, ImageDraw

from depthjax.config import Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError, counted
from depthjax.files import digest, replacing
from depthjax.fonts import legible, pillow_font
from depthjax.keys import key_for
from depthjax.models.dcgan import decode
from depthjax.progress import Progress, waiting
from depthjax.signals import TrainingInterrupted, stop_on_signals
from depthjax.train import checkpoint
from depthjax.train.feed import Feed, feed_for
from depthjax.train.mesh import (
    check_same_everywhere,
    is_first,
    max_over_processes,
    mesh_for,
    on_devices,
    one_copy,
    replicated,
    split,
)
from depthjax.train.metrics_log import Row, append_metrics, truncate_metrics, writers
from depthjax.train.not_finite import NotFinite, check_faces_finite, check_finite, lowered, read_rollbacks, roll_back
from depthjax.train.state import TrainState, init_state, networks
from depthjax.train.step import Batch, Metrics, Update, make_steps, make_update, teacher_variables

GRID_COLUMNS = 8  # faces of each emotion in a sample grid
GRID_GAP = 4  # pixels between faces
MIN_FACE = 96  # pixels: smaller faces are enlarged by a whole factor

MakeUpdate = Callable[[Config], Update]


def train(
    config: Config,
    faces: DepthFaces,
    workdir: Path,
    *,
    progress: Callable[[Row], None] | None = None,
    quiet: bool = False,
    make_update: MakeUpdate = make_update,
) -> TrainState:
    """Train both networks to the last epoch, resuming from the latest good checkpoint in `workdir`.

    Writes `checkpoints/STEP/`, `metrics.jsonl` and `figures/progress/epoch_XXXXX.png` there.

    Args:
        progress: called with every new row of metrics (default: a bar, or lines, on standard error unless `quiet`).
        make_update: the learning rule; an experiment passes its own.
    Raises:
        UserError: faces that don't fit the config, a checkpoint of another training, or a loss or a weight that is not
            finite (nothing of that dispatch is saved), after three rollbacks with `train.on_not_finite` = rollback.
        TrainingInterrupted: SIGTERM or SIGINT came; the state is saved.
    """
    check_faces_fit(config, faces)
    check_faces_finite(faces)
    reasons = read_rollbacks(workdir / "checkpoints")
    while True:
        try:
            lower_rates = lowered(config, len(reasons))
            return _from_last_checkpoint(config, faces, workdir, progress, lower_rates, make_update, quiet=quiet)
        except NotFinite as failure:
            reasons = roll_back(config, workdir / "checkpoints", reasons, failure)


def _from_last_checkpoint(
    config: Config,
    faces: DepthFaces,
    workdir: Path,
    progress: Callable[[Row], None] | None,
    lower_rates: Config,
    make_update: MakeUpdate,
    *,
    quiet: bool,
) -> TrainState:
    """Train as `train` does, with the rates of `lower_rates`, until a number is not finite."""
    fingerprint, log = data_fingerprint(faces), workdir / "metrics.jsonl"
    mesh, first_process = mesh_for(config), is_first()
    state = starting_state(config, workdir / "checkpoints", fingerprint, mesh)
    per_epoch, done = len(faces) // config.train.batch_size, int(state.step)
    check_same_everywhere(f"{config.data} {config.model} {lower_rates.train} {fingerprint} {done}")
    rows = truncate_metrics(log, done) if first_process else []
    if done >= config.train.epochs * per_epoch:
        return state

    shown = Progress(config.train.epochs * per_epoch, done, quiet=quiet or not first_process)
    feed = feed_for(config, faces, done, mesh)
    steps = compiled_steps(lower_rates, state, feed, shown, make_update)
    seconds = rows[-1]["seconds"] if rows else 0.0
    try:
        with stop_on_signals() as stop, writers(config, workdir, done) as write:
            for first, last in dispatches(config, per_epoch, done):
                start = time.perf_counter()
                state, metrics = steps(state, feed.take(last - first), np.int32(last - first))
                values = {name: np.asarray(value)[: last - first] for name, value in metrics.items()}
                elapsed = time.perf_counter() - start
                check_finite(values, state, first)

                seconds += elapsed
                row = summary(values, first, last, config.train.batch_size, elapsed)
                row |= {"epoch": last // per_epoch, "seconds": round(seconds, 3)}
                if first_process:
                    append_metrics(log, [row])
                    write(row)
                    (progress or shown)(row)
                    if due(config.train.samples_every_epochs, config, per_epoch, last):
                        draw_grid(config, one_copy(state), workdir, last // per_epoch)

                # All processes stop at the same step; only the first one saves.
                stopped = max_over_processes(stop.signal_number)
                saving = due(config.train.save_every_epochs, config, per_epoch, last) or stopped is not None
                if first_process and saving:
                    keep, folder, whole = config.train.keep_checkpoints, workdir / "checkpoints", one_copy(state)
                    checkpoint.save(folder, whole, config=config, fingerprint=fingerprint, keep=keep)
                if stopped is not None:
                    raise TrainingInterrupted(stopped, last)
    finally:
        shown.close()
    return state


def check_faces_fit(config: Config, faces: DepthFaces) -> None:
    """Raise a UserError if the faces are not what the config says, or fewer than a batch."""
    size = config.data.resolution
    shape, shown, wanted = faces.images.shape[1:], tuple(faces.emotions), tuple(config.data.emotions)
    if shape != (size, size):
        raise UserError(f"the faces are {shape} pixels but data.resolution is {size}: prepare them again")
    if shown != wanted:
        raise UserError(f"the faces show {shown} but data.emotions is {wanted}: prepare them again")
    check_batch(config, len(faces))


def check_batch(config: Config, count: int) -> None:
    """Raise a UserError if so many faces are fewer than a batch."""
    if count < config.train.batch_size:
        raise UserError(
            f"{count} faces to train on are fewer than a batch: lower --config.train.batch_size "
            f"(now {config.train.batch_size}) to {count} or less"
        )


def data_fingerprint(faces: DepthFaces) -> str:
    """Return a sha256 of all that training reads of the faces."""
    return digest(faces.images, faces.emotion, list(faces.emotions))


def starting_state(config: Config, checkpoints: Path, fingerprint: str, mesh: Mesh | None = None) -> TrainState:
    """Return the latest good checkpoint, or a fresh state where there is none, replicated over a mesh."""
    key = key_for(config.train.seed, "init")
    shapes = jax.eval_shape(lambda: init_state(key, config))
    state = checkpoint.restore_latest(checkpoints, shapes, config=config, fingerprint=fingerprint)
    state = jax.jit(init_state, static_argnums=1)(key, config) if state is None else state
    return state if mesh is None else on_devices(state, replicated(mesh))


def compiled_steps(
    config: Config, state: TrainState, feed: Feed, shown: Progress, make_update: MakeUpdate = make_update
) -> Callable[[TrainState, Batch, np.int32], tuple[TrainState, Metrics]]:
    """Compile the training program ahead of the clock; it consumes the state that it is given."""
    start, streamed, mesh = time.perf_counter(), feed.streamed, feed.mesh
    across = None if mesh is None else split(mesh)
    max_steps = config.train.steps_per_dispatch
    steps = make_steps(config, max_steps, streamed=streamed, across=across, make_update=make_update)
    with waiting("compiling the training program", quiet=shown.quiet):
        program = jitted(steps, feed).lower(state, feed.shapes, np.int32(1)).compile()
    if streamed:
        shown.log("the training set is larger than data.device_budget: it streams from disk")
    if mesh is not None:
        shown.log(f"{mesh.size} of {counted(jax.device_count(), 'device')} share a batch of {config.train.batch_size}")
    shown.log(f"training program compiled in {time.perf_counter() - start:.0f} s")
    return program


def jitted(steps: Callable[..., Any], feed: Feed) -> Any:
    """Jit the steps; on a mesh all inputs and outputs are replicated, except streamed faces."""
    if feed.mesh is None:
        return jax.jit(steps, donate_argnums=0)
    whole = replicated(feed.mesh)
    return jax.jit(steps, donate_argnums=0, in_shardings=(whole, feed.sharding, whole), out_shardings=whole)


def dispatches(config: Config, per_epoch: int, done: int) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of every dispatch to come: cut where samples or checkpoints are due, also after a resume."""
    train, first = config.train, done
    total = train.epochs * per_epoch
    events = (train.samples_every_epochs * per_epoch, train.save_every_epochs * per_epoch)
    while first < total:
        last = min(first + train.steps_per_dispatch, total, *((first // every + 1) * every for every in events))
        yield first, last
        first = last


def due(every_epochs: int, config: Config, per_epoch: int, step: int) -> bool:
    """Return whether a step ends an epoch whose number is a multiple of `every_epochs`, or ends the training."""
    return step % (every_epochs * per_epoch) == 0 or step == config.train.epochs * per_epoch


def summary(values: dict[str, np.ndarray], first: int, last: int, batch_size: int, elapsed: float) -> Row:
    """Return a row of metrics: the mean of each over the steps of a dispatch, and the rates."""
    rate = (last - first) / elapsed
    row: Row = {"step": last} | {name: float(value.mean(dtype=np.float64)) for name, value in values.items()}
    return row | {"steps_per_second": round(rate, 4), "images_per_second": round(rate * batch_size, 3)}


def draw_grid(config: Config, state: TrainState, workdir: Path, epoch: int) -> None:
    """Draw the teacher's faces of the run's fixed latents, as `figures/progress/epoch_XXXXX.png`."""
    emotions, generator = config.data.emotions, networks(config).generator
    shape = (GRID_COLUMNS, config.model.latent_size)
    latents = jax.random.normal(key_for(config.train.seed, "grid"), shape, np.float32)
    labels = np.arange(len(emotions), dtype=np.int32).repeat(GRID_COLUMNS)
    teacher, tiled = teacher_variables(state).generator, np.tile(latents, (len(emotions), 1))
    images = decode(generator, teacher, tiled, labels)
    rows = images.reshape(len(emotions), GRID_COLUMNS, *images.shape[1:])
    write_grid(workdir / "figures" / "progress" / f"epoch_{epoch:05}.png", rows, emotions, f"epoch {epoch}")


def write_grid(path: Path, images: np.ndarray, emotions: Sequence[str], title: str) -> None:
    """Draw (emotions, columns, h, w) faces in [-1, 1] as a labelled PNG; darker is closer."""
    factor = max(1, -(-MIN_FACE // images.shape[-2]))
    gray = quantise(images).repeat(factor, axis=2).repeat(factor, axis=3)
    rows, columns, height, width = gray.shape
    size = max(12, height // 8)
    names = [legible(name) for name in emotions]
    looks = [pillow_font(name, size) for name in names]
    left = GRID_GAP * 3 + max(round(font.getlength(name)) for name, font in zip(names, looks, strict=True))
    top = 2 * size
    sheet = Image.new("L", (left + columns * (width + GRID_GAP), top + rows * (height + GRID_GAP)), 255)
    draw = ImageDraw.Draw(sheet)
    draw.text((left, top // 2), title, fill=40, font=pillow_font(title, size), anchor="lm")
    for row, (name, font) in enumerate(zip(names, looks, strict=True)):
        y = top + row * (height + GRID_GAP)
        draw.text((left - 2 * GRID_GAP, y + height // 2), name, fill=40, font=font, anchor="rm")
        for column in range(columns):
            sheet.paste(Image.fromarray(gray[row, column]), (left + column * (width + GRID_GAP), y))
    data = BytesIO()
    sheet.save(data, "PNG", optimize=True)
    with replacing(path) as file:
        file.write(data.getvalue())
