"""The faces to be evaluated, and the features of each set in every feature space."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from scipy.special import softmax

from depthjax.config import CONTROLS, Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.data.load import added
from depthjax.errors import UserError, counted
from depthjax.evaluate import depthnet
from depthjax.evaluate.classification import BOXES, DEPTHNET, HANDCRAFTED, RECOGNISER, Labelled
from depthjax.evaluate.controls import control_sets
from depthjax.evaluate.diversity import median_distance
from depthjax.evaluate.handcrafted import cached_features
from depthjax.evaluate.recogniser import features_and_logits
from depthjax.evaluate.spaces import (
    RELIEF_DIMENSIONS,
    Coordinates,
    FusedSpace,
    PrincipalSpace,
    box_means,
    fit_fused_space,
    fit_principal_space,
    nearest,
)
from depthjax.files import cached_arrays, digest
from depthjax.parallel import end_processes

DEPTHNET_DIMENSIONS = 32
BANDWIDTH_FACES = 1000  # the bandwidth of kernels is taken from about this many training faces
RESERVED = ("train", "test", "real", *CONTROLS)  # names that no method may have

Log = Callable[[str], None]
Features = dict[str, np.ndarray]  # by set


@dataclass(frozen=True)
class FeatureBank:
    """Training faces, held-out faces, faces of each method and control; sets are named `train`, `test` and by those."""

    train: DepthFaces
    test: DepthFaces
    methods: Mapping[str, DepthFaces]
    controls: Mapping[str, DepthFaces]  # as `control_sets` returns them, as many faces as the largest method has
    fused: Features  # the handcrafted features of each set
    depthnet: Features  # what depthnet's trunk reads in each set; the space `depthnet` is their principal components
    means: Features  # over 32x32 boxes, of each set; `relief` is their space, fitted on train
    recogniser: Features  # what the recogniser's network reads in each set, if a classifier asks for it
    relief: PrincipalSpace
    spaces: dict[str, Features]  # coordinates of each set, by space and set
    probabilities: dict[str, Features]  # by network: depthnet if it knows all emotions, inception where given

    @property
    def sets(self) -> dict[str, DepthFaces]:
        """All faces, by set."""
        return {"train": self.train, "test": self.test, **self.methods, **self.controls}

    @property
    def classes(self) -> int:
        """How many emotions there are."""
        return len(self.train.emotions)

    @cached_property
    def bandwidths(self) -> dict[str, float]:
        """The width of a Gaussian kernel in each space: the median distance between training faces."""
        step = max(1, len(self.train) // BANDWIDTH_FACES)
        return {space: median_distance(features["train"][::step]) for space, features in self.spaces.items()}

    def own_test(self, config: Config) -> np.ndarray:
        """Return a mask of the held-out faces without the subjects of `data.extra_test_subjects`, (n,)."""
        return ~added(self.test.subject, config.data)

    def labelled(self, name: str, inputs: str = HANDCRAFTED) -> Labelled:
        """Return what classifiers of these `INPUTS` read of a set, with its emotions and subjects."""
        features = {HANDCRAFTED: self.fused, DEPTHNET: self.depthnet, BOXES: self.means, RECOGNISER: self.recogniser}
        faces = self.sets[name]
        return Labelled(features[inputs][name], faces.emotion, faces.subject)

    def nearest_train(self, space: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of the nearest training face of the same emotion, and its distance, for each face of a set."""
        return nearest(self.coordinates(space, name), self.coordinates(space, "train"))

    def coordinates(self, space: str, name: str) -> Coordinates:
        """Return the faces of a set in a space."""
        faces = self.sets[name]
        return Coordinates(self.spaces[space][name], faces.emotion, faces.subject)


