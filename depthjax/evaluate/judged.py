"""What is compared: the sets of faces, and what is measured on each of them in every feature space."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import softmax

from depthjax.config import Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.evaluate import depthnet
from depthjax.evaluate.emotion_scores import restricted
from depthjax.evaluate.features import cached_features
from depthjax.evaluate.parallel import end_processes
from depthjax.evaluate.protocols import Labelled
from depthjax.evaluate.relief import box_means, fit_relief_space
from depthjax.evaluate.spaces import PrincipalSpace, fit_fused_space, fit_principal_space
from depthjax.files import cached_arrays, digest

DEPTHNET_DIMENSIONS = 32
NO_INCEPTION = (
    "no Inception weights were given, so there is no FID and no Inception Score: name the file that "
    "tools/convert_inception_weights.py makes in --config.evaluate.inception"
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """The real people of both sides and each method's faces; sets are named `train`, `test`, `method/NAME`.

    Attributes:
        fused: the handcrafted features of each set, as the classifiers see them.
        means: over 32x32 boxes, of each set.
        relief: the space of these means, fitted on train.
        spaces: coordinates of each set in each feature space, by space and set.
        probabilities: of the run's emotions by `depthnet`, for each set; None if it does not know them all.
        inception_probabilities: of the 1,008 classes for each set; None without weights.
    """

    train: DepthFaces
    test: DepthFaces
    methods: Mapping[str, DepthFaces]
    fused: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    relief: PrincipalSpace
    spaces: dict[str, dict[str, np.ndarray]]
    probabilities: dict[str, np.ndarray] | None
    inception_probabilities: dict[str, np.ndarray] | None

    def labelled(self, name: str) -> Labelled:
        """The fused features, emotions and subjects of a set."""
        faces = self.sets[name]
        return Labelled(self.fused[name], faces.emotion, faces.subject)

    @property
    def sets(self) -> dict[str, DepthFaces]:
        """All of them by name."""
        return named_sets(self.train, self.test, self.methods)

    @property
    def classes(self) -> int:
        """How many emotions there are."""
        return len(self.train.emotions)


def named_sets(train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces]) -> dict[str, DepthFaces]:
    """`train`, `test`, and `method/NAME` for each method."""
    return {"train": train, "test": test} | {f"method/{name}": faces for name, faces in methods.items()}


def measure(
    config: Config,
    train: DepthFaces,
    test: DepthFaces,
    methods: Mapping[str, DepthFaces],
    cache: Path,
    say: Say,
) -> Judged:
    """Features of every set in every space; each space is fitted on the real training faces alone.

    Args:
        cache: folder in which slow features are kept, named by their content.
    Raises:
        UserError: as `check`; or the Inception weights are not those of the 2015-12-05 graph.
    """
    check(train, test, methods)
    sets, fused = named_sets(train, test, methods), {}
    for name, faces in sets.items():
        say(f"features of {name} ({len(faces)} faces at {config.evaluate.feature_size} pixels)")
        fused[name] = cached_features(faces.images, size=config.evaluate.feature_size, cache=cache)
    end_processes()
    means = {name: box_means(faces.images) for name, faces in sets.items()}
    relief = fit_relief_space(means["train"])
    say("depthnet")
    seen = {name: _depthnet(config, faces, cache) for name, faces in sets.items()}
    spaces = {
        "relief": _all_projected(relief.project, means),
        "fused": _all_projected(fit_fused_space(fused["train"]).project, fused),
        "depthnet": _all_projected(
            fit_principal_space(seen["train"]["features"], DEPTHNET_DIMENSIONS).project,
            {name: arrays["features"] for name, arrays in seen.items()},
        ),
    }
    probabilities = {name: restricted(a["log_probabilities"], train.emotions) for name, a in seen.items()}
    known = {name: shares for name, shares in probabilities.items() if shares is not None}
    pools, classes = _inception(config, sets, cache, say)
    if pools is not None:
        spaces["inception"] = pools
    return Judged(train, test, methods, fused, means, relief, spaces, known or None, classes)


def _all_projected(
    project: Callable[[np.ndarray], np.ndarray], values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {name: project(v) for name, v in values.items()}


def _depthnet(config: Config, faces: DepthFaces, cache: Path) -> dict[str, np.ndarray]:
    window, crop = faces.depth_range, config.data.crop
    seen_as = {"weights": depthnet.load_depthnet().sha256, "window": [window.near_mm, window.far_mm], "crop": crop}
    name = digest(quantise(faces.images), seen_as)

    def make() -> dict[str, np.ndarray]:
        return depthnet.depthnet_features(faces.images, window=window, crop=crop)._asdict()

    return cached_arrays(cache / f"depthnet-{name[:32]}.npz", make)


def _inception(
    config: Config, sets: Mapping[str, DepthFaces], cache: Path, say: Say
) -> tuple[dict[str, np.ndarray] | None, dict[str, np.ndarray] | None]:
    """The pool features and class probabilities of each set, or None twice where no weights were given."""
    if not config.evaluate.inception:
        return None, None
    from depthjax.evaluate.inception import inception_features, load_inception

    variables, found = load_inception(Path(config.evaluate.inception)), {}

    def seen(images: np.ndarray) -> dict[str, np.ndarray]:
        return inception_features(images, variables)._asdict()

    for name, faces in sets.items():
        say(f"Inception features of {name} ({len(faces)} faces)")
        path = cache / f"inception-{digest(quantise(faces.images), {'inception': 1})[:32]}.npz"
        found[name] = cached_arrays(path, partial(seen, faces.images))
    pools = {name: arrays["pool"].astype(np.float64) for name, arrays in found.items()}
    return pools, {name: softmax(arrays["logits"].astype(np.float64), axis=1) for name, arrays in found.items()}


def check(train: DepthFaces, test: DepthFaces, methods: Mapping[str, DepthFaces]) -> None:
    """Raise a UserError for sets that cannot be compared: shapes, emotions, too few faces, values not finite."""
    if not methods:
        raise UserError("evaluate: there are no generated faces to judge: run the sample stage first")
    sets = {"the real training faces": train, "the real test faces": test}
    for name, faces in (sets | {f"method {name}": faces for name, faces in methods.items()}).items():
        if faces.images.shape[1:] != train.images.shape[1:]:
            raise UserError(
                f"evaluate: {name} has images of shape {faces.images.shape[1:]}, the real training faces "
                f"{train.images.shape[1:]}: prepare and sample at one resolution"
            )
        if faces.emotions != train.emotions:
            raise UserError(
                f"evaluate: {name} has the emotions {', '.join(faces.emotions)}, the real training faces "
                f"{', '.join(train.emotions)}: sample again with this config"
            )
        if not np.isfinite(faces.images).all():
            raise UserError(f"evaluate: {name} has values that are not finite: train or sample again")
        for label, emotion in enumerate(train.emotions):
            count = int((faces.emotion == label).sum())
            if count < 2:
                raise UserError(f"evaluate: {name} has {count} faces of '{emotion}', at least 2 are needed: make more")


def seed_of(config: Config, purpose: str) -> int:
    """A seed for one purpose of the evaluation."""
    return zlib.crc32(f"{config.evaluate.seed} {purpose}".encode())


def classifier_seeds(config: Config) -> list[int]:
    """The seeds of the classifiers, `evaluate.seeds` of them."""
    return list(range(config.evaluate.seed, config.evaluate.seed + config.evaluate.seeds))
