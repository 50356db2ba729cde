"""Ours beside five other methods: the quick run, with GAN, VAE, GMM, KDE and RS-IMLE on the same faces.

All methods learn from mirrored faces, and get new noise and a low-pass. The plain GAN takes as many steps as ours,
RS-IMLE as many operations.

Command: python launch.py --config configs/comparison.py
Device:  two CPU cores, about 26 minutes.

It trains each method once, and its intervals do not contain what another training would change. For claims, train five
times: python -m experiments.trainings --config configs/comparison.py --workdir runs/trainings --seeds 0,1,2,3,4
"""

from dataclasses import replace

from configs import quick
from depthjax.config import BASELINE_METHODS, OWN_METHODS, Config


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        name="comparison",
        baselines=replace(base.baselines, methods=BASELINE_METHODS, vae_width=128, vae_epochs=50, rs_imle_epochs=200),
        sample=replace(base.sample, methods=(*BASELINE_METHODS, *OWN_METHODS), lowpass=1.0),
    )
