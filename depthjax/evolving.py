"""Latent evolution of a trained run: what it reads from the work folder, and what it writes there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from depthjax.config import Config, Evolve, own_fitness
from depthjax.config_file import run_file, said_of
from depthjax.data.faces import DepthFaces
from depthjax.errors import ConfigError
from depthjax.evolve.fitness import FITNESS, Fitness, Measures, Weights, reads_relief
from depthjax.evolve.measure import Networks, all_devices
from depthjax.evolve.run import evolve, refuse_not_finite
from depthjax.evolve.statistics import DESCRIBED, Statistics, statistics_of
from depthjax.evolve.sweep import Outcome, by_shape, grid, run_together
from depthjax.evolve.watch import is_long
from depthjax.files import file_digest, write_arrays, write_text
from depthjax.keys import key_for
from depthjax.progress import counting, waiting
from depthjax.train.checkpoint import restore_teachers
from depthjax.train.state import networks

Say = Callable[[str], None]
Columns = Mapping[str, np.ndarray]  # by name, (experiments,)

MOST_JUDGED = 1000  # real faces an emotion that statistics are taken of
JUDGED_AT_ONCE = 320


class Inputs(NamedTuple):
    """The teachers, and what a fitness reads of real training faces."""

    networks: Networks
    real: Statistics


def evolution_inputs(
    config: Config, workdir: Path, faces: DepthFaces, *, readers: bool = True, quiet: bool = False
) -> Inputs:
    """What every evolution of a run begins with.

    Args:
        faces: the real training faces; at most a thousand of each emotion are read.
        readers: whether emotions will be read: by a fitness (`reads_emotions`), or by a sweep's outcomes.
        quiet: do not say what is waited for.
    Raises:
        UserError: no checkpoint, or a damaged one.
    """
    teachers, _ = restore_teachers(workdir / "checkpoints", config=config, strict=True)
    judge = jax.jit(lambda v, x, e: networks(config).discriminator.apply(v, x, e, train=False))
    classes = len(config.data.emotions)
    shuffled = np.random.default_rng([config.evolve.seed, 1]).permutation(len(faces))
    members = [shuffled[faces.emotion[shuffled] == label][:MOST_JUDGED] for label in range(classes)]
    faces = faces.take(np.sort(np.concatenate(members)))
    chunks = [slice(i, i + JUDGED_AT_ONCE) for i in range(0, len(faces), JUDGED_AT_ONCE)]
    logits = [np.asarray(judge(teachers.discriminator, faces.images[i], faces.emotion[i])) for i in chunks]
    seen = faces.images, faces.emotion, faces.subject, np.concatenate(logits)
    steps = config.evolve.reader_steps if readers else 0
    with waiting("learning to read emotions", quiet=quiet or not readers):
        found = statistics_of(*seen, classes=classes, reader_steps=steps, seed=config.evolve.seed)
    return Inputs(Networks(teachers.generator, teachers.discriminator), found)


def reads_emotions(config: Config) -> bool:
    """Whether the fitness of this config may ask which emotion a face shows."""
    return config.evolve.fitness not in FITNESS or reads_relief(FITNESS[config.evolve.fitness])


def how_readers_do(real: Statistics, classes: int) -> str:
    """A line on how emotions of strangers are read: it says how far an evolution can be sure of them."""
    share = float("nan") if real.read_rightly is None else float(real.read_rightly)
    if np.isnan(share):
        return "too few people to leave any out: how well emotions of strangers are read is not known"
    told = f"emotions of real people left out are read rightly in {100 * share:.0f} %"
    return told if share > 1.5 / classes else f"{told}: hardly better than guessing, evolution cannot heed them"


def evolve_latents(config: Config, inputs: Inputs, folder: Path, say: Say, *, quiet: bool = False) -> list[Path]:
    """Evolve, and write `statistics.npz`, `history.npz` and `winners.npz` into the folder."""
    nets, size, emotions = networks(config), config.evolve, len(config.data.emotions)
    own = load_fitness(config)
    write_arrays(folder / "statistics.npz", **_flat(inputs.real))
    if reads_emotions(config):
        say(how_readers_do(inputs.real, emotions))
    say(f"{size.algorithm}: {size.generations} generations x {emotions} emotions x {size.islands} x {size.population}")
    with _watched(config, inputs, [size], quiet=quiet) as progress:
        found = evolve(
            key_for(size.seed, "evolve"),
            *inputs,
            generator=nets.generator,
            discriminator=nets.discriminator,
            settings=size,
            latent_size=config.model.latent_size,
            fitness=own,
            mesh=all_devices(),
            progress=progress,
        )
        arrays = jax.tree.map(np.asarray, found)
    refuse_not_finite(arrays, config.data.emotions)
    write_arrays(folder / "history.npz", best=arrays.best, mean=arrays.mean, std=arrays.std)
    write_arrays(folder / "winners.npz", latents=arrays.winners, fitness=arrays.winner_fitness)
    say(f"{int(arrays.evaluations)} evaluations of the generator")
    paths = [folder / name for name in ("statistics.npz", "history.npz", "winners.npz")]
    return [*paths, *_keep_own_fitness(config, folder)]


@contextmanager
def _watched(
    config: Config, inputs: Inputs, together: Sequence[Evolve], *, quiet: bool
) -> Iterator[Callable[[int], None] | None]:
    """While experiments of one shape evolve, say how far they are, if that takes long; gives `evolve`'s `progress`."""
    variables, generations = inputs.networks.generator, together[0].generations
    faces = len(config.data.emotions) * sum(s.islands * s.population * (s.generations + 1) for s in together)
    if quiet or not is_long(networks(config).generator, variables, config.model.latent_size, faces):
        with waiting("compiling the evolution, and evolving", quiet=quiet):
            yield None
    else:
        with counting("compiling the evolution", generations, "generation") as count:
            yield count


