"""The plain conditional DCGAN: our networks and our training, without teachers and without evolution.

It trains by the same loop with both distillation weights at zero, so it takes the same steps of the same batches, and
by default as many operations. An averaging decay of zero makes the teacher equal to the student, so the student is
sampled and drawn in the progress grids.
"""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from depthjax.baselines.fits import Settings, settings_of
from depthjax.config import Config, Model, Train
from depthjax.data.faces import DepthFaces
from depthjax.errors import counted
from depthjax.keys import host_seed
from depthjax.models.dcgan import decode
from depthjax.models.inversion import Decoder
from depthjax.progress import Log, no_log
from depthjax.train.checkpoint import FREE_FIELDS, restore_generator
from depthjax.train.loop import train
from depthjax.train.state import networks

LONGER = "train.epochs"
STUDENT_FIELDS = ("epochs", "batch_size", "accumulate", "generator_lr", "discriminator_lr", "mirror")
SIZES = ("latent_size", "generator_width", "discriminator_width", "dtype")


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
    """Train, resuming from the last checkpoint in `folder`; more epochs go on from a finished training."""
    plain = without_teachers(config, seed=host_seed(key))
    log(f"{counted(plain.train.epochs, 'epoch')} of {counted(len(faces) // plain.train.batch_size, 'step')}")
    state = train(plain, faces, folder, quiet=log is no_log)
    return {"steps": int(state.step)}


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Decode standard normal latents by the student generator."""
    latents = np.asarray(jax.random.normal(key, (len(emotion), config.model.latent_size), np.float32))
    return decode(*decoder(config, folder), latents, emotion)


def decoder(config: Config, folder: Path) -> Decoder:
    """Return the student generator."""
    plain = without_teachers(config, seed=0)
    return Decoder(networks(plain).generator, restore_generator(folder / "checkpoints", plain))


def without_teachers(config: Config, *, seed: int) -> Config:
    """Return the config of the plain GAN's own training: our sizes, rates and batches, the rest as released."""
    own = {name: getattr(config.train, name) for name in {*STUDENT_FIELDS, *FREE_FIELDS}}
    plain = Train(seed=seed, ema_decay=0.0, generator_kd_weight=0.0, discriminator_kd_weight=0.0)
    model = Model(**{name: getattr(config.model, name) for name in SIZES})
    return replace(config, model=model, train=replace(plain, **own))


def settings(config: Config) -> Settings:
    """Return the settings of the plain GAN's own training."""
    plain = without_teachers(config, seed=0)
    names = [f"model.{field.name}" for field in fields(Model)] + [f"train.{name}" for name in STUDENT_FIELDS]
    return settings_of(plain, *names)
