"""Many trainings as one program: each with networks, optimisers, faces and random numbers of its own.

The learning rule is that of a single training (`depthjax.train.step.make_update`); an axis over trainings is all that
is added. On a GPU the trainings run side by side, under vmap. On a CPU their convolutions would become grouped ones,
which are slow: there they run one after the other, in a loop of the same program (`benchmarks/few.py`).
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest
from depthjax.keys import fold
from depthjax.progress import Progress, waiting
from depthjax.signals import TrainingInterrupted, stop_on_signals
from depthjax.train import checkpoint
from depthjax.train.loop import check_batch
from depthjax.train.not_finite import NotFinite, all_finite
from depthjax.train.state import Pair, TrainState, init_state
from depthjax.train.step import Batch, Metrics, Update, make_update, teacher_variables

SAVE_SECONDS = 120  # between two checkpoints
STEP_ALONE = TrainState(None, *[0] * 5)  # type: ignore[arg-type]  # the axis of each part: all trainings share the step


class Own(NamedTuple):
    """What each of c trainings has of its own, beside its state."""

    rows: jax.Array  # (c, n) int32: the rows of its faces, then others that make up the number
    held: jax.Array  # (c,) int32: how many of them are its faces
    key: jax.Array  # (c,)


ManySteps = Callable[[TrainState, Own, Batch, jax.Array], tuple[TrainState, Metrics]]


def train_many(
    config: Config,
    faces: DepthFaces,
    members: Sequence[np.ndarray],
    keys: jax.Array,
    checkpoints: Path,
    *,
    steps: int,
    vmapped: bool | None = None,
    quiet: bool = False,
) -> TrainState:
    """Train c pairs of networks for `steps` steps, resuming from the newest good checkpoint.

    Args:
        members: of each training the rows of its faces, at least a batch.
        keys: (c,), of each training: the result depends on its faces and its key, but for rounding not on the others.
        vmapped: whether they run side by side (default: except on a CPU).
    Returns:
        A state whose arrays have a leading axis (c, ...), except its step.
    Raises:
        UserError: fewer faces than a batch, a checkpoint of another training, or numbers that are not finite.
        TrainingInterrupted: SIGTERM or SIGINT came; the state is saved.
    """
    batch, own = _on_device(config, faces, members, keys)
    fingerprint = digest(*(np.asarray(a) for a in (*batch, own.rows, own.held, jax.random.key_data(keys))))
    state = _starting_state(config, keys, checkpoints, fingerprint)
    if int(state.step) > steps:
        raise UserError(f"{checkpoints} holds {int(state.step)} steps, more than {steps}: take another --workdir")
    if int(state.step) == steps:
        return state
    shown = Progress(steps, int(state.step), quiet=quiet)
    with waiting("compiling the training program", quiet=shown.quiet):
        many_steps = make_many_steps(config, vmapped=default_vmapped() if vmapped is None else vmapped)
        program = jax.jit(many_steps, donate_argnums=0).lower(state, own, batch, np.int32(1)).compile()

    def save() -> None:
        checkpoint.save(checkpoints, state, config=config, fingerprint=fingerprint, keep=1)

    saved = time.monotonic()
    try:
        with stop_on_signals() as stop:
            while (first := int(state.step)) < steps:
                start, count = time.perf_counter(), min(config.train.steps_per_dispatch, steps - first)
                state, metrics = program(state, own, batch, np.int32(count))
                row = _checked_row(metrics, state, first + count)
                row["steps_per_second"] = count / (time.perf_counter() - start)
                shown(row | {"epoch": row["step"] * config.train.batch_size // len(members[0])})
                stopped, done = stop.signal_number, row["step"] == steps
                if done or stopped is not None or time.monotonic() - saved > SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
                if stopped is not None and not done:
                    raise TrainingInterrupted(stopped, int(row["step"]))
    finally:
        shown.close()
    return state


def default_vmapped() -> bool:
    """Return whether trainings side by side are faster than one after the other on this backend."""
    return jax.default_backend() != "cpu"


def _on_device(config: Config, faces: DepthFaces, members: Sequence[np.ndarray], keys: jax.Array) -> tuple[Batch, Own]:
    """Put the faces that some training sees on the device, once; a UserError if one has less than a batch."""
    check_batch(config, min(map(len, members)))
    used = np.unique(np.concatenate(members))
    longest = max(map(len, members))
    rows = np.stack([np.resize(np.searchsorted(used, of), longest) for of in members]).astype(np.int32)
    batch = Batch(jnp.asarray(faces.images[used], jnp.float32), jnp.asarray(faces.emotion[used], jnp.int32))
    return batch, Own(jnp.asarray(rows), jnp.asarray([len(of) for of in members], jnp.int32), keys)


def _starting_state(config: Config, keys: jax.Array, checkpoints: Path, fingerprint: str) -> TrainState:
    shapes = jax.eval_shape(lambda: init_many(keys, config))
    # Of a set of trainings the fingerprint is also that of who is drawn, and of the seeds.
    state = checkpoint.restore_latest(
        checkpoints, shapes, config=config, fingerprint=fingerprint, of="the draws, their seed or the faces"
    )
    return jax.jit(init_many, static_argnums=1)(keys, config) if state is None else state


def init_many(keys: jax.Array, config: Config) -> TrainState:
    """Return the fresh state of the trainings of keys (c,), each as `init_state` makes it."""
    state = jax.lax.map(lambda key: init_state(fold(key, "init"), config), keys)
    return state._replace(step=jnp.zeros((), jnp.int32))


def make_many_steps(
    config: Config, *, vmapped: bool, make_update: Callable[[Config], Update] = make_update
) -> ManySteps:
    """Return one program for many steps of c trainings: `steps(state, own, faces, count)`.

    It returns the state `count` steps on, and the mean of each metric over these steps, (c,). Faces are shared,
    images (n, h, w). A batch, and all that is random, depends on a training's key and the step alone.
    """
    update = jax.jit(make_update(config), inline=True)

    def one(state: TrainState, own: Own, faces: Batch, count: jax.Array) -> tuple[TrainState, Metrics]:
        def next_state(state: TrainState) -> tuple[TrainState, Metrics]:
            batch = own_batch(faces, own, state.step, size=config.train.batch_size)
            return update(state, batch, fold(own.key, "train", state.step))

        def body(_: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
            state, metrics = next_state(carry[0])
            return state, jax.tree.map(jnp.add, carry[1], metrics)

        zeros = {name: jnp.zeros(()) for name in jax.eval_shape(next_state, state)[1]}
        state, sums = jax.lax.fori_loop(0, count, body, (state, zeros))
        return state, jax.tree.map(lambda total: total / count, sums)

    def in_turn(state: TrainState, own: Own, faces: Batch, count: jax.Array) -> tuple[TrainState, Metrics]:
        def mapped(given: tuple[Any, Own]) -> tuple[Any, Metrics]:
            parts, own = given
            after, metrics = one(TrainState(state.step, *parts), own, faces, count)
            return after[1:], metrics

        parts, metrics = jax.lax.map(mapped, (tuple(state[1:]), own))
        return TrainState(state.step + count, *parts), metrics

    return jax.vmap(one, (STEP_ALONE, 0, None, None), (STEP_ALONE, 0)) if vmapped else in_turn


def own_batch(faces: Batch, own: Own, step: jax.Array, *, size: int) -> Batch:
    """Return a training's batch of a step: each epoch is a new permutation of its own faces, cut into full batches."""
    per_epoch, places = own.held // size, jnp.arange(len(own.rows))
    drawn = jax.random.uniform(fold(own.key, "shuffle", step // per_epoch), places.shape, jnp.float32)
    order = jnp.argsort(jnp.where(places < own.held, drawn, 2))  # others come last
    rows = own.rows[jax.lax.dynamic_slice_in_dim(order, step % per_epoch * size, size)]
    return jax.tree.map(lambda array: array[rows], faces)


def teachers_of(state: TrainState, number: int) -> Pair:
    """Return the linen variables of both teachers of one training."""
    return jax.tree.map(lambda leaf: leaf[number], teacher_variables(state))


def _checked_row(metrics: Metrics, state: TrainState, step: int) -> dict[str, Any]:
    """Return the mean of each metric over the trainings; raise `NotFinite` naming the first training at fault."""
    values = {name: np.asarray(value) for name, value in metrics.items()}
    for name, value in values.items():
        if not np.isfinite(value).all():
            number = int(np.argmin(np.isfinite(value)))
            raise NotFinite(f"{name} of training {number} is {value[number]} by step {step}: lower the learning rates")
    if not all_finite(state):
        raise NotFinite(f"weights are not finite after step {step}: lower the learning rates")
    return {"step": step} | {name: float(value.mean()) for name, value in values.items()}
