"""The settings of a run: typed, frozen, with their bounds beside them, overridable from the command line.

This file imports nothing heavy, so that a wrong flag is refused in a fraction of a second.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from depthjax.config_bounds import (
    above,
    at_least,
    between,
    focal_length,
    folder_names,
    from_to_below,
    multiple_of,
    one_of,
    required,
    within,
)  # fmt: skip

EMOTIONS = ("neutral", "happiness", "fear", "surprise", "anger", "sadness", "disgust")
OWN_METHODS = ("cdcgan_kd", "cdcgan_kd_ga")
BASELINE_METHODS = ("gan", "vae", "gmm", "kde", "rs_imle")
# Every method with its name in the report, in the order of the tables.
METHODS = {
    "gan": "GAN",
    "vae": "VAE",
    "gmm": "GMM",
    "kde": "KDE",
    "rs_imle": "RS-IMLE",
    "cdcgan_kd": "KD-cDCGAN",
    "cdcgan_kd_ga": "KD-cDCGAN evolved",
}
# Sets of faces made from the training faces without a generator, which the methods are compared with.
CONTROLS = {
    "augmented": "augmented copies",
    "augmented_again": "as many other augmented copies",
    "mixtures": "mixtures of two faces",
    "rendered": "rendered faces",
    "copies": "copies with new noise",
    "gaussian": "a Gaussian of each emotion",
}
# What a classifier reads of a face: handcrafted features, those of depthnet or of the recogniser (both fixed
# beforehand), or 32x32 box means.
INPUTS = {
    "random_forest": "handcrafted",
    "decision_tree": "handcrafted",
    "xgboost": "handcrafted",
    "depthnet": "depthnet",
    "network": "boxes",
    "recogniser": "recogniser",
}
WRITERS = ("tensorboard", "wandb")
FITNESS = ("realism", "paper", "released", "natural")
EXPORT_FACES = "faces"  # the export set of the prepared faces; the others are named by method
EXPORT_FORMATS = ("png8", "png16", "npz", "points", "mesh")


@dataclass(frozen=True)
class Data:
    """Which faces, and how they become arrays in [-1, 1]."""

    source: Literal["depth_heads", "folder", "ikfdb"] = "depth_heads"
    emotions: Annotated[tuple[str, ...], folder_names] = ("neutral", "happiness", "fear")
    # Rendered faces (depth_heads).
    subjects: Annotated[int, at_least(4)] = 40
    extra_test_subjects: int = 0  # rendered besides these, only to be tested on: intervals over subjects grow narrower
    frames: Annotated[int, at_least(1)] = 10  # of each subject in each emotion
    full_sequence: bool = False  # begin with micro-expressions, as IKFDB's sequences; else only what follows them
    seed: int = 0  # of the rendered subjects, and of which are held out
    # Faces of one's own (folder, ikfdb).
    path: str = ""
    # Of a file's path within its emotion's folder, such as s{subject}_f{frame}; or of its whole path, with {emotion}.
    pattern: str = ""
    names_differ: bool = False  # true: names equal but for case, leading zeros or spaces are two subjects or emotions
    # Millimetres of one stored unit; 0: 1 for integers, 1000 for floats (metres), 0.6 for grey levels; logged.
    scale_mm: Annotated[float, at_least(0)] = 0.0
    # Stored values are distances; or grey levels (auto: 8-bit integers, darker_closer), which have no distance.
    polarity: Literal["auto", "darker_closer", "darker_farther"] = "auto"
    invalid_value: float | None = None  # stored value of invalid depth (nan: all not finite); 0 is one in distances
    # Whole frames of a camera, or crops about a face; auto: by size and by where faces are found, logged.
    framing: Literal["auto", "whole", "crop"] = "auto"
    # Of the camera: its focal length in pixels; or kinect_v1, kinect_v2, azure, d415, d435, truedepth; or a file of
    # intrinsics (JSON, YAML). With it, images of any size become crops of one scale.
    focal_px: Annotated[str, focal_length] = ""
    rotate: Literal["auto", "0", "90", "180", "270"] = "auto"  # degrees clockwise that turn images upright
    # What a crop's width spans at the nose, if no focal length is known. Faces are 180 mm wide: others are resampled.
    width_mm: Annotated[float, above(0)] = 180.0
    on_error: Literal["fail", "skip"] = "fail"
    # Megabytes; larger training sets stream from disk.
    device_budget: Annotated[int, at_least(0)] = 2000
    # Pixels of the square image that the networks see.
    resolution: Annotated[int, multiple_of(16)] = 256
    crop: Literal["full", "face"] = "full"  # full: all 128x200 squeezed to a square, as the paper does
    near_mm: float = -20.0  # the window of depth about the nose tip: nearer is -1 ...
    far_mm: float = 130.0  # ... farther, background and no return are +1
    split: Literal["subject", "image"] = "subject"
    test_fraction: Annotated[float, within(0, 1)] = 0.2


@dataclass(frozen=True)
class Model:
    """The released conditional DCGAN, by size."""

    latent_size: Annotated[int, at_least(1)] = 256
    # Channels of the generator's first map; halved by each layer.
    generator_width: Annotated[int, multiple_of(16)] = 512
    # Channels of the discriminator's first map; doubled by each layer.
    discriminator_width: Annotated[int, at_least(1)] = 64
    dtype: Literal["float32", "bfloat16"] = "float32"
    # What the released networks do not have.
    # Draw, pixel by pixel, where generated depth is invalid; invalid pixels are exactly 1.
    validity_mask: bool = False
    # Share of the pixel-to-pixel alternation that a low-pass takes from generated depth.
    output_lowpass: Annotated[float, between(0, 1)] = 0.0


@dataclass(frozen=True)
class Train:
    """The paper's training (its section 4), with the released scripts' settings as defaults."""

    seed: int = 0
    epochs: Annotated[int, at_least(1)] = 500
    batch_size: Annotated[int, at_least(2)] = 32
    generator_lr: float = 8e-5
    discriminator_lr: float = 1.5e-5
    ema_decay: Annotated[float, from_to_below(0, 1)] = 0.994
    generator_kd_weight: float = 1.0
    discriminator_kd_weight: float = 0.5
    generator_kd_norm: Literal["l1", "l2"] = "l1"  # released: L1; equation 5: squared L2
    teacher_batch_stats: Literal["averaged", "frozen"] = "averaged"  # frozen: as released
    mirror: bool = False  # flip training faces left to right, at random
    on_not_finite: Literal["abort", "rollback"] = "abort"  # rollback: to the last checkpoint, the rates halved
    # What the released training does not have.
    # Microbatches of a batch; batch normalisation is within a microbatch.
    accumulate: Annotated[int, at_least(1)] = 1
    remat: bool = False  # recompute activations in the backward pass instead of keeping them: less memory, more work
    devices: int = 0  # devices that share a batch; 0: as many as divide it
    steps_per_dispatch: Annotated[int, at_least(1)] = 30  # training steps of one call of the compiled program
    samples_every_epochs: Annotated[int, at_least(1)] = 25  # fixed-latent sample grids
    save_every_epochs: Annotated[int, at_least(1)] = 25
    keep_checkpoints: Annotated[int, at_least(1)] = 2
    strict_checkpoints: bool = False  # true: a damaged one stops the training; false: the last good one is taken
    writers: Annotated[tuple[str, ...], one_of(WRITERS)] = ()  # that get the metrics beside metrics.jsonl


@dataclass(frozen=True)
class Distributed:
    """Several processes that share the train stage; every process gets the same command but for its number."""

    coordinator: str = ""  # host:port of the first process, or auto (Slurm, Open MPI); empty: one process
    process_count: int = 0  # found by itself if auto
    process_id: int = 0  # from 0; found by itself if auto


@dataclass(frozen=True)
class Evolve:
    """The latent evolution: the paper's genetic algorithm (its equations 2 and 3), or another."""

    seed: int = 0
    algorithm: Literal["paper", "k_dpp", "mr15_ga", "samr_ga", "cma_es", "sep_cma_es"] = "paper"
    fitness: str = "realism"  # or paper, released, natural, or FILE.py:FUNCTION of one's own
    population: Annotated[int, multiple_of(2)] = 20
    generations: Annotated[int, at_least(1)] = 100
    # Independent populations of each emotion; their halls of fame together are the winners.
    islands: Annotated[int, at_least(1)] = 5
    hall_of_fame: Annotated[int, at_least(1)] = 20
    tournament: Annotated[int, at_least(1)] = 3
    crossover_probability: Annotated[float, between(0, 1)] = 0.8
    blend_alpha: float = 0.5
    mutation_probability: Annotated[float, between(0, 1)] = 0.2  # of an individual
    gene_probability: Annotated[float, between(0, 1)] = 0.3  # of each gene of a mutating individual
    mutation_sigma: float = 0.1
    elite: Annotated[int, at_least(0)] = 1
    # Training steps of each of the four small networks that classify emotions.
    classifier_steps: Annotated[int, at_least(1)] = 600
    # Of fitness = natural. Nearly a condition: a face without a clear emotion is useless.
    emotion_weight: float = 60.0
    # Of algorithm = k_dpp, which returns its whole population: set that to sample.count, and islands to 1.
    # Radians by which an offspring turns from its parent towards noise. Fewer: more varied, less like training faces.
    angle: float = 1.2
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the generator while it evolves


