"""Copies of training faces: pixel similarity, and signs that must see planted near-copies."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.metrics import peak_signal_noise_ratio

from depthjax.data.depth_range import quantise
from depthjax.evaluate.memorisation import (
    CHUNK,
    authentic,
    estimates,
    near_share,
    nearest_index,
    nearest_similarity,
    planted,
    psnr,
    signs,
    ssim,
    subject_scores,
    wins,
)
from depthjax.evaluate.spaces import Coordinates, Sides

OPTIONS = {"draws": 200, "seed": 0}
SIGNS = ("near_share", "auth_pct", "auc_distance", "tpr_distance", "auc_density_ratio", "tpr_density_ratio",
         "fld_gap", "auc_inversion", "tpr_inversion")  # fmt: skip


def test_nearest_is_the_least_pixel_distance_within_the_emotion(faces):
    train, asked = faces(6, 2), faces(CHUNK // 6 + 3, 3, first=40)
    index = nearest_index(asked, train)
    assert (train.emotion[index] == asked.emotion).all()
    known, levels = (quantise(f.images).astype(int) for f in (train, asked))
    for row in range(0, len(asked), 7):
        gap = ((known - levels[row]) ** 2).sum((1, 2))
        assert gap[index[row]] == gap[train.emotion == asked.emotion[row]].min()


def test_psnr_and_ssim_are_by_definition(faces):
    a, b = quantise(faces(1, 2).images[:2])
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert psnr(np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)) == 0
    assert psnr(a, a) == pytest.approx(58.92, abs=0.005)
    assert ssim(a, a) == pytest.approx(1) and ssim(a, b) < 0.999


def test_similarity_rises_with_copies(faces):
    train, test = faces(4, 2), faces(2, 2, first=30)
    copied, new = nearest_similarity(train, train), nearest_similarity(test, train)
    assert copied["ssim"].min() > 0.999 and new["ssim"].max() < 0.999
    assert new["psnr"].max() < copied["psnr"].min()


DIMENSIONS = 16


def people(count, frames, first, *, seed=0):
    """Faces of `count` subjects in three emotions, as points: frames of one subject lie close together."""
    rng = np.random.default_rng([seed, first])
    subject, emotion, _ = (a.ravel() for a in np.mgrid[first : first + count, :3, :frames])
    person, shift = rng.normal(size=(count, DIMENSIONS)), np.eye(3, DIMENSIONS)
    points = person[subject - first] + shift[emotion] + 0.3 * rng.normal(size=(len(subject), DIMENSIONS))
    return Coordinates(points, emotion, subject)


@pytest.fixture(scope="module")
def sides():
    """32 training subjects of ten frames an emotion, 60 held-out ones, and 300 faces of others: no copy is there."""
    rng, others = np.random.default_rng(5), people(100, 10, 1000)
    rows = np.concatenate([rng.permutation(np.flatnonzero(others.emotion == label))[:100] for label in range(3)])
    return Sides(others.take(rows), people(32, 10, 0), people(60, 10, 100))


@pytest.fixture(scope="module")
def copies(sides):
    rng = np.random.default_rng(6)
    rows = np.concatenate([rng.permutation(np.flatnonzero(sides.train.emotion == label))[:100] for label in range(3)])
    noisy = sides.train.take(rows)
    return noisy._replace(features=noisy.features + 0.05 * rng.normal(size=noisy.features.shape))


def found_inversion(sides, reached):
    """The attack by inversion where a generator reaches a plane, and besides it these points, (k, d)."""

    def scores(of):
        missed = np.linalg.norm(of.features[:, DIMENSIONS // 2 :], axis=1)
        missed = np.minimum(missed, cdist(of.features, reached).min(axis=1)) if len(reached) else missed
        return subject_scores(-missed, of.subject, 30, np.random.default_rng(0))

    return estimates("inversion", wins(scores(sides.train), scores(sides.held_out)), **OPTIONS)


@pytest.fixture(scope="module")
def by_share(sides, copies):
    """Every sign, by its name, of sets with no copies, and with a fifth of them."""

    def found(share):
        generated = planted(sides.generated, copies, share, seed=1)
        return dict(signs(sides._replace(generated=generated), **OPTIONS)) | dict(
            found_inversion(sides, copies.features[: round(share * len(copies.features))])
        )

    return {share: found(share) for share in (0, 0.2)}


def test_every_reported_sign_is_asked_to_see_copies(by_share):
    assert set(by_share[0]) == set(SIGNS)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_fifth_of_near_copies_is_seen(sign, by_share):
    """AuthPct over a person's own frames, and the median of nearest distances, did not see them."""
    without, with_copies = (by_share[share][sign] for share in (0, 0.2))
    assert without.low <= without.value <= without.high
    assert not without.low <= with_copies.value <= without.high
    worse = {"auth_pct": -1, "fld_gap": -1}.get(sign, 1)
    assert worse * (with_copies.value - without.value) > 0


def test_a_set_without_copies_looks_like_one(by_share):
    found = by_share[0]
    assert found["near_share"].low <= 0.05 <= found["near_share"].high
    for attack in ("distance", "density_ratio"):
        assert found[f"auc_{attack}"].low < 0.5 < found[f"auc_{attack}"].high


def test_the_old_signs_did_not_see_copies(sides, copies):
    """The reason for the new ones: the spacing of a training face was to the same person's next frame."""
    generated = planted(sides.generated, copies, 0.3, seed=1)
    ratios = [np.median(cdist(of.features, sides.train.features).min(1)) for of in (generated, sides.held_out)]
    assert ratios[0] / ratios[1] > 0.9


def test_planted_faces_are_copies_of_the_same_emotion(sides, copies):
    found = planted(sides.generated, copies, 0.3, seed=0)
    changed = (found.features != sides.generated.features).any(axis=1)
    assert (np.bincount(found.emotion[changed]) == 30).all()
    for point, label in zip(found.features[changed], found.emotion[changed], strict=True):
        assert (copies.features[copies.emotion == label] == point).all(axis=1).any()
    np.testing.assert_array_equal(planted(found, copies, 0, seed=0).features, found.features)


def test_near_share_by_hand():
    """Held-out faces at distances of 1 to 20 from the only training face: the nearest 5 % are within 1.95."""

    def line(values, subject):
        return Coordinates(np.array(values, float)[:, None], np.zeros(len(values), int), np.array(subject))

    sides = Sides(line([0.5, 1.9, 2, 30], range(4)), line([0], [0]), line(range(1, 21), range(1, 21)))
    found = near_share(sides, **OPTIONS)
    assert found.value == 0.5 and found.n == 4 and found.low <= 0.5 <= found.high
    twice = sides.train._replace(subject=np.array([1]))
    same = near_share(sides._replace(held_out=twice), **OPTIONS)
    assert same.value is None and "among the training faces" in same.reason


def test_nothing_is_near_where_held_out_frames_are_of_training_subjects(sides):
    """Their own frames are so near that hardly a copy is nearer: a share would look like no memory."""
    found = near_share(sides._replace(held_out=sides.held_out._replace(subject=sides.held_out.subject % 32)), **OPTIONS)
    assert found.value is None and "in both" in found.reason


def test_auth_pct_leaves_out_a_subjects_own_frames():
    """A training face's own next frame is 0.1 away, a copy of it 0.3, the next subject 1."""
    train = Coordinates(np.array([[0], [0.1], [1]]), np.zeros(3, int), np.array([0, 0, 1]))
    generated = Coordinates(np.array([[-0.3], [-1.2]]), np.zeros(2, int), np.arange(2))
    assert authentic(Sides(generated, train, train)).tolist() == [False, True]
