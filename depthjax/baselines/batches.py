"""Many latents through a generator, a batch at a time."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from depthjax.models.dcgan import Generator
from depthjax.precision import exact_products
from depthjax.train.loop import decode

AT_ONCE = 100


def decoded(generator: Generator, variables: dict[str, Any], latents: np.ndarray, emotion: np.ndarray) -> np.ndarray:
    """(n, d) latents and (n,) emotions to (n, h, w) float32 faces, the generator in evaluation mode."""
    padding = -len(latents) % AT_ONCE  # one shape, one compilation
    z, labels = np.pad(latents, ((0, padding), (0, 0))), np.pad(emotion, (0, padding))
    with exact_products():  # a stored face must not depend on the device
        parts = [
            np.asarray(
                decode(generator, variables, jnp.asarray(z[i : i + AT_ONCE]), jnp.asarray(labels[i : i + AT_ONCE]))
            )
            for i in range(0, len(z), AT_ONCE)
        ]
    return np.concatenate(parts)[: len(latents)].astype(np.float32)
