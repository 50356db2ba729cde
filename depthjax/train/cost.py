"""What a training step costs, by XLA's own count of floating-point operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from depthjax.config import Config
from depthjax.train.state import init_state
from depthjax.train.step import Batch, make_update


def step_flops(config: Config) -> float:
    """Operations of one training step, the mean over the steps with and without a lazy penalty.

    Of the compiled program for this device: the numbers of two devices differ a little, as their programs do.
    """
    train = config.train
    if not train.penalty or train.penalty_every == 1:
        return _compiled_flops(config)
    every_time = replace(train, penalty_every=1)
    without = _compiled_flops(replace(config, train=replace(train, penalty=0.0)))
    return without + (_compiled_flops(replace(config, train=every_time)) - without) / train.penalty_every


def _compiled_flops(config: Config) -> float:
    config = replace(config, train=replace(config.train, accumulate=1))  # the same work; XLA counts a loop's body once
    size, count = config.data.resolution, config.train.batch_size
    state = jax.eval_shape(lambda: init_state(jax.random.key(0), config))
    batch = Batch(
        jax.ShapeDtypeStruct((count, size, size), jnp.float32),  # type: ignore[arg-type]
        jax.ShapeDtypeStruct((count,), jnp.int32),  # type: ignore[arg-type]
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    # Without LLVM's optimisation, which changes no operation and takes half of the time.
    options: dict[str, Any] | None = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    analysis: Any = jax.jit(make_update(config)).lower(state, batch, key).compile(options).cost_analysis()
    return float(analysis["flops"])
