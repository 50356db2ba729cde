"""Two densities of each emotion over whitened principal components of the pixels: a Gaussian mixture, and a kernel.

A density over pixels compares sizes of the space.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from depthjax.baselines.fits import Settings, settings_of
from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError, counted
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


class Pixels(NamedTuple):
    """What the density models are fitted to: rows (n, d) float32 of pixels, emotion (n,), subject (n,)."""

    rows: np.ndarray
    emotion: np.ndarray
    subject: np.ndarray


def pixels_of(faces: DepthFaces, *, mirror: bool) -> Pixels:
    """Return the faces as rows; with `mirror` each is followed, after all others, by its mirror image."""
    check_counts(faces)
    images = np.concatenate([faces.images, faces.images[:, :, ::-1]]) if mirror else faces.images
    twice = 2 if mirror else 1
    return Pixels(images.reshape(len(images), -1), np.tile(faces.emotion, twice), np.tile(faces.subject, twice))


def check_counts(faces: DepthFaces) -> None:
    """Raise a UserError for an emotion of which there are fewer than two faces: a density needs a spread."""
    counts = np.bincount(faces.emotion, minlength=len(faces.emotions))
    for name, count in zip(faces.emotions, counts, strict=True):
        if count < 2:
            raise UserError(f"{counted(count, 'face')} of '{name}' to fit a density to: at least 2 are needed")


class Space(NamedTuple):
    """Probabilistic principal components (Tipping and Bishop 1999, equations 3 and 8)."""

    mean: np.ndarray  # (d,) of the pixels
    components: np.ndarray  # (k, d) orthonormal rows
    scale: np.ndarray  # (k,) standard deviations of the faces along them; whitened coordinates are in this unit
    residual: np.ndarray  # (k + 1,) mean squared pixel outside the leading 0, 1 .. k components

    def leading(self, size: int) -> Space:
        """Return the space of the first `size` components (all, if there are fewer)."""
        size = min(size, len(self.components))
        return Space(self.mean, self.components[:size], self.scale[:size], self.residual[: size + 1])

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        """Map (n, d) pixels to (n, k) float64 coordinates."""
        return ((rows - self.mean) @ self.components.T).astype(np.float64) / self.scale

    def images(self, coordinates: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Map (n, k) coordinates to (n, *shape) float32 in [-1, 1]: the mean face of each, without residual noise."""
        # The residual is noise in every pixel, background included: no face has it, so a fair sample leaves it out.
        rows = self.mean + (coordinates * self.scale).astype(np.float32) @ self.components
        return np.clip(rows, -1, 1).reshape(-1, *shape).astype(np.float32)

    def outside(self, rows: np.ndarray) -> np.ndarray:
        """Return (n,): what turns a log density over whitened coordinates into one over pixels, in nats."""
        # The residual is Gaussian with one variance for all, so spaces of different size measure the same thing.
        pixels, size = rows.shape[1], len(self.components)
        centred = rows - self.mean
        inside = centred @ self.components.T
        squares = np.square(centred).sum(1, dtype=np.float64) - np.square(inside).sum(1, dtype=np.float64)
        left, variance = pixels - size, max(float(self.residual[-1]), 1e-12)
        noise = -(left * math.log(2 * math.pi * variance) + np.maximum(squares, 0) / variance) / 2
        return noise - np.log(self.scale).sum()


def fit_space(rows: np.ndarray, max_size: int, *, seed: int) -> Space:
    """Return the leading principal components of (n, d) pixels: `max_size`, or as many as the faces span."""
    from sklearn.decomposition import PCA

    size = min(max_size, len(rows) - 1, rows.shape[1] - 1)
    pca = PCA(size, svd_solver="randomized", iterated_power=4, random_state=seed).fit(rows)
    variances = pca.explained_variance_ * (len(rows) - 1) / len(rows)
    kept = variances > 1e-9 * variances[0]
    components, variances = pca.components_[kept], variances[kept].astype(np.float64)
    total = float(np.square(rows - pca.mean_).mean(0, dtype=np.float64).sum())
    left = np.maximum(total - np.concatenate([[0], np.cumsum(variances)]), 0)
    residual = left / (rows.shape[1] - np.arange(len(left)))
    return Space(pca.mean_.astype(np.float32), components.astype(np.float32), np.sqrt(variances), residual)


def choose(
    pixels: Pixels,
    density: Callable[..., np.ndarray],
    *,
    sizes: Sequence[int],
    choices: Sequence[Any],
    folds: int,
    seed: int,
) -> tuple[int, Any, float]:
    """Return the best space size and choice, by cross-validation over subjects, and their mean nats a pixel.

    `density` maps coordinates learnt from, others asked about, and a choice to their log densities in nats. Each fold's
    space, too, is fitted without its subjects; one density an emotion, all emotions by the same choice.
    """
    total = np.zeros((len(sizes), len(choices)))
    for learn, ask in subject_folds(pixels, folds):
        whole = fit_space(learn.rows, max(sizes), seed=seed)
        for row, size in enumerate(sizes):
            space = whole.leading(size)
            known, asked = space.whiten(learn.rows), space.whiten(ask.rows)
            sums = np.zeros(len(choices))  # log likelihoods of the held-out faces, in nats
            for label in np.unique(ask.emotion):
                ours, theirs = known[learn.emotion == label], asked[ask.emotion == label]
                sums += [density(ours, theirs, choice).sum() for choice in choices]
            total[row] += sums + space.outside(ask.rows).sum()
    row, column = divmod(int(np.argmax(total)), len(choices))
    return sizes[row], choices[column], float(total[row, column] / pixels.rows.size)


def subject_folds(pixels: Pixels, folds: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield (others, held-out subjects), so that each subject is held out once."""
    from sklearn.model_selection import GroupKFold

    subjects = len(np.unique(pixels.subject))
    if subjects < 2:
        raise UserError("a density is chosen by the likelihood of unseen subjects: at least 2 subjects are needed")
    for learn, ask in GroupKFold(min(folds, subjects)).split(pixels.rows, groups=pixels.subject):
        missing = np.setdiff1d(pixels.emotion[ask], pixels.emotion[learn])
        if len(missing):
            raise UserError(f"emotion {missing[0]} is shown by the subjects of one fold only: lower baselines.folds")
        others, held_out = (Pixels(*(column[index] for column in pixels)) for index in (learn, ask))
        yield others, held_out


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
