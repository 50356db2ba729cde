"""The recogniser's network: features and emotions of one depth face, taught by rendered people of a wide population.

It is not `depthnet`, which judges: other people taught it, and it reads slopes beside depth.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthjax.models.depthnet import Heads, heads_of

SIDE = 64  # pixels of the image, each way
STEEP = 0.15  # difference of neighbouring pixels (of 2 between -1 and 1) at which slopes saturate


class Recogniser(nn.Module):
    """Depth and its slopes, then the layers of DepthNet."""

    emotions: int
    subjects: int = 0  # of training; 0 leaves the identity head out, as in the shipped weights
    width: int = 24  # channels of the first map; doubled twice
    size: int = 64  # d

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> Heads:
        """(n, 64, 64) in [-1, 1] → Heads; subjects = 0: no identity logits, (n, 0)."""
        return heads_of(jnp.stack([images, *_slopes(images)], axis=-1), self, train)


def _slopes(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Central differences down and across, (n, 64, 64) each, that saturate where depth jumps."""
    wide = jnp.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    across = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    return jnp.tanh(down / STEEP), jnp.tanh(across / STEEP)
