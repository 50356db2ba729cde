"""How varied each method's faces are within an emotion, and whether the emotion is seen: each beside real faces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depthjax.config import Config
from depthjax.data.depth_range import quantise
from depthjax.data.faces import DepthFaces
from depthjax.data.load import added
from depthjax.evaluate.as_published import published_frechet, published_pairs, published_score
from depthjax.evaluate.diversity import median_distance, ms_ssim, vendi_score
from depthjax.evaluate.emotion_scores import agreement, score
from depthjax.evaluate.halves import HalfDraws
from depthjax.evaluate.intervals import bootstrap_counts, bootstrap_mean, percentile_interval
from depthjax.evaluate.judged import Judged, seed_of
from depthjax.evaluate.parallel import in_threads

VENDI_DRAWS = 30
PAIRS = 100  # of each emotion, for MS-SSIM
CHUNK = 25  # pairs at once: bounds the memory
LEAST_PIXELS = 11  # the window of MS-SSIM
INCEPTION_SPLITS = 10
UNKNOWN = {"reason": "depthnet does not know all of these emotions"}


def variety(config: Config, judged: Judged, draws: HalfDraws) -> dict[str, dict]:
    """For each method `vendi` by space, and `ms_ssim`."""
    alike = _ms_ssim_of_all(config, judged)
    tables: dict[str, dict] = {name: {"vendi": {}, "ms_ssim": alike[name]} for name in judged.methods}
    for space, sets in judged.spaces.items():
        width = median_distance(sets["train"][:: max(1, len(sets["train"]) // 1000)])
        real = _vendi(sets["train"], draws.real, judged.classes, width)
        for name in judged.methods:
            ours = _vendi(sets[f"method/{name}"], draws.generated[name], judged.classes, width)
            tables[name]["vendi"][space] = ours | {"real": real}
    return tables


def _vendi(features: np.ndarray, draws: np.ndarray, classes: int, bandwidth: float) -> dict:
    """Within an emotion, mean over emotions, over draws of equally many faces of each."""
    if draws.shape[1] < 2 * classes:
        return {"reason": "too few faces of an emotion"}
    rows = draws[:VENDI_DRAWS].reshape(len(draws[:VENDI_DRAWS]), classes, -1)

    def mean_score(row: np.ndarray) -> float:
        return float(np.mean([vendi_score(features[members], bandwidth) for members in row]))

    values = np.array(in_threads(mean_score, rows))
    return {"value": float(values.mean()), "interval": percentile_interval(values), "n": int(rows.shape[2])}


def _ms_ssim_of_all(config: Config, judged: Judged) -> dict[str, dict]:
    if min(judged.train.images.shape[1:]) < LEAST_PIXELS:
        return {name: {"reason": f"images below {LEAST_PIXELS} pixels"} for name in judged.methods}
    real = _ms_ssim(config, judged.train)
    return {name: _ms_ssim(config, faces) | {"real": real} for name, faces in judged.methods.items()}


def _ms_ssim(config: Config, faces: DepthFaces) -> dict:
    """The mean over random pairs of one emotion, of two people where the set has people."""
    rng, pairs = np.random.default_rng(seed_of(config, "ms-ssim")), []
    for label in range(len(faces.emotions)):
        members = np.flatnonzero(faces.emotion == label)
        drawn = rng.choice(members, (20 * PAIRS, 2))
        other = drawn[faces.subject[drawn[:, 0]] != faces.subject[drawn[:, 1]]]
        pairs.append(other[:PAIRS])
    a, b = np.concatenate(pairs).T
    if not len(a):
        return {"reason": "no two people show one emotion"}
    levels = quantise(faces.images)
    starts = range(0, len(a), CHUNK)
    found = in_threads(lambda i: ms_ssim(levels[a[i : i + CHUNK]], levels[b[i : i + CHUNK]]), starts)
    values = np.concatenate(found)
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "ms-ssim interval")}
    return bootstrap_mean(values, np.arange(len(values)), **options) | {"n": len(values)}


def emotions_seen(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method `emotion_agreement` and `emotion_score` by depthnet; `inception_score` with its weights."""
    tables: dict[str, dict] = {name: {} for name in judged.methods}
    real_seen = _by_depthnet(config, judged, "test", judged.test.subject)
    for name, table in tables.items():
        seen = _by_depthnet(config, judged, f"method/{name}", np.arange(len(judged.methods[name])))
        table |= {key: value if "reason" in value else value | {"real": real_seen[key]} for key, value in seen.items()}
        if judged.inception_probabilities is not None:
            ours, real = (judged.inception_probabilities[key] for key in (f"method/{name}", "test"))
            table["inception_score"] = _split_score(ours) | {"real": _split_score(real)}
    return tables


def _split_score(probabilities: np.ndarray) -> dict:
    """Mean and standard deviation over ten splits, as the Inception Score is defined."""
    values = np.array([score(part) for part in np.array_split(probabilities, INCEPTION_SPLITS) if len(part)])
    return {"value": float(values.mean()), "spread": float(values.std()), "n": len(probabilities)}


def _by_depthnet(config: Config, judged: Judged, name: str, groups: np.ndarray) -> dict[str, dict]:
    """What depthnet sees in one set; intervals resample its groups of faces."""
    if judged.probabilities is None:
        return {"emotion_agreement": UNKNOWN, "emotion_score": UNKNOWN}
    shares = judged.probabilities[name]
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "emotions")}
    right = agreement(shares, judged.sets[name].emotion)
    return {
        "emotion_agreement": bootstrap_mean(right, groups, **options) | {"n": len(right)},
        "emotion_score": _bootstrapped(score, shares, groups, **options) | {"n": len(right)},
    }


def _bootstrapped(
    measure: Callable[..., float], values: np.ndarray, groups: np.ndarray, *, draws: int, seed: int
) -> dict:
    counts = bootstrap_counts(groups, draws, np.random.default_rng(seed))
    spread = np.array([measure(values, weights) for weights in counts])
    return {"value": measure(values), "interval": percentile_interval(spread)}


def as_published(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method the released formulas, on Inception features where there are weights, else on depthnet's.

    Real faces are those of train and test together, as the released scripts take all that there are; without people
    who were added to be tested on.
    """
    space = "inception" if "inception" in judged.spaces else "depthnet"
    probabilities = judged.inception_probabilities or judged.probabilities
    sets, tables = judged.spaces[space], {}
    own = ~added(judged.test.subject, config.data)
    real, real_faces = np.concatenate([sets["train"], sets["test"][own]]), _joined(judged.train, judged.test.take(own))
    for name, faces in judged.methods.items():
        pairs = published_pairs(real_faces, faces)
        other = sets[f"method/{name}"]
        tables[name] = {
            "frechet": {"value": published_frechet(real, other), "features": space, "n": len(other)},
            "score": UNKNOWN
            if probabilities is None
            else {"value": published_score(probabilities[f"method/{name}"]), "features": space},
            "ssim": {"value": pairs["ssim"]},
            "psnr": {"value": pairs["psnr"]},
        }
    return tables


def _joined(a: DepthFaces, b: DepthFaces) -> DepthFaces:
    columns = {key: np.concatenate([getattr(a, key), getattr(b, key)]) for key in ("images", "emotion", "subject")}
    frame = np.concatenate([a.frame, b.frame])
    return DepthFaces(**columns, frame=frame, emotions=a.emotions, depth_range=a.depth_range)
