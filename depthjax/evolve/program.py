"""What one compiled evolution is fixed by (networks, algorithm, fitness, sizes); its latents, decoded and measured."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms import CMA_ES, MR15_GA, SAMR_GA, Sep_CMA_ES
from evosax.algorithms.base import EvolutionaryAlgorithm
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from depthjax import config
from depthjax.evolve.fitness import FITNESS, Fitness, Measures, reads_of
from depthjax.evolve.k_dpp import DiverseEvolution
from depthjax.evolve.paper_ga import PaperGA
from depthjax.evolve.statistics import Relief, compare_faces, empty_share

EVOSAX: dict[str, type[EvolutionaryAlgorithm]] = {
    "mr15_ga": MR15_GA,
    "samr_ga": SAMR_GA,
    "cma_es": CMA_ES,
    "sep_cma_es": Sep_CMA_ES,
}
# Faces decoded at once: small batches stay in the cache of a CPU.
MAX_AT_ONCE = {"cpu": 10}
MAX_AT_ONCE_ELSEWHERE = 1024
MEGABYTES = 2000  # that the faces decoded at once may take


@dataclass(frozen=True)
class Program:
    """Static under jit: experiments of equal programs are compiled once and can run together."""

    generator: nn.Module  # apply(variables, latents (n, d), emotion (n,), train=False) → (n, h, w) in [-1, 1]
    discriminator: nn.Module  # apply(variables, images (n, h, w), emotion (n,), train=False) → (n,) logits
    algorithm: EvolutionaryAlgorithm  # with the size of a population and of latents
    fitness: Fitness  # of one face
    reads: tuple[str, ...]  # which of `logit` and `relief` are measured
    islands: int  # independent populations of each emotion
    generations: int  # after the first, random one
    hall_of_fame: int  # winners of each island; k_dpp keeps its population instead
    images_at_once: int  # largest batch of the generator; bounds memory
    mesh: Mesh | None = None  # devices in a row, which share the faces of every generation; None: a single one
    watched: bool = False  # whether the program reports its progress while it runs


def make_program(
    settings: config.Evolve,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    latent_size: int,
    fitness: Fitness | None = None,
    images_at_once: int | None = None,
    mesh: Mesh | None = None,
) -> Program:
    """Return the program that evolves latents (d,) with a config's algorithm, sizes and dtype.

    By default the fitness is the one that the settings name, and `images_at_once` what MEGABYTES allow, at most 10 on a
    CPU, 1024 elsewhere.
    """
    if settings.dtype == "bfloat16":
        generator = generator.clone(dtype=jnp.bfloat16)
    fitness = fitness or FITNESS[settings.fitness]
    by_descriptors = ("relief",) if settings.algorithm == "k_dpp" else ()
    algorithm = _algorithm(settings.algorithm, settings.population, latent_size, settings.tournament, settings.elite)
    return Program(
        generator=generator,
        discriminator=discriminator,
        algorithm=algorithm,
        fitness=fitness,
        reads=tuple(sorted({*reads_of(fitness), *by_descriptors})),
        islands=settings.islands,
        generations=settings.generations,
        hall_of_fame=settings.hall_of_fame,
        images_at_once=images_at_once or images_within(MEGABYTES, generator),
        mesh=mesh,
    )


@lru_cache  # one object for each: jit compares static arguments of evosax by identity
def _algorithm(name: str, population: int, latent_size: int, tournament: int, elite: int) -> EvolutionaryAlgorithm:
    latent = jnp.zeros(latent_size)
    if name == "paper":
        return PaperGA(population, latent, tournament_size=tournament, elite=elite)
    return (DiverseEvolution if name == "k_dpp" else EVOSAX[name])(population, latent)


def images_within(megabytes: int, generator: nn.Module) -> int:
    """Return how many faces to decode and measure at once within that memory.

    The two widest maps of the generator hold `width` numbers for every 8 and 16 pixels; as measured, XLA
    keeps about four times their float32 bytes at its peak.
    """
    largest = MAX_AT_ONCE.get(jax.default_backend(), MAX_AT_ONCE_ELSEWHERE)
    if not (hasattr(generator, "resolution") and hasattr(generator, "width")):
        return largest
    numbers = generator.resolution**2 * (generator.width / 16 + generator.width / 32)
    return max(1, min(largest, int(megabytes * 1e6 / (4 * 4 * numbers))))


def params_of(algorithm: EvolutionaryAlgorithm, settings: config.Evolve) -> Any:
    """Return the config's rates in the form that the algorithm takes; the others are evosax's defaults.

    Strategies that adapt a distribution begin at the prior itself, mean 0 and standard deviation 1;
    adaptive genetic algorithms begin with steps of `mutation_sigma`.
    """
    with jax.numpy_rank_promotion("allow"):
        params = algorithm.default_params
    if isinstance(algorithm, MR15_GA | SAMR_GA):
        return params.replace(std_init=settings.mutation_sigma)
    return with_settings(params, settings)


def with_settings(params: Any, settings: config.Evolve) -> Any:
    """Return an algorithm's params with the config's values in fields of the same name."""
    names = {field.name for field in fields(params)} & {field.name for field in fields(settings)}
    return params.replace(**{name: getattr(settings, name) for name in names})


def vmapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of evosax for a leading axis of populations, with rank promotion allowed in it."""

    def call(*arguments: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return jax.vmap(method)(*arguments)

    return call


@lru_cache
def compiled(function: Callable[..., Any]) -> Any:
    """Return a function of a program and arrays under jit, with a static program."""
    # On a CPU, level 3 unrolls every random draw: three times the compilation for the same speed.
    options = {"xla_backend_optimization_level": 2} if jax.default_backend() == "cpu" else None
    return jax.jit(function, static_argnums=0, compiler_options=options)


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
