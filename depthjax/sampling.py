"""Faces of every method, written as labelled images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from depthjax.cdcgan_kd import Drawn
from depthjax.config import Config
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import read_arrays, replacing_folder, write_arrays
from depthjax.methods import REGISTRY


def draw(config: Config, workdir: Path) -> Iterator[tuple[str, Drawn]]:
    """Yield each method of `sample.methods` with its faces, `sample.count` of every emotion asked for."""
    emotion = asked_emotions(config)
    for name in config.sample.methods:
        yield name, REGISTRY[name].sample(config, workdir, emotion)


def asked_emotions(config: Config) -> np.ndarray:
    """Return (n,) int32: the labels of the faces that the config asks for."""
    names = config.sample.emotions or config.data.emotions
    return np.repeat(np.array([config.data.emotions.index(e) for e in names], np.int32), config.sample.count)


def write_samples(folder: Path, drawn: Drawn, emotions: tuple[str, ...]) -> None:
    """Write `folder/EMOTION/NNNNN.png` (8 bits, darker is closer) and `folder/samples.npz`, whole or not at all.

    Faces between two others go to `folder/interpolation.npz`.
    """
    if not np.isfinite(drawn.images).all():
        raise UserError(
            f"{folder.name}: faces that are not finite were drawn: its networks are damaged, train them again"
        )
    grey = quantise(drawn.images)
    with replacing_folder(folder) as temporary:
        for label in np.unique(drawn.emotion):
            (temporary / emotions[label]).mkdir()
            for number, image in enumerate(grey[drawn.emotion == label]):
                Image.fromarray(image).save(temporary / emotions[label] / f"{number:05d}.png")
        arrays = drawn._asdict()
        between = arrays.pop("between")
        write_arrays(temporary / "samples.npz", **arrays)
        if between is not None:
            write_arrays(temporary / "interpolation.npz", images=between)


def read_samples(folder: Path, config: Config) -> DepthFaces:
    """Return the samples of one method; see `as_faces`."""
    stored = read_arrays(folder / "samples.npz")
    return as_faces(stored["images"], stored["emotion"], config)


def as_faces(images: np.ndarray, emotion: np.ndarray, config: Config) -> DepthFaces:
    """Return images (n, h, w) in [-1, 1] with labels (n,) as faces; every face is a subject of its own."""
    count = len(images)
    return DepthFaces(
        images=images,
        emotion=emotion,
        subject=np.arange(count, dtype=np.int32),
        frame=np.zeros(count, np.int32),
        emotions=config.data.emotions,
        depth_range=DepthRange.of(config.data),
    )
