"""Latent evolution of a trained run: what it reads from the work folder, and what it writes there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict

from depthjax.config import Config, Evolve, own_fitness
from depthjax.config_file import run_file, said_of
from depthjax.data.faces import DepthFaces
from depthjax.errors import ConfigError, counted
from depthjax.evolve.fitness import FITNESS, Fitness, Measures, Weights, reads_of
from depthjax.evolve.program import Networks, Program, all_devices, make_program
from depthjax.evolve.run import Outcome, check_finite, evolve, grid, run_together
from depthjax.evolve.statistics import DESCRIBED, Statistics, statistics_of
from depthjax.files import file_digest, write_arrays, write_text
from depthjax.keys import key_for
from depthjax.progress import counting, waiting
from depthjax.scores import csv_text
from depthjax.train.checkpoint import restore_teachers
from depthjax.train.state import Pair, networks

Log = Callable[[str], None]
Columns = Mapping[str, np.ndarray]  # by name, (experiments,)

MAX_FACES = 1000  # training faces of an emotion that statistics are taken of
CHUNK = 320  # faces that the discriminator sees at once
# Floating-point operations of the decoded faces from which on progress is shown: a minute on two cores. Elsewhere:
LONG = {"cpu": 1e13}
LONG_ELSEWHERE = 1e15


class Inputs(NamedTuple):
    """The teachers, and what a fitness reads of training faces."""

    networks: Networks
    real: Statistics


def evolution_inputs(
    config: Config, workdir: Path, faces: DepthFaces, *, classifiers: bool = True, quiet: bool = False
) -> Inputs:
    """Restore the teachers (a UserError without a good checkpoint), and return what `measured_inputs` gives."""
    teachers = restore_teachers(workdir / "checkpoints", config)
    return measured_inputs(config, teachers, faces, classifiers=classifiers, quiet=quiet)


def measured_inputs(
    config: Config, teachers: Pair, faces: DepthFaces, *, classifiers: bool = True, quiet: bool = False
) -> Inputs:
    """Compute the statistics of at most a thousand training faces of each emotion.

    Emotion classifiers are for a fitness (`reads_emotions`) or a sweep's outcomes.
    """
    classes, seed = len(config.data.emotions), config.evolve.seed
    shuffled = np.random.default_rng([seed, 1]).permutation(len(faces))
    members = [shuffled[faces.emotion[shuffled] == label][:MAX_FACES] for label in range(classes)]
    faces = faces.take(np.sort(np.concatenate(members)))
    chunks = [slice(i, i + CHUNK) for i in range(0, len(faces), CHUNK)]
    discriminator, variables = networks(config).discriminator, teachers.discriminator
    parts = [np.asarray(_logits(discriminator, variables, faces.images[i], faces.emotion[i])) for i in chunks]
    measured = faces.images, faces.emotion, faces.subject, np.concatenate(parts)
    steps = config.evolve.classifier_steps if classifiers else 0
    with waiting("training emotion classifiers", quiet=quiet or not classifiers):
        real = statistics_of(*measured, classes=classes, classifier_steps=steps, seed=seed)
    return Inputs(Networks(teachers.generator, teachers.discriminator), real)


@partial(jax.jit, static_argnums=0)
def _logits(discriminator: nn.Module, variables: Any, images: jax.Array, emotion: jax.Array) -> Any:
    return discriminator.apply(variables, images, emotion, train=False)


def reads_emotions(config: Config) -> bool:
    """Return whether the fitness of this config may ask which emotion a face shows."""
    named = FITNESS.get(config.evolve.fitness)
    return named is None or "relief" in reads_of(named)


def classifier_report(real: Statistics, classes: int) -> str:
    """Return a line on how well emotions of unseen subjects are classified: how far evolution can rely on it."""
    accuracy = float("nan") if real.classifier_accuracy is None else float(real.classifier_accuracy)
    if np.isnan(accuracy):
        return "emotion classifiers: accuracy unknown, too few subjects to leave any out"
    line = f"emotion classifiers: accuracy {100 * accuracy:.0f} % on unseen subjects"
    return line if accuracy > 1.5 / classes else f"{line}, close to chance: evolution cannot rely on them"


def program_of(config: Config, settings: Evolve, fitness: Fitness | None = None) -> Program:
    """Return the program that evolves with these settings, on all devices of this process."""
    nets = networks(config)._asdict()
    return make_program(settings, **nets, latent_size=config.model.latent_size, fitness=fitness, mesh=all_devices())


def evolve_latents(config: Config, inputs: Inputs, folder: Path, log: Log, *, quiet: bool = False) -> list[Path]:
    """Evolve, and write `statistics.npz`, `history.npz`, `winners.npz` and a fitness of the user's own there."""
    settings, emotions = config.evolve, config.data.emotions
    program = program_of(config, settings, load_fitness(config))
    paths = [folder / name for name in ("statistics.npz", "history.npz", "winners.npz", "fitness.py")]
    statistics, history, winners, fitness = paths
    write_arrays(statistics, **_flat(inputs.real))
    if reads_emotions(config):
        log(classifier_report(inputs.real, len(emotions)))
    size = f"{counted(len(emotions), 'emotion')} x {settings.islands} x {settings.population}"
    log(f"{settings.algorithm}: {counted(settings.generations, 'generation')} x {size}")
    with _shown_progress(config, inputs, [settings], quiet=quiet) as progress:
        found = evolve(program, key_for(settings.seed, "evolve"), *inputs, settings, progress=progress)
        arrays = jax.tree.map(np.asarray, found)
    check_finite(arrays, emotions)
    write_arrays(history, best=arrays.best, mean=arrays.mean, std=arrays.std, variety=arrays.variety)
    write_arrays(winners, latents=arrays.winners, fitness=arrays.winner_fitness)
    log(f"{arrays.evaluations.sum()} evaluations of the generator")
    fitness.unlink(missing_ok=True)
    if own := own_fitness(settings):
        write_text(fitness, Path(own[0]).read_text("utf-8"))
    return paths if own else paths[:-1]


