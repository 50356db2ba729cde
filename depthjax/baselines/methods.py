"""The baselines by name, and the contract that all of them keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import jax
import numpy as np

from depthjax.baselines import gan, gmm, kde, vae
from depthjax.config import Config
from depthjax.data.faces import DepthFaces


class Fit(Protocol):
    """Learn from the training faces and store what was learnt under `folder`."""

    def __call__(
        self, key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, progress: Callable[[str], None]
    ) -> None:
        """A finished fit of the same key, settings and faces is kept; an unfinished one is done again.

        The plain GAN goes on from its last checkpoint instead, and with more epochs from its last step.

        Raises:
            UserError: the folder holds a fit of other settings or faces (it is left as it is), or the faces don't suit.
        """


class Sample(Protocol):
    """Draw faces from what `fit` stored."""

    def __call__(self, key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
        """(n,) int32 emotions → (n, h, w) float32 in [-1, 1]; the same key gives the same faces.

        Raises:
            UserError: no finished fit in the folder, one of other settings, or a damaged file.
        """


class Baseline(NamedTuple):
    """One method."""

    fit: Fit
    sample: Sample


BASELINES: dict[str, Baseline] = {
    "gan": Baseline(gan.fit, gan.sample),
    "vae": Baseline(vae.fit, vae.sample),
    "gmm": Baseline(gmm.fit, gmm.sample),
    "kde": Baseline(kde.fit, kde.sample),
}
