"""Is anything copied? Each method's faces beside the real training faces nearest to them, in every feature space."""

from __future__ import annotations

import numpy as np

from depthjax.config import OWN_METHODS, Config
from depthjax.evaluate.intervals import bootstrap_mean, percentile_interval
from depthjax.evaluate.judged import Judged, seed_of
from depthjax.evaluate.nearest import nearest_similarity, summarise
from depthjax.evaluate.neighbours import authentic, nearest_of_same_emotion, spacing
from depthjax.evaluate.relief import residual_ratio


def likeness(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method: `relief_residual`, `ssim` and `psnr`, beside the same for held-out real faces."""
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "likeness")}
    train, test = judged.train, judged.test
    real = summarise(nearest_similarity(test, train), test.subject, **options)
    result = {}
    for name, faces in judged.methods.items():
        ours = summarise(nearest_similarity(faces, train), np.arange(len(faces)), **options)
        if config.sample.noise and name in OWN_METHODS:  # under fresh noise nothing could be identical: no evidence
            del ours["psnr"]["identical"]
        result[name] = {
            "relief_residual": residual_ratio(
                judged.relief, judged.means[f"method/{name}"], judged.means["test"], test.subject, **options
            ),
            **{kind: ours[kind] | {"real": real[kind]} for kind in ours},
        }
    return result


def copies(config: Config, judged: Judged) -> dict[str, dict]:
    """For each method `auth_pct` and `nearest_ratio`, by feature space."""
    tables: dict[str, dict] = {name: {"auth_pct": {}, "nearest_ratio": {}} for name in judged.methods}
    options = {"draws": config.evaluate.bootstrap, "seed": seed_of(config, "copies")}
    for space, sets in judged.spaces.items():
        people, spaced = judged.test.subject, spacing(sets["train"])
        real = bootstrap_mean(authentic(sets["test"], sets["train"], spaced).astype(float), people, **options)
        held_out = to_train(judged, space, "test")[1]
        for name, faces in judged.methods.items():
            ours, own = authentic(sets[f"method/{name}"], sets["train"], spaced), np.arange(len(faces))
            tables[name]["auth_pct"][space] = (
                bootstrap_mean(ours.astype(float), own, **options)
                | {"n": len(faces)}
                | {"real": real | {"n": len(people)}}
            )
            distance = to_train(judged, space, f"method/{name}")[1]
            tables[name]["nearest_ratio"][space] = median_ratio(distance, held_out, people, **options)
    return tables


def median_ratio(ours: np.ndarray, held_out: np.ndarray, people: np.ndarray, *, draws: int, seed: int) -> dict:
    """The median distance to the nearest training face, over that of people who were held out.

    Near 1: as far from the training faces as strangers are; well below: copies, or faces between those of one person.

    Args:
        ours: (n,) distances of generated faces.
        held_out: (m,) distances of real faces.
        people: (m,) who is on them; the interval resamples them and the generated faces.
        draws: of the bootstrap.
        seed: of the bootstrap.
    Returns:
        `value`, `interval`, `n`; or a `reason`.
    """
    if not np.median(held_out) > 0:
        return {"reason": "the held-out people's faces are among the training faces"}
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(people == person) for person in np.unique(people)]
    ratios = []
    for _ in range(draws):
        drawn = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        ratios.append(np.median(rng.choice(ours, len(ours))) / np.median(held_out[drawn]))
    value = float(np.median(ours) / np.median(held_out))
    return {"value": value, "interval": percentile_interval(np.array(ratios)), "n": len(ours)}


def nearest_arrays(judged: Judged) -> dict[str, np.ndarray]:
    """The arrays of `evaluation/nearest.npz`: nearest training faces of the same emotion in the relief space.

    `index/METHOD` (n,) row of the training faces judged, `distance/METHOD` (n,), `held_out` (m,) distances of the
    held-out people's faces, `reference` their median.
    """
    held_out = to_train(judged, "relief", "test")[1]
    arrays = {"held_out": held_out.astype(np.float32), "reference": np.array(np.median(held_out), np.float32)}
    for name in judged.methods:
        index, distance = to_train(judged, "relief", f"method/{name}")
        arrays |= {f"index/{name}": index, f"distance/{name}": distance.astype(np.float32)}
    return arrays


def to_train(judged: Judged, space: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each face of a set, the row of the nearest training face of its emotion in a space, and the distance to it."""
    sets, faces = judged.spaces[space], judged.sets[name]
    return nearest_of_same_emotion(sets[name], faces.emotion, sets["train"], judged.train.emotion)
