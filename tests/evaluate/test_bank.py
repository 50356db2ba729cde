"""What the evaluation refuses."""

from dataclasses import replace

import numpy as np
import pytest

from depthjax.errors import UserError
from depthjax.evaluate.bank import check_sets


def _broken(faces, change):
    train, test, methods = faces(8, 3), faces(3, 3, first=100), {"cdcgan_kd": faces(8, 3, seed=3)}
    ours = methods["cdcgan_kd"]
    match change:
        case "none":
            return (train, test, {}), "run the sample stage"
        case "name":
            return (train, test, {"train": ours}), "no method can be called 'train'"
        case "shape":
            other = replace(ours, images=ours.images[:, :16])
            return (train, test, {"cdcgan_kd": other}), r"images of method cdcgan_kd have the shape \(16, 32\)"
        case "emotions":
            other = replace(ours, emotions=("neutral", "fear", "happiness"))
            return (train, test, {"cdcgan_kd": other}), "emotions of method cdcgan_kd are neutral, fear"
        case "finite":
            other = replace(ours, images=np.where(ours.images > 0.9, np.nan, ours.images))
            return (train, test, {"cdcgan_kd": other}), "not finite"
        case "few":
            first = int(np.flatnonzero(test.emotion == 2)[0])
            few = test.take((test.emotion != 2) | (np.arange(len(test)) == first))
            return (train, few, methods), "the held-out faces: 1 face of 'fear'"


@pytest.mark.parametrize("change", ["none", "name", "shape", "emotions", "finite", "few"])
def test_bad_input_is_one_line(faces, change):
    broken, message = _broken(faces, change)
    with pytest.raises(UserError, match=message) as caught:
        check_sets(*broken)
    assert "\n" not in str(caught.value)
