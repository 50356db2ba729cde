import numpy as np

from depthjax.data.people import ACTIONS, AGES, MICRO, action_weights, head_pose, intensity, sample_person


def test_the_head_is_whole(head):
    assert head.base.shape[0] == head.face_targets.shape[1] == head.local_targets.shape[1]
    assert len(head.face) == 52 and len(head.macro) == 18
    assert head.quads.max() == len(head.base) - 1
    assert {"eyeBlinkLeft", "jawOpen", "mouthSmileRight"} <= set(head.face)


def test_every_action_of_an_emotion_exists(head):
    for actions in ACTIONS.values():
        for action in actions:
            assert action in head.face or {f"{action}Left", f"{action}Right"} <= set(head.face)


def test_a_person_depends_on_seed_and_number_alone(head):
    once, again = (sample_person(head, seed=4, subject=7) for _ in range(2))
    other, elsewhere = sample_person(head, seed=4, subject=8), sample_person(head, seed=5, subject=7)
    assert np.array_equal(once.rest, again.rest)
    for someone in (other, elsewhere):
        assert np.abs(once.rest - someone.rest).max() > 3  # mm


def test_forty_people_are_twenty_four_men_and_sixteen_women_of_all_ages(head):
    people = [sample_person(head, seed=0, subject=i) for i in range(40)]
    assert [p.sex for p in people].count("male") == 24
    ages = np.array([p.age for p in people])
    assert AGES[0] <= ages.min() < 15 and 60 < ages.max() <= AGES[1]


def test_the_nose_is_in_front_of_the_eyes_and_below(head):
    for subject in range(10):
        x, y, z = sample_person(head, seed=1, subject=subject).rest[head.nose_tip]
        assert abs(x) < 8 and -70 < y < -15 and 15 < z < 60


def test_intensity_begins_as_a_micro_expression_and_reaches_the_apex():
    phase = np.linspace(0, 1, 200)
    strength = intensity(phase)
    assert strength[phase <= MICRO].max() < 0.3
    assert strength.max() == 1 and strength[-1] < 1
    assert np.abs(np.diff(strength)).max() < 0.05  # no jumps


def test_emotions_use_their_own_actions(head):
    person = sample_person(head, seed=0, subject=0)
    phase = np.linspace(0.6, 0.9, 5)
    happy = action_weights(head, person, "happiness", phase, seed=0)
    neutral = action_weights(head, person, "neutral", phase, seed=0)
    smile = head.face["mouthSmileLeft"]
    assert happy[:, smile].min() > neutral[:, smile].max() + 0.2
    assert happy.min() >= 0 and happy.max() <= 1.2 and happy.shape == (5, 52)


def test_the_head_moves_smoothly(head):
    person = sample_person(head, seed=0, subject=0)
    pose = head_pose(person, "fear", np.linspace(0, 1, 100), seed=0)
    assert np.abs(np.diff(pose, axis=0)).max() < np.deg2rad(2)
    assert np.abs(pose).max() < np.deg2rad(25)


def test_a_wide_population_differs_more(head):
    """Noses and chins are farther apart, heads turn more, and smiles are of any intensity."""
    usual, wide = ([sample_person(head, seed=0, subject=i, wide=of).rest for i in range(12)] for of in (False, True))
    spread = [np.linalg.norm(np.std(rest, axis=0), axis=1).mean() for rest in (usual, wide)]
    assert spread[1] > 1.05 * spread[0]
    person, phase = sample_person(head, seed=0, subject=0), np.linspace(0.5, 1, 40)
    turns = [head_pose(person, "fear", phase, seed=0, wide=of) for of in (False, True)]
    assert np.allclose(turns[1], 1.6 * turns[0])
    smile = action_weights(head, person, "happiness", phase, seed=0, wide=True)[:, head.face["mouthSmileLeft"]]
    assert smile.min() < 0.5 * smile.max() and smile.min() > 0
