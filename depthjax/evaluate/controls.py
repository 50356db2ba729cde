"""Control sets: faces made from the training faces without a generator, which every claim is compared with.

For utility: augmented copies, mixtures, and rendered faces beside a user's own. For distances and signs of
memorisation: a copy machine, and a Gaussian of each emotion, which knows the statistics and nobody.
"""

import zlib
from collections.abc import Callable, Collection

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from depthjax.config import CONTROLS, Config
from depthjax.data.augment import BACKGROUND, augmented_copies
from depthjax.data.faces import DepthFaces, made_faces
from depthjax.data.generate import generate
from depthjax.data.inputs import network_inputs
from depthjax.data.noise import noise_spectrum, with_new_noise
from depthjax.data.people import ACTIONS
from depthjax.evaluate.spaces import box_means

UTILITY = ("augmented", "mixtures", "rendered")  # controls that classifiers are trained on
# As many copies again beside the copies: a row to read, of as many faces as copies and generated faces together. Tests
# compare generated faces beside copies with the copies alone.
AGAIN = "augmented_again"
NEIGHBOURS = 5  # among which the second face of a mixture is drawn (SMOTE: Chawla et al. 2002)
GAUSSIAN_DIMENSIONS = 32
# Of all rendered faces together beside one's own, as a share: chosen on people that no reported number is of.
RENDERED_WEIGHT = 0.3  # `python -m experiments.few_levers`
RENDERED_TIMES = 3  # so many times `sample.count` of each emotion, where they are weighted so
FRAMES = 2  # of one rendered subject in one emotion


def control_sets(
    config: Config, train: DepthFaces, count: int, names: Collection[str] = tuple(CONTROLS)
) -> dict[str, DepthFaces]:
    """Return `count` faces of every emotion for each control, emotion after emotion; every face is its own subject.

    A set does not depend on which others are asked for. `rendered` is there only beside faces of a folder or of
    IKFDB, and if the renderer knows all their emotions.
    """
    made: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
        "augmented": lambda rng: augmented(train, count, rng),
        "augmented_again": lambda rng: augmented(train, count, rng),
        "mixtures": lambda rng: mixtures(train, count, rng),
        "copies": lambda rng: copies(train, count, rng),
        "gaussian": lambda rng: gaussians(train, count, rng),
    }
    if config.data.source != "depth_heads" and not unknown_to_renderer(train.emotions):
        made["rendered"] = lambda rng: rendered(config, count, rng)
    wanted = [name for name in CONTROLS if name in made and name in names]
    return {name: _labelled(train, made[name](_generator(config, name)), count) for name in wanted}


def rendered_set(config: Config, train: DepthFaces, count: int) -> DepthFaces:
    """Return `count` rendered faces of every emotion of the training faces, emotion after emotion."""
    return _labelled(train, rendered(config, count, _generator(config, "rendered")), count)


def unknown_to_renderer(emotions: tuple[str, ...]) -> list[str]:
    """Return the emotions that the embedded renderer has no facial actions for."""
    return [emotion for emotion in emotions if emotion not in ACTIONS]


