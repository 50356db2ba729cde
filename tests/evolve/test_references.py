"""Choices from a pool: closed forms, and the contract that all of them meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import references
from experiments.references import (
    REFERENCES,
    Pool,
    best_of,
    descriptors_of,
    facility_location,
    feasible,
    herding,
    k_centre,
    k_centre_feasible,
    k_dpp,
    select_references,
    truncation,
)
from tests.evolve.conftest import CLASSES, DIVERSE, LATENT, World

FITNESS = jnp.asarray([3.0, 9.0, 1.0, 2.0, 8.0, 7.0])
LINE = jnp.asarray([[0.0], [10.0], [4.0], [9.0], [1.0], [5.2]])
POOL = Pool(FITNESS, LINE, LINE, jnp.float32(3.0), known=np.array([[4.0], [5.0], [8.0]]))


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "FEASIBLE", 2.5)


def test_best_of_takes_one_of_each_group_and_truncation_the_best_of_all() -> None:
    assert best_of(POOL, 3).tolist() == [1, 3, 4]
    assert truncation(POOL, 3).tolist() == [1, 4, 5]


def test_k_centre_is_farthest_first_from_the_fittest() -> None:
    assert k_centre(POOL, 4).tolist() == [1, 0, 5, 2]
    assert k_centre_feasible(POOL, 4).tolist() == [1, 0, 5, 4]  # 2 and 3 are not feasible
    unusable = FITNESS.at[0].set(-jnp.inf)
    assert 0 not in k_centre(POOL._replace(fitness=unusable), 5).tolist()
    assert sorted(k_centre(POOL._replace(fitness=unusable), 6).tolist()) == list(range(6))


def test_principled_choices_are_of_the_feasible() -> None:
    assert feasible(POOL, 3).tolist() == [0, 1, 4, 5]
    assert feasible(POOL, 5).tolist() == [1, 4, 5, 0, 3]  # the fittest, where too few are
    assert herding(POOL, 2).tolist() == [5, 1]  # the bandwidth is 3; 4 and 5 pull more than 8
    assert facility_location(POOL, 3).tolist() == [4, 1, 5]
    assert k_dpp(POOL, 3).tolist() == [1, 4, 5]  # each is worth more than being far from another
    lost = POOL._replace(fitness=FITNESS.at[1].set(-jnp.inf))
    assert 1 not in [*k_dpp(lost, 5), *herding(lost, 3), *facility_location(lost, 3)]


def test_descriptors_of_training_faces_are_those_of_the_relief(world: World) -> None:
    images, emotion = world.faces[:2]
    found = descriptors_of(world.real, images, emotion)
    relief = world.real.relief
    assert relief is not None and len(found) == CLASSES
    shapes = relief.faces.shape[-1]
    for label, own in enumerate(found):
        assert len(own) == (emotion == label).sum()
        np.testing.assert_allclose(own[:, :shapes], relief.faces[label], atol=1e-4)
        assert own.shape[1] > shapes
    # Emotion features are standardised over these faces.
    np.testing.assert_allclose(np.concatenate(found)[:, shapes:].mean(0), 0, atol=2e-3)


def test_every_reference_chooses_distinct_latents_of_one_pool(world: World) -> None:
    def select(evaluations: int) -> dict[str, jax.Array]:
        known = descriptors_of(world.real, *world.faces[:2])
        arguments = world.program(DIVERSE), jax.random.key(0), world.networks, world.real, known, DIVERSE
        return select_references(*arguments, count=4, evaluations=evaluations)

    found = select(20)
    assert set(found) == set(REFERENCES)
    pool = {tuple(row) for latents in found.values() for row in np.asarray(latents).reshape(-1, LATENT).tolist()}
    assert len(pool) < len(found) * 4 * CLASSES  # they share some
    for latents in found.values():
        assert latents.shape == (CLASSES, 4, LATENT)
        assert all(len(np.unique(one, axis=0)) == 4 for one in np.asarray(latents))
    with pytest.raises(ValueError, match="as many evaluations"):
        select(3)
