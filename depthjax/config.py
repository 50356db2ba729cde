"""Every number of a run: typed, frozen, overridable from the command line, saved with the run.

This file imports nothing heavy, so that a wrong flag is refused in a fraction of a second.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from depthjax.errors import ConfigError

EMOTIONS = ("neutral", "happiness", "fear", "surprise", "anger", "sadness", "disgust")
OWN_METHODS = ("cdcgan_kd", "cdcgan_kd_ga")
BASELINE_METHODS = ("gan", "vae", "gmm", "kde")
LARGEST = 2**31 - 1  # of whole numbers
WRITERS = ("tensorboard", "wandb")
AUGMENTATIONS = ("mirror", "shift", "scale", "depth", "cutout", "turn")
FITNESS = ("realism", "paper", "released", "natural")
EXPORT_FORMATS = ("png8", "png16", "npz", "points", "mesh")


@dataclass(frozen=True)
class Data:
    """Which faces, and how they become arrays in [-1, 1]."""

    source: Literal["depth_heads", "folder", "ikfdb"] = "depth_heads"
    emotions: tuple[str, ...] = ("neutral", "happiness", "fear")
    # Rendered faces (depth_heads).
    subjects: int = 40
    more_test_people: int = 0  # rendered besides these, to be tested on alone: intervals by person grow narrower
    frames: int = 10  # of each subject in each emotion
    full_sequence: bool = False  # begin with micro-expressions, as IKFDB's sequences; else only what follows them
    seed: int = 0  # of the rendered people, and of who is held out
    # Faces of one's own (folder, ikfdb).
    path: str = ""
    pattern: str = ""  # of a file's path within its emotion's folder, such as s{subject}_f{frame}
    unit: Literal["auto", "mm", "m", "grey"] = "auto"  # auto: 16-bit is mm, floats are m, 8-bit is grey; said aloud
    grey_mm: float = 0.6  # millimetres of one grey level, for unit = grey
    polarity: Literal["darker_closer", "darker_farther"] = "darker_closer"
    hole: float | None = None  # the stored value of no return (nan: all not finite); 0 always is one in mm and m
    width_mm: float = 180.0  # what an image's width spans at the nose; sets the scale of exported points
    on_error: Literal["fail", "skip"] = "fail"
    device_budget: int = 2000  # megabytes; larger training sets stream from disk
    # The networks' images.
    resolution: int = 256  # pixels, of the square image that the networks see
    crop: Literal["full", "face"] = "full"  # full: all 128x200 squeezed to a square, as the paper does
    near_mm: float = -20.0  # the window of depth about the nose tip: nearer is -1 ...
    far_mm: float = 130.0  # ... farther, background and no return are +1
    split: Literal["subject", "image"] = "subject"
    test_fraction: float = 0.2


@dataclass(frozen=True)
class Model:
    """The released conditional DCGAN, by size."""

    latent_size: int = 256
    generator_width: int = 512  # channels of the generator's first map; halved by each layer
    discriminator_width: int = 64  # channels of the discriminator's first map; doubled by each layer
    dtype: Literal["float32", "bfloat16"] = "float32"
    # What the released networks do not have.
    emotion_gain: float = 1.0  # length of the emotion's vector beside a latent, whose own is sqrt(latent_size)
    grain: bool = False  # noise of their own for the generator's two finest maps, drawn from the latent's bits
    saturating: bool = False  # the generator's output reaches -1 and 1 exactly, as background does in real faces
    return_mask: bool = False  # the generator draws, pixel by pixel, which have no return, and these are exactly 1
    upsampling: Literal["transposed", "resize"] = "transposed"  # resize: nearest, then 3x3, for the same operations
    output_lowpass: float = 0.0  # the share that generated depth loses of what alternates from pixel to pixel
    discriminator_norm: Literal["batch", "none", "spectral"] = "batch"
    projection: bool = False  # the discriminator meets the emotion at its end, not as planes beside the image
    minibatch_std: bool = False  # the discriminator is told how much the faces of a batch differ
    geometry: Literal["none", "slopes", "normals"] = "none"  # planes beside the depth, for the discriminator


@dataclass(frozen=True)
class Train:
    """The paper's training (its section 4), with the released scripts' settings as defaults."""

    seed: int = 0
    epochs: int = 500
    batch_size: int = 32
    generator_lr: float = 8e-5
    discriminator_lr: float = 1.5e-5
    beta1: float = 0.5
    beta2: float = 0.999
    ema_decay: float = 0.994
    generator_kd_weight: float = 1.0
    discriminator_kd_weight: float = 0.5
    generator_kd_norm: Literal["l1", "l2"] = "l1"  # released: L1; equation 5: squared L2
    teacher_batch_stats: Literal["averaged", "frozen"] = "averaged"  # frozen: as released
    mirror: bool = False  # flip real faces left to right, at random
    on_not_finite: Literal["abort", "rollback"] = "abort"  # rollback: to the last checkpoint, the rates halved ...
    rollbacks: int = 3  # ... so many times at most
    # What the released training does not have.
    loss: Literal["bce", "relativistic", "hinge"] = "bce"
    penalty: float = 0.0  # weight of R1 + R2; not with batch normalisation in the discriminator
    penalty_every: int = 1  # steps; it then counts that many times
    penalty_end: float = 1.0  # share of its weight that is left after schedule_steps
    transition: float = 0.0  # share of schedule_steps in which networks begin to hear of emotions, little by little
    mismatched: float = 0.0  # weight of real faces that claim another emotion, which the discriminator is to refuse
    lecam: float = 0.0  # weight of LeCam's regularisation
    augment: tuple[str, ...] = ()  # of mirror, shift, scale, depth, cutout, turn: real and generated faces alike
    augment_probability: float = 0.8  # of each of them, for each face
    sensor: bool = False  # the discriminator sees generated faces as a Kinect would; see sample.sensor
    kd: Literal["pixel", "feature", "none"] = "pixel"  # what the teachers teach; pixel is the paper's
    kd_anneal: bool = False  # its weights fall to zero over schedule_steps
    schedule: Literal["constant", "cosine"] = "constant"  # of both learning rates, over schedule_steps
    schedule_steps: int = 0  # what comes after them trains on at the end of every schedule
    ema_ramp: float = 0.0  # the teachers' half-life is at most this share of the steps done; 0: no ramp
    accumulate: int = 1  # parts that a batch is done in, one after the other; batch normalisation is within a part
    remat: bool = False  # compute again what the backward pass needs, instead of keeping it: less memory, more work
    devices: int = 0  # that share the faces of a batch; 0: as many of those there are as divide it
    steps_per_dispatch: int = 30  # training steps in one lax.scan
    samples_every_epochs: int = 25  # fixed-latent sample grids
    save_every_epochs: int = 25
    keep_checkpoints: int = 2


@dataclass(frozen=True)
class Checkpoint:
    """How checkpoints are trusted."""

    strict: bool = False  # true: a damaged one stops the training; false: it goes on from the last good one


@dataclass(frozen=True)
class Distributed:
    """Several processes that share the train stage; every process gets the same command but for its number."""

    coordinator: str = ""  # host:port of the first process, or auto (Slurm, Open MPI); empty: one process
    process_count: int = 0  # found by itself if auto
    process_id: int = 0  # from 0; found by itself if auto


@dataclass(frozen=True)
class Track:
    """Who is shown the metrics of training, beside `metrics.jsonl`."""

    writers: tuple[str, ...] = ()  # of tensorboard, wandb


@dataclass(frozen=True)
class Evolve:
    """The latent evolution: the paper's genetic algorithm (its equations 2 and 3), or another."""

    seed: int = 0
    algorithm: Literal["paper", "novelty", "simple_ga", "mr15_ga", "samr_ga", "cma_es", "sep_cma_es"] = "paper"
    fitness: str = "realism"  # or paper, released, natural, or FILE.py:FUNCTION of one's own
    mean_weight: float = 1.0  # alpha of equation 2, for fitness = paper
    std_weight: float = 1.0  # beta of equation 2, for fitness = paper
    population: int = 20
    generations: int = 100
    islands: int = 5  # independent populations of each emotion; their halls of fame together are the winners
    hall_of_fame: int = 20
    tournament: int = 3
    crossover_probability: float = 0.8
    blend_alpha: float = 0.5
    mutation_probability: float = 0.2  # of an individual
    gene_probability: float = 0.3  # of each gene of a mutating individual
    mutation_sigma: float = 0.1
    elite: int = 1
    reader_steps: int = 600  # of training, of each of the four small networks that read emotions
    # What the terms of fitness = natural weigh; each is at most 0, and 0 for a face like the real ones.
    emotion_weight: float = 60.0  # nearly a condition: an emotion that is not sure makes a face useless
    realism_weight: float = 1.0
    logit_weight: float = 0.0  # a trained discriminator prefers what is near its training faces
    band_weight: float = 0.1
    shell_weight: float = 0.1
    copy_weight: float = 100.0  # lost at once by a face nearer to a training face than other people are
    # Of algorithm = novelty, whose winners are its population: let that be sample.count, on one island.
    descriptor_size: int = 16  # principal components of the shape, at most 16, in which faces are near or far
    viable: float = -1.2  # fitness from which on only novelty counts
    cover: float = 0.25  # of the population, chosen for being near real training faces, near each of them; then novelty
    balance: float = 1.0  # how much their mean shape should be that of the real ones, beside distance
    reading_balance: float = 10.0  # likewise of what those who read emotions see in them
    angle: float = 0.5  # radians by which a latent is turned into noise
    mix_probability: float = 0.5  # of being mixed with another one before
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the generator while it evolves
    device_budget: int = 2000  # megabytes that the faces decoded at once may take


