import math
from dataclasses import replace

import numpy as np
import pytest

from depthjax.config import Config, Data, to_dict
from depthjax.config_values import override
from depthjax.data.depth_files import Unfit, to_millimetres

BASE = Data(source="folder", path="x")


def of(values, dtype, **settings):
    return to_millimetres(np.array([values], dtype), replace(BASE, **settings))[0].tolist()


@pytest.mark.parametrize(
    ("values", "dtype", "settings", "expected"),
    [
        ([0, 1, 900, 65535], np.uint16, {}, [0, 1, 900, 65535]),
        ([0, 0.9004, 1.2506], np.float32, {}, [0, 900, 1251]),
        ([0, 10, 255], np.uint8, {"scale_mm": 0.6}, [500, 506, 653]),
        ([0, 10, 255], np.uint8, {"polarity": "darker_farther"}, [653, 647, 500]),
        ([0, 10, 255], np.uint8, {"scale_mm": 1.0, "invalid_value": 255.0}, [500, 510, 0]),
        ([0, 900.4, 65535], np.float64, {"scale_mm": 1.0, "invalid_value": 65535.0}, [0, 900, 0]),
        ([0, 9000, 3500], np.uint16, {"scale_mm": 0.1}, [0, 900, 350]),
        ([0, 900 << 3, 350 << 3 | 5], np.uint16, {"scale_mm": 0.125}, [0, 900, 351]),
        ([0.0, 0.5, 1.0], np.float32, {"polarity": "darker_closer", "scale_mm": 200.0}, [500, 600, 700]),
        ([math.nan, 0.9, math.inf, 0], np.float32, {"invalid_value": math.nan}, [0, 900, 0, 0]),
        ([-1, 900], np.int32, {"invalid_value": -1.0}, [0, 900]),
        ([0.1, 0.9], np.float32, {"invalid_value": 0.1}, [0, 900]),
        ([65535, 0], np.uint16, {"scale_mm": 0.1, "polarity": "darker_farther"}, [500, 7054]),
        ([1, 2], np.uint16, {"scale_mm": 1000.0}, [1000, 2000]),
    ],
)
def test_values_become_millimetres(values, dtype, settings, expected):
    assert of(values, dtype, **settings) == expected


@pytest.mark.parametrize(
    ("values", "dtype", "settings", "kind"),
    [
        ([math.nan, 0.9], np.float32, {}, "not finite"),
        ([math.inf, 0.9], np.float32, {"invalid_value": 0.0}, "not finite"),
        ([900.0], np.float32, {}, "too far"),
        ([-0.5, 0.9], np.float32, {}, "negative"),
        ([-1, 900], np.int16, {}, "negative"),
        ([900], np.int16, {"polarity": "darker_farther"}, "polarity"),
        ([0.5], np.float32, {"polarity": "darker_farther"}, "polarity"),
        ([65535], np.uint16, {"polarity": "darker_closer", "scale_mm": 2.0}, "too far"),
        ([70000], np.int32, {}, "too far"),
    ],
)
def test_values_that_are_no_depth_are_refused(values, dtype, settings, kind):
    with pytest.raises(Unfit) as fault:
        of(values, dtype, **settings)
    assert fault.value.kind == kind


def test_a_hole_that_is_not_a_number_can_be_configured_and_saved():
    config = override(Config(), {"data.invalid_value": "nan"})
    assert math.isnan(config.data.invalid_value) and to_dict(config)["data"]["invalid_value"] == "nan"
