import numpy as np
import pytest

from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces, split_by_image, split_by_subject


@pytest.fixture
def faces():
    subject, emotion, frame = (a.ravel() for a in np.mgrid[:10, :3, :4])
    images = np.arange(120, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    return DepthFaces(images, emotion, subject, frame, ("a", "b", "c"), DepthRange(-10, 80))


def test_no_person_stands_on_both_sides(faces):
    train, test = split_by_subject(faces, 0.2, seed=1)
    assert set(train.subject).isdisjoint(test.subject)
    assert len(np.unique(test.subject)) == 2
    assert len(train) + len(test) == len(faces)


def test_the_seed_chooses_the_people_not_the_order_of_the_faces(faces):
    shuffled = faces.take(np.random.default_rng(0).permutation(len(faces)))
    chosen = {frozenset(split_by_subject(f, 0.3, seed=5)[1].subject.tolist()) for f in (faces, shuffled)}
    others = {frozenset(split_by_subject(faces, 0.3, seed=s)[1].subject.tolist()) for s in range(8)}
    assert len(chosen) == 1 and len(others) > 1


def test_there_is_always_someone_on_each_side(faces):
    for fraction in (0.001, 0.999):
        train, test = split_by_subject(faces, fraction, seed=0)
        assert len(train) and len(test)


def test_split_by_image_is_stratified_and_whole(faces):
    train, test = split_by_image(faces, 0.25, seed=0)
    assert np.bincount(test.emotion).tolist() == [10, 10, 10]
    assert sorted(np.concatenate([train.images[:, 0, 0], test.images[:, 0, 0]])) == list(range(120))


def test_faces_of_one_emotion_keep_their_labels(faces):
    some = faces.of("b")
    assert len(some) == 40 and (some.emotion == 1).all() and some.emotions == faces.emotions