@dataclass(frozen=True)
class Sweep:
    """A grid of latent evolutions, for the stage `sweep`: values of evolve's fields; none leaves evolve's own."""

    seeds: int = 3  # evolve.seed and those that follow, for each point of the grid
    # One program for all of them.
    crossover_probability: tuple[float, ...] = ()
    blend_alpha: tuple[float, ...] = ()
    mutation_probability: tuple[float, ...] = ()
    gene_probability: tuple[float, ...] = ()
    mutation_sigma: tuple[float, ...] = ()
    angle: tuple[float, ...] = ()
    mix_probability: tuple[float, ...] = ()
    viable: tuple[float, ...] = ()
    cover: tuple[float, ...] = ()
    balance: tuple[float, ...] = ()
    reading_balance: tuple[float, ...] = ()
    mean_weight: tuple[float, ...] = ()
    std_weight: tuple[float, ...] = ()
    emotion_weight: tuple[float, ...] = ()
    realism_weight: tuple[float, ...] = ()
    logit_weight: tuple[float, ...] = ()
    band_weight: tuple[float, ...] = ()
    shell_weight: tuple[float, ...] = ()
    # A program for each: they are shapes.
    population: tuple[int, ...] = ()
    generations: tuple[int, ...] = ()


@dataclass(frozen=True)
class Baselines:
    """The methods that ours is compared with; all learn from the same faces, mirrored if `train.mirror`."""

    seed: int = 0
    methods: tuple[str, ...] = ()  # which to fit, of gan, vae, gmm, kde; name them in sample.methods as well
    gan_epochs: int | None = None  # none: train.epochs, the same number of steps and operations as ours
    vae_epochs: int | None = None  # none: train.epochs
    vae_latent_size: int = 16
    vae_width: int = 256  # channels of the decoder's first map; the encoder's are those of the discriminator
    vae_lr: float = 1e-3  # at the start of a cosine to zero
    folds: int = 4  # of people, held out in turn to choose what follows by their likelihood
    gmm_pca: tuple[int, ...] = (8, 16, 32, 64)  # principal components of the pixels, to choose from
    gmm_components: tuple[int, ...] = (1, 2, 4, 8)  # Gaussians of each emotion, to choose from
    gmm_regularisation: tuple[float, ...] = (0.03, 0.1, 0.3)  # share of the variance of all faces, to choose from
    kde_pca: tuple[int, ...] = (8, 16, 32, 64)
    kde_bandwidths: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)  # standard deviations of all faces


