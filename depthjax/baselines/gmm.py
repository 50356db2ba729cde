"""A Gaussian mixture for each emotion, over the principal components of the pixels."""

from __future__ import annotations

import warnings
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

LONGER = ""
FIELDS = ("train.mirror", *(f"baselines.{name}" for name in ("folds", "pca", "gmm_components")))

REGULARISATIONS = (0.03, 0.1, 0.3)  # share of the variance of all faces

Choice = tuple[int, float]  # Gaussians of an emotion, and what is added to their variances


def settings(config: Config) -> Settings:
    """Return the settings that a fit depends on."""
    return settings_of(config, *FIELDS)


def fit(key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
    """Choose the sizes by held-out subjects, then fit all faces.

    Writes `fit.npz`: the space, and `weights` (classes, m), `means` (classes, m, k), `covariances` (classes, m, k, k).
    """
    base, seed = config.baselines, host_seed(key)
    pixels = pixels_of(faces, mirror=config.train.mirror)

    def density(known: np.ndarray, asked: np.ndarray, choice: Choice) -> np.ndarray:
        return mixture(known, choice, seed).score_samples(asked)

    choices = list(product(base.gmm_components, REGULARISATIONS))
    # One thread: k-means adds up its threads' shares in the order in which they end, so two fits would differ by
    # rounding, and the mixtures that start from them by more; and teams take longer on matrices of this size.
    with threadpool_limits(1):
        size, choice, nats = choose(pixels, density, sizes=base.pca, choices=choices, folds=base.folds, seed=seed)
        space = fit_space(pixels.rows, size, seed=seed)
        groups = [space.whiten(pixels.rows[pixels.emotion == label]) for label in range(len(faces.emotions))]
        count = min(choice[0], *(len(group) for group in groups))
        fitted = [mixture(group, (count, choice[1]), seed) for group in groups]
    log(f"{count} Gaussians an emotion, {len(space.scale)} components: {nats:.3f} nats a pixel on unseen subjects")
    parameters = {
        name: np.stack([getattr(m, f"{name}_") for m in fitted]) for name in ("weights", "means", "covariances")
    }
    write_arrays(folder / "fit.npz", **space._asdict(), **parameters)
    return {"pca": size, "components": count, "regularisation": choice[1], "nats_a_pixel": nats}


def sample(key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
    """Sample each emotion's mixture, without residual noise."""
    stored, rng = read_arrays(folder / "fit.npz"), np.random.default_rng(host_seed(key))
    space = Space(*(stored[name] for name in Space._fields))
    coordinates = np.zeros((len(emotion), len(space.scale)))
    for label in np.unique(emotion):
        where = np.flatnonzero(emotion == label)
        weights, means, covariances = (stored[name][label] for name in ("weights", "means", "covariances"))
        component = rng.choice(len(weights), len(where), p=weights / weights.sum())
        roots = np.linalg.cholesky(covariances)
        noise = rng.standard_normal((len(where), len(space.scale)))
        coordinates[where] = means[component] + np.einsum("nij,nj->ni", roots[component], noise)
    return space.images(coordinates, (config.data.resolution, config.data.resolution))


def mixture(coordinates: np.ndarray, choice: Choice, seed: int) -> GaussianMixture:
    """Fit the mixture of (n, k) whitened coordinates, of n Gaussians at most, full covariances."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    count, regularisation = min(choice[0], len(coordinates)), choice[1]
    with warnings.catch_warnings():  # a mixture that has not converged is compared by its held-out likelihood too
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(count, reg_covar=regularisation, random_state=seed).fit(coordinates)
