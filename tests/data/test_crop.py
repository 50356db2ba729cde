import numpy as np
import pytest

from depthjax.data.crop import FACE_ROWS, face_square, nose_distance, to_square


def test_of_an_ikfdb_crop_the_nose_is_the_20th_nearest_return_of_its_region():
    rng = np.random.default_rng(0)
    crops = np.where(rng.random((6, 200, 128)) < 0.5, rng.integers(600, 1300, (6, 200, 128)), 0).astype(np.uint16)
    crops[4], crops[5, 96:132] = 0, 0
    crops[5, 100, 44:63] = 700  # 19 returns: one too few
    region = crops[:, 96:132, 44:84].reshape(6, -1)
    expected = [sorted(row[row > 0])[19] if (row > 0).sum() >= 20 else 0 for row in region]
    assert nose_distance(crops).tolist() == expected and expected[4:] == [0, 0]


def test_the_nose_is_found_alike_in_any_size():
    small = np.full((1, 100, 64), 1000, np.uint16)
    small[0, 55:62, 30:34] = 900
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    assert nose_distance(small).tolist() == nose_distance(large).tolist() == [900]


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((200, 128), FACE_ROWS, slice(0, 128)),
        ((100, 100), slice(0, 100), slice(0, 100)),
        ((100, 160), slice(0, 100), slice(30, 130)),
        ((110, 100), slice(10, 110), slice(0, 100)),  # 60 % of the height is too low for so large a square
        ((400, 100), slice(190, 290), slice(0, 100)),
    ],
)
def test_the_face_is_the_largest_square_a_little_below_the_middle(shape, rows, columns):
    assert face_square(shape) == (rows, columns)
    image = np.random.default_rng(0).random((1, *shape), np.float32)
    size = rows.stop - rows.start
    assert np.allclose(to_square(image, size, crop="face")[0], image[0, rows, columns], atol=1e-6)
