"""Faces as whitened principal components, with a density over pixels that compares sizes of the space."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError

Choice = TypeVar("Choice")
# (coordinates learnt from, coordinates asked about, choice) → (asked,) log densities in nats.
Density = Callable[[np.ndarray, np.ndarray, Choice], np.ndarray]


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
            raise UserError(f"{count} faces of '{name}' to fit a density to: at least 2 are needed")


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
        """Map (n, k) coordinates to (n, *shape) float32 in [-1, 1]: the mean face of each, without residual noise.

        The residual of the model is noise of its own in every pixel, background included. No face has such noise, so a
        fair sample leaves it out, as samples of an autoencoder do.
        """
        rows = self.mean + (coordinates * self.scale).astype(np.float32) @ self.components
        return np.clip(rows, -1, 1).reshape(-1, *shape).astype(np.float32)

    def outside(self, rows: np.ndarray) -> np.ndarray:
        """Return (n,): what turns a log density over whitened coordinates into one over pixels, in nats.

        The residual is Gaussian with one variance for all pixels and directions, and the change of unit counts; so
        spaces of different size measure the same thing.
        """
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
    pixels: Pixels, density: Density[Choice], *, sizes: Sequence[int], choices: Sequence[Choice], folds: int, seed: int
) -> tuple[int, Choice, float]:
    """Return the best space size and choice, by cross-validation over subjects, and their mean nats a pixel.

    Each fold's space, too, is fitted without its subjects; one density an emotion, all emotions by the same choice.
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
