"""Copies of training faces: membership attacks, feature likelihood, pixel similarity, and every sign in one space.

An attack scores faces; a subject's score is the mean over its frames, the same number for every subject. Members are
the training subjects, non-members the held-out ones. What knows only the statistics of the training faces is not at
0.5 either, since these are statistics of the members: so the control is a Gaussian of each emotion, of the same
features.

The feature likelihood divergence (Jiralerspong et al. 2023, arXiv 2302.04440) is of a mixture centred on the generated
faces. A centre that copies a training face gets a narrow Gaussian there, which makes that face likely and no other: so
copies raise the likelihood of training faces above that of held-out ones. Every subject counts the same, in the fit
and in the means. What is left is an excess of training faces that needs no copying, for the widths are fitted to few
subjects: held-out faces in place of generated ones show how large it is.

Generated and training faces have no pixel correspondence, so SSIM and PSNR do not measure fidelity: values above those
of held-out faces point to copies, lower ones to faces unlike any training face.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from skimage.metrics import structural_similarity

from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, bootstrap_mean, percentile_interval, weighted_means
from depthjax.evaluate.spaces import Coordinates, Sides, nearest

FALSE_POSITIVES = 0.01
REFERENCE_NEIGHBOURS = 5  # of the density of the reference
TINY = 1e-6  # a distance of zero has no logarithm
SHARED = "some subjects are in both the training and the held-out faces"
FEW = "a membership attack needs two held-out subjects with every emotion"
STEPS = 30  # of expectation maximisation
MIN_VARIANCE = 1e-4  # in units of the training faces' variance: a centre that equals a face would need none
PERCENT = 100.0  # the authors' unit: a hundredth of a nat for each dimension
NEAR = 0.05  # share of held-out faces that are called near to a training face
CHUNK = 64  # faces compared at once: bounds the memory
ROUNDING = 12**-0.5  # levels: root mean square error of rounding to 8 bits


def subject_scores(scores: np.ndarray, subject: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (subjects,) means of the (n,) scores of `frames` faces of each subject, drawn at random."""
    rows = [rng.permutation(np.flatnonzero(subject == name))[:frames] for name in np.unique(subject)]
    return scores[np.stack(rows)].mean(axis=1)


def common_frames(*subjects: np.ndarray) -> int:
    """Return the number of faces that every subject of these sets, (n,) each, has at least."""
    return min(int(np.unique(of, return_counts=True)[1].min()) for of in subjects)


def wins(members: np.ndarray, non_members: np.ndarray) -> np.ndarray:
    """Return (m, n): 1 where a member's score is above a non-member's, 0.5 where they are equal, else 0."""
    return (np.sign(members[:, None] - non_members) + 1) / 2


def area(found: np.ndarray, members: np.ndarray, non_members: np.ndarray) -> np.ndarray:
    """Return the (b,) areas under the ROC curve of (m, n) `wins`; (b, m) and (b, n) count the subjects."""
    total: np.ndarray = ((members @ found) * non_members).sum(axis=1)
    return total / (members.sum(axis=1) * non_members.sum(axis=1))


def true_positives(found: np.ndarray, members: np.ndarray, non_members: np.ndarray) -> np.ndarray:
    """Return the (b,) shares of members above a threshold that at most 1 % of the non-members reach.

    With fewer than a hundred non-members none of them may reach it. Arguments as for `area`.
    """
    reached = non_members @ (found < 1).T / non_members.sum(axis=1, keepdims=True)
    counted: np.ndarray = (members * (reached <= FALSE_POSITIVES + 1e-9)).sum(axis=1)
    return counted / members.sum(axis=1)


MEASURES = {"auc": area, "tpr": true_positives}


def estimates(
    name: str, found: np.ndarray | None, reason: str = "", *, draws: int, seed: int
) -> list[tuple[str, Estimate]]:
    """Return `auc_NAME` and `tpr_NAME` of (m, n) `wins`, or why there are none; intervals resample both sides."""
    if found is None:
        return [(f"{measure}_{name}", Estimate(reason=reason or FEW)) for measure in MEASURES]
    rng, n = np.random.default_rng(seed), sum(found.shape)
    once = [np.ones((1, size)) for size in found.shape]
    counts = [bootstrap_counts(np.arange(size), draws, rng) for size in found.shape]
    return [
        (f"{measure}_{name}", Estimate(float(of(found, *once)[0]), *percentile_interval(of(found, *counts)), n=n))
        for measure, of in MEASURES.items()
    ]


def distance_wins(sides: Sides, *, seed: int) -> np.ndarray:
    """Return `wins` by minus the log distance to the nearest generated face of the same emotion."""
    frames, rng = common_frames(sides.train.subject, sides.held_out.subject), np.random.default_rng(seed)
    people = (sides.train, sides.held_out)
    return wins(*(subject_scores(-_log_distance(of, sides.generated), of.subject, frames, rng) for of in people))


