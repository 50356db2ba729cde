"""Our methods: the conditional DCGAN with teachers, sampled from random latents or from evolved ones."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import counted
from depthjax.evolving import evolution_inputs, evolve_latents, reads_emotions
from depthjax.files import read_arrays
from depthjax.keys import key_for
from depthjax.models.dcgan import decode
from depthjax.models.inversion import Decoder
from depthjax.progress import Log, no_log
from depthjax.train.checkpoint import restore_generator
from depthjax.train.loop import train
from depthjax.train.mesh import sharing_a_fate
from depthjax.train.metrics_log import check_writers
from depthjax.train.state import networks

BETWEEN = 9  # faces from one latent to another


class Drawn(NamedTuple):
    """Faces of a method: images (n, h, w) in [-1, 1], emotion (n,), latents (n, d), d = 0 where there are none.

    `between`: (classes, steps, h, w) from one latent to another of the same emotion, where there are latents to mix.
    """

    images: np.ndarray
    emotion: np.ndarray
    latents: np.ndarray
    between: np.ndarray | None = None


def fit(config: Config, workdir: Path, faces: DepthFaces, log: Log) -> list[Path]:
    """Train both networks, going on from the newest good checkpoint; the contract is that of `Method.fit`."""
    check_writers(config)
    with sharing_a_fate():
        state = train(config, faces, workdir, quiet=log is no_log)
    log(f"{counted(int(state.step), 'step')} of {config.train.batch_size} faces")
    curves = workdir / "metrics.jsonl"
    if not curves.exists():
        log(f"{curves} is gone: this training has no curves")
    return [workdir / "checkpoints", *([curves] if curves.exists() else [])]


def evolve(config: Config, workdir: Path, faces: DepthFaces, log: Log) -> list[Path]:
    """Evolve latents of each emotion under the teachers, and keep the winners."""
    quiet = log is no_log
    inputs = evolution_inputs(config, workdir, faces, classifiers=reads_emotions(config), quiet=quiet)
    return evolve_latents(config, inputs, workdir / "evolve", log, quiet=quiet)


def sample(config: Config, workdir: Path, emotion: np.ndarray) -> Drawn:
    """Decode standard normal latents; the first faces of an emotion do not depend on how many are asked for."""
    latents, labels = random_latents(config, emotion), np.unique(emotion)
    # From an emotion's first latent to its second; a single latent stays where it is.
    ends = [latents[emotion == label][[0, min(1, np.sum(emotion == label) - 1)]] for label in labels]
    way = np.concatenate([great_circle(first, second, BETWEEN) for first, second in ends])
    between = _decoded(config, workdir, way, np.repeat(labels, BETWEEN).astype(np.int32))
    images = _decoded(config, workdir, latents, emotion)
    return Drawn(images, emotion, latents, between.reshape(len(labels), BETWEEN, *between.shape[1:]))


def sample_evolved(config: Config, workdir: Path, emotion: np.ndarray) -> Drawn:
    """Decode the winners of the evolution, at most as many of an emotion as the halls of fame hold."""
    winners = read_arrays(workdir / "evolve" / "winners.npz")["latents"]
    latents, kept = winning_latents(winners, emotion)
    return Drawn(_decoded(config, workdir, latents, emotion[kept]), emotion[kept], latents)


def winning_latents(winners: np.ndarray, emotion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return latents (k, d) for the (n,) emotions that (classes, islands, hall, d) winners suffice for, and which."""
    by_rank = winners.transpose(0, 2, 1, 3).reshape(len(winners), -1, winners.shape[-1])
    latents, kept = np.zeros((len(emotion), winners.shape[-1]), np.float32), np.zeros(len(emotion), bool)
    for label in np.unique(emotion):
        # A hall of fame that never filled up has NaN in its empty places.
        held = by_rank[label][np.isfinite(by_rank[label]).all(axis=1)]
        places = np.flatnonzero(emotion == label)[: len(held)]
        latents[places], kept[places] = held[: len(places)], True
    return latents[kept], kept


def random_latents(config: Config, emotion: np.ndarray) -> np.ndarray:
    """Return (n, d) standard normal latents, each emotion's from a key of its own."""
    latents = np.empty((len(emotion), config.model.latent_size), np.float32)
    for label in np.unique(emotion):
        key, where = key_for(config.sample.seed, "sample", int(label)), emotion == label
        latents[where] = jax.random.normal(key, (int(where.sum()), config.model.latent_size), np.float32)
    return latents


def _decoded(config: Config, workdir: Path, latents: np.ndarray, emotion: np.ndarray) -> np.ndarray:
    return decode(*decoder(config, workdir), latents, emotion)


def decoder(config: Config, workdir: Path) -> Decoder:
    """Return the teacher generator, which is all that is read of a checkpoint."""
    return Decoder(networks(config).generator, restore_generator(workdir / "checkpoints", config))


def great_circle(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Return (steps, d) float32 latents from a to b (d,), evenly in angle and in norm."""
    # On a straight line the norm would fall to 0.7 of that of a latent in training.
    t, norms = np.linspace(0, 1, steps)[:, None], (np.linalg.norm(a), np.linalg.norm(b))
    one, other = a / norms[0], b / norms[1]
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if angle < 1e-4:
        turned = (1 - t) * one + t * other
    else:
        turned = (np.sin((1 - t) * angle) * one + np.sin(t * angle) * other) / np.sin(angle)
    way = (turned * ((1 - t) * norms[0] + t * norms[1])).astype(np.float32)
    way[0], way[-1] = a, b  # bit for bit
    return way
