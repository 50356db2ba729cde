"""Every stage and all but one method at toy size, to see that all of it works: in one or two minutes.

Command: python launch.py --config configs/smoke.py --workdir runs/smoke
Device:  two CPU cores. The faces are not worth looking at.
"""

from dataclasses import replace

from configs import quick
from depthjax.config import BASELINE_METHODS, OWN_METHODS, Config

# Without RS-IMLE, whose program takes long to compile.
BASELINES = tuple(method for method in BASELINE_METHODS if method != "rs_imle")


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        name="smoke",
        data=replace(base.data, subjects=10, extra_test_subjects=0, frames=3, resolution=32),
        model=replace(base.model, latent_size=32, generator_width=32, discriminator_width=8),
        train=replace(
            base.train,
            epochs=4,
            batch_size=12,
            ema_decay=0.98,
            steps_per_dispatch=6,
            samples_every_epochs=2,
            save_every_epochs=2,
        ),
        baselines=replace(
            base.baselines,
            methods=BASELINES,
            vae_width=32,
            vae_latent_size=8,
            pca=(8,),
            gmm_components=(1, 2),
        ),
        evolve=replace(base.evolve, generations=5, islands=2, population=6, classifier_steps=20),
        few=replace(base.few, people=(3,), draws=2, steps=6),
        sample=replace(base.sample, methods=(*BASELINES, *OWN_METHODS), count=12),
        evaluate=replace(
            base.evaluate,
            seeds=1,
            feature_size=64,
            equal_draws=10,
            bootstrap=100,
            inversion_steps=5,
        ),
    )