@dataclass(frozen=True)
class Sample:
    """The faces that a run hands over."""

    seed: int = 0
    methods: tuple[str, ...] = ("cdcgan_kd", "cdcgan_kd_ga")
    emotions: tuple[str, ...] = ()  # empty: all that the generator knows
    count: int = 400  # of each emotion
    sensor: bool = False  # hand over our faces as a Kinect would see them: right if train.sensor made them clean
    noise: bool = False  # put random noise, as real faces have it, in the place of our faces' finest detail


@dataclass(frozen=True)
class Evaluate:
    """How the faces are judged."""

    seed: int = 0
    seeds: int = 3  # of the random forest; a tree runs three of them at most, and XGBoost one: it draws nothing
    classifiers: tuple[str, ...] = ("random_forest", "decision_tree", "xgboost")
    # Quantiles that features are rounded to for all classifiers, such as 64: two thirds of the time. None: as they are.
    bins: int | None = None
    feature_size: int = 256  # pixels, of the square image that handcrafted features are taken from
    most_real: int = 4000  # real faces judged with, of train and of test: more are drawn from by chance
    kid_subsets: int = 100
    bootstrap: int = 1000  # draws of a bootstrap interval
    scarcity: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)  # shares of the real people, without and with generated faces
    scarcity_draws: int = 3  # of these people
    inception: str = ""  # file of the 2015-12-05 Inception weights, for FID and the Inception Score


