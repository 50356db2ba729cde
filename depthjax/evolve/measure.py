"""Latents decoded and measured: what a fitness reads of a face, by both networks and beside real faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from depthjax.evolve.fitness import Measures
from depthjax.evolve.statistics import Relief, empty_share, look


class Networks(NamedTuple):
    """Variables of the two networks, in evaluation mode: arguments of the program, never constants in it."""

    generator: Any
    discriminator: Any
    relief: Relief | None = None  # of real faces, where something reads it: given by `evolve`


Measure = Callable[[Networks, jax.Array, jax.Array, jax.Array], Measures]


def all_devices() -> Mesh | None:
    """The devices of this process in a row, to share the faces of every generation; None for a single one."""
    devices = jax.local_devices()
    return Mesh(np.asarray(devices), ("faces",)) if len(devices) > 1 else None


def everywhere(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays whole on every device, as a program over several needs them; as they are, if there is one."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def make_measure(
    generator: nn.Module, discriminator: nn.Module | None, images_at_once: int, mesh: Mesh | None = None
) -> Measure:
    """The function that decodes and measures faces: `(networks, latents (n, d), emotion (n,), needed (n,)) → Measures`.

    Rows that are not needed are left out, and what is returned for them means nothing. Under vmap, the axes join the
    batch instead of nesting in it: the networks see one flat batch, `images_at_once` rows at a time. Over a mesh each
    device decodes its part of that batch, whatever its rows are of (populations, islands, emotions, experiments), and
    only what was measured travels: evolution itself is repeated on each.
    """

    def measure_batch(networks: Networks, latents: jax.Array, emotion: jax.Array) -> Measures:
        images: Any = generator.apply(networks.generator, latents, emotion, train=False)
        images = images.astype(jnp.float32)
        logit: Any = jnp.full(latents.shape[0], jnp.nan)
        if discriminator is not None:
            logit = discriminator.apply(networks.discriminator, images, emotion, train=False)
        mean, std = images.mean((1, 2)), images.std((1, 2))
        if networks.relief is None:
            unread = jnp.full(len(mean), jnp.nan)
            nothing = jnp.zeros((len(mean), 0))
            return Measures(mean, std, logit, unread, unread, unread, unread, nothing, nothing)
        seen = look(networks.relief, images, emotion)
        beside_real = (seen.log_probability, seen.outside, seen.nearest, seen.descriptor, seen.reading)
        return Measures(mean, std, logit, empty_share(images), *beside_real)

    def in_chunks(networks: Networks, latents: jax.Array, emotion: jax.Array, needed: jax.Array) -> Measures:
        n, rows = latents.shape[0], min(images_at_once, latents.shape[0])
        order = jnp.pad(jnp.argsort(~needed), (0, -n % rows), constant_values=n)  # needed ones first; n is no row

        def more(carry: tuple[jax.Array, Measures]) -> jax.Array:
            return carry[0] < needed.sum()

        def chunk(carry: tuple[jax.Array, Measures]) -> tuple[jax.Array, Measures]:
            start, measures = carry
            which = jax.lax.dynamic_slice(order, (start,), (rows,))
            part = measure_batch(networks, latents.at[which].get(mode="clip"), emotion.at[which].get(mode="clip"))
            return start + rows, jax.tree.map(lambda whole, new: whole.at[which].set(new, mode="drop"), measures, part)

        relief = networks.relief
        described = 0 if relief is None else relief.faces.shape[-1]
        read = 0 if relief is None or relief.readings is None else relief.readings.means.shape[-1]
        none = jnp.zeros(n)
        blank = Measures(none, none, none, none, none, none, none, jnp.zeros((n, described)), jnp.zeros((n, read)))
        return jax.lax.while_loop(more, chunk, (jnp.int32(0), blank))[1]

    @jax.custom_batching.custom_vmap
    def measure(networks: Networks, *rows: jax.Array) -> Measures:
        if mesh is None:
            return in_chunks(networks, *rows)
        n, part = len(rows[0]), PartitionSpec(*mesh.axis_names)
        even = [jnp.pad(x, ((0, -n % mesh.size), *((0, 0) for _ in x.shape[1:]))) for x in rows]  # not needed ones
        specs = (PartitionSpec(), part, part, part)
        shared = jax.shard_map(in_chunks, mesh=mesh, in_specs=specs, out_specs=part, check_vma=False)(networks, *even)
        whole = jax.lax.with_sharding_constraint(shared, NamedSharding(mesh, PartitionSpec()))
        return jax.tree.map(lambda x: x[:n], whole)

    @measure.def_vmap
    def flatten(axis_size: int, batched: Any, networks: Networks, *rows: jax.Array) -> tuple[Measures, Any]:
        if any(jax.tree.leaves(batched[0])):
            raise ValueError("the networks are shared by all islands: vmap over latents, not over variables")
        full = [x if b else jnp.broadcast_to(x, (axis_size, *x.shape)) for x, b in zip(rows, batched[1:], strict=True)]
        flat = measure(networks, *(x.reshape(-1, *x.shape[2:]) for x in full))
        n = full[0].shape[1]
        return jax.tree.map(lambda x: x.reshape(axis_size, n, *x.shape[1:]), flat), jax.tree.map(lambda _: True, flat)

    return measure
