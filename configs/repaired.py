"""The paper's run with the errors of its released scripts fixed: sizes, rates and losses are the paper's.

The teacher averages batch statistics as well as weights (equation 4), and evolution prefers what the discriminator
takes for a training face. docs/explanation/errata.md lists the errors.

Command: python launch.py --config configs/repaired.py
Device:  one CUDA GPU.
"""

from dataclasses import replace

from configs import paper
from depthjax.config import Config


def get_config() -> Config:
    base = paper.get_config()
    return replace(
        base,
        name="repaired",
        train=replace(base.train, teacher_batch_stats="averaged"),
        evolve=replace(base.evolve, fitness="realism"),
    )
