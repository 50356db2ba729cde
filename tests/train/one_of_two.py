"""One of the processes of a training at the size of smoke, on faces of noise; prints a digest of its last state.

Command: python -m tests.train.one_of_two FOLDER PORT NUMBER [DIES_AT]
The process kills itself at the given dispatch, if there is one; -1: steps are counted only, and nothing can be saved.
PORT 0 is a training by one process.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from configs import smoke
from depthjax.config import Distributed
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.files import digest
from depthjax.train import loop
from depthjax.train.mesh import join, one_copy, sharing_a_fate


def faces(config):
    rng, n, size = np.random.default_rng(0), 40, config.data.resolution
    labels, people = (np.arange(n) % 3).astype(np.int32), np.arange(n, dtype=np.int32)
    images = rng.uniform(-1, 1, (n, size, size)).astype(np.float32)
    return DepthFaces(images, labels, people, people, config.data.emotions, DepthRange.of(config.data))


def dying(compiled_steps, dies_at):
    """The training program, which kills its process at the beginning of that dispatch."""

    def compiled(*args):
        program, done = compiled_steps(*args), []

        def run(*inputs):
            done.append(1)
            if len(done) == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return program(*inputs)

        return run

    return compiled


def counting(config, *_):
    """In place of the training program."""

    def steps(state, data, count):
        return state._replace(step=state.step + count), {"g_loss": np.ones(count), "d_loss": np.ones(count)}

    return steps


def save_nothing(*_, **__):
    raise UserError("the checkpoint could not be written")


def main(folder, port, number, dies_at):
    config = smoke.get_config()
    config = replace(config, train=replace(config.train, steps_per_dispatch=3))
    if port:
        join(Distributed(f"127.0.0.1:{port}", 2, number))
    if dies_at < 0:
        loop.compiled_steps, loop.checkpoint.save = counting, save_nothing
    elif dies_at:
        loop.compiled_steps = dying(loop.compiled_steps, dies_at)
    with sharing_a_fate():
        state = one_copy(loop.train(config, faces(config), folder))
    print("digest", digest(*map(np.asarray, jax.tree.leaves(state))), "of", jax.process_count(), int(state.step))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(n) for n in (*sys.argv[2:], 0)[:3]))