# Fields of Evolve that `sweep` may vary besides its real numbers; each value is compiled anew.
SWEPT_SIZES = ("population", "generations", "islands", "hall_of_fame", "tournament", "elite")


@dataclass(frozen=True)
class Sweep:
    """A grid of latent evolutions, for the stage `sweep`.

    On the command line every field of the grid is a flag: `--config.sweep.mutation_sigma=0.05,0.1`.
    """

    # Evolve.seed and those that follow, for each point of the grid.
    seeds: Annotated[int, at_least(1)] = 3
    # Values of real-numbered fields of Evolve (one program for all) or of SWEPT_SIZES, by field.
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Baselines:
    """The methods that ours is compared with; all learn from the same faces, mirrored if `train.mirror`."""

    seed: int = 0
    # Which to fit; name them in sample.methods as well.
    methods: Annotated[tuple[str, ...], one_of(BASELINE_METHODS)] = ()
    vae_epochs: Annotated[int | None, at_least(1)] = None  # none: train.epochs
    vae_latent_size: Annotated[int, at_least(1)] = 16
    # Channels of the decoder's first map; the encoder's are those of the discriminator.
    vae_width: Annotated[int, multiple_of(16)] = 256
    vae_lr: Annotated[float, above(0)] = 1e-3  # at the start of a cosine to zero
    rs_imle_epochs: Annotated[int | None, at_least(1)] = None  # none: train.epochs
    # A latent is rejected whose face is nearer to a training face: root mean square difference, in [0, 2].
    rs_imle_epsilon: Annotated[float, at_least(0)] = 0.08
    rs_imle_lr: Annotated[float, above(0)] = 1e-3  # at the start of a cosine to zero
    # Of subjects; the values below are chosen by the likelihood of the subjects held out in turn.
    folds: Annotated[int, at_least(2)] = 4
    # Principal components of the pixels, for the GMM and the KDE.
    pca: Annotated[tuple[int, ...], at_least(1), required] = (8, 16, 32, 64)
    # Gaussians of each emotion.
    gmm_components: Annotated[tuple[int, ...], at_least(1), required] = (1, 2, 4, 8)


