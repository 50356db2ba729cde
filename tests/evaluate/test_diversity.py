import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from depthjax.evaluate.diversity import (
    MS_SSIM_WEIGHTS,
    gaussian_kernel,
    median_distance,
    ms_ssim,
    rke_score,
    scales_for,
    vendi_score,
)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(4, 64, 64)), (0, 3, 3)) * 600 + 128
    return np.clip(smooth, 0, 255).astype(np.uint8)


def effective(features):
    kernel = gaussian_kernel(np.asarray(features, float), 1.0)
    return vendi_score(kernel), rke_score(kernel)


def test_effective_numbers_count_clusters_that_do_not_touch():
    centres = 1000 * np.eye(4)
    assert effective(np.repeat(centres, 5, axis=0)) == pytest.approx((4, 4))
    assert effective(np.zeros((9, 3))) == pytest.approx((1, 1))
    assert effective(1000 * np.eye(7)) == pytest.approx((7, 7))
    vendi, rke = effective(np.repeat(centres[:2], [3, 1], axis=0))
    assert vendi == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert rke == pytest.approx(1 / (0.75**2 + 0.25**2))


def test_rke_is_the_renyi_entropy_of_order_two_of_the_eigenvalues():
    kernel = gaussian_kernel(np.random.default_rng(0).normal(size=(40, 3)), 1.5)
    eigenvalues = np.linalg.eigvalsh(kernel / 40)
    assert rke_score(kernel) == pytest.approx(np.exp(-np.log((eigenvalues**2).sum())))
    assert 1 < rke_score(kernel) < vendi_score(kernel) < 40  # entropies fall with their order


def test_bandwidth_is_the_median_over_pairs():
    assert median_distance(np.array([[0.0], [1.0], [3.0]])) == 2.0
    assert median_distance(np.zeros((4, 2))) == 1.0


def test_scales_hold_the_window():
    assert [scales_for(side) for side in (11, 21, 22, 64, 128, 176, 256)] == [1, 1, 2, 3, 4, 5, 5]


def test_at_one_scale_it_is_scikit_images_ssim(pictures):
    small = pictures[:, :20, :20]
    found = ms_ssim(small[:2], small[2:])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = [structural_similarity(a, b, **options) for a, b in zip(small[:2], small[2:], strict=True)]
    np.testing.assert_allclose(found, np.clip(expected, 0, None), rtol=1e-6)  # below zero counts as zero


def test_at_three_scales_it_is_the_products_of_the_paper(pictures):
    def blur(image):
        return gaussian_filter(image, 1.5, truncate=3.5, mode="reflect")[5:-5, 5:-5]

    def parts(a, b):
        ma, mb = blur(a), blur(b)
        structure = (2 * (blur(a * b) - ma * mb) + 58.5225) / (blur(a * a) - ma**2 + blur(b * b) - mb**2 + 58.5225)
        return ((2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025) * structure).mean(), structure.mean()

    a, b = pictures[0].astype(float), (0.7 * pictures[0] + 0.3 * pictures[1]).astype(np.uint8).astype(float)
    halves = [(a, b)]
    for _ in range(2):
        halves += [tuple(x.reshape(len(x) // 2, 2, -1, 2).mean((1, 3)) for x in halves[-1])]
    weights = np.array(MS_SSIM_WEIGHTS[:3]) / sum(MS_SSIM_WEIGHTS[:3])
    expected = (
        parts(*halves[0])[1] ** weights[0] * parts(*halves[1])[1] ** weights[1] * parts(*halves[2])[0] ** weights[2]
    )
    assert ms_ssim(a[None], b[None])[0] == pytest.approx(expected, rel=1e-9)


def test_identical_is_one_and_noise_lowers_it(pictures):
    noisy = np.clip(pictures + np.random.default_rng(1).normal(0, 20, pictures.shape), 0, 255)
    np.testing.assert_allclose(ms_ssim(pictures, pictures), 1)
    assert (ms_ssim(pictures, noisy) < 0.99).all()
