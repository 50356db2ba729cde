"""What gradient accumulation, rematerialisation and bfloat16 cost and save: memory, speed, and the losses they change.

Command: python -m benchmarks.train_settings [--config FILE] [--workdir DIR] [--json FILE]
Needs:   the prepared faces of a run (default: configs/quick.py in runs/quick).

Each setting begins with the same weights and meets the same batches and latents. Memory is the compiler's figure for
what lies between a dispatch's inputs and outputs. Seconds are of a step in steady state, the settings turn by turn. The
losses are compared with those of the config as it is: the first step's, which differ by arithmetic alone (or, with
accumulation, by batch normalisation over a part), and the mean of a whole training's last part, where two trainings
have long gone their own ways; beside it stands what another seed changes.

XLA's CPU pipeline drops the barriers that keep `train.remat` from being merged away again: that pass is left out, for
every row. A CPU computes bfloat16 in float32, with roundings.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.memory import changed  # which leaves that pass out, before jax starts its compiler
from depthjax import pipeline
from depthjax.config import Config
from depthjax.config_file import load_config
from depthjax.files import write_json
from depthjax.keys import key_for
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_steps

# Name, and fields of the model and train sections.
SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as they are", {}),
    ("another seed", {"seed": 1}),
    ("`train.accumulate=4`", {"accumulate": 4}),
    ("`train.remat=true`", {"remat": True}),
    ("`model.dtype=bfloat16`", {"dtype": "bfloat16"}),
    ("`train.accumulate=4`, `train.remat=true`", {"accumulate": 4, "remat": True}),
)
DISPATCH = 10  # steps
LOSSES = ("g_loss", "d_loss")


@dataclass
class Trial:
    """One setting under way: its program, its state, and what was measured."""

    name: str
    memory: float  # bytes
    program: Any
    state: Any
    seconds: list[float]
    losses: list[np.ndarray]  # (DISPATCH, 2) each

    def advance(self, faces: Batch) -> None:
        """One dispatch."""
        start = time.perf_counter()
        self.state, log = self.program(self.state, faces, np.int32(DISPATCH))
        losses = np.stack([np.asarray(log[name]) for name in LOSSES], 1)
        self.seconds.append((time.perf_counter() - start) / DISPATCH)
        self.losses.append(losses)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/quick.py"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    parser.add_argument("--steps", type=int, default=200, help="of each training")
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    config = load_config(flags.config)
    real = pipeline.prepared_faces(config, flags.workdir, "train")
    faces = Batch(jnp.asarray(real.images), jnp.asarray(real.emotion, jnp.int32))
    trials = [prepared(name, changed(config, fields), faces) for name, fields in SETTINGS]
    for _ in range(max(1, flags.steps // DISPATCH)):
        for trial in trials:
            trial.advance(faces)
    rows = [row(trial, trials[0]) for trial in trials]
    print("\n".join(table(rows, DISPATCH * len(trials[0].losses))))
    if flags.json is not None:
        write_json(flags.json, rows)


def prepared(name: str, config: Config, faces: Batch) -> Trial:
    """A setting's program, compiled, and its first state."""
    state = jax.jit(init_state, static_argnums=1)(key_for(config.train.seed, "init"), config)
    steps = jax.jit(make_steps(config, DISPATCH), donate_argnums=0)
    program = steps.lower(state, faces, np.int32(DISPATCH)).compile()
    found: Any = program.memory_analysis()
    return Trial(name, found.temp_size_in_bytes, program, state, [], [])


def row(trial: Trial, reference: Trial) -> dict[str, Any]:
    """The numbers of one setting beside those of the config as it is."""
    losses, theirs = (np.concatenate(t.losses) for t in (trial, reference))
    late = slice(len(losses) // 2, None)
    return {
        "settings": trial.name,
        "memory_mb": trial.memory / 1e6,
        "step_s": float(np.median(trial.seconds)),
        "first_difference": np.abs(losses[0] - theirs[0]).tolist(),
        "late_losses": losses[late].mean(0).tolist(),
    }


def table(rows: list[dict[str, Any]], steps: int) -> list[str]:
    """Lines of Markdown."""
    lines = [
        "| settings | in between, MB | a step, ms | first step's losses differ by (G, D) | "
        f"mean losses of steps {steps // 2} to {steps} (G, D) |",
        "|---|---|---|---|---|",
    ]
    for found in rows:
        first = ", ".join(f"{value:.1g}" for value in found["first_difference"])
        late = ", ".join(f"{value:.3f}" for value in found["late_losses"])
        numbers = f"{found['memory_mb']:.0f} | {1e3 * found['step_s']:.0f}"
        lines.append(f"| {found['settings']} | {numbers} | {first} | {late} |")
    return lines


if __name__ == "__main__":
    main()
