"""Every stage of a run at the smallest size that has all of them, to be cut off many times.

Command: python launch.py --config tests/faults/tiny.py --workdir runs/tiny
Device:  two CPU cores. The faces are not worth looking at.
"""

from dataclasses import replace

from configs import smoke
from depthjax.config import Config


def get_config() -> Config:
    base = smoke.get_config()
    return replace(
        base,
        name="tiny",
        data=replace(base.data, subjects=5, frames=2, emotions=("neutral", "fear")),
        model=replace(base.model, latent_size=8, generator_width=16, discriminator_width=4),
        train=replace(
            base.train, epochs=6, batch_size=4, steps_per_dispatch=2, samples_every_epochs=2, save_every_epochs=1
        ),
        baselines=replace(base.baselines, methods=("gmm",), pca=(4,), folds=2),
        evolve=replace(base.evolve, generations=3, population=4, hall_of_fame=4),
        sample=replace(base.sample, methods=("gmm", "cdcgan_kd", "cdcgan_kd_ga"), count=4),
        evaluate=replace(
            base.evaluate,
            classifiers=("decision_tree",),
            feature_size=32,
            equal_draws=4,
            bootstrap=20,
        ),
    )
