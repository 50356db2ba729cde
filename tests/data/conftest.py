import pytest

from depthjax.data.generate import generate
from depthjax.data.head_model import load_head_model


@pytest.fixture(scope="session")
def head():
    return load_head_model()


@pytest.fixture(scope="session")
def frames():
    """Two people, three emotions, four frames each: one compilation for all tests."""
    return list(
        generate(
            subjects=range(2), emotions=("neutral", "happiness", "surprise"), frames=4, seed=3, full_sequence=False
        )
    )
