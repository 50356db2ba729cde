"""Data parallel training: a batch is split over devices, weights are replicated, the program names no device.

The mesh has a single axis. Batches are split along it, everything else is replicated, and the step is jitted whole: so
batch statistics and losses are those of the whole batch, and the compiler puts in the sums over devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from depthjax.config import Config
from depthjax.errors import UserError

AXIS = "faces"


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
