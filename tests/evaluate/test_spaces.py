import numpy as np
import pytest

from depthjax.evaluate.spaces import (
    box_means,
    fit_fused_space,
    fit_principal_space,
    residual_ratio,
)


def test_principal_space_is_the_svd_of_train_with_unit_variance_on_average():
    x = np.random.default_rng(0).normal(size=(50, 9)) * np.arange(1, 10)
    space = fit_principal_space(x, 4)
    rows = np.linalg.svd(x - x.mean(0))[2][:4]
    np.testing.assert_allclose(np.abs(space.components @ rows.T), np.eye(4), atol=1e-8)
    assert space.project(x).var(0, ddof=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(
        space.residual(x) ** 2 * 9 + (space.project(x) * space.unit) ** 2 @ np.ones(4), ((x - x.mean(0)) ** 2).sum(1)
    )


def test_few_faces_give_fewer_dimensions():
    assert fit_principal_space(np.random.default_rng(0).normal(size=(6, 20)), 32).components.shape == (5, 20)


def test_a_bin_that_training_faces_hardly_fill_cannot_decide_alone():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(80, 10))
    train[:, 3] = rng.normal(size=80) * 1e-6
    space = fit_fused_space(train, 10)
    odd = train.copy()
    odd[:, 3] = 1.0
    moved = np.linalg.norm((space.project(odd) - space.project(train)) * space.principal.unit, axis=1)
    assert moved.max() <= 8 + 1e-6 and moved.min() > 0.5
    np.testing.assert_allclose(space.scaler.mean_, train.mean(0))


@pytest.mark.parametrize("size", [16, 32, 48, 64])
def test_box_means_are_means_over_equal_boxes(size):
    levels = np.random.default_rng(size).integers(0, 256, (3, size, size))
    images = (levels / 127.5 - 1).astype(np.float32)
    means = box_means(images).reshape(3, 32, 32)
    fine = np.repeat(np.repeat(levels / 127.5 - 1, 96 // size, 1), 96 // size, 2) if size in (16, 32, 48) else None
    side = 3 if fine is not None else size // 32
    boxes = (fine if fine is not None else levels / 127.5 - 1).reshape(3, 32, side, 32, side).mean((2, 4))
    np.testing.assert_allclose(means, boxes, atol=1e-12)


def test_residual_ratio_is_one_for_more_of_the_same_and_grows_with_noise(faces):
    train, test = faces(12, 4), faces(6, 4, first=50)
    space = fit_principal_space(box_means(train.images), 32)

    def ratio(generated):
        return residual_ratio(space, box_means(generated), box_means(test.images), test.subject, draws=200, seed=0)

    same, noisy = ratio(faces(6, 4, first=80).images), ratio(faces(6, 4, first=80, noise=0.2).images)
    assert 0.8 < same.value < 1.25 and same.low < same.value < same.high
    assert noisy.low > 1.4 and noisy.n == 72
    assert ratio(test.images).value == pytest.approx(1)


def test_residual_ratio_without_real_residual_gives_a_reason():
    space = fit_principal_space(box_means(np.random.default_rng(0).uniform(-1, 1, (40, 32, 32))), 32)
    still = np.repeat(space.mean[None], 3, 0)
    none = residual_ratio(space, still + 1, still, np.arange(3), draws=5, seed=0)
    assert none.value is None and "wholly inside" in none.reason
