"""The plain conditional DCGAN: our networks and our training, without teachers and without evolution.

It is trained by the very loop of the stabilised GAN with both distillation weights at zero, so it takes the same steps
of the same batches, and by default as many operations. An averaging decay of zero makes the teacher the student of
this step: what is sampled, and drawn in the progress grids, is the student.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from depthjax.baselines import record
from depthjax.baselines.seeds import host_seed
from depthjax.config import Config, Model, Train
from depthjax.data.faces import DepthFaces
from depthjax.models.dcgan import decode
from depthjax.progress import no_log
from depthjax.train.checkpoint import FREE_FIELDS, restore_generator
from depthjax.train.loop import train
from depthjax.train.state import networks

STUDENT_FIELDS = ("epochs", "batch_size", "accumulate", "generator_lr", "discriminator_lr", "beta1", "beta2", "mirror")
SIZES = ("latent_size", "generator_width", "discriminator_width", "dtype")


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, progress: Callable[[str], None]) -> None:
    """Train, going on from the last checkpoint in `folder`; more epochs go on from a finished training.

    Writes `checkpoints/`, `metrics.jsonl` and `figures/progress/` as the train stage does, and `fit.json` at the end.
    The contract is that of `methods.Fit`.

    Raises:
        TrainingInterrupted: SIGTERM or SIGINT came; the state is saved.
    """
    plain = without_teachers(config, seed=host_seed(key))
    settings, marks = _settings(plain), record.fingerprint(key, faces)
    if record.is_finished(folder, settings, marks, progress=progress, longer="train.epochs"):
        return
    progress(f"{plain.train.epochs} epochs of {len(faces) // plain.train.batch_size} steps")
    record.reopen(folder)
    state = train(plain, faces, folder, quiet=progress is no_log)
    record.finish(folder, settings, marks, steps=int(state.step))


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Standard normal latents through the student generator. The contract is that of `methods.Sample`."""
    plain = without_teachers(config, seed=0)
    record.require(folder, _settings(plain))
    variables, _ = restore_generator(folder / "checkpoints", config=plain, strict=True)
    latents = np.asarray(jax.random.normal(key, (len(emotion), config.model.latent_size)))
    return decode(networks(plain).generator, variables, latents, emotion)


def without_teachers(config: Config, *, seed: int) -> Config:
    """The config of the plain GAN's own training: our sizes, rates and batches, and nothing that a DCGAN has not."""
    own, released, sizes = config.train, Train(), Model()
    plain = replace(
        released,
        **{name: getattr(own, name) for name in {*STUDENT_FIELDS, *FREE_FIELDS}},
        seed=seed,
        ema_decay=0.0,
        generator_kd_weight=0.0,
        discriminator_kd_weight=0.0,
    )
    plain = replace(plain, epochs=config.baselines.gan_epochs or own.epochs)
    model = replace(sizes, **{name: getattr(config.model, name) for name in SIZES})
    return replace(config, model=model, train=plain)


def _settings(plain: Config) -> record.Settings:
    return record.settings_of(plain, "model", *(f"train.{name}" for name in STUDENT_FIELDS))
