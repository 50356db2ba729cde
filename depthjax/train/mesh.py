"""Data parallel training: a batch is split over devices, weights are replicated, the program names no device.

The mesh has a single axis. Batches are split along it, everything else is replicated, and the step is jitted whole: so
batch statistics and losses are those of the whole batch, and the compiler puts in the sums over devices. Of several
processes, on one or several machines, all compute and read, and only the first one writes and logs.
"""

import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from depthjax.config import Config, Distributed
from depthjax.errors import UserError
from depthjax.signals import TrainingInterrupted, exit_now

AXIS = "faces"
START_SECONDS, END_SECONDS = 300, 30  # that processes wait for each other


def mesh_for(config: Config, devices: Sequence[jax.Device] | None = None) -> Mesh | None:
    """Return the devices, of those given or all, that a training runs on; None for a single one.

    Fewer devices than asked for, or faces that can't be shared out evenly, are a UserError.
    """
    devices = jax.devices() if devices is None else devices
    part, wanted = config.train.batch_size // config.train.accumulate, config.train.devices
    if wanted > len(devices):
        raise UserError(
            f"--config.train.devices is {wanted}, but there are {len(devices)}: lower it, or give 0 for all"
        )
    if wanted and part % wanted:
        raise UserError(
            f"--config.train.devices is {wanted}, which does not divide {part} faces (train.batch_size over "
            "train.accumulate): change one of them, or give 0 for as many as divide"
        )
    count = wanted or max(n for n in range(1, len(devices) + 1) if part % n == 0)
    if jax.process_count() > 1 and count < len(devices):
        raise UserError(
            f"{part} faces (train.batch_size over train.accumulate) do not divide over the {len(devices)} devices of "
            f"{jax.process_count()} processes: change --config.train.batch_size, and leave --config.train.devices at 0"
        )
    return Mesh(np.asarray(devices[:count]), (AXIS,)) if count > 1 else None


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding that is whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
    """Return the sharding that splits an array's axis, the same number of faces for each device."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def on_devices(tree: Any, sharding: NamedSharding | None) -> Any:
    """Put host arrays, whole in every process, on the devices of a sharding; without one, on the only device."""
    if sharding is None:
        return jax.tree.map(jnp.asarray, tree)

    def place(array: Any) -> jax.Array:
        values = np.asarray(array)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(place, tree)


def one_copy(tree: Any) -> Any:
    """Return replicated arrays from the first device of this process; on the host if there are several processes."""
    if jax.process_count() > 1:  # orbax refuses an array that lies on one process's device alone
        return jax.tree.map(lambda array: np.asarray(array.addressable_data(0)), tree)
    return jax.tree.map(lambda array: jnp.asarray(array).addressable_data(0), tree)


def join(settings: Distributed) -> None:
    """Call `jax.distributed.initialize`, before anything else asks jax for devices. Without a coordinator, do nothing.

    If the others do not come, or there is no cluster to be found, it is a UserError.
    """
    if not settings.coordinator or jax.distributed.is_initialized():
        return
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM, which is ours
    found = settings.coordinator == "auto"
    try:
        jax.distributed.initialize(
            None if found else settings.coordinator,
            None if found else settings.process_count,
            None if found else settings.process_id,
            initialization_timeout=START_SECONDS,
            shutdown_timeout_seconds=END_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--config.distributed.coordinator={settings.coordinator}: {reason}") from None


def is_first() -> bool:
    """Return whether this process is the one that writes files and logs; a single one is."""
    return jax.process_index() == 0


def max_over_processes(number: int | None) -> int | None:
    """Return the largest of the processes' numbers; None if all are None."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number or 0)).max()) or None


def check_same_everywhere(what: str) -> None:
    """Raise a UserError unless all processes give the same description of what they are about to do."""
    if jax.process_count() == 1:
        return
    checksums = multihost_utils.process_allgather(np.uint32(zlib.crc32(what.encode())))
    if len(set(checksums.tolist())) > 1:
        raise UserError("the processes have other settings, faces or checkpoints: give all the same command and folder")


@contextmanager
def sharing_a_fate() -> Iterator[None]:
    """Within the block, an error of one process ends it at once, and with it the others, each with one line.

    Not by an exception: at exit jax would wait for processes that wait for this one.
    """
    try:
        yield
    except TrainingInterrupted:  # all of them are, at the same step
        raise
    except (UserError, OSError) as error:
        if jax.process_count() == 1:
            raise
        line, code = str(error), getattr(error, "exit_code", 1)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if jax.process_count() == 1:
            raise
        reason = " ".join(str(error).split())[:120]
        line, code = f"another process is gone ({reason}): run the same command in all of them to go on", 1
    else:
        return
    print(f"depthjax: {line}", file=sys.stderr)
    exit_now(code)
