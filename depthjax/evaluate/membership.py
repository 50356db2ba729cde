"""Membership attacks: can the subjects that a generator learnt from be told from held-out ones by what it makes?

An attack scores faces; a subject's score is the mean over its frames, the same number for every subject. Members are
the training subjects, non-members the held-out ones. What knows only the statistics of the training faces is not at
0.5 either, since these are statistics of the members: so the control is a Gaussian of each emotion,
of the same features.
"""

from __future__ import annotations

import numpy as np

from depthjax.evaluate.coordinates import Coordinates, Sides, nearest
from depthjax.evaluate.resampling import Estimate, bootstrap_counts, percentile_interval

FALSE_POSITIVES = 0.01
REFERENCE_NEIGHBOURS = 5  # of the density of the reference
TINY = 1e-6  # a distance of zero has no logarithm
SHARED = "some subjects are in both the training and the held-out faces"
FEW = "a membership attack needs two held-out subjects with every emotion"


def subject_scores(scores: np.ndarray, subject: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (subjects,) means of the (n,) scores of `frames` faces of each subject, drawn at random."""
    rows = [rng.permutation(np.flatnonzero(subject == name))[:frames] for name in np.unique(subject)]
    found: np.ndarray = scores[np.stack(rows)].mean(axis=1)
    return found


def common_frames(*subjects: np.ndarray) -> int:
    """Return the number of faces that every subject of these sets, (n,) each, has at least."""
    return min(int(np.unique(of, return_counts=True)[1].min()) for of in subjects)


def wins(members: np.ndarray, non_members: np.ndarray) -> np.ndarray:
    """Return (m, n): 1 where a member's score is above a non-member's, 0.5 where they are equal, else 0."""
    found: np.ndarray = (np.sign(members[:, None] - non_members) + 1) / 2
    return found


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
    """Return `wins` by minus the log distance to the nearest generated face of the same emotion.

    In the logarithm, the few frames of a subject that were copied outweigh the others.
    """
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
    found: np.ndarray = np.log(np.maximum(nearest(asked, known, k)[1], TINY))
    return found


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
