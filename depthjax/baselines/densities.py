"""Two densities of each emotion over the principal components of the pixels: a Gaussian mixture, and a kernel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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

REGULARISATIONS = (0.03, 0.1, 0.3)  # share of the variance of all faces, added to a Gaussian's
BANDWIDTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)  # in standard deviations of all faces
COMMON = ("train.mirror", "baselines.folds", "baselines.pca")

Arrays = dict[str, np.ndarray]
Choice = tuple[int, float]  # Gaussians of an emotion, and what is added to their variances


@dataclass
class Density:
    """A density of each emotion; the contract is that of `depthjax.baselines.fits.Baseline`.

    Attributes:
        choices: (config) → the parameters to choose from, by the likelihood of subjects held out.
        log_density: (known (n, k), asked (m, k), choice, seed=) → (m,) nats of whitened coordinates.
        parameters: (coordinates (n, k) of each emotion, choice, seed) → arrays to be stored, and what was chosen.
        draw: (stored arrays, emotion (n,), generator) → (n, k) coordinates.
        fields: of the config that a fit depends on.
    """

    choices: Callable[[Config], Sequence[Any]]
    log_density: Callable[..., np.ndarray]
    parameters: Callable[[list[np.ndarray], Any, int], tuple[Arrays, dict[str, Any]]]
    draw: Callable[[Arrays, np.ndarray, np.random.Generator], np.ndarray]
    fields: tuple[str, ...]
    LONGER: str = ""

    def settings(self, config: Config) -> Settings:
        """Return the settings that a fit depends on."""
        return settings_of(config, *self.fields)

    def fit(self, key: jax.Array, config: Config, faces: DepthFaces, folder: Path, *, log: Log) -> dict[str, Any]:
        """Choose space and parameters by held-out subjects, then fit all faces; write both to `fit.npz`."""
        base, seed = config.baselines, host_seed(key)
        pixels = pixels_of(faces, mirror=config.train.mirror)
        density = partial(self.log_density, seed=seed)
        # One thread: k-means adds up its threads' shares in the order in which they end, so two fits would differ by
        # rounding, and the mixtures that start from them by more; and teams take longer on matrices of this size.
        with threadpool_limits(1):
            size, choice, nats = choose(
                pixels, density, sizes=base.pca, choices=self.choices(config), folds=base.folds, seed=seed
            )
            space = fit_space(pixels.rows, size, seed=seed)
            groups = [space.whiten(pixels.rows[pixels.emotion == label]) for label in range(len(faces.emotions))]
            arrays, chosen = self.parameters(groups, choice, seed)
        named = ", ".join(f"{name} {value}" for name, value in chosen.items())
        log(f"{named}, {len(space.scale)} principal components: {nats:.3f} nats a pixel on unseen subjects")
        write_arrays(folder / "fit.npz", **space._asdict(), **arrays)
        return {"pca": size, **chosen, "nats_a_pixel": nats}

    def sample(self, key: jax.Array, config: Config, folder: Path, emotion: np.ndarray) -> np.ndarray:
        """Draw from each emotion's density, without the residual noise of the space."""
        stored, rng = read_arrays(folder / "fit.npz"), np.random.default_rng(host_seed(key))
        space = Space(*(stored[name] for name in Space._fields))
        side = config.data.resolution
        return space.images(self.draw(stored, emotion, rng), (side, side))


def mixture(coordinates: np.ndarray, choice: Choice, seed: int) -> GaussianMixture:
    """Fit the mixture of (n, k) whitened coordinates, of n Gaussians at most, full covariances."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    count, regularisation = min(choice[0], len(coordinates)), choice[1]
    with warnings.catch_warnings():  # a mixture that has not converged is compared by its held-out likelihood too
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(count, reg_covar=regularisation, random_state=seed).fit(coordinates)


def mixture_density(known: np.ndarray, asked: np.ndarray, choice: Choice, *, seed: int) -> np.ndarray:
    """Return (m,) log density, in nats, of the mixture of (n, k) coordinates at (m, k) others."""
    return mixture(known, choice, seed).score_samples(asked)


def _fit_mixtures(groups: list[np.ndarray], choice: Choice, seed: int) -> tuple[Arrays, dict[str, Any]]:
    """Return `weights` (classes, m), `means` (classes, m, k), `covariances` (classes, m, k, k)."""
    count = min(choice[0], *map(len, groups))
    fitted = [mixture(group, (count, choice[1]), seed) for group in groups]
    names = ("weights", "means", "covariances")
    arrays = {name: np.stack([getattr(one, f"{name}_") for one in fitted]) for name in names}
    return arrays, {"components": count, "regularisation": choice[1]}


def _draw_mixture(stored: Arrays, emotion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = np.zeros((len(emotion), len(stored["scale"])))
    for label in np.unique(emotion):
        where = np.flatnonzero(emotion == label)
        weights, means, covariances = (stored[name][label] for name in ("weights", "means", "covariances"))
        component = rng.choice(len(weights), len(where), p=weights / weights.sum())
        roots = np.linalg.cholesky(covariances)
        noise = rng.standard_normal((len(where), drawn.shape[1]))
        drawn[where] = means[component] + np.einsum("nij,nj->ni", roots[component], noise)
    return drawn


def kernel_density(known: np.ndarray, asked: np.ndarray, bandwidth: float, *, seed: int = 0) -> np.ndarray:
    """Return (m,) log density, in nats, of a Gaussian kernel at each of (n, k) known coordinates, at (m, k) others."""
    from sklearn.neighbors import KernelDensity

    del seed
    return KernelDensity(bandwidth=bandwidth).fit(known).score_samples(asked)


def _keep_faces(groups: list[np.ndarray], bandwidth: float, seed: int) -> tuple[Arrays, dict[str, Any]]:
    """Return `coordinates` (n, k) and `emotion` (n,) of the training faces, and `bandwidth`."""
    del seed
    emotion = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
    arrays = {"coordinates": np.concatenate(groups), "emotion": emotion, "bandwidth": np.asarray(bandwidth)}
    return arrays, {"bandwidth": bandwidth}


def _draw_kernel(stored: Arrays, emotion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # Training faces of the emotion, chosen at random, each moved by the kernel.
    drawn = stored["bandwidth"] * rng.standard_normal((len(emotion), len(stored["scale"])))
    for label in np.unique(emotion):
        where, known = np.flatnonzero(emotion == label), stored["coordinates"][stored["emotion"] == label]
        drawn[where] += known[rng.integers(len(known), size=len(where))]
    return drawn


GMM = Density(
    lambda config: list(product(config.baselines.gmm_components, REGULARISATIONS)),
    mixture_density,
    _fit_mixtures,
    _draw_mixture,
    (*COMMON, "baselines.gmm_components"),
)
KDE = Density(lambda _: BANDWIDTHS, kernel_density, _keep_faces, _draw_kernel, COMMON)