def _keep_own_fitness(config: Config, folder: Path) -> list[Path]:
    """A copy of the user's file beside what came of it, `fitness.py`; of a named fitness there is none."""
    own, copy = own_fitness(config.evolve), folder / "fitness.py"
    copy.unlink(missing_ok=True)
    if own is None:
        return []
    write_text(copy, Path(own[0]).read_text("utf-8"))
    return [copy]


def load_fitness(config: Config) -> Fitness | None:
    """The fitness of `evolve.fitness = FILE.py:FUNCTION`, tried on the shapes of one face; None for a named one.

    The file is Python: run only those that you trust.

    Raises:
        ConfigError: no such file or function, or one that does not give one number for one face.
    """
    own = own_fitness(config.evolve)
    if own is None:
        return None
    path, name = Path(own[0]), own[1]
    if not path.is_file():
        raise ConfigError(f"--config.evolve.fitness {path}: no such file")
    function, what = _function(path, name, file_digest(path)), f"--config.evolve.fitness {config.evolve.fitness}"
    with said_of(what):
        value: Any = jax.eval_shape(function, *_one_face(config.model.latent_size))
        if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise ConfigError(f"{what}: must give one real number for one face, and gave {value}")
    return function


@cache
def _function(path: Path, name: str, digest: str) -> Fitness:
    """One function for one content of a file: a program that was compiled for it is found again."""
    del digest
    module = run_file(path, "--config.evolve.fitness", "fitness_of_this_run")
    if not callable(getattr(module, name, None)):
        raise ConfigError(f"--config.evolve.fitness {path}: has no function '{name}'")
    function: Fitness = getattr(module, name)
    return function


def _one_face(latent_size: int) -> tuple[Measures, jax.ShapeDtypeStruct, Weights]:
    """The shapes of what a fitness is given."""

    def shape(*axes: int) -> Any:
        return jax.ShapeDtypeStruct(axes, jnp.float32)

    numbers = {name: shape() for name in Measures._fields} | {
        name: shape(DESCRIBED) for name in ("descriptor", "reading")
    }
    weights = {name: shape() for name in Weights._fields} | {"band_low": shape(3), "band_high": shape(3)}
    return Measures(**numbers), shape(latent_size), Weights(**weights)


def _flat(real: Statistics) -> dict[str, np.ndarray]:
    """Arrays by name: those of the relief as `relief/NAME`, the readers' variables as `relief/readers/params/NAME`."""
    assert real.relief is not None
    readings = {} if real.relief.readings is None else real.relief.readings._asdict()
    whole = real._asdict() | {"relief": real.relief._asdict() | {"readings": readings}}
    return {name: np.asarray(value) for name, value in flatten_dict(whole, sep="/").items() if value is not None}


def sweep_settings(
    config: Config, inputs: Inputs, folder: Path, say: Say, *, quiet: bool = False
) -> tuple[list[Path], Columns, Columns]:
    """Evolve with every point of `config.sweep`, and write `sweep.npz` and `sweep.csv` into the folder.

    Returns:
        The paths; the settings that varied, and the outcomes as means over emotions, both by name.
    """
    experiments, nets, own = grid(config.evolve, config.sweep), networks(config), load_fitness(config)
    varied = [f.name for f in fields(config.sweep) if f.name != "seeds" and getattr(config.sweep, f.name)]
    columns = {name: np.array([getattr(settings, name) for settings in experiments]) for name in ("seed", *varied)}
    found = {name: np.zeros((len(experiments), len(config.data.emotions)), np.float32) for name in Outcome._fields}
    for numbers in by_shape(experiments):
        say(f"{len(numbers)} experiments in one program")
        together = [experiments[i] for i in numbers]
        with _watched(config, inputs, together, quiet=quiet) as progress:
            outcome = run_together(
                together,
                *inputs,
                generator=nets.generator,
                discriminator=nets.discriminator,
                latent_size=config.model.latent_size,
                fitness=own,
                mesh=all_devices(),
                progress=progress,
            )
        for name, values in outcome._asdict().items():
            found[name][numbers] = np.asarray(values)
    write_arrays(folder / "sweep.npz", **columns, **found)
    _write_tidy(folder / "sweep.csv", columns, found, config.data.emotions)
    settings = {name: columns[name] for name in varied or ("seed",)}
    means = {name: values.mean(1) for name, values in found.items()}
    return [folder / "sweep.npz", folder / "sweep.csv"], settings, means


def _write_tidy(path: Path, columns: Columns, found: Mapping[str, np.ndarray], emotions: Sequence[str]) -> None:
    """A line for each experiment and emotion: settings, then (experiments, classes) outcomes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "emotion", *found])
    for i, j in np.ndindex(next(iter(found.values())).shape):
        outcomes = [f"{values[i, j]:.6g}" for values in found.values()]
        writer.writerow([*(values[i].item() for values in columns.values()), emotions[j], *outcomes])
    write_text(path, text.getvalue())
