import numpy as np
import pytest

from depthjax.data.depth_range import DepthRange


@pytest.fixture
def window():
    return DepthRange(near_mm=-20.0, far_mm=130.0)


def test_the_window_maps_its_edges_to_minus_one_and_one(window):
    depth = np.array([[[980, 1130, 1055]]], np.uint16)
    assert np.allclose(window.from_mm(depth, np.array([1000.0])), [[[-1, 1, 0]]], atol=1e-6)


def test_no_return_and_background_are_far(window):
    depth = np.array([[[0, 4000, 1131]]], np.uint16)
    assert np.array_equal(window.from_mm(depth, np.array([1000.0])), [[[1, 1, 1]]])


def test_millimetres_come_back(window):
    relief = np.linspace(-20, 130, 151, dtype=np.float32).reshape(1, 1, -1)
    assert np.allclose(window.to_mm(window.from_relief(relief)), relief, atol=1e-4)
    assert window.from_relief(relief).dtype == np.float32


def test_each_face_is_measured_from_its_own_nose(window):
    depth = np.array([[[1000]], [[900]]], np.uint16)
    mapped = window.from_mm(depth, np.array([1000.0, 900.0]))
    assert mapped[0] == mapped[1]
