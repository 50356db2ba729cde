"""Latents decoded and measured: what a fitness reads of a face, by both networks and beside training faces."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from depthjax.evolve.fitness import Measures
from depthjax.evolve.program import Program
from depthjax.evolve.statistics import Relief, compare_faces, empty_share


class Networks(NamedTuple):
    """Variables of the two networks, in evaluation mode: arguments of the program, never constants in it."""

    generator: Any
    discriminator: Any
    relief: Relief | None = None  # of training faces, where something reads it: set by `evolve`


def all_devices() -> Mesh | None:
    """Return the devices of this process in a row; None for a single one."""
    devices = jax.local_devices()
    return Mesh(np.asarray(devices), ("faces",)) if len(devices) > 1 else None


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """Return the arrays, whole on every device of the mesh."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def measure_faces(
    program: Program, networks: Networks, latents: jax.Array, emotion: jax.Array, needed: jax.Array
) -> Measures:
    """Decode and measure latents (..., d) as one flat batch, `program.images_at_once` at a time.

    Over a mesh each device decodes its part of the batch, whatever its rows are (populations, islands, emotions,
    experiments), and only the measures are sent: evolution itself is repeated on each device. Rows that are not
    `needed`, (...), are not decoded, and their measures have no meaning.
    """
    shape, mesh, n = latents.shape[:-1], program.mesh, needed.size
    emotion = jnp.broadcast_to(emotion, shape).reshape(-1)
    rows = latents.reshape(n, -1), emotion, needed.reshape(-1)
    chunks = partial(_in_chunks, program)
    if mesh is None:
        faces = chunks(networks, *rows)
    else:
        whole, part = PartitionSpec(), PartitionSpec(*mesh.axis_names)
        # Padding rows are False in `needed`.
        even = [jnp.pad(x, ((0, -n % mesh.size), *((0, 0) for _ in x.shape[1:]))) for x in rows]
        shared = jax.shard_map(chunks, mesh=mesh, in_specs=(whole, *[part] * 3), out_specs=part, check_vma=False)
        faces = jax.lax.with_sharding_constraint(shared(networks, *even), NamedSharding(mesh, whole))
    return jax.tree.map(lambda leaf: leaf[:n].reshape(*shape, *leaf.shape[1:]), faces)


def _in_chunks(
    program: Program, networks: Networks, latents: jax.Array, emotion: jax.Array, needed: jax.Array
) -> Measures:
    n, size = latents.shape[0], min(program.images_at_once, latents.shape[0])
    # Needed rows first; n is no row.
    order = jnp.pad(jnp.argsort(~needed), (0, -n % size), constant_values=n)

    def chunk(carry: tuple[jax.Array, Measures]) -> tuple[jax.Array, Measures]:
        start, measures = carry
        rows = jax.lax.dynamic_slice(order, (start,), (size,))
        some = latents.at[rows].get(mode="clip"), emotion.at[rows].get(mode="clip")
        part = measure_batch(program, networks, *some)
        put = jax.tree.map(lambda whole, new: whole.at[rows].set(new, mode="drop"), measures, part)
        return start + size, put

    shapes = jax.eval_shape(partial(measure_batch, program), networks, latents, emotion)
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.while_loop(lambda carry: carry[0] < needed.sum(), chunk, (jnp.int32(0), blank))[1]


def measure_batch(program: Program, networks: Networks, latents: jax.Array, emotion: jax.Array) -> Measures:
    """Decode and measure latents (n, d) of (n,) emotions at once; unlike `measure_faces` it can be differentiated."""
    images: Any = program.generator.apply(networks.generator, latents, emotion, train=False)
    images = images.astype(jnp.float32)
    unread, none = jnp.full(len(latents), jnp.nan), jnp.zeros((len(latents), 0))
    faces = Measures(images.mean((1, 2)), images.std((1, 2)), *(unread,) * 5, none, none)
    if "logit" in program.reads:
        logit: Any = program.discriminator.apply(networks.discriminator, images, emotion, train=False)
        faces = faces._replace(logit=logit)
    if "relief" in program.reads:
        assert networks.relief is not None
        beside = compare_faces(networks.relief, images, emotion)
        faces = faces._replace(empty=empty_share(images), **beside._asdict())
    return faces
