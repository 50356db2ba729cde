"""The networks that read emotions for evolution: what they learn, and whom each of them must not have seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.evolve.reader import FOLDS, SURFACE, Reader, augmented, fit_readers, read_emotions

CLASSES, SIDE, PEOPLE, EACH = 3, 16, 8, 3


def people(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tilted planes of each person's own, with a ridge where the emotion is: shapes, emotion, subject."""
    rng = np.random.default_rng(seed)
    subject, emotion = np.repeat(np.arange(PEOPLE), CLASSES * EACH), np.tile(np.arange(CLASSES), PEOPLE * EACH)
    tilt = rng.uniform(-0.3, 0.3, (PEOPLE, 1, 1))[subject] * np.linspace(-1, 1, SIDE)[None, :, None]
    shapes = tilt + 0.02 * rng.standard_normal((len(subject), SIDE, SIDE))
    for face, label in zip(shapes, emotion, strict=True):
        face[4 * label + 2 : 4 * label + 5] -= 0.3
    return shapes.astype(np.float32), emotion, subject


@pytest.fixture(scope="module")
def fitted():
    return fit_readers(*people(), classes=CLASSES, steps=80, seed=0)


def test_strangers_are_read(fitted) -> None:
    readers, read = fitted
    shapes, emotion, _ = people(seed=1)
    shares = np.asarray(read_emotions(readers, jnp.asarray(shapes)))
    assert (shares.argmax(1) == emotion).mean() > 0.95
    assert (read > np.log(0.5)).mean() > 0.9


def test_what_is_read_is_the_mean_probability_of_all(fitted) -> None:
    shapes = people()[0][:5]
    each = []
    for number in range(FOLDS):
        logits = np.asarray(Reader(CLASSES).apply(jax.tree.map(lambda x, i=number: x[i], fitted[0]), shapes, False))
        each.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    found = np.asarray(read_emotions(fitted[0], jnp.asarray(shapes)))
    np.testing.assert_allclose(np.exp(found), np.mean(each, 0), atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)


def test_each_person_is_read_by_one_who_has_not_seen_them() -> None:
    shapes, emotion, subject = people()
    options = {"classes": CLASSES, "steps": 5, "seed": 0}
    before, read = fit_readers(shapes, emotion, subject, **options)
    unknown = subject % FOLDS == 1
    other = np.where(unknown[:, None, None], shapes[::-1], shapes)
    after, _ = fit_readers(other, emotion, subject, **options)
    same = [np.array_equal(*(x["params"]["hidden"]["kernel"][number] for x in (before, after))) for number in range(4)]
    assert same == [False, True, False, False]
    logits = Reader(CLASSES).apply(jax.tree.map(lambda x: x[1], before), shapes[unknown], False)
    own = jax.nn.log_softmax(logits)[np.arange(unknown.sum()), emotion[unknown]]
    np.testing.assert_allclose(read[unknown], own, atol=1e-5)


def test_same_seed_same_readers_and_another_seed_others() -> None:
    found = [fit_readers(*people(), classes=CLASSES, steps=3, seed=seed)[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_too_few_people_are_read_by_one_who_knows_them() -> None:
    shapes, emotion, subject = people()
    readers, read = fit_readers(shapes, emotion, 0 * subject, classes=CLASSES, steps=2, seed=0)
    assert jax.tree.leaves(readers)[0].shape[0] == 1 and np.isfinite(read).all()


def test_augmentation_leaves_background_and_holes_as_they_are() -> None:
    shapes = np.full((20, SIDE, SIDE), 1.0, np.float32)
    shapes[:, 5:9, 3:9] = -0.4
    found = np.asarray(augmented(jax.random.key(0), jnp.asarray(shapes)))
    surface = found <= SURFACE
    assert (surface.sum((1, 2)) == 4 * 6).all() and (found[~surface] == 1).all()
    columns = {tuple(np.flatnonzero(face.any(0))) for face in surface}
    assert {c[0] for c in columns} <= {2, 3, 4, 6, 7, 8} and len(columns) > 3  # moved and mirrored
    assert found[surface].std() > 0.02
