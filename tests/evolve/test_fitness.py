"""Fitness terms against the formulas in numpy, and their saturation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthjax.config import FITNESS as NAMES
from depthjax.config import Evolve
from depthjax.evolve.fitness import (
    BALL,
    BAND_WEIGHT,
    COPY_WEIGHT,
    FITNESS,
    MIN_LOG_PROBABILITY,
    SHELL_WEIGHT,
    Fitness,
    Measures,
    Weights,
    natural,
    norm_shell_penalty,
    of_emotion,
    weights_of,
    worst_if_not_finite,
)
from depthjax.evolve.statistics import Statistics

MEDIAN = jnp.asarray([0.5, 1.0, -0.3])
REAL = Statistics(
    MEDIAN,
    log_probability_median=jnp.asarray([-0.1, -0.2, -0.3]),
    band_low=jnp.tile(jnp.asarray([-0.5, 0.2, 0.1]), (3, 1)),
    band_high=jnp.tile(jnp.asarray([0.5, 0.6, 0.4]), (3, 1)),
    copy_distance=jnp.asarray([0.5, 0.6, 0.7]),
)


def make_fitness(settings: Evolve) -> tuple[Fitness, Weights]:
    return FITNESS[settings.fitness], weights_of(settings, REAL)


def face(mean: float = 0.0, std: float = 0.0, logit: float = 0.0) -> Measures:
    return Measures(jnp.float32(mean), jnp.float32(std), jnp.float32(logit))


def latent_of_norm(norm: float) -> jax.Array:
    z = jax.random.normal(jax.random.key(0), (256,))
    return z / jnp.linalg.norm(z) * norm


def test_published_fitnesses_are_their_formulas() -> None:
    paper, weights = make_fitness(Evolve(fitness="paper"))
    assert np.isclose(paper(face(mean=-0.25, std=0.5), latent_of_norm(16), weights), -0.25 + 0.5)
    released, weights = make_fitness(Evolve(fitness="released"))
    assert np.isclose(released(face(mean=-0.25, std=0.5), latent_of_norm(16), weights), 10 * 0.5 - 5 * 0.25)


def test_released_fitness_is_bounded_by_a_two_tone_image() -> None:
    released, weights = make_fitness(Evolve(fitness="released"))
    image = np.repeat([-1.0, 1.0], 50)
    assert np.isclose(released(face(image.mean(), image.std()), latent_of_norm(16), weights), 10)


def realism_of(logit: float, norm: float) -> float:
    realism, _ = make_fitness(Evolve(fitness="realism"))
    return float(realism(face(logit=logit), latent_of_norm(norm), Weights(1.0, jnp.float32(0.5))))


def test_realism_gives_no_credit_above_the_median_of_training_faces() -> None:
    assert np.isclose(realism_of(-2, 16), -2)
    assert realism_of(0.5, 16) == realism_of(50, 16) == realism_of(np.inf, 16) == 0.5


@pytest.mark.parametrize("side", [-1, 1])
def test_norm_shell_is_free_inside_two_standard_deviations_then_one_logit_each(side: int) -> None:
    sigma = 0.5**0.5
    assert np.isclose(realism_of(3, 16 + side * 1.9 * sigma), 0.5)
    assert np.isclose(realism_of(3, 16 + side * 5 * sigma), 0.5 - 3, atol=1e-4)


def test_few_normal_latents_leave_the_shell() -> None:
    latents = jax.random.normal(jax.random.key(1), (20_000, 256))
    outside = np.mean(np.asarray(jax.vmap(norm_shell_penalty)(latents)) > 0)
    assert 0.03 < outside < 0.06  # a normal distribution has 0.046


def test_nan_and_infinity_become_the_worst_value_and_nothing_else_changes() -> None:
    found = np.asarray(worst_if_not_finite(jnp.asarray([1.0, jnp.nan, -3.0, jnp.inf])))
    assert found.tolist() == [1.0, -np.inf, -3.0, -np.inf]


def test_every_fitness_of_the_config_exists() -> None:
    assert set(FITNESS) == set(NAMES)
    for name in NAMES:
        fitness, weights = make_fitness(Evolve(fitness=name))
        assert fitness(face(), latent_of_norm(16), of_emotion(weights, jnp.int32(0))).shape == ()


GOOD = Measures(*map(jnp.float32, (0.0, 0.4, 2.0, 0.2, -0.05, 0.7, 1.0)))


def natural_of(norm: float = 16.0, **worse: float) -> float:
    weights = weights_of(Evolve(fitness="natural", emotion_weight=1.0), REAL)
    measures = GOOD._replace(**{name: jnp.float32(value) for name, value in worse.items()})
    return float(natural(measures, latent_of_norm(norm), of_emotion(weights, jnp.int32(0))))


def test_a_face_like_the_training_faces_has_nothing_to_gain() -> None:
    assert natural_of() == 0
    assert natural_of(logit=50, log_probability=0, outside=0, nearest=9, mean=0.49) == 0


@pytest.mark.parametrize(
    ("worse", "lost"),
    [
        ({"log_probability": -1.1}, 1.0),
        ({"log_probability": -1e9}, -MIN_LOG_PROBABILITY),
        ({"outside": BALL + 0.5}, 0.5),
        ({"logit": -2.5}, 0.0),  # not read
        ({"mean": 0.7}, 2.0 * BAND_WEIGHT),
        ({"std": 0.1}, 1.0 * BAND_WEIGHT),
        ({"empty": 0.45}, 0.5 * BAND_WEIGHT),
        ({"nearest": 0.49}, COPY_WEIGHT),
        ({"norm": 16 + 5 * 0.5**0.5}, 3.0 * SHELL_WEIGHT),
        ({"log_probability": -1.1, "outside": BALL + 0.5}, 1.5),
    ],
)
def test_each_term_costs_its_weight(worse: dict[str, float], lost: float) -> None:
    assert np.isclose(natural_of(**worse), -lost, atol=1e-4)


def test_a_face_without_a_measure_has_no_value() -> None:
    assert np.isnan(natural_of(log_probability=np.nan)) and np.isnan(natural_of(outside=np.nan))
