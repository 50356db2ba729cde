"""A kernel density for each emotion, over the principal components of the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from depthjax.baselines.fits import Settings, settings_of
from depthjax.baselines.pixels import Space, choose, fit_space, pixels_of
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.files import read_arrays, write_arrays
from depthjax.keys import host_seed
from depthjax.progress import Log

LONGER = ""
FIELDS = ("train.mirror", *(f"baselines.{name}" for name in ("folds", "pca")))
BANDWIDTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)  # in standard deviations of all faces


def settings(config: Config) -> Settings:
    """Return the settings that a fit depends on."""
    return settings_of(config, *FIELDS)


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
    """Choose space and bandwidth by held-out subjects, then keep all faces.

    Writes `fit.npz`: the space, `coordinates` (n, k) and `emotion` (n,) of the training faces, `bandwidth`.
    """
    base, seed = config.baselines, host_seed(key)
    pixels = pixels_of(faces, mirror=config.train.mirror)
    with threadpool_limits(1, "blas"):  # teams of threads take longer on matrices of this size
        size, bandwidth, nats = choose(pixels, density, sizes=base.pca, choices=BANDWIDTHS, folds=base.folds, seed=seed)
        space = fit_space(pixels.rows, size, seed=seed)
    log(f"bandwidth {bandwidth}, {len(space.scale)} components: {nats:.3f} nats a pixel on unseen subjects")
    write_arrays(
        folder / "fit.npz",
        **space._asdict(),
        coordinates=space.whiten(pixels.rows),
        emotion=pixels.emotion,
        bandwidth=np.asarray(bandwidth),
    )
    return {"pca": size, "bandwidth": bandwidth, "nats_a_pixel": nats}


def density(known: np.ndarray, asked: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return (m,) log density, in nats, of a Gaussian kernel at each of (n, k) known coordinates, at (m, k) others."""
    from sklearn.neighbors import KernelDensity

    return KernelDensity(bandwidth=bandwidth).fit(known).score_samples(asked)


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Choose training faces of the emotion at random, and move each by the kernel."""
    stored, rng = read_arrays(folder / "fit.npz"), np.random.default_rng(host_seed(key))
    space = Space(*(stored[name] for name in Space._fields))
    coordinates = stored["bandwidth"] * rng.standard_normal((len(emotion), len(space.scale)))
    for label in np.unique(emotion):
        where, known = np.flatnonzero(emotion == label), stored["coordinates"][stored["emotion"] == label]
        coordinates[where] += known[rng.integers(len(known), size=len(where))]
    return space.images(coordinates, (config.data.resolution, config.data.resolution))
