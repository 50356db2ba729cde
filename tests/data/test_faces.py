import numpy as np
import pytest

from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces, held_out_images, held_out_subjects


@pytest.fixture
def faces():
    subject, emotion, frame = (a.ravel() for a in np.mgrid[:10, :3, :4])
    images = np.arange(120, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    return DepthFaces(images, emotion, subject, frame, ("a", "b", "c"), DepthRange(-10, 80))


def test_no_subject_is_on_both_sides_and_neither_is_empty(faces):
    test = held_out_subjects(faces.subject, 0.2, seed=1)
    assert set(faces.subject[~test]).isdisjoint(faces.subject[test])
    assert len(np.unique(faces.subject[test])) == 2
    for fraction in (0.001, 0.999):
        assert 0 < held_out_subjects(faces.subject, fraction, seed=0).sum() < len(faces)


def test_the_seed_chooses_the_subjects_not_the_order_of_the_faces(faces):
    def chosen(subject, seed):
        return frozenset(subject[held_out_subjects(subject, 0.3, seed=seed)].tolist())

    shuffled = np.random.default_rng(0).permutation(faces.subject)
    assert chosen(faces.subject, 5) == chosen(shuffled, 5)
    assert len({chosen(faces.subject, seed) for seed in range(8)}) > 1


def test_split_by_image_is_stratified(faces):
    test = held_out_images(faces.emotion, 0.25, seed=0)
    assert np.bincount(faces.emotion[test]).tolist() == [10, 10, 10]


def test_faces_of_one_emotion_keep_their_labels(faces):
    some = faces.of("b")
    assert len(some) == 40 and (some.emotion == 1).all() and some.emotions == faces.emotions