def augmented(train: DepthFaces, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return changed copies, from training faces as evenly over subjects as there are faces."""
    rows, near_far = draw_sources(train, count, rng), train.depth_range
    return augmented_copies(train.images[rows], depth_mm=near_far.far_mm - near_far.near_mm, rng=rng)


def copies(train: DepthFaces, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return training faces whose pixel noise is replaced; none twice before all are there once."""
    rows = draw_sources(train, count, rng)
    return with_new_noise(train.images[rows], noise_spectrum(train.images), rng)


def mixtures(train: DepthFaces, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return mixtures of a face and one of the nearest faces of the same emotion and another subject."""
    first = draw_sources(train, count, rng)
    second, share = _partners(train, first, rng), rng.random(len(first), np.float32)
    return mix(train.images[first], train.images[second], share)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return a + share * (b - a) for faces (n, h, w) and shares (n,) in [0, 1].

    A pixel is valid where it is in the face with the larger share, whose depth it keeps if the other has none there:
    face and background are never averaged.
    """
    weight = share[:, None, None]
    nearer = np.where(weight < 0.5, a, b)
    both = (a < BACKGROUND) & (b < BACKGROUND)
    return np.where(both, a + weight * (b - a), nearer).astype(np.float32)


def _partners(train: DepthFaces, first: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each row one of its NEIGHBOURS nearest rows; itself where no other subject shows the emotion."""
    means = box_means(train.images).astype(np.float32)
    partners = first.copy()
    for label in np.unique(train.emotion[first]):
        asked, known = np.flatnonzero(train.emotion[first] == label), np.flatnonzero(train.emotion == label)
        distance = cdist(means[first[asked]], means[known])
        distance[train.subject[first[asked], None] == train.subject[known]] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
        allowed = np.minimum(np.isfinite(distance).sum(1), NEIGHBOURS)
        chosen = order[np.arange(len(asked)), rng.integers(np.maximum(allowed, 1))]
        partners[asked] = np.where(allowed > 0, known[chosen], first[asked])
    return partners


def gaussians(train: DepthFaces, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return draws from one Gaussian of each emotion over the leading principal components of the pixels."""
    rows = train.images.reshape(len(train), -1)
    size = min(GAUSSIAN_DIMENSIONS, len(rows) - 1, rows.shape[1])
    with threadpool_limits(1, "blas"):
        pca = PCA(size, svd_solver="randomized", random_state=int(rng.integers(2**31))).fit(rows)
        coordinates = pca.transform(rows).astype(np.float64)
    groups = [coordinates[train.emotion == label] for label in range(len(train.emotions))]
    drawn = [rng.multivariate_normal(of.mean(0), np.atleast_2d(np.cov(of.T)), count) for of in groups]
    pixels = pca.mean_ + np.concatenate(drawn) @ pca.components_
    return np.clip(pixels, -1, 1).reshape(-1, *train.images.shape[1:]).astype(np.float32)


def rendered(config: Config, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return faces of a wide rendered population with the run's emotions, prepared as the run's own faces are."""
    emotions, seed = config.data.emotions, int(rng.integers(2**31))
    films = generate(
        subjects=range(-(-count // FRAMES)),
        emotions=emotions,
        frames=FRAMES,
        seed=seed,
        full_sequence=config.data.full_sequence,
        wide=True,
    )
    crops: dict[str, list[np.ndarray]] = {emotion: [] for emotion in emotions}
    for film in films:
        crops[film.emotion].append(film.crops)
    return network_inputs(np.concatenate([np.concatenate(of)[:count] for of in crops.values()]), config.data)


def draw_sources(train: DepthFaces, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rows, `count` of each emotion, evenly over its subjects, none twice before all are drawn once."""
    drawn = []
    for label in range(len(train.emotions)):
        members = np.flatnonzero(train.emotion == label)
        passes = [_one_face_a_subject_first(members, train.subject, rng) for _ in range(-(-count // len(members)))]
        drawn.append(np.concatenate(passes)[:count])
    return np.concatenate(drawn)


def _one_face_a_subject_first(members: np.ndarray, subject: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all members in a random order that takes a face of every subject before a second one of any."""
    shuffled = rng.permutation(members)
    turn = np.zeros(len(shuffled), int)
    for one in np.unique(subject[shuffled]):
        own = subject[shuffled] == one
        turn[own] = np.arange(own.sum())
    return shuffled[np.argsort(turn, kind="stable")]


def _labelled(train: DepthFaces, images: np.ndarray, count: int) -> DepthFaces:
    emotion = np.repeat(np.arange(len(train.emotions), dtype=np.int32), count)
    return made_faces(images, emotion, train.emotions, train.depth_range)


def _generator(config: Config, name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{config.evaluate.seed} control {name}".encode()))