def density_ratio_wins(sides: Sides, *, seed: int) -> np.ndarray | None:
    """Return `wins` by the log density of generated faces minus that of a reference; None for too few subjects.

    DOMIAS (van Breugel et al. 2023, arXiv 2302.12580). The reference is one half of the held-out subjects, the other
    half are the non-members; then the halves change places. Densities are by nearest neighbours of the same emotion,
    on axes of one variance: in 32 dimensions, a kernel of one width sees only how far away all faces are.
    """
    mean, scale = sides.train.features.mean(axis=0), sides.train.features.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    generated, train, held_out = (of._replace(features=(of.features - mean) / scale) for of in sides)
    rng, names = np.random.default_rng(seed), np.unique(held_out.subject)
    halves, classes = held_out.split(rng), len(np.unique(train.emotion))
    if any(len(np.unique(half.emotion)) < classes for half in halves):
        return None
    frames = common_frames(train.subject, held_out.subject)
    found = np.empty((len(np.unique(train.subject)), len(names)))
    for reference, others in (halves, halves[::-1]):
        ours, theirs = (
            subject_scores(
                _log_distance(of, reference, REFERENCE_NEIGHBOURS) - _log_distance(of, generated),
                of.subject, frames, rng,
            )
            for of in (train, others)
        )  # fmt: skip
        found[:, np.isin(names, others.subject)] = wins(ours, theirs)
    return found


def _log_distance(asked: Coordinates, known: Coordinates, k: int = 1) -> np.ndarray:
    return np.log(np.maximum(nearest(asked, known, k)[1], TINY))


def attacks(sides: Sides, *, draws: int, seed: int) -> list[tuple[str, Estimate]]:
    """Return `auc_distance`, `tpr_distance`, `auc_density_ratio` and `tpr_density_ratio`."""
    by = {"distance": distance_wins, "density_ratio": density_ratio_wins}
    reason, options = not_separable(sides.train.subject, sides.held_out.subject), {"draws": draws, "seed": seed}
    found = {name: None if reason else of(sides, seed=seed) for name, of in by.items()}
    return [named for name, of in found.items() for named in estimates(name, of, reason, **options)]


def not_separable(members: np.ndarray, others: np.ndarray) -> str:
    """Return why subjects, (n,) and (m,), are not comparable; empty: they are."""
    if np.isin(members, others).any():
        return SHARED
    return FEW if min(len(np.unique(members)), len(np.unique(others))) < 2 else ""


@dataclass(frozen=True)
class Mixture:
    """Isotropic Gaussians of equal weight: centres (k, d) and variances (k,)."""

    centres: np.ndarray
    variances: np.ndarray

    def log_density(self, features: np.ndarray) -> np.ndarray:
        """Return the (n,) log density, in nats, of (n, d) features."""
        terms = _log_kernels(cdist(features, self.centres, "sqeuclidean"), self.variances, features.shape[1])
        return logsumexp(terms, axis=1) - np.log(len(self.centres))


def _log_kernels(squares: np.ndarray, variances: np.ndarray, dimensions: int) -> np.ndarray:
    return -squares / (2 * variances) - dimensions / 2 * np.log(2 * np.pi * variances)


def fit_mixture(centres: np.ndarray, features: np.ndarray, weights: np.ndarray) -> Mixture:
    """Return the mixture on (k, d) centres whose variances fit (n, d) features, counted `weights` (n,) times, best."""
    squares, dimensions = cdist(features, centres, "sqeuclidean"), features.shape[1]
    variances = np.maximum(squares.min(axis=0) / dimensions, MIN_VARIANCE)
    for _ in range(STEPS):
        share = weights[:, None] * softmax(_log_kernels(squares, variances, dimensions), axis=1)
        total = share.sum(axis=0)
        # A centre that no feature is near keeps its width.
        fitted = np.divide((share * squares).sum(axis=0), dimensions * total, out=variances.copy(), where=total > 1e-12)
        variances = np.maximum(fitted, MIN_VARIANCE)
    return Mixture(centres, variances)


def subject_weights(subjects: np.ndarray) -> np.ndarray:
    """Return (n,) weights, of mean 1, by which every subject counts the same."""
    names, member, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    return len(subjects) / len(names) / counts[member]


