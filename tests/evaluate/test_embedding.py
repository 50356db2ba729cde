import numpy as np
import pytest

from depthjax.evaluate.embedding import correlations, discriminant_axis, embed
from depthjax.evaluate.handcrafted import fused_features


@pytest.fixture(scope="module")
def sets(faces):
    made = {"train": faces(6, 3), "test": faces(2, 3, first=100), "gan": faces(4, 3, noise=0.2, seed=3)}
    features = {name: fused_features(f.images, size=64) for name, f in made.items()}
    return features, {name: f.emotion for name, f in made.items()}


@pytest.fixture(scope="module")
def embedding(sets):
    return embed(*sets, size=64, seed=0, per_emotion=8)


def test_every_set_has_its_points_and_correlations(embedding, sets):
    for name, emotion in sets[1].items():
        kept = embedding[f"emotion/{name}"]
        assert np.bincount(kept).tolist() == [min(8, count) for count in np.bincount(emotion)]
        assert embedding[f"lda/{name}"].shape == kept.shape and embedding[f"tsne/{name}"].shape == (len(kept), 2)
        np.testing.assert_allclose(np.diag(embedding[f"correlation/{name}"]), 1)
    assert embedding["correlation/both/gan"].shape == (4, 4) and "correlation/both/test" not in embedding
    assert all(np.isfinite(array).all() for array in embedding.values())


def test_the_axis_tells_real_emotions_apart_and_was_fitted_on_them_alone(embedding, sets):
    features, emotion = sets
    values, labels = embedding["lda/train"], embedding["emotion/train"]
    means = [values[labels == label].mean() for label in range(3)]
    assert max(means) - min(means) > 3 * max(values[labels == label].std() for label in range(3))
    axis = discriminant_axis(features["train"], emotion["train"])
    found = [axis(features["train"][emotion["train"] == label]) for label in range(3)]
    variance = sum(((v - v.mean()) ** 2).sum() for v in found) / len(emotion["train"])
    assert variance == pytest.approx(1, rel=1e-6)


def test_the_same_seed_gives_the_same_points(embedding, sets):
    again = embed(*sets, size=64, seed=0, per_emotion=8)
    for name, array in embedding.items():
        np.testing.assert_array_equal(again[name], array)


def test_correlations_are_numpys_and_zero_for_what_does_not_vary():
    scores = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_allclose(correlations(scores), np.corrcoef(scores.T), rtol=1e-5)
    scores[:, 1] = 2
    assert correlations(scores)[0, 1] == 0 and correlations(scores)[1, 1] == 1