@dataclass(frozen=True)
class Export:
    """What the export stage writes."""

    sets: tuple[str, ...] = ()  # of real, and the names of methods; empty: all that is there
    formats: tuple[str, ...] = ("png16",)  # of png8, png16, npz, points, mesh


@dataclass(frozen=True)
class Config:
    """A whole run."""

    name: str = "paper"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    distributed: Distributed = field(default_factory=Distributed)
    track: Track = field(default_factory=Track)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    baselines: Baselines = field(default_factory=Baselines)
    evolve: Evolve = field(default_factory=Evolve)
    sweep: Sweep = field(default_factory=Sweep)
    sample: Sample = field(default_factory=Sample)
    evaluate: Evaluate = field(default_factory=Evaluate)
    export: Export = field(default_factory=Export)


def own_fitness(settings: Evolve) -> tuple[str, str] | None:
    """File and function of a fitness of the user's own (`FILE.py:FUNCTION`), or None for one of `FITNESS`."""
    path, colon, function = settings.fitness.rpartition(":")
    return (path, function) if colon else None


def to_dict(config: Any) -> dict[str, Any]:
    """The config as nested dictionaries that JSON can hold (tuples become lists)."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number: data.hole may be nan
    return list(value) if isinstance(value, tuple) else value


def override(config: Config, assignments: dict[str, str]) -> Config:
    """The config with dotted keys replaced by values parsed from text, then checked.

    Args:
        config: what to start from.
        assignments: for instance `{"train.epochs": "3", "data.emotions": "fear,anger"}`.
    Raises:
        ConfigError: an unknown key, or text that does not parse as the field's type. Text is parsed, never evaluated.
    """
    for key, text in assignments.items():
        config = _replace(config, key.split("."), text, key)
    return validate(config)


def _replace(node: Any, path: list[str], text: str, key: str) -> Any:
    names = [f.name for f in dataclasses.fields(node)]
    if path[0] not in names:
        close = difflib.get_close_matches(path[0], names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(names)}"
        raise ConfigError(f"--config.{key}: there is no '{path[0]}'; {hint}")
    value = getattr(node, path[0])
    if dataclasses.is_dataclass(value):
        if len(path) == 1:
            first = dataclasses.fields(value)[0].name
            raise ConfigError(f"--config.{key}: this is a section; name a field in it, such as {key}.{first}")
        return dataclasses.replace(node, **{path[0]: _replace(value, path[1:], text, key)})
    if len(path) > 1:
        raise ConfigError(f"--config.{key}: '{path[0]}' is a value, it has no field '{path[1]}'")
    kind = typing.get_type_hints(type(node))[path[0]]
    return dataclasses.replace(node, **{path[0]: _parse(text, kind, key)})


def _parse(text: str, kind: Any, key: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if text not in arguments:
            raise ConfigError(f"--config.{key}: '{text}' is not one of {', '.join(map(str, arguments))}")
        return text
    if origin is tuple:
        return tuple(_parse(part.strip(), arguments[0], key) for part in text.strip("()[]").split(",") if part.strip())
    if origin in (typing.Union, types.UnionType):
        return None if text.lower() == "none" else _parse(text, arguments[0], key)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"--config.{key}: '{text}' is neither true nor false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(
            f"--config.{key}: '{text}' is not {'a whole number' if kind is int else 'a number'}"
        ) from None


def validate(config: Config) -> Config:
    """The same config, or a ConfigError that names the field at fault and what it may be."""
    for ok, key, rule in _rules(config):
        if not ok:
            raise ConfigError(f"--config.{key}: {rule}")
    return config


def _listed(names: list[str]) -> str:
    return f"{', '.join(names)}: {'is' if len(names) == 1 else 'are'}"


def _is_fitness(settings: Evolve) -> bool:
    path, function = own_fitness(settings) or ("", "")
    return settings.fitness in FITNESS or (path.endswith(".py") and function.isidentifier())


def _fitness_rule(name: str) -> str:
    close = difflib.get_close_matches(name, FITNESS, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"'{name}' is neither one of {', '.join(FITNESS)} nor FILE.py:FUNCTION of your own{hint}"


def _names_a_folder(name: str) -> bool:
    return bool(name.strip(" .")) and name.isprintable() and not set(name) & set("/\\")


def _plain_values(node: Any, within: str = "") -> list[tuple[bool, str, str]]:
    """Of every number, whatever it means: finite, and whole ones neither negative nor larger than the arrays hold."""
    rules = []
    for field_of in dataclasses.fields(node):
        key, value = within + field_of.name, getattr(node, field_of.name)
        if dataclasses.is_dataclass(value):
            rules += _plain_values(value, f"{key}.")
            continue
        values = value if isinstance(value, tuple) else (value,)
        whole = all(0 <= v <= LARGEST for v in values if isinstance(v, int))
        finite = key == "data.hole" or all(math.isfinite(v) for v in values if isinstance(v, float))
        rules += [(whole, key, f"must be from 0 to {LARGEST}"), (finite, key, "must be a finite number")]
    return rules


def _rules(c: Config) -> list[tuple[bool, str, str]]:
    rendered = c.data.source == "depth_heads"
    unknown = [e for e in c.data.emotions if e not in EMOTIONS] if rendered else []
    known_methods = (*OWN_METHODS, *BASELINE_METHODS)
    unknown_methods = [m for m in c.sample.methods if m not in known_methods]
    unknown_baselines = [m for m in c.baselines.methods if m not in BASELINE_METHODS]
    unfitted = [m for m in c.sample.methods if m in BASELINE_METHODS and m not in c.baselines.methods]
    unknown_writers = [name for name in c.track.writers if name not in WRITERS]
    unknown_augmentations = [name for name in c.train.augment if name not in AUGMENTATIONS]
    changes = (c.train.schedule != "constant", c.train.kd_anneal, c.train.penalty_end != 1, c.train.transition > 0)
    unknown_formats = [f for f in c.export.formats if f not in EXPORT_FORMATS]
    untrained = [e for e in c.sample.emotions if e not in c.data.emotions]
    return [
        *_plain_values(c),
        (not unknown, "data.emotions", f"{', '.join(unknown)}: not among {', '.join(EMOTIONS)}"),
        (len(c.data.emotions) >= 2, "data.emotions", "name at least two emotions"),
        (len(set(c.data.emotions)) == len(c.data.emotions), "data.emotions", "an emotion is named twice"),
        (
            not untrained,
            "sample.emotions",
            f"{', '.join(untrained)}: the generator only knows {', '.join(c.data.emotions)}",
        ),
        (c.data.resolution >= 16 and c.data.resolution % 16 == 0, "data.resolution", "must be a multiple of 16"),
        (
            all(map(_names_a_folder, c.data.emotions)),
            "data.emotions",
            "an emotion names a folder: no slash, no backslash, nothing unprintable, and not only dots",
        ),
        (
            _names_a_folder(c.name),
            "name",
            "names the work folder: no slash, no backslash, nothing unprintable, and not only dots",
        ),
        (rendered or bool(c.data.path), "data.path", f"data.source = {c.data.source} needs the folder of its faces"),
        (c.data.grey_mm > 0, "data.grey_mm", "must be above 0"),
        (c.data.width_mm > 0, "data.width_mm", "must be above 0"),
        (c.data.device_budget >= 0, "data.device_budget", "must not be negative"),
        (not unknown_formats, "export.formats", f"{', '.join(unknown_formats)}: not among {', '.join(EXPORT_FORMATS)}"),
        (bool(c.export.formats), "export.formats", f"name at least one of {', '.join(EXPORT_FORMATS)}"),
        (c.data.subjects >= 4, "data.subjects", "at least 4 are needed to keep people apart in the tests"),
        (
            not (rendered and c.data.more_test_people and c.data.split == "image"),
            "data.more_test_people",
            "are to be tested on as strangers, and data.split = image tests on the same people: set it to 0",
        ),
        (c.data.frames >= 1, "data.frames", "must be at least 1"),
        (c.data.near_mm < 0 < c.data.far_mm, "data.near_mm", "near_mm must be below 0 (the nose tip) and far_mm above"),
        (0 < c.data.test_fraction < 1, "data.test_fraction", "must lie between 0 and 1"),
        (c.model.latent_size >= 1, "model.latent_size", "must be at least 1"),
        (
            c.model.generator_width >= 16 and c.model.generator_width % 16 == 0,
            "model.generator_width",
            "must be a multiple of 16",
        ),
        (
            not (c.sample.noise and c.sample.sensor),
            "sample.noise",
            "is the noise of real faces, and sample.sensor adds a sensor's: choose one",
        ),
        (
            not (c.model.return_mask and (c.train.sensor or c.sample.sensor)),
            "model.return_mask",
            "draws where there is no return, and train.sensor or sample.sensor would again: choose one",
        ),
        (0 <= c.model.output_lowpass <= 1, "model.output_lowpass", "must lie between 0 and 1"),
        (c.model.discriminator_width >= 1, "model.discriminator_width", "must be at least 1"),
        (c.train.epochs >= 1, "train.epochs", "must be at least 1"),
        (c.train.batch_size >= 2, "train.batch_size", "must be at least 2: batch normalisation needs a batch"),
        (
            c.train.accumulate >= 1 and c.train.batch_size % max(c.train.accumulate, 1) == 0,
            "train.accumulate",
            f"must be at least 1 and divide train.batch_size = {c.train.batch_size}",
        ),
        (
            c.train.accumulate == 1 or 2 * c.train.accumulate <= c.train.batch_size,
            "train.accumulate",
            f"must leave at least 2 of the {c.train.batch_size} faces of a batch to a part: batch normalisation",
        ),
        (c.train.penalty >= 0, "train.penalty", "must not be negative"),
        (
            c.train.penalty == 0 or c.model.discriminator_norm != "batch",
            "train.penalty",
            "needs --config.model.discriminator_norm=none or spectral: batch normalisation ties the faces of a batch",
        ),
        (c.train.penalty_every >= 1, "train.penalty_every", "must be at least 1"),
        (c.train.penalty_end >= 0, "train.penalty_end", "must not be negative"),
        (0 <= c.train.transition <= 1, "train.transition", "must lie between 0 and 1"),
        (
            c.train.transition == 0 or c.train.mismatched == 0,
            "train.mismatched",
            "must be 0 with train.transition: an emotion that is not heard yet cannot be the wrong one",
        ),
        (c.model.emotion_gain >= 0, "model.emotion_gain", "must not be negative"),
        (0 <= c.train.mismatched <= 1, "train.mismatched", "must lie between 0 and 1"),
        (c.train.lecam >= 0, "train.lecam", "must not be negative"),
        (
            not unknown_augmentations,
            "train.augment",
            f"{_listed(unknown_augmentations)} not among {', '.join(AUGMENTATIONS)}",
        ),
        (0 <= c.train.augment_probability <= 1, "train.augment_probability", "must lie between 0 and 1"),
        (
            c.train.schedule_steps >= 1 or not any(changes),
            "train.schedule_steps",
            "must be at least 1: train.schedule, kd_anneal, penalty_end or transition runs over it",
        ),
        (c.train.ema_ramp >= 0, "train.ema_ramp", "must not be negative"),
        (c.train.steps_per_dispatch >= 1, "train.steps_per_dispatch", "must be at least 1"),
        (
            c.train.on_not_finite == "abort" or not c.distributed.coordinator,
            "train.on_not_finite",
            "must be abort where several processes train together",
        ),
        (c.train.rollbacks >= 1, "train.rollbacks", "must be at least 1"),
        (0 <= c.train.ema_decay < 1, "train.ema_decay", "must lie in [0, 1)"),
        (
            c.distributed.coordinator in ("", "auto") or c.distributed.process_count >= 2,
            "distributed.process_count",
            "must be at least 2 with distributed.coordinator",
        ),
        (
            c.distributed.coordinator in ("", "auto") or c.distributed.process_id < c.distributed.process_count,
            "distributed.process_id",
            f"must be below distributed.process_count = {c.distributed.process_count}",
        ),
        (not unknown_writers, "track.writers", f"{_listed(unknown_writers)} not among {', '.join(WRITERS)}"),
        (c.train.samples_every_epochs >= 1, "train.samples_every_epochs", "must be at least 1"),
        (c.train.save_every_epochs >= 1, "train.save_every_epochs", "must be at least 1"),
        (c.train.keep_checkpoints >= 1, "train.keep_checkpoints", "must be at least 1"),
        (
            c.evolve.population >= 2 and c.evolve.population % 2 == 0,
            "evolve.population",
            "must be even: crossover takes pairs",
        ),
        (_is_fitness(c.evolve), "evolve.fitness", _fitness_rule(c.evolve.fitness)),
        (0 <= c.evolve.elite < c.evolve.population, "evolve.elite", "must be smaller than the population"),
        (c.evolve.hall_of_fame >= 1, "evolve.hall_of_fame", "must be at least 1"),
        (c.evolve.generations >= 1, "evolve.generations", "must be at least 1"),
        (c.evolve.islands >= 1, "evolve.islands", "must be at least 1"),
        (1 <= c.evolve.descriptor_size <= 16, "evolve.descriptor_size", "must lie between 1 and 16"),
        (c.evolve.balance >= 0, "evolve.balance", "must not be negative"),
        (c.evolve.reading_balance >= 0, "evolve.reading_balance", "must not be negative"),
        (0 <= c.evolve.cover <= 1, "evolve.cover", "must lie between 0 and 1"),
        (c.evolve.device_budget >= 1, "evolve.device_budget", "must be at least 1"),
        (c.evolve.reader_steps >= 1, "evolve.reader_steps", "must be at least 1"),
        (c.sweep.seeds >= 1, "sweep.seeds", "must be at least 1"),
        (
            all(n >= 2 and n % 2 == 0 and n > c.evolve.elite for n in c.sweep.population),
            "sweep.population",
            "must be even, and above evolve.elite",
        ),
        (all(0 <= x <= 1 for x in c.sweep.cover), "sweep.cover", "must lie between 0 and 1"),
        (all(x >= 0 for x in c.sweep.balance), "sweep.balance", "must not be negative"),
        (all(x >= 0 for x in c.sweep.reading_balance), "sweep.reading_balance", "must not be negative"),
        (all(n >= 1 for n in c.sweep.generations), "sweep.generations", "must be at least 1"),
        (
            not unknown_baselines,
            "baselines.methods",
            f"{_listed(unknown_baselines)} not among {', '.join(BASELINE_METHODS)}",
        ),
        (c.baselines.folds >= 2, "baselines.folds", "must be at least 2"),
        (c.baselines.vae_latent_size >= 1, "baselines.vae_latent_size", "must be at least 1"),
        (
            c.baselines.vae_width >= 16 and c.baselines.vae_width % 16 == 0,
            "baselines.vae_width",
            "must be a multiple of 16",
        ),
        (c.baselines.vae_lr > 0, "baselines.vae_lr", "must be above 0"),
        (c.baselines.gan_epochs != 0, "baselines.gan_epochs", "must be at least 1, or none: as train.epochs"),
        (c.baselines.vae_epochs != 0, "baselines.vae_epochs", "must be at least 1, or none: as train.epochs"),
        *(
            (bool(grid) and min(grid) >= least, f"baselines.{name}", f"must name values of at least {least}")
            for name, grid, least in (
                ("gmm_pca", c.baselines.gmm_pca, 1),
                ("gmm_components", c.baselines.gmm_components, 1),
                ("kde_pca", c.baselines.kde_pca, 1),
                ("gmm_regularisation", c.baselines.gmm_regularisation, 0.0),
                ("kde_bandwidths", c.baselines.kde_bandwidths, 1e-6),
            )
        ),
        (bool(c.sample.methods), "sample.methods", f"name at least one of {', '.join(known_methods)}"),
        (not unknown_methods, "sample.methods", f"{_listed(unknown_methods)} not among {', '.join(known_methods)}"),
        (not unfitted, "sample.methods", f"{_listed(unfitted)} not fitted: name it in baselines.methods as well"),
        (c.sample.count >= 1, "sample.count", "must be at least 1"),
        (c.evaluate.seeds >= 1, "evaluate.seeds", "must be at least 1"),
        (c.evaluate.bins is None or c.evaluate.bins >= 2, "evaluate.bins", "must be at least 2, or none"),
        (
            bool(c.evaluate.scarcity) and all(0 < share <= 1 for share in c.evaluate.scarcity),
            "evaluate.scarcity",
            "must name shares above 0 and up to 1",
        ),
        (c.evaluate.scarcity_draws >= 1, "evaluate.scarcity_draws", "must be at least 1"),
        (c.evaluate.most_real >= 100, "evaluate.most_real", "must be at least 100"),
        (c.evaluate.feature_size >= 32, "evaluate.feature_size", "must be at least 32: a HOG block is 32 pixels"),
    ]
