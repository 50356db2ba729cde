"""The recipe of the quick run at 128x128, about what the sensor resolves of a face: seven emotions, 200 subjects.

Command: python launch.py --config configs/native.py
Device:  one CUDA GPU.
"""

from dataclasses import replace

from configs import quick
from depthjax.config import EMOTIONS, Config


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        name="native",
        data=replace(base.data, resolution=128, emotions=EMOTIONS, subjects=200, extra_test_subjects=0),
        # Twice the width of quick: as many more shapes to tell apart.
        model=replace(base.model, generator_width=256, discriminator_width=32),
        evolve=replace(base.evolve, population=400),
        sample=replace(base.sample, count=400),
        evaluate=replace(base.evaluate, seeds=10, bins=None),
    )
