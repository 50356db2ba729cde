"""The emotion classifiers of evolution: what they learn, and which subjects each of them must not have seen."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from depthjax.config import Config
from depthjax.config_values import override
from depthjax.data.noise import BACKGROUND
from depthjax.evolve import emotion_classifiers
from depthjax.evolve.emotion_classifiers import FOLDS, EmotionClassifier, classify, fit_classifiers
from depthjax.evolve.statistics import shapes as shapes_of
from depthjax.evolve.statistics import statistics_of
from depthjax.evolving import _flat, classifier_report, reads_emotions
from tests.evolve.conftest import CLASSES, FRAMES, SUBJECTS, World, compare_faces

# As many faces, subjects and pixels as `world` has: one compiled program trains both.
SIDE = 32
# Compiled once: operation by operation they would be compiled, too.
logits_of = jax.jit(partial(EmotionClassifier(CLASSES).apply, train=False))
augmented = jax.jit(emotion_classifiers.augmented)


def training_faces(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tilted planes of each subject's own, with a ridge where the emotion is: shapes, emotion, subject."""
    rng = np.random.default_rng(seed)
    subject, emotion = np.repeat(np.arange(SUBJECTS), CLASSES * FRAMES), np.tile(np.arange(CLASSES), SUBJECTS * FRAMES)
    tilt = rng.uniform(-0.3, 0.3, (SUBJECTS, 1, 1))[subject] * np.linspace(-1, 1, SIDE)[None, :, None]
    shapes = tilt + 0.02 * rng.standard_normal((len(subject), SIDE, SIDE))
    for face, label in zip(shapes, emotion, strict=True):
        face[8 * label + 4 : 8 * label + 10] -= 0.3
    return shapes.astype(np.float32), emotion, subject


@pytest.fixture(scope="module")
def fitted():
    return fit_classifiers(*training_faces(), classes=CLASSES, steps=80, seed=0)


def test_unseen_subjects_are_classified(fitted) -> None:
    shapes, emotion, _ = training_faces(seed=1)
    shares = np.asarray(classify(fitted.variables, jnp.asarray(shapes)).log_probability)
    assert (shares.argmax(1) == emotion).mean() > 0.95
    assert (fitted.log_probability > np.log(0.5)).mean() > 0.9 and fitted.accuracy > 0.9


def test_the_result_is_the_mean_probability_of_all_networks(fitted) -> None:
    shapes = training_faces()[0]
    each = []
    for number in range(FOLDS):
        logits = np.asarray(logits_of(jax.tree.map(lambda x, i=number: np.asarray(x)[i], fitted.variables), shapes))
        each.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    found = np.asarray(classify(fitted.variables, jnp.asarray(shapes)).log_probability)
    np.testing.assert_allclose(np.exp(found), np.mean(each, 0), atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)


def test_each_subject_is_classified_by_a_network_that_has_not_seen_it() -> None:
    shapes, emotion, subject = training_faces()
    options = {"classes": CLASSES, "steps": 5, "seed": 0}
    before, read, right, hidden = fit_classifiers(shapes, emotion, subject, **options)
    unknown = subject % FOLDS == 1
    other = np.where(unknown[:, None, None], shapes[::-1], shapes)
    after = fit_classifiers(other, emotion, subject, **options).variables
    kernels = [np.asarray(variables["params"]["hidden"]["kernel"]) for variables in (before, after)]
    same = [np.array_equal(*pair) for pair in zip(*kernels, strict=True)]
    assert same == [False, True, False, False]
    logits = np.asarray(logits_of(jax.tree.map(lambda x: np.asarray(x)[1], before), shapes))[unknown]
    own = log_softmax(logits, axis=1)[np.arange(unknown.sum()), emotion[unknown]]
    np.testing.assert_allclose(read[unknown], own, atol=1e-5)
    assert 0 <= right <= 1
    np.testing.assert_allclose(hidden, classify(before, jnp.asarray(shapes)).hidden, atol=1e-5)