def divergence(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Return the divergence of each training face, (n,), and of each held-out face, (m,), from the generated ones.

    It is -100 / d times the log density, on axes on which the training faces have a variance of 1.
    """
    known = sides.train.features
    mean, scale = known.mean(axis=0), known.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    generated, train, held_out = ((of.features - mean) / scale for of in sides)
    mixture = fit_mixture(generated, train, subject_weights(sides.train.subject))
    of_train, of_held_out = (-PERCENT / known.shape[1] * mixture.log_density(of) for of in (train, held_out))
    return of_train, of_held_out


def likelihoods(sides: Sides, *, draws: int, seed: int) -> dict[str, Estimate]:
    """Return `fld`, the mean of held-out faces, and `fld_gap`, the mean of training faces minus it."""
    rng = np.random.default_rng(seed)
    means, drawn = [], []
    for values, of in zip(divergence(sides), (sides.train, sides.held_out), strict=True):
        weighted = subject_weights(of.subject)
        means.append(float(np.average(values, weights=weighted)))
        drawn.append(weighted_means(values, bootstrap_counts(of.subject, draws, rng) * weighted))
    (train, held_out), n = means, len(sides.held_out.subject)
    fld = Estimate(held_out, *percentile_interval(drawn[1]), n=n)
    return {"fld": fld, "fld_gap": Estimate(train - held_out, *percentile_interval(drawn[0] - drawn[1]), n=n)}


def nearest_index(faces: DepthFaces, train: DepthFaces) -> np.ndarray:
    """Return the (n,) index into `train` of the nearest face of the same emotion by pixel L2, on 8-bit levels."""
    index = np.zeros(len(faces), np.int64)
    for label in range(len(train.emotions)):
        ours, theirs = np.flatnonzero(faces.emotion == label), np.flatnonzero(train.emotion == label)
        known = quantise(train.images[theirs]).reshape(len(theirs), -1).astype(np.float64)
        norms = np.einsum("ij,ij->i", known, known)
        for start in range(0, len(ours), CHUNK):
            chunk = ours[start : start + CHUNK]
            asked = quantise(faces.images[chunk]).reshape(len(chunk), -1).astype(np.float64)
            index[chunk] = theirs[np.argmin(norms[None] - 2 * asked @ known.T, axis=1)]
    return index


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """Return 20·log10(255 / rmse) dB of two 8-bit images; rounding bounds the rmse: 58.92 dB if identical."""
    error = np.sqrt(np.mean((image.astype(np.float64) - reference.astype(np.float64)) ** 2))
    return float(20 * np.log10(255 / max(error, ROUNDING)))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the structural similarity of two 8-bit images (Wang et al. 2004: Gaussian window, sigma 1.5)."""
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, reference, data_range=255, **gaussian))


def nearest_similarity(faces: DepthFaces, train: DepthFaces) -> dict[str, np.ndarray]:
    """Return `ssim` and `psnr` (dB), (n,) each, of each face and its nearest training face."""
    ours, theirs = quantise(faces.images), quantise(train.images[nearest_index(faces, train)])
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "ssim": np.array([ssim(*pair) for pair in pairs]),
        "psnr": np.array([psnr(*pair) for pair in pairs]),
    }


def planted(generated: Coordinates, copies: Coordinates, share: float, *, seed: int) -> Coordinates:
    """Return generated faces of which this share, in each emotion, is replaced by copies of the same emotion."""
    rng, features = np.random.default_rng(seed), generated.features.copy()
    for label in np.unique(generated.emotion):
        ours, theirs = np.flatnonzero(generated.emotion == label), np.flatnonzero(copies.emotion == label)
        count = min(round(share * len(ours)), len(theirs))
        features[rng.permutation(ours)[:count]] = copies.features[rng.permutation(theirs)[:count]]
    return generated._replace(features=features)


def near_share(sides: Sides, *, draws: int, seed: int) -> Estimate:
    """Return the share of generated faces nearer to a training face than the nearest 5 % of held-out faces are.

    Neighbours are of the same emotion. The interval resamples the generated faces and the held-out subjects. No value
    but a reason if held-out faces, or subjects, are among the training faces.
    """
    if np.isin(sides.train.subject, sides.held_out.subject).any():
        return Estimate(reason=SHARED)
    ours, others = (nearest(of, sides.train)[1] for of in (sides.generated, sides.held_out))
    limit = np.quantile(others, NEAR)
    if not limit > 0:
        return Estimate(reason="held-out faces are among the training faces")
    rng, subject = np.random.default_rng(seed), sides.held_out.subject
    groups = [others[subject == name] for name in np.unique(subject)]
    limits = [np.quantile(np.concatenate([groups[i] for i in drawn]), NEAR)
              for drawn in rng.integers(len(groups), size=(draws, len(groups)))]  # fmt: skip
    shares = np.searchsorted(np.sort(ours), limits) / len(ours)
    interval = percentile_interval(rng.binomial(len(ours), shares) / len(ours))
    return Estimate(float(np.mean(ours < limit)), *interval, n=len(ours))


def authentic(sides: Sides) -> np.ndarray:
    """Return (n,) bool: whether each generated face is authentic beside the training faces; the mean is AuthPct.

    Alaa et al. 2022, arXiv 2102.08921: a copy's nearest training face lies nearer to it than to any other training
    face; here, to any of another subject, since a subject's own next frame is nearer than even copies are.
    """
    train = sides.train
    apart = cdist(train.features, train.features)
    apart[train.subject[:, None] == train.subject] = np.inf
    between = cdist(sides.generated.features, train.features)
    return between.min(axis=1) > apart.min(axis=1)[between.argmin(axis=1)]


def signs(sides: Sides, *, draws: int, seed: int) -> list[tuple[str, Estimate]]:
    """Return every sign of memorisation by its name; each sees near-copies if a fifth of the faces are."""
    options = {"draws": draws, "seed": seed}
    own, generated = authentic(sides).astype(float), np.arange(len(sides.generated.emotion))
    found = [("near_share", near_share(sides, **options)), ("auth_pct", bootstrap_mean(own, generated, **options))]
    return [*found, *attacks(sides, **options), ("fld_gap", likelihoods(sides, **options)["fld_gap"])]
