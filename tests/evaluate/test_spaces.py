import numpy as np
import pytest

from depthjax.evaluate.spaces import (
    alternation,
    box_means,
    checkerboard_ratio,
    fit_fused_space,
    fit_principal_space,
    fit_relief_space,
    invalid_pixels,
    invalid_ratio,
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
    space = fit_relief_space(box_means(train.images))

    def ratio(generated):
        return residual_ratio(space, box_means(generated), box_means(test.images), test.subject, draws=200, seed=0)

    same, noisy = ratio(faces(6, 4, first=80).images), ratio(faces(6, 4, first=80, noise=0.2).images)
    assert 0.8 < same.value < 1.25 and same.low < same.value < same.high
    assert noisy.low > 1.4 and noisy.n == 72
    assert ratio(test.images).value == pytest.approx(1)


def test_residual_ratio_without_real_residual_gives_a_reason():
    space = fit_relief_space(box_means(np.random.default_rng(0).uniform(-1, 1, (40, 32, 32))))
    still = np.repeat(space.mean[None], 3, 0)
    none = residual_ratio(space, still + 1, still, np.arange(3), draws=5, seed=0)
    assert none.value is None and "wholly inside" in none.reason


def test_alternation_is_the_height_of_a_checkerboard_on_the_face():
    rows, columns = np.indices((24, 24))
    board = np.where((rows + columns) % 2, 0.2, -0.2)
    ramp = 0.02 * rows - 0.3
    faces = np.stack([board, board + ramp, ramp + 0.01 * columns, np.where(rows % 2, 0.2, -0.2), np.ones((24, 24))])
    found = alternation(faces)
    step = 1 / 127.5  # of 8 bits
    np.testing.assert_allclose(found[:2], 0.2, atol=step)
    assert (found[2:4] < step).all() and found[4] == 0  # a slope, stripes and no face have none
    half = np.where(columns < 12, board, 1.0)  # what is background counts for nothing
    np.testing.assert_allclose(alternation(half[None]), 0.2, atol=step)


def test_checkerboard_ratio_is_one_for_more_of_the_same_and_sees_a_grid(faces):
    test, more = faces(6, 4, first=50), faces(6, 4, first=80)
    board = np.where(np.indices(more.images.shape[1:]).sum(0) % 2, 0.03, -0.03).astype(np.float32)

    def ratio(images):
        return checkerboard_ratio(images, test.images, test.subject, draws=200, seed=0)

    same, gridded = ratio(more.images), ratio(np.where(more.images < 0.9, more.images + board, more.images))
    assert 0.9 < same.value < 1.1 and same.low < same.value < same.high
    assert gridded.low > 2 and gridded.n == 72
    none = checkerboard_ratio(more.images, np.zeros((3, 32, 32)), np.arange(3), draws=5, seed=0)
    assert none.value is None and "do not alternate" in none.reason


def test_invalid_pixels_are_counted_inside_the_face_only():
    face = np.ones((24, 24))
    face[4:20, 4:20] = 0
    torn = face.copy()
    torn[8, 8] = torn[10, 12:15] = 1  # inside
    torn[4, 11] = 1  # a notch of the outline: fourteen of the 25 around it are face
    torn[4, 4] = 1  # a corner: eight
    grey = np.where(torn == 1, 0.9, torn)  # blurred, and so valid
    lonely = np.ones((24, 24))
    lonely[12, 12] = 0
    np.testing.assert_array_equal(invalid_pixels(np.stack([face, torn, grey, lonely])), [0, 5, 0, 0])
    found = invalid_ratio(np.stack([torn, face]), np.stack([torn] * 4), np.arange(4) // 2, draws=20, seed=0)
    assert found.value == 0.5 and found.n == 2
    none = invalid_ratio(torn[None], face[None], np.arange(1), draws=5, seed=0)
    assert none.value is None and "no invalid pixel" in none.reason