def test_same_seed_same_networks_and_another_seed_others() -> None:
    found = [
        fit_classifiers(*training_faces(), classes=CLASSES, steps=3, seed=seed).log_probability for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_an_emotion_of_one_fold_is_classified_by_a_network_that_has_seen_it() -> None:
    shapes, _, subject = training_faces()
    emotion = (subject % FOLDS == 0).astype(int)
    found = fit_classifiers(shapes, emotion, subject, classes=CLASSES, steps=2, seed=0)
    assert np.isfinite(found.log_probability).all() and np.isnan(found.accuracy)


@pytest.mark.nightly
def test_too_few_subjects_are_classified_by_a_network_that_has_seen_them() -> None:
    shapes, emotion, subject = training_faces()
    found = fit_classifiers(shapes, emotion, 0 * subject, classes=CLASSES, steps=2, seed=0)
    assert jax.tree.leaves(found.variables)[0].shape[0] == 1 and np.isfinite(found.log_probability).all()
    assert np.isnan(found.accuracy)


def test_the_accuracy_on_unseen_subjects_is_reported(world: World) -> None:
    def line(share: float | None) -> str:
        known = None if share is None else jnp.float32(share)
        return classifier_report(world.real._replace(classifier_accuracy=known), 3)

    assert line(0.917) == "emotion classifiers: accuracy 92 % on unseen subjects"
    assert line(0.4).endswith("close to chance: evolution cannot rely on them")
    assert "unknown" in line(np.nan) and "unknown" in line(None)


@pytest.mark.parametrize(("fitness", "reads"), [("natural", True), ("realism", False), ("released", False)])
def test_classifiers_are_trained_only_where_a_fitness_reads_them(fitness: str, reads: bool) -> None:
    assert reads_emotions(override(Config(), {"evolve.fitness": fitness})) is reads


def test_emotion_features_are_components_of_the_hidden_layers(world: World) -> None:
    images, emotion, _, _ = world.faces
    relief = world.real.relief
    assert relief is not None and relief.emotion_features is not None
    reading = np.asarray(compare_faces(relief, jnp.asarray(images), jnp.asarray(emotion)).emotion_features)
    hidden = np.asarray(classify(relief.classifiers, shapes_of(jnp.asarray(images))).hidden, np.float64)
    centred = hidden - hidden.mean(0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    own = left[:, :16] * spread[:16]
    np.testing.assert_allclose(np.abs(reading), np.abs(own) / np.sqrt(own.var(0, ddof=1).mean()), atol=5e-3)


def test_an_own_fitness_may_classify() -> None:
    assert reads_emotions(override(Config(), {"evolve.fitness": "mine.py:flat"}))


def test_without_classifiers_faces_are_compared_but_not_classified(world: World) -> None:
    images, emotion, _, _ = world.faces
    real = statistics_of(*world.faces, classes=2, classifier_steps=0, seed=0)
    assert real.relief is not None and real.relief.classifiers is None and real.log_probability_median is None
    seen = compare_faces(real.relief, jnp.asarray(images), jnp.asarray(emotion))
    assert np.isnan(seen.log_probability).all() and np.isfinite(seen.outside).all()
    assert seen.emotion_features.shape == (len(images), 0) and real.relief.emotion_features is None
    assert "log_probability_median" not in _flat(real) and "relief/classifiers/params/emotion/bias" in _flat(world.real)


def test_augmentation_leaves_background_and_invalid_depth_as_they_are() -> None:
    shapes = np.full((60, 16, 16), 1.0, np.float32)
    shapes[:, 5:9, 3:9] = -0.4
    found = np.asarray(augmented(jax.random.key(0), jnp.asarray(shapes)))
    surface = found <= BACKGROUND
    assert (surface.sum((1, 2)) == 4 * 6).all() and (found[~surface] == 1).all()
    left, top = ({np.flatnonzero(face.any(axis))[0] for face in surface} for axis in (0, 1))
    assert {2, 4, 6, 8} <= left <= {2, 3, 4, 6, 7, 8} and top == {4, 5, 6}  # moved, and mirrored
    depths = found[surface].reshape(len(found), -1)
    assert 0.01 < depths.std(1).mean() < 0.03 and 0.02 < depths.mean(1).std() < 0.06  # noise; deeper or flatter


def test_where_a_side_comes_in_its_edge_is_repeated() -> None:
    shapes = np.full((60, 16, 16), -0.5, np.float32)
    shapes[:, :2] = 1.0  # background above, face down to the lower side
    background = np.asarray(augmented(jax.random.key(1), jnp.asarray(shapes))) > BACKGROUND
    assert set(background.any(2).sum(1)) == {1, 2, 3} and not background[:, -3:].any()
