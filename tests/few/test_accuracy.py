import numpy as np

from depthjax.few.accuracy import _weights


def test_rendered_faces_together_weigh_a_fixed_share_of_the_known_ones():
    assert _weights({"real": 6, "augmented": 20}) is None
    weight = _weights({"real": 6, "augmented": 20, "rendered": 24})
    assert weight.shape == (50,) and np.all(weight[:26] == 1) and np.isclose(weight[26:].sum(), 0.3 * 6)