@dataclass(frozen=True)
class Sample:
    """The faces that a run hands over."""

    seed: int = 0
    methods: Annotated[tuple[str, ...], one_of(tuple(METHODS)), required] = OWN_METHODS
    emotions: tuple[str, ...] = ()  # empty: all that the generator knows
    count: Annotated[int, at_least(1)] = 400  # of each emotion
    # Replace the finest detail of faces, of any method, by random noise like that of the training faces.
    noise: bool = False
    # Low-pass, as model.output_lowpass, of the faces whose generator has none.
    lowpass: Annotated[float, between(0, 1)] = 0.0


@dataclass(frozen=True)
class Evaluate:
    """How the faces are evaluated."""

    seed: int = 0
    # Seeds of the random forest; tree and network run three at most, XGBoost and depthnet, which draw nothing, one.
    seeds: Annotated[int, at_least(1)] = 3
    # depthnet: logistic regression on the shipped network's features; network: a small one, trained on the faces given;
    # recogniser: the network of the stage recognise, its last layer adapted to them.
    classifiers: tuple[str, ...] = ("random_forest", "decision_tree", "xgboost", "depthnet", "network")
    # Quantiles that features are rounded to for trees, such as 64: two thirds of the time. None: as they are.
    bins: Annotated[int | None, at_least(2)] = None
    feature_size: Annotated[int, at_least(32)] = 256  # pixels of the image that handcrafted features are taken from
    # Draws of as many subjects of every set, for Fréchet distance, neighbours and diversity.
    equal_draws: Annotated[int, at_least(1)] = 100
    bootstrap: Annotated[int, at_least(1)] = 1000  # draws of a bootstrap interval
    # Steps of gradient descent on the latents by which a membership attack looks for faces; 0: no such attack.
    inversion_steps: Annotated[int, at_least(0)] = 40
    inception: str = ""  # file of the 2015-12-05 Inception weights, for FID and the Inception Score


@dataclass(frozen=True)
class Few:
    """What helps where few people are known, for the stage `few`: everything of a cell sees these people only.

    A cell is one training on one draw of people. `sample.count` faces of each emotion are added to each row.
    """

    seed: int = 0  # of the draws of people, and of all that is random in a cell
    people: Annotated[tuple[int, ...], at_least(0), required] = (3, 8)  # who are known; 0: all but those to test on
    draws: Annotated[int, at_least(1)] = 5  # of the known people; 0 people, which are all, are drawn once
    trainings: Annotated[int, at_least(1)] = 1  # on each draw, with other seeds
    steps: Annotated[int, at_least(1)] = 2400  # of a training


@dataclass(frozen=True)
class Export:
    """What the export stage writes."""

    sets: tuple[str, ...] = ()  # `faces` (as prepared) and names of methods; empty: all that is there
    # Of png8, png16, npz, points, mesh.
    formats: Annotated[tuple[str, ...], one_of(EXPORT_FORMATS), required] = ("png16",)


@dataclass(frozen=True)
class Config:
    """A whole run."""

    name: str = "paper"
    stages: tuple[str, ...] = ()  # to run where the command names none; empty: all that need not be named
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    distributed: Distributed = field(default_factory=Distributed)
    baselines: Baselines = field(default_factory=Baselines)
    evolve: Evolve = field(default_factory=Evolve)
    sweep: Sweep = field(default_factory=Sweep)
    sample: Sample = field(default_factory=Sample)
    evaluate: Evaluate = field(default_factory=Evaluate)
    few: Few = field(default_factory=Few)
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
        return str(value)  # JSON has no such number: data.invalid_value may be nan
    if isinstance(value, Mapping):
        return {name: list(values) for name, values in value.items()}
    return list(value) if isinstance(value, tuple) else value
