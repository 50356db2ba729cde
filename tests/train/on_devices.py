"""Run in a process of its own, with eight simulated CPU devices: what each number of them makes of one training.

Command: XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.train.on_devices FOLDER resident 1 2
Prints JSON: for each run its losses, and how far its weights are from those of one device; collectives by kind.
"""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from depthjax.config import Config, Data, Model, Train
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.train import checkpoint, loop
from depthjax.train.state import init_state

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute", "collective-broadcast")
CONFIG = Config(
    data=Data(resolution=16),
    model=Model(latent_size=8, generator_width=16, discriminator_width=4),
    train=Train(
        epochs=4, batch_size=16, mirror=True, steps_per_dispatch=3, save_every_epochs=2, samples_every_epochs=4,
        keep_checkpoints=9, generator_lr=1e-3, discriminator_lr=1e-3,
    ),
)  # fmt: skip
START = 3  # steps; there are three an epoch


def faces():
    rng, n = np.random.default_rng(0), 50
    labels, window = (np.arange(n) % 3).astype(np.int32), DepthRange(CONFIG.data.near_mm, CONFIG.data.far_mm)
    images = rng.uniform(-1, 1, (n, 16, 16)).astype(np.float32)
    return DepthFaces(images, labels, np.arange(n, dtype=np.int32), np.zeros(n, np.int32), CONFIG.data.emotions, window)


def started(folder, config):
    """A checkpoint in which Adam has seen gradients: else rounding of one near zero moves a weight by a whole rate."""
    rng = np.random.default_rng(1)

    def value(path, leaf):
        name = jax.tree_util.keystr(path)
        if leaf.dtype != jnp.float32:
            return jnp.full(leaf.shape, START if name == ".step" else 1000, leaf.dtype)
        sign = rng.choice([-1, 1], leaf.shape) if "kernel" in name and "opt_state" not in name else 1
        return jnp.asarray(sign * rng.uniform(0.05, 0.2, leaf.shape), jnp.float32)

    state = jax.tree_util.tree_map_with_path(value, jax.eval_shape(lambda: init_state(jax.random.key(0), config)))
    fingerprint = loop.data_fingerprint(faces())
    checkpoint.save(folder / "checkpoints", state, config=config, fingerprint=fingerprint, keep=1)
    return folder


def trained(folder, config):
    """The rows of metrics and the last state, on the host; and the compiled program's text."""
    rows, programs, compiled_steps = [], [], loop.compiled_steps

    def kept(*args):
        programs.append(compiled_steps(*args))
        return programs[-1]

    loop.compiled_steps = kept
    state = loop.train(config, faces(), folder, progress=rows.append)
    loop.compiled_steps = compiled_steps
    return rows, jax.tree.map(np.asarray, state), programs[0].as_text()


def with_devices(config, count, **fields):
    return replace(config, train=replace(config.train, devices=count, **fields))


def distance(ours, expected):
    """The largest difference of any array, in units of its largest value, or of 1."""
    apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max() / max(1.0, np.abs(b).max())), ours, expected)
    return max(jax.tree.leaves(apart))


def collectives(text):
    return {kind: len(re.findall(rf" {kind}(?:-start)?\(", text)) for kind in COLLECTIVES}


def main(folder, wanted, counts):
    found, states = {}, {}
    if wanted == "resident":
        compared(folder / "resident", CONFIG, counts, "resident", found, states)
        most = counts[-1]
        for count in counts[:-1]:
            here = shutil.copytree(folder / "resident" / str(most), folder / f"resumed {count}")
            shutil.rmtree(here / "checkpoints" / "12")
            rows, state, _ = trained(here, with_devices(CONFIG, count))
            apart = distance(state, states["resident", most])
            found[f"resumed {count}"] = {"steps": [row["step"] for row in rows], "apart": apart}
    else:
        streamed = replace(CONFIG, data=replace(CONFIG.data, device_budget=0))
        compared(folder / "streamed", with_devices(streamed, 0, accumulate=2), counts, "streamed", found, states)
    print(json.dumps(found))


def compared(folder, config, counts, name, found, states):
    """Trainings that differ by the number of devices, each beside that on one."""
    start = started(folder / "start", config)
    for count in counts:
        here = shutil.copytree(start, folder / str(count))
        rows, states[name, count], text = trained(here, with_devices(config, count))
        found[f"{name} {count}"] = {
            "losses": [[row[key] for key in ("g_loss", "g_kd", "d_loss", "d_kd")] for row in rows],
            "apart": distance(states[name, count], states[name, 1]),
            "collectives": collectives(text),
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(count) for count in sys.argv[3:]])
