import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from trees import face

from depthjax.data import near_duplicates
from depthjax.data.near_duplicates import group_alike, relief_boxes


@pytest.fixture(scope="module")
def clips():
    """Twelve people, a clip of ten frames each."""
    depth = np.stack([face(s, 0, f, shape=(200, 128)) for s in range(12) for f in range(10)])
    return relief_boxes(depth), np.repeat(np.arange(12), 10)


def test_boxes_do_not_see_distance_and_tilt():
    depth = face(3, shape=(200, 128)).astype(np.int64)
    tilt = np.round(np.linspace(-4, 4, 128))[None].astype(int)
    moved = np.where(depth > 0, depth + 137 + tilt, 0)
    a, b, c = relief_boxes(np.stack([depth, moved, face(4, shape=(200, 128))]).astype(np.uint16))
    assert a.shape == (256,) and np.linalg.norm(a - b) < 0.25 * np.linalg.norm(a - c)


def follows(people):
    """As if each emotion's folder held everyone's frames in order: the first of one follows the last of another."""
    return np.arange(len(people)) > 0


def test_frames_of_a_clip_stay_together_and_people_apart(clips):
    boxes, people = clips
    group, thresholds = group_alike(boxes, follows(people))
    assert group.dtype == np.int32 and 0 < thresholds.tight <= thresholds.wide
    assert len(np.unique(group)) == 12 and all(len(set(group[people == p])) == 1 for p in range(12))
    assert group[np.sort(np.unique(group, return_index=True)[1])].tolist() == list(range(12))


def test_groups_do_not_depend_on_the_order(clips):
    boxes, _ = clips
    order, alone = np.random.default_rng(1).permutation(len(boxes)), np.zeros(len(boxes), bool)
    group, shuffled = group_alike(boxes, alone)[0], group_alike(boxes[order], alone)[0]
    assert np.array_equal(group[order][:, None] == group[order][None], shuffled[:, None] == shuffled[None])


@pytest.mark.parametrize("chunk", [(7, 11), (1000, 3), (1024, 8192)])
def test_chains_are_the_connected_components_whatever_the_blocks(monkeypatch, chunk):
    points = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    close = ((points[:, None] - points[None]) ** 2).sum(-1) <= 0.3**2
    expected = connected_components(coo_array(close), directed=False)[1]
    monkeypatch.setattr(near_duplicates, "CHUNK", chunk)
    found = near_duplicates._chains(points, np.arange(60), 0.3)
    assert 5 < found.max() < 59 and np.array_equal(found[:, None] == found, expected[:, None] == expected)


def test_strangers_are_not_lumped_together():
    boxes = np.random.default_rng(0).normal(size=(300, 256)).astype(np.float32)
    assert len(np.unique(group_alike(boxes, np.ones(300, bool))[0])) == 300
