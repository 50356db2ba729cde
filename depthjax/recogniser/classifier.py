"""A classifier of emotions for one's own faces: the recogniser's network, its last layer adapted, calibrated.

The network learned from rendered people what emotions look like; the faces of the people one has change its last layer
(`depthjax.evaluate.adapted_head`). Its probabilities are calibrated on people whom it did not see in the fit (Guo et
al. 2017, temperature scaling).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.model_selection import GroupKFold

from depthjax.config import Data
from depthjax.data.depth_files import Unfit
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.data.frames import STORED, Framing
from depthjax.data.inputs import network_inputs
from depthjax.data.plausible import check_plausible
from depthjax.errors import UserError
from depthjax.evaluate.adapted_head import Head, adapt
from depthjax.evaluate.recogniser import feature_size, own_head, read_emotions, recogniser_features
from depthjax.evaluate.weights import RECOGNISER as WEIGHTS
from depthjax.files import file_digest
from depthjax.safetensors_file import read_safetensors, write_safetensors

FRAMED = "give crops in millimetres from the camera, framed as those that it was fitted to; 0 is invalid"
FOLDS = 5
TEMPERATURES = (-3.0, 3.0)  # their logarithm


@dataclass(frozen=True)
class CalibratedClassifier:
    """Weights (d, classes) and bias (classes,) on features, whose logits are divided by the temperature."""

    weights: np.ndarray
    bias: np.ndarray
    temperature: float
    emotions: tuple[str, ...]
    data: Data  # how faces are prepared: crop, resolution and depth range
    shape: tuple[int, int]  # of a crop, before that: height, width
    framing: Framing | None = None  # how frames became these crops

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return (n, classes) of (n, d) features."""
        logits = (features @ self.weights + self.bias) / self.temperature
        found: np.ndarray = log_softmax(logits.astype(np.float64), axis=1)
        return found

    def recognise(self, depth: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Return the probability of each emotion, (n, classes), in images (n, h, w) of camera millimetres.

        Images of the crops' size are crops; others are cut as those of the run were, or are a UserError, as are values
        that are no face in millimetres.
        """
        crops = _crops(depth, self.shape, self.framing)
        _check_crops(crops, self.data)
        images = network_inputs(crops, self.data)
        read = read_emotions(images, depth_range=DepthRange.of(self.data), crop=self.data.crop)
        return np.exp(self.log_probabilities(read.features))


def _crops(images: Sequence[np.ndarray] | np.ndarray, shape: tuple[int, int], framing: Framing | None) -> np.ndarray:
    """Return images as crops of a shape: those of another size are cut by the framing of the run."""
    crops = []
    for row, image in enumerate(map(np.asarray, images)):
        if framing and image.ndim == 2 and image.shape != shape:
            image = _cut(image, framing, row)
        if image.shape != shape:
            raise UserError(f"recognise: image {row} is {image.shape}, not {shape}: {FRAMED}")
        crops.append(image)
    return np.array(crops).reshape(-1, *shape)


def _cut(image: np.ndarray, framing: Framing, row: int) -> np.ndarray:
    try:
        face, nose = framing.cut(np.rint(np.nan_to_num(image)).clip(0, 65535).astype(np.uint16))
    except Unfit as fault:
        raise UserError(f"recognise: image {row}: {fault.what}: {fault.todo}") from None
    if nose is None and framing.kind != STORED:
        raise UserError(f"recognise: image {row}: no face is found in it, read in millimetres as {framing}")
    return face


def _check_crops(depth: np.ndarray, data: Data) -> None:
    if not (np.isfinite(depth) & (depth >= 0)).all():
        raise UserError(f"recognise: negative values, or some that are not finite: {FRAMED}")
    for row, crop in enumerate(depth):
        try:
            check_plausible(crop, data, np.dtype(np.uint16))
        except Unfit as fault:
            raise UserError(f"recognise: image {row}: {fault.what}: {FRAMED}") from None


def fit_classifier(
    known: DepthFaces, data: Data, shape: tuple[int, int], framing: Framing | None = None
) -> CalibratedClassifier:
    """Fit a classifier to faces of known people."""
    features = recogniser_features(known, data.crop)
    head = own_head(known.emotions)
    temperature = _temperature(head, features, known)
    return CalibratedClassifier(
        *adapt(head, features, known.emotion), temperature, known.emotions, data, shape, framing
    )


def _temperature(head: Head, features: np.ndarray, known: DepthFaces) -> float:
    """Return the temperature that is likeliest for people left out of the fit; 1 where it cannot be found."""
    people = np.unique(known.subject)
    if len(people) < 2:
        return 1.0
    logits = np.zeros((len(known), len(known.emotions)))
    for kept, out in GroupKFold(min(FOLDS, len(people))).split(features, groups=known.subject):
        weights, bias = adapt(head, features[kept], known.emotion[kept])
        logits[out] = features[out] @ weights + bias

    def loss(log_temperature: float) -> float:
        rows = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-rows[np.arange(len(rows)), known.emotion].mean())

    return float(np.exp(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x))


def save_classifier(path: Path, classifier: CalibratedClassifier) -> None:
    """Write it as safetensors; how faces are prepared, and what reads their features, is in the metadata."""
    tensors = {"weights": classifier.weights.astype(np.float32), "bias": classifier.bias.astype(np.float32)}
    data = classifier.data
    metadata = {
        "emotions": ",".join(classifier.emotions), "temperature": repr(classifier.temperature), "crop": data.crop,
        "resolution": str(data.resolution), "near_mm": repr(data.near_mm), "far_mm": repr(data.far_mm),
        "height": str(classifier.shape[0]), "width": str(classifier.shape[1]), "network": file_digest(WEIGHTS),
        "framing": json.dumps(classifier.framing),
    }  # fmt: skip
    write_safetensors(path, tensors, metadata)


def load_classifier(path: Path) -> CalibratedClassifier:
    """Read what `save_classifier` wrote; another or a damaged file, or one of another network, is a UserError."""
    tensors, held = read_safetensors(path)
    try:
        framing = json.loads(held["framing"])
        data = Data(
            resolution=int(held["resolution"]), crop="full" if held["crop"] == "full" else "face",
            near_mm=float(held["near_mm"]), far_mm=float(held["far_mm"]),
        )  # fmt: skip
        found = CalibratedClassifier(
            tensors["weights"], tensors["bias"], float(held["temperature"]), tuple(held["emotions"].split(",")), data,
            (int(held["height"]), int(held["width"])), Framing.of(framing) if framing else None,
        )  # fmt: skip
        network = held["network"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no classifier of the stage recognise ({error}): run --stages=recognise") from None
    if network != file_digest(WEIGHTS):
        raise UserError(f"{path} was fitted to the features of another version's network: run --stages=recognise again")
    shape, size = (feature_size(), len(found.emotions)), found.weights.shape
    if size != shape or found.bias.shape != shape[1:] or not found.temperature > 0:
        raise UserError(f"{path} is damaged: weights {size}, not {shape}: run --stages=recognise again")
    return found
