"""A relativistic objective (RpGAN) in the paper's update: each generated face is compared with a training face.

Command: python -m experiments.relativistic --config configs/quick.py --workdir runs/relativistic
Device:  as the config. After training it runs `--stages` (default: all that follow).

It was not shown to help at the budget of `quick` (docs/results/recipes.md). It is an example: to try another objective,
copy this file and change `RELATIVISTIC`; to try another learning rule, pass a `make_update` of your own to `train`.
Use a work folder of its own: the config does not record the objective.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import jax

from depthjax import pipeline
from depthjax.__main__ import parse, parse_stages
from depthjax.config_file import load_config
from depthjax.config_values import override
from depthjax.errors import without_traceback
from depthjax.stages import STAGES
from depthjax.train.loop import train
from depthjax.train.step import GanObjective, make_update


def generator(fake_logits: jax.Array, real_logits: jax.Array) -> jax.Array:
    """Return -log sigmoid(D(G(z)) - D(x)), (n,) (Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4)."""
    return jax.nn.softplus(real_logits - fake_logits)


def discriminator(real_logits: jax.Array, fake_logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log sigmoid(D(x) - D(G(z))) of each pair, (n,), for both of its faces."""
    pair = jax.nn.softplus(fake_logits - real_logits)
    return pair, pair


RELATIVISTIC = GanObjective(generator, discriminator)


def main(arguments: list[str]) -> None:
    """Prepare, train by this objective, and run the stages that follow."""
    flags, assignments = parse(arguments)
    config = override(load_config(flags.config), assignments)
    workdir = flags.workdir or Path("runs") / "relativistic"
    following = [name for name in STAGES if name not in ("prepare", "train")]
    stages = following if flags.stages in ("", "all") else parse_stages(flags.stages)

    pipeline.run(config, workdir, ["prepare"])
    faces = pipeline.prepared_faces(config, workdir, "train")
    train(config, faces, workdir, make_update=partial(make_update, objective=RELATIVISTIC))
    # The stage finds the training finished, and records it.
    pipeline.run(config, workdir, ["train", *stages])


if __name__ == "__main__":
    with without_traceback():
        main(sys.argv[1:])
