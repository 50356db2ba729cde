"""The main job in minutes on a CPU: the repaired recipe at 64x64 and a quarter of its width, on 40 rendered subjects.

At equal numbers of operations, networks of a quarter of the paper's width that take many small steps learn more than
half-wide ones that take few (docs/results/recipes.md; `python -m experiments.ablation` compares them).

Command: python launch.py --config configs/quick.py --workdir runs/quick
Device:  two CPU cores, ten minutes.
"""

from dataclasses import replace

from configs import repaired
from depthjax.config import Config


def get_config() -> Config:
    base = repaired.get_config()
    return replace(
        base,
        name="quick",
        # With 8 subjects to test on, accuracies would be uncertain by ten points.
        data=replace(base.data, extra_test_subjects=96, resolution=64, crop="face", near_mm=-10.0, far_mm=80.0),
        # Transposed convolutions leave a checkerboard, and imitated noise is a pattern: classifiers learn both.
        # Invalid depth is random and sharp, so it is drawn: one smooth map could only blur it.
        model=replace(base.model, generator_width=128, discriminator_width=16, output_lowpass=1.0, validity_mask=True),
        train=replace(
            base.train,
            epochs=100,
            save_every_epochs=10,  # a killed run loses a minute at most
            batch_size=8,
            generator_lr=2e-4,
            discriminator_lr=1e-4,
            ema_decay=0.9975,  # looks back over 3 % of the run
            mirror=True,
        ),
        # Every member of the population is a result: as many as are to be sampled.
        evolve=replace(
            base.evolve,
            algorithm="k_dpp",
            fitness="natural",
            islands=1,
            population=100,
            generations=20,
        ),
        sample=replace(base.sample, count=100, noise=True),
        evaluate=replace(base.evaluate, seeds=3, feature_size=128, bins=64),
    )
