"""What helps most where few people are known: copies, mixtures or generated faces, at the size of the quick run.

Everything sees the known people only: generator, noise, evolution, selection, classifiers. Each number of people is
drawn five times, with a training on each draw; the 96 people to test on are in no draw.

Command: python launch.py --config configs/few.py
         python launch.py --config configs/few.py --config.data.source=folder --config.data.path=PATH \
             --config.data.pattern='s{subject}_f{frame}' --config.data.emotions=neutral,happiness
Device:  two CPU cores, about 20 minutes for 3 and 8 people. A stopped command goes on where it was.
         --config.few.people=3,8,16,0 adds 16 people, and all (0): twice the time.
"""

from dataclasses import replace

from configs import quick
from depthjax.config import Config


def get_config() -> Config:
    base = quick.get_config()
    return replace(
        base,
        name="few",
        stages=("prepare", "few"),
        # 48 people to draw from: five draws of 8 have nobody in common. Of a folder's people, 4 in 10 are tested.
        data=replace(base.data, subjects=80, extra_test_subjects=64, test_fraction=0.4),
        train=replace(base.train, ema_decay=0.99),  # looks back over 4 % of 2,400 steps
        # Each cell has seeds of its own: one of each classifier is enough.
        evaluate=replace(base.evaluate, seeds=1, classifiers=("random_forest", "depthnet", "network", "recogniser")),
    )
