"""Control sets: what they are made of, and that they hold nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from configs import smoke
from depthjax.config_values import override
from depthjax.evaluate import controls
from depthjax.evaluate.controls import control_sets, draw_sources, mix
from depthjax.evaluate.spaces import box_means

COUNT = 20


@pytest.fixture(scope="module")
def train(faces):
    return faces(4, 3)


@pytest.fixture(scope="module")
def made(train):
    return control_sets(smoke.get_config(), train, COUNT)


def test_each_control_has_that_many_faces_of_every_emotion_and_new_subjects(made, train):
    assert list(made) == ["augmented", "augmented_again", "mixtures", "copies", "gaussian"]
    for of in made.values():
        assert np.bincount(of.emotion).tolist() == [COUNT] * 3 and len(np.unique(of.subject)) == len(of)
        assert of.images.shape == (60, 32, 32) and of.images.dtype == np.float32 and np.abs(of.images).max() <= 1
        assert of.emotions == train.emotions
    assert not np.isin(made["augmented_again"].images[:, 16, 16], made["augmented"].images[:, 16, 16]).all()


def test_the_same_seed_gives_the_same_faces_and_another_gives_others(made, train):
    again = control_sets(smoke.get_config(), train, COUNT)
    other = control_sets(override(smoke.get_config(), {"evaluate.seed": "1"}), train, COUNT)
    for name, of in made.items():
        alone = control_sets(smoke.get_config(), train, COUNT, [name])
        assert list(alone) == [name] and np.array_equal(of.images, alone[name].images)
        assert np.array_equal(of.images, again[name].images) and not np.array_equal(of.images, other[name].images)


def test_sources_are_even_over_subjects_and_repeat_only_when_all_are_drawn(train):
    uneven = train.take((train.subject > 0) | (train.frame == 0))  # one face of subject 0, three of the others
    few, many = (draw_sources(uneven, n, np.random.default_rng(0)) for n in (4, 15))
    assert np.bincount(uneven.subject[few]).tolist() == [3] * 4
    assert len(np.unique(few)) == len(few)
    assert (uneven.emotion[many] == np.repeat(range(3), 15)).all()
    assert np.bincount(many, minlength=len(uneven)).min() == 1  # ten faces an emotion, 15 draws
    assert np.bincount(many).max() == 2


def test_a_mixture_lies_between_its_faces_and_never_averages_background():
    a, b = np.full((3, 2, 2), -0.5, np.float32), np.full((3, 2, 2), 0.5, np.float32)
    a[:, 0, 0], b[:, 0, 1], a[:, 1, 1], b[:, 1, 1] = 1, 1, 1, 1
    mixed = mix(a, b, np.array([0.0, 0.25, 0.75], np.float32))
    assert np.array_equal(mixed[0], a[0])
    assert mixed[1].tolist() == [[1, -0.5], [-0.25, 1]]  # the first is nearer: its holes, its depth where b has none
    assert mixed[2].tolist() == [[0.5, 1], [0.25, 1]]


def test_mixtures_are_of_two_subjects_that_are_near(train, monkeypatch):
    pairs = []
    monkeypatch.setattr(controls, "mix", lambda a, b, share: pairs.append((a, b, share)) or a)
    controls.mixtures(train, 8, np.random.default_rng(0))
    rows = {image.tobytes(): row for row, image in enumerate(train.images)}
    first, second = ([rows[image.tobytes()] for image in side] for side in pairs[0][:2])
    assert (train.subject[first] != train.subject[second]).all() and (
        train.emotion[first] == train.emotion[second]
    ).all()
    means = box_means(train.images)
    for a, b in zip(first, second, strict=True):
        others = (train.emotion == train.emotion[a]) & (train.subject != train.subject[a])
        distance = np.linalg.norm(means - means[a], axis=1)
        assert (distance[others] < distance[b] - 1e-6).sum() < controls.NEIGHBOURS
    assert len(np.unique(second)) > 8 and 0 <= pairs[0][2].min() < pairs[0][2].max() < 1


def test_a_lone_subject_is_mixed_with_nobody(train):
    lone = train.take(train.subject == 0)
    known = {image.tobytes() for image in lone.images}
    assert all(image.tobytes() in known for image in controls.mixtures(lone, 3, np.random.default_rng(0)))


def test_copies_are_training_faces_but_for_noise_and_gaussians_are_none(made, train):
    def nearest(name):
        mine, theirs = box_means(made[name].images), box_means(train.images)
        return np.abs(mine[:, None] - theirs).mean(2).min(1)

    assert 0 < nearest("copies").max() < 0.02 < np.median(nearest("gaussian"))


def test_gaussians_have_the_mean_and_spread_of_their_emotion(train):
    drawn = controls.gaussians(train, 2000, np.random.default_rng(0)).reshape(3, 2000, -1)
    for label, of in enumerate(drawn):
        own = train.images[train.emotion == label].reshape(12, -1)
        inside = np.abs(own).max(0) < 0.9  # nothing is clipped there
        assert np.abs(of.mean(0) - own.mean(0))[inside].max() < 0.03
        assert of.std(0)[inside].mean() == pytest.approx(own.std(0, ddof=1)[inside].mean(), rel=0.05)


def test_rendered_faces_stand_beside_a_users_own_and_only_if_all_emotions_are_known(train, monkeypatch):
    calls = []
    monkeypatch.setattr(controls, "rendered", lambda config, count, rng: calls.append(count) or train.images[:9])
    config = override(smoke.get_config(), {"data.source": "folder", "data.path": "somewhere"})
    names = ["augmented", "augmented_again", "mixtures", "rendered", "copies", "gaussian"]
    assert list(control_sets(config, train, 3)) == names
    strange = replace(train, emotions=("neutral", "happiness", "boredom"))
    assert controls.unknown_to_renderer(strange.emotions) == ["boredom"]
    assert "rendered" not in control_sets(config, strange, 3) and calls == [3]


@pytest.mark.nightly
def test_rendered_faces_are_prepared_as_the_runs_own():
    config = override(smoke.get_config(), {"data.source": "folder", "data.path": "somewhere"})
    images = controls.rendered(config, 2, np.random.default_rng(0))
    side = config.data.resolution
    assert images.shape == (2 * len(config.data.emotions), side, side)
    assert (images == 1).any() and images.min() < -0.5
