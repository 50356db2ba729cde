"""Membership by latent inversion: does a generator come nearer to the faces of the subjects it learnt from?

The idea is that of GAN-Leaks (Chen et al. 2020, arXiv 1909.03935): faces that a generator was trained on lie nearer to
what it can make. The control is a Gaussian of each emotion, inverted in closed form.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from depthjax.config import Config
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.evaluate.bank import FeatureBank, seed_of
from depthjax.evaluate.controls import GAUSSIAN_DIMENSIONS
from depthjax.evaluate.memorisation import common_frames, estimates, not_separable, subject_scores, wins
from depthjax.evaluate.resampling import Estimate
from depthjax.models.inversion import root_mean_square
from depthjax.scores import Score

SUBJECTS = 32  # of each side, at most
FRAMES = 2  # of each subject, at most

Inversion = Callable[[DepthFaces], np.ndarray]  # faces → the (n,) depth that the method cannot make of them


def inversion_scores(config: Config, bank: FeatureBank, inversions: Mapping[str, Inversion]) -> list[Score]:
    """Return `auc_inversion` and `tpr_inversion` of these methods, and of the Gaussian control."""
    if not inversions or not config.evaluate.inversion_steps:
        return []
    asked: dict[str, Inversion] = {"gaussian": gaussian_inversion(bank.train), **inversions}
    return [
        Score(method, "memorisation", measure=name, space="pixels", **asdict(estimate))
        for method, errors in asked.items()
        for name, estimate in _attack(config, bank, errors)
    ]


def _attack(config: Config, bank: FeatureBank, errors: Inversion) -> list[tuple[str, Estimate]]:
    seed = seed_of(config, "inversion")
    people = [_drawn(of, seed) for of in (bank.train, bank.test)]
    subjects = [faces.subject for faces in people]
    frames, reason = common_frames(*subjects), not_separable(*subjects)

    def scores(of: DepthFaces) -> np.ndarray:
        return subject_scores(-errors(of), of.subject, frames, np.random.default_rng(seed))

    try:
        found = None if reason else wins(*map(scores, people))
    except UserError as error:  # its faces are there, but its generator is gone or damaged
        found, reason = None, str(error)
    return estimates("inversion", found, reason, draws=config.evaluate.bootstrap, seed=seed)


def _drawn(faces: DepthFaces, seed: int) -> DepthFaces:
    """Return at most FRAMES faces of at most SUBJECTS subjects, drawn at random."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(faces.subject))[:SUBJECTS]
    return faces.take(np.concatenate([rng.permutation(np.flatnonzero(faces.subject == n))[:FRAMES] for n in names]))


def gaussian_inversion(train: DepthFaces) -> Inversion:
    """Return the function (faces) → the (n,) root mean square depth that Gaussians of the training faces miss of them.

    A face is made from the Gaussian of its emotion: the most probable one given the pixels (maximum a posteriori), with
    the residual variance of the principal components as noise.
    """
    size = min(GAUSSIAN_DIMENSIONS, len(train) - 1)
    with threadpool_limits(1, "blas"):
        pca = PCA(size, svd_solver="randomized", random_state=0).fit(train.images.reshape(len(train), -1))

    def coordinates(faces: DepthFaces) -> np.ndarray:
        with threadpool_limits(1, "blas"):
            found: np.ndarray = pca.transform(faces.images.reshape(len(faces), -1)).astype(np.float64)
        return found

    known = coordinates(train)

    def errors(faces: DepthFaces) -> np.ndarray:
        asked = coordinates(faces)
        made = np.empty_like(asked)
        for label in np.unique(faces.emotion):
            own, where = known[train.emotion == label], faces.emotion == label
            mean, covariance = own.mean(axis=0), np.atleast_2d(np.cov(own, rowvar=False))
            gain = covariance @ np.linalg.pinv(covariance + pca.noise_variance_ * np.eye(size))
            made[where] = mean + (asked[where] - mean) @ gain.T
        images = (pca.mean_ + made @ pca.components_).reshape(faces.images.shape)
        return np.asarray(root_mean_square(images, faces.images))

    return errors
