"""Faces as points and groups of features as numbers, for the paper's figures 9, 10 and 11; none of them is a score."""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from depthjax.evaluate.handcrafted import feature_groups
from depthjax.evaluate.spaces import CLIP, fit_fused_space

LDA_DIMENSIONS = 32  # principal components before LDA: with thousands, any labels could be separated
TSNE_DIMENSIONS = 50
PERPLEXITY = 30.0
DRAWN = 1200  # points of the t-SNE in all: its time grows faster than they do


def embed(
    features: Mapping[str, np.ndarray],
    emotion: Mapping[str, np.ndarray],
    *,
    size: int,
    seed: int,
    per_emotion: int = 200,
) -> dict[str, np.ndarray]:
    """Return what figures 9 to 11 show of each set.

    Args:
        features: (n, d) fused features of `train`, `test` and each method, at `size` pixels.
        per_emotion: at most this many faces of an emotion are points of a set; fewer, if there are many sets.
    Returns:
        For each set NAME: `emotion/NAME` (m,), `lda/NAME` (m,), `tsne/NAME` (m, 2), `correlation/NAME` (4, 4) by
        `feature_groups`; and `correlation/both/METHOD` of train and the method's faces together.
    """
    classes = len(np.unique(emotion["train"]))
    per_emotion = max(2, min(per_emotion, DRAWN // (len(features) * classes)))
    rows = {name: _some(emotion[name], per_emotion, seed) for name in features}
    axis = discriminant_axis(features["train"], emotion["train"])
    drawn = {name: features[name][rows[name]] for name in features}
    points = tsne(drawn, seed=seed)
    groups = group_scores(features, size=size)
    result: dict[str, np.ndarray] = {}
    for name in features:
        result[f"emotion/{name}"] = emotion[name][rows[name]].astype(np.int32)
        result[f"lda/{name}"] = axis(drawn[name]).astype(np.float32)
        result[f"tsne/{name}"] = points[name]
        result[f"correlation/{name}"] = correlations(groups[name])
        if name not in ("train", "test"):
            result[f"correlation/both/{name}"] = correlations(np.concatenate([groups["train"], groups[name]]))
    return result


def _some(emotion: np.ndarray, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(emotion == label))[:count] for label in np.unique(emotion)]
    return np.sort(np.concatenate(chosen))


def discriminant_axis(features: np.ndarray, emotion: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map of (m, d) to (m,): training faces' first linear discriminant, of unit variance in an emotion."""
    space = fit_fused_space(features, LDA_DIMENSIONS)
    with threadpool_limits(1, "blas"):
        lda = LinearDiscriminantAnalysis(n_components=1).fit(space.project(features), emotion)
    return lambda values: lda.transform(space.project(values))[:, 0]


def tsne(features: Mapping[str, np.ndarray], *, seed: int) -> dict[str, np.ndarray]:
    """Return all sets in one t-SNE (van der Maaten and Hinton 2008), (m, 2) float32 each."""
    values = np.concatenate(list(_standardised(features).values()))
    count = min(TSNE_DIMENSIONS, len(values) - 1, values.shape[1])
    reduced = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(values)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 4)
    points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    ends = np.cumsum([len(v) for v in features.values()])[:-1]
    return {name: part.astype(np.float32) for name, part in zip(features, np.split(points, ends), strict=True)}


def group_scores(features: Mapping[str, np.ndarray], *, size: int) -> dict[str, np.ndarray]:
    """Return each face's coordinate on the first principal component of each group of features, (n, 4) a set.

    The components are those of the standardised training faces, signed so that most loadings are positive. The paper
    does not say which values of a group its correlations are taken of; this is the one that explains most of it.
    """
    scaled = _standardised(features)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in features}
    for group in feature_groups(size).values():
        pca = PCA(1, svd_solver="randomized", random_state=0).fit(scaled["train"][:, group])
        sign = 1.0 if pca.components_[0].sum() >= 0 else -1.0
        for name, values in scaled.items():
            columns[name].append(sign * pca.transform(values[:, group])[:, 0])
    return {name: np.stack(scores, axis=1) for name, scores in columns.items()}


def _standardised(features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return every set on the scale of `train`, clipped as the fused space is."""
    scaler = StandardScaler().fit(features["train"])
    return {name: np.clip(scaler.transform(v), -CLIP, CLIP) for name, v in features.items()}


def correlations(scores: np.ndarray) -> np.ndarray:
    """Return (k, k) float32 Pearson correlations of the columns of (n, k); 0 where a column does not vary."""
    centred = scores - scores.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    unit = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    found = unit.T @ unit
    np.fill_diagonal(found, 1.0)
    return found.astype(np.float32)
