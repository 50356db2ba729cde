"""Faces from a trained run: latents through the teacher generator, written as labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from depthjax.baselines.methods import BASELINES
from depthjax.config import Config
from depthjax.data.depth_range import DepthRange, quantise
from depthjax.data.faces import DepthFaces
from depthjax.data.noise import NOISE, with_new_noise
from depthjax.errors import UserError
from depthjax.files import read_arrays, replacing_folder, write_arrays
from depthjax.keys import key_for
from depthjax.models.dcgan import decode
from depthjax.train.checkpoint import restore_generator
from depthjax.train.state import networks

BETWEEN = 9  # faces from one latent to another


class Latents(NamedTuple):
    """What a method decodes: latents (n, d) float32 and the emotion of each (n,) int32."""

    latents: np.ndarray
    emotion: np.ndarray


class Drawn(NamedTuple):
    """Faces of a method: images (n, h, w) in [-1, 1], emotion (n,), latents (n, d), d = 0 where there are none.

    `between`: (classes, steps, h, w) on the way from one latent to another of the same emotion, where it was asked for.
    """

    images: np.ndarray
    emotion: np.ndarray
    latents: np.ndarray
    between: np.ndarray | None = None


def random_latents(config: Config) -> Latents:
    """Standard normal latents, `sample.count` of each emotion asked for: the method `cdcgan_kd`."""
    wanted, count = _wanted(config), config.sample.count
    draws = [
        jax.random.normal(key_for(config.sample.seed, "sample", label), (count, config.model.latent_size))
        for label in wanted
    ]
    return Latents(np.concatenate(draws), np.repeat(np.array(wanted, np.int32), count))


def evolved_latents(config: Config, workdir: Path) -> Latents:
    """The winners of the latent evolution, island by island from the best: the method `cdcgan_kd_ga`.

    At most as many as the halls of fame hold; those of rank one come first, then rank two, over all islands.
    """
    winners = read_arrays(workdir / "evolve" / "winners.npz")["latents"]  # (classes, islands, hall, d)
    by_rank = winners.transpose(0, 2, 1, 3).reshape(len(winners), -1, winners.shape[-1])
    chosen = {label: _held(by_rank[label])[: config.sample.count] for label in _wanted(config)}
    return Latents(
        np.concatenate(list(chosen.values())),
        np.repeat(np.array(list(chosen), np.int32), [len(latents) for latents in chosen.values()]),
    )


def _held(latents: np.ndarray) -> np.ndarray:
    """A hall of fame that never filled up has NaN in its empty places."""
    return latents[np.isfinite(latents).all(axis=1)]


def _wanted(config: Config) -> list[int]:
    return [config.data.emotions.index(e) for e in (config.sample.emotions or config.data.emotions)]


def draw(config: Config, workdir: Path) -> Iterator[tuple[str, Drawn]]:
    """Each method of `sample.methods` with its faces; the generator teacher is read once, and only if it is needed."""

    @cache
    def noise() -> np.ndarray:
        return read_noise(workdir)

    @cache
    def teacher() -> dict[str, Any]:
        return restore_generator(workdir / "checkpoints", config=config, strict=True)[0]

    for method in config.sample.methods:
        if method in BASELINES:
            yield method, _of_baseline(method, config, workdir)
        else:
            source = latents_of(method, config, workdir)
            images = decode_latents(config, teacher(), source)
            if config.sample.noise:
                images = with_noise_of_real(images, source.emotion, noise(), seed=config.sample.seed, name=method)
            between = interpolated(config, teacher(), source) if method == "cdcgan_kd" else None
            yield method, Drawn(images, source.emotion, source.latents, between)


def read_noise(workdir: Path) -> np.ndarray:
    """The spectrum of the real faces' noise, as prepare left it in the work folder.

    Raises:
        UserError: it is not there, or damaged.
    """
    if not (workdir / NOISE).exists():
        raise UserError(f"{workdir / NOISE} is not there: run --stages=prepare, or set --config.sample.noise=false")
    return read_arrays(workdir / NOISE)["spectrum"]


def with_noise_of_real(
    images: np.ndarray, emotion: np.ndarray, spectrum: np.ndarray, *, seed: int, name: str
) -> np.ndarray:
    """(n, h, w) generated faces of (n,) emotions with `with_new_noise` of an emotion's own dice.

    So a face stays as it is whichever emotions and however many faces after it are asked for.
    """
    noisy = np.empty_like(images, np.float32)
    for label in np.unique(emotion):
        rng = np.random.default_rng([seed, int(label), *name.encode()])
        noisy[emotion == label] = with_new_noise(images[emotion == label], spectrum, rng)
    return noisy


def _of_baseline(method: str, config: Config, workdir: Path) -> Drawn:
    emotion = np.repeat(np.array(_wanted(config), np.int32), config.sample.count)
    key = key_for(config.sample.seed, f"sample {method}")
    images = BASELINES[method].sample(key, config, workdir / "baselines" / method, emotion)
    return Drawn(images, emotion, np.zeros((len(images), 0), np.float32))


def decode_latents(config: Config, variables: dict[str, Any], source: Latents) -> np.ndarray:
    """(n, h, w) float32 images in [-1, 1] of the teacher generator in evaluation mode."""
    return decode(networks(config).generator, variables, source.latents, source.emotion)


def interpolated(config: Config, variables: dict[str, Any], source: Latents) -> np.ndarray:
    """(classes, 9, h, w) faces on the great circle from each emotion's first latent to its second.

    A standard normal latent has a norm of about sqrt(d): on the straight line between two of them it would fall to
    0.7 of that, where the generator never learnt. With one face an emotion, it stays where it is.
    """
    labels = np.unique(source.emotion)
    pairs = [
        source.latents[source.emotion == label][[0, min(1, (source.emotion == label).sum() - 1)]] for label in labels
    ]
    latents = np.concatenate([great_circle(a, b, BETWEEN) for a, b in pairs])
    images = decode_latents(config, variables, Latents(latents, np.repeat(labels, BETWEEN).astype(np.int32)))
    return images.reshape(len(labels), BETWEEN, *images.shape[1:])


def great_circle(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """(steps, d) float32 from a to b (d,), turning at an even pace, the norm going evenly from |a| to |b|."""
    t, norms = np.linspace(0, 1, steps)[:, None], (np.linalg.norm(a), np.linalg.norm(b))
    one, other = a / norms[0], b / norms[1]
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if angle < 1e-4:
        turned = (1 - t) * one + t * other
    else:
        turned = (np.sin((1 - t) * angle) * one + np.sin(t * angle) * other) / np.sin(angle)
    way = (turned * ((1 - t) * norms[0] + t * norms[1])).astype(np.float32)
    way[0], way[-1] = a, b  # bit for bit: what a generator draws hangs on the bits
    return way


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
    """The samples of one method as faces of nobody: subject and frame are running numbers."""
    stored = read_arrays(folder / "samples.npz")
    return as_faces(stored["images"], stored["emotion"], config)


def as_faces(images: np.ndarray, emotion: np.ndarray, config: Config) -> DepthFaces:
    """Images (n, h, w) in [-1, 1] with labels (n,) as faces of nobody: subject and frame are running numbers."""
    count = len(images)
    return DepthFaces(
        images=images,
        emotion=emotion,
        subject=np.arange(count, dtype=np.int32),
        frame=np.zeros(count, np.int32),
        emotions=config.data.emotions,
        depth_range=DepthRange.of(config.data),
    )


METHODS: dict[str, Callable[[Config, Path], Latents]] = {
    "cdcgan_kd": lambda config, workdir: random_latents(config),
    "cdcgan_kd_ga": evolved_latents,
}


def latents_of(method: str, config: Config, workdir: Path) -> Latents:
    """What `method` decodes, by its name in the config."""
    if method not in METHODS:
        raise UserError(f"sample.methods: '{method}' is not one of {', '.join(METHODS)}")
    return METHODS[method](config, workdir)