def build_bank(
    config: Config, train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces], cache: Path, log: Log
) -> FeatureBank:
    """Compute the features of every set, slow ones kept in `cache`; each space is fitted on the training faces alone.

    Raises a UserError as `check_sets` does, or for Inception weights that are not those of the 2015-12-05 graph.
    """
    check_sets(train, test, methods)

    def projected(space: PrincipalSpace | FusedSpace, values: Features) -> Features:
        return {name: space.project(rows) for name, rows in values.items()}

    count = max(int(np.bincount(faces.emotion).max()) for faces in methods.values())
    log(f"controls: {count} faces of every emotion, made of training faces")
    controls = control_sets(config, train, count)
    sets, size = {"train": train, "test": test, **methods, **controls}, config.evaluate.feature_size
    fused, among = {}, sum(len(faces) for faces in sets.values())
    for name, faces in sets.items():
        log(f"features of {name} ({len(faces)} faces at {size} pixels)")
        fused[name] = cached_features(faces.images, size=size, cache=cache, among=among)
    end_processes()
    means = {name: box_means(faces.images) for name, faces in sets.items()}
    relief = fit_principal_space(means["train"], RELIEF_DIMENSIONS)
    log("depthnet")
    outputs = {name: _depthnet(config, faces, cache) for name, faces in sets.items()}
    features = {name: arrays["features"] for name, arrays in outputs.items()}
    spaces = {
        "relief": projected(relief, means),
        "fused": projected(fit_fused_space(fused["train"]), fused),
        "depthnet": projected(fit_principal_space(features["train"], DEPTHNET_DIMENSIONS), features),
    }
    read = {name: depthnet.restricted(arrays["log_probabilities"], train.emotions) for name, arrays in outputs.items()}
    known = {name: shares for name, shares in read.items() if shares is not None}
    probabilities = {"depthnet": known} if known else {}
    if config.evaluate.inception:
        outputs = _inception(config, sets, cache, log)
        spaces["inception"] = {name: arrays["pool"].astype(np.float64) for name, arrays in outputs.items()}
        logits = {name: arrays["logits"].astype(np.float64) for name, arrays in outputs.items()}
        probabilities["inception"] = {name: softmax(values, axis=1) for name, values in logits.items()}
    asked = "recogniser" in config.evaluate.classifiers
    recogniser = {name: features_and_logits(faces, config.data.crop) for name, faces in sets.items() if asked}
    return FeatureBank(
        train, test, methods, controls, fused, features, means, recogniser, relief, spaces, probabilities
    )


def _depthnet(config: Config, faces: DepthFaces, cache: Path) -> dict[str, np.ndarray]:
    near_far, crop = faces.depth_range, config.data.crop
    window = [near_far.near_mm, near_far.far_mm]
    made_with = {"weights": depthnet.load_depthnet().sha256, "window": window, "crop": crop}
    path = cache / f"depthnet-{digest(quantise(faces.images), made_with)[:32]}.npz"
    make = partial(depthnet.depthnet_features, faces.images, depth_range=near_far, crop=crop)
    return cached_arrays(path, lambda: make()._asdict())


def _inception(
    config: Config, sets: Mapping[str, DepthFaces], cache: Path, log: Log
) -> dict[str, dict[str, np.ndarray]]:
    from depthjax.evaluate.inception import inception_features, load_inception

    variables, found = load_inception(Path(config.evaluate.inception)), {}
    for name, faces in sets.items():
        log(f"Inception features of {name} ({len(faces)} faces)")
        path = cache / f"inception-{digest(quantise(faces.images), {'inception': 1})[:32]}.npz"
        found[name] = cached_arrays(
            path, partial(lambda images: inception_features(images, variables)._asdict(), faces.images)
        )
    return found


def check_sets(train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces]) -> None:
    """Raise a UserError for sets that cannot be compared: names, shapes, emotions, too few faces, non-finite values."""
    if not methods:
        raise UserError("evaluate: there are no generated faces: run the sample stage first")
    for name in RESERVED:
        if name in methods:
            raise UserError(f"evaluate: no method can be called '{name}': give its faces another name")
    sets = {"the training faces": train, "the held-out faces": test}
    for name, faces in (sets | {f"method {name}": faces for name, faces in methods.items()}).items():
        if faces.images.shape[1:] != train.images.shape[1:]:
            raise UserError(
                f"evaluate: images of {name} have the shape {faces.images.shape[1:]}, those of the training faces "
                f"{train.images.shape[1:]}: prepare and sample at one resolution"
            )
        if faces.emotions != train.emotions:
            raise UserError(
                f"evaluate: emotions of {name} are {', '.join(faces.emotions)}, those of the training faces "
                f"{', '.join(train.emotions)}: sample again with this config"
            )
        if not np.isfinite(faces.images).all():
            raise UserError(f"evaluate: {name}: values are not finite: train or sample again")
        for label, emotion in enumerate(train.emotions):
            count = int((faces.emotion == label).sum())
            if count < 2:
                raise UserError(
                    f"evaluate: {name}: {counted(count, 'face')} of '{emotion}', at least 2 are needed: make more"
                )


def seed_of(config: Config, purpose: str) -> int:
    """Return the seed of one purpose of the evaluation."""
    return zlib.crc32(f"{config.evaluate.seed} {purpose}".encode())


def classifier_seeds(config: Config) -> list[int]:
    """Return the seeds of the classifiers, `evaluate.seeds` of them."""
    return list(range(config.evaluate.seed, config.evaluate.seed + config.evaluate.seeds))
