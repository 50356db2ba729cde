"""A kernel density for each emotion, over the principal components of the pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from depthjax.baselines import record
from depthjax.baselines.held_out import choose
from depthjax.baselines.pixels import Space, fit_space, pixels_of
from depthjax.baselines.seeds import host_seed
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.files import read_arrays, write_arrays

FIELDS = ("train.mirror", *(f"baselines.{name}" for name in ("folds", "kde_pca", "kde_bandwidths")))


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, progress: Callable[[str], None]) -> None:
    """Choose space and bandwidth by people held out, then keep all faces. The contract is that of `methods.Fit`.

    Writes `fit.npz`: the space, `coordinates` (n, k) and `emotion` (n,) of the training faces, `bandwidth`.
    """
    settings, marks = record.settings_of(config, *FIELDS), record.fingerprint(key, faces)
    if record.is_finished(folder, settings, marks, progress=progress):
        return
    base, seed = config.baselines, host_seed(key)
    pixels = pixels_of(faces, mirror=config.train.mirror)
    with threadpool_limits(1, "blas"):  # teams of threads take longer on matrices of this size
        size, bandwidth, nats = choose(
            pixels, density, sizes=base.kde_pca, choices=base.kde_bandwidths, folds=base.folds, seed=seed
        )
        space = fit_space(pixels.rows, size, seed=seed)
    progress(f"bandwidth {bandwidth}, {len(space.scale)} components: {nats:.3f} nats a pixel on unseen people")
    write_arrays(
        folder / "fit.npz",
        **space._asdict(),
        coordinates=space.whiten(pixels.rows),
        emotion=pixels.emotion,
        bandwidth=np.asarray(bandwidth),
    )
    record.finish(folder, settings, marks, pca=size, bandwidth=bandwidth, nats_a_pixel=nats)


def density(known: np.ndarray, asked: np.ndarray, bandwidth: float) -> np.ndarray:
    """(m,) log density, in nats, of a Gaussian kernel at each of (n, k) known coordinates, at (m, k) others."""
    from sklearn.neighbors import KernelDensity

    return KernelDensity(bandwidth=bandwidth).fit(known).score_samples(asked)


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """A training face of the emotion at random, moved by the kernel. The contract is that of `methods.Sample`."""
    record.require(folder, record.settings_of(config, *FIELDS))
    stored, rng = read_arrays(folder / "fit.npz"), np.random.default_rng(host_seed(key))
    space = Space(*(stored[name] for name in Space._fields))
    coordinates = stored["bandwidth"] * rng.standard_normal((len(emotion), len(space.scale)))
    for label in np.unique(emotion):
        where, known = np.flatnonzero(emotion == label), stored["coordinates"][stored["emotion"] == label]
        coordinates[where] += known[rng.integers(len(known), size=len(where))]
    return space.images(coordinates, (config.data.resolution, config.data.resolution))