@contextmanager
def _shown_progress(
    config: Config, inputs: Inputs, together: Sequence[Evolve], *, quiet: bool
) -> Iterator[Callable[[int], None] | None]:
    """While experiments of one program evolve, show how far they are, if that takes long; gives `progress`."""
    variables, generations = inputs.networks.generator, together[0].generations
    faces = len(config.data.emotions) * sum(s.islands * s.population * (s.generations + 1) for s in together)
    if quiet or not is_long(networks(config).generator, variables, config.model.latent_size, faces):
        with waiting("compiling the evolution, and evolving", quiet=quiet):
            yield None
    else:
        with counting("compiling the evolution", generations, "generation") as count:
            yield count


def is_long(generator: nn.Module, variables: Any, latent_size: int, faces: int) -> bool:
    """Return whether decoding so many faces takes long enough to show progress.

    Operations are counted on the host's CPU device: GPUs do not report theirs. Where jax was given no CPU,
    nothing is long, since no program could call back.
    """
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return False
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    latents, emotion = jax.ShapeDtypeStruct((1, latent_size), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32)
    with jax.default_device(host):
        program = jax.jit(lambda v, z, e: generator.apply(v, z, e, train=False)).lower(shapes, latents, emotion)
        cost: Any = program.cost_analysis()
    return faces * cost["flops"] > LONG.get(jax.default_backend(), LONG_ELSEWHERE)


def load_fitness(config: Config) -> Fitness | None:
    """Return the fitness of `evolve.fitness = FILE.py:FUNCTION`, checked on the shapes of one face; None if named.

    The file is Python: run only those that you trust. A ConfigError: no such file or function, or one that does not
    give one number for one face.
    """
    own = own_fitness(config.evolve)
    if own is None:
        return None
    path, name = Path(own[0]), own[1]
    if not path.is_file():
        raise ConfigError(f"--config.evolve.fitness {path}: no such file")
    function, what = _function(path, name, file_digest(path)), f"--config.evolve.fitness {config.evolve.fitness}"
    with said_of(what):
        face, weights = _shapes(Measures, DESCRIBED), _shapes(Weights, 3)
        latent = jax.ShapeDtypeStruct((config.model.latent_size,), jnp.float32)
        value: Any = jax.eval_shape(function, face, latent, weights)
        if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise ConfigError(f"{what}: must give one real number for one face, and gave {value}")
    return function


@cache
def _function(path: Path, name: str, digest: str) -> Fitness:
    """Return the same function for the same content of a file, so that its compiled program is found again."""
    del digest
    module = run_file(path, "--config.evolve.fitness", "fitness_of_this_run")
    if not callable(getattr(module, name, None)):
        raise ConfigError(f"--config.evolve.fitness {path}: has no function '{name}'")
    function: Fitness = getattr(module, name)
    return function


VECTORS = ("descriptor", "emotion_features", "band_low", "band_high")


def _shapes(kind: Any, size: int) -> Any:
    """Return a fitness's argument of that kind, of numbers without values and of vectors of that size."""
    axes = {name: (size,) if name in VECTORS else () for name in kind._fields}
    return kind(**{name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in axes.items()})


def _flat(real: Statistics) -> dict[str, np.ndarray]:
    """Return arrays by name, such as `relief/NAME` and `relief/classifiers/params/NAME`."""
    assert real.relief is not None
    features = real.relief.emotion_features
    relief = real.relief._asdict() | {"emotion_features": {} if features is None else features._asdict()}
    named = flatten_dict(real._asdict() | {"relief": relief}, sep="/")
    return {name: np.asarray(value) for name, value in named.items() if value is not None}


def sweep_settings(
    config: Config, inputs: Inputs, folder: Path, log: Log, *, quiet: bool = False
) -> tuple[list[Path], Columns, Columns]:
    """Evolve with every point of `config.sweep`, and write `sweep.npz` and `sweep.csv` into the folder.

    Returns the paths, the settings that varied, and the outcomes as means over emotions, both by name.
    """
    experiments, own, emotions = grid(config.evolve, config.sweep), load_fitness(config), config.data.emotions
    programs = [program_of(config, settings, own) for settings in experiments]
    columns = {name: np.array([getattr(s, name) for s in experiments]) for name in ("seed", *config.sweep.grid)}
    found = {name: np.zeros((len(experiments), len(emotions)), np.float32) for name in Outcome._fields}
    for program in dict.fromkeys(programs):
        numbers = [i for i, of_this in enumerate(programs) if of_this == program]
        together = [experiments[i] for i in numbers]
        log(f"{counted(len(numbers), 'experiment')} in one program")
        with _shown_progress(config, inputs, together, quiet=quiet) as progress:
            outcome = run_together(program, together, *inputs, progress=progress)
        for name, values in outcome._asdict().items():
            found[name][numbers] = np.asarray(values)
    write_arrays(folder / "sweep.npz", **columns, **found)
    rows: list[dict[str, Any]] = []
    for i, j in np.ndindex(len(experiments), len(emotions)):
        varied = {name: values[i].item() for name, values in columns.items()}
        rows.append(varied | {"emotion": emotions[j]} | {name: f"{of[i, j]:.6g}" for name, of in found.items()})
    write_text(folder / "sweep.csv", csv_text(list(rows[0]), rows))
    settings = {name: columns[name] for name in config.sweep.grid or ("seed",)}
    means = {name: values.mean(1) for name, values in found.items()}
    return [folder / "sweep.npz", folder / "sweep.csv"], settings, means
