"""Invented scores in the shape of evaluation.json: nobody measured them, and every call gives the same."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from depthjax.report.stored import StoredEvaluation
from depthjax.scores import Score, Scores

EMOTIONS = ("neutral", "happiness", "fear")
TREES = ("random_forest", "decision_tree", "xgboost")  # of the published protocol
CLASSIFIERS = (*TREES, "depthnet", "network")
MEASURES = ("accuracy", "precision", "recall", "f1")
METHODS = ("gan", "vae", "gmm", "kde", "cdcgan_kd", "cdcgan_kd_ga")
SPACES = ("relief", "fused", "depthnet")
CONTROLS = ("augmented", "mixtures")
SEEDS = 3
# Offset of each method's accuracy from that of cdcgan_kd; its other scores follow.
SHIFT = {"gan": -0.08, "vae": -0.11, "gmm": -0.14, "kde": 0.03, "cdcgan_kd": 0.0, "cdcgan_kd_ga": 0.021}
# Accuracy of the random forest; each next classifier is STEP lower.
TSTR, TRTR, STEP = 0.6123, 0.8371, 0.05
# As SHIFT, of the sets that distances are compared with.
ANCHORS: dict[str, float | None] = {"copies": 0.08, "gaussian": 0.05}
# Measure: value and spread of cdcgan_kd, value of the reference, sign of SHIFT.
DISTANCES = {
    "kid": (0.12345, 0.021, -0.0012, -1),
    "frechet": (12.3456, 2.1, 3.21, -1),
    "precision": (0.64, 0.07, 0.81, 1),
    "recall": (0.41, 0.07, 0.78, 1),
    "density": (0.7, 0.09, 0.93, 1),
    "coverage": (0.52, 0.06, 0.84, 1),
    "clipped_density": (0.61, 0.08, 0.97, 1),
    "clipped_coverage": (0.5, 0.06, 0.96, 1),
}


def fake_evaluation(emotions: tuple[str, ...] = EMOTIONS, methods: tuple[str, ...] = METHODS) -> dict[str, Any]:
    """Return the content of an evaluation.json."""
    return {
        "data": {
            "source": "depth_heads",
            "emotions": list(emotions),
            "resolution": 64,
            "train": {"images": 960, "subjects": 32},
            "test": {"images": 240, "subjects": 8},
            "drawn_from": "training faces",
            "window_mm": [-10.0, 80.0],
            "generated": dict.fromkeys(methods, 300),
            "controls": dict.fromkeys(CONTROLS, 300),
        },
        "settings": {
            "feature_size": 128,
            "seeds": list(range(SEEDS)),
            "bins": 64,
            "bootstrap": 1000,
            "equal_draws": 100,
            "spaces": list(SPACES),
            "xgboost_device": "cpu",
            "depthnet": {"version": "1", "sha256": "0" * 64},
        },
        "scores": Scores(_scores(emotions, methods)).to_records(),
    }


def fake_runs(methods: tuple[str, ...] = METHODS) -> dict[str, np.ndarray]:
    """Return the content of evaluation/runs.npz: each score's value of every seed, (SEEDS,) float64."""
    names = [("trtr", "real", c, TRTR - STEP * i) for i, c in enumerate(CLASSIFIERS)]
    for i, c in enumerate(CLASSIFIERS):
        names += [("tstr", method, c, TSTR + SHIFT[method] - STEP * i) for method in methods]
        if c in TREES:
            mixes = [("published_real", "real")]
            mixes += [(f"published_{mix}", m) for m in methods for mix in ("synthetic", "synthetic_real")]
            names += [(*mix, c, 0.9123 - 0.07 * i) for mix in mixes]
    return {
        f"{protocol}/{method}/{classifier}/{measure}": _seeds(value, protocol, method, classifier)
        for protocol, method, classifier, value in names
        for measure in MEASURES
    }


def changed(evaluation: StoredEvaluation, where: dict[str, Any], **changes: Any) -> StoredEvaluation:
    """Return the evaluation with these columns of all rows that match `where` replaced."""
    assert evaluation.scores.where(**where), f"no row has {where}"
    rows = [replace(row, **changes) if _matches(row, where) else row for row in evaluation.scores]
    return replace(evaluation, scores=Scores(rows))


def without(evaluation: StoredEvaluation, **where: Any) -> StoredEvaluation:
    """Return the evaluation without the rows that match."""
    return replace(evaluation, scores=Scores(row for row in evaluation.scores if not _matches(row, where)))


def _matches(row: Score, where: dict[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in where.items())


def _seeds(value: float, *names: str) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(" ".join(names).encode()))
    noise = rng.normal(0, 0.012, SEEDS)
    return np.round(value + noise - noise.mean(), 4)


def _scores(emotions: tuple[str, ...], methods: tuple[str, ...]) -> Iterator[Score]:
    for i, classifier in enumerate(CLASSIFIERS):
        yield from _recognition(classifier, STEP * i, methods)
        yield from _added(classifier, STEP * i, methods)
        yield from _paired(classifier, methods)
        if classifier in TREES:
            yield from _published(classifier, 0.07 * i, methods)
    for method in methods:
        yield from _distances(method, SHIFT[method], emotions)
        yield from _qualities(method, SHIFT[method])
    for anchor, shift in {"real": None, "held_out": None, "copies": 0.08, "gaussian": 0.05}.items():
        yield from _distances(anchor, shift, emotions)
    yield from _qualities("real", None)
    for name, space in itertools.product((*methods, "held_out"), ("relief", "depthnet")):
        for measure, value in {"auth_pct": 0.71, "fld_gap": -9.3}.items():
            yield _score(value + SHIFT.get(name, 0.1), 0.04, method=name, protocol="memorisation", measure=measure,
                         space=space, n=300)  # fmt: skip
    yield from _evidence(methods)


def _evidence(methods: tuple[str, ...]) -> Iterator[Score]:
    """What tells each set from held-out faces, and signs of copies, beside the anchors."""
    shifts = {method: SHIFT[method] for method in methods} | {"held_out": None, "real": None} | ANCHORS
    for space, (name, shift) in itertools.product(("relief", "depthnet"), shifts.items()):
        columns: dict[str, Any] = {"method": name, "space": space, "n": 240}
        s, near = shift or 0.0, shift is None
        yield _score(0.5 if near else 0.8 - s, 0.03, protocol="c2st", measure="accuracy", against="test", **columns)
        share, auc = (0.05, 0.55) if near else (0.06 - s / 4, 0.7 + s)
        columns |= {"protocol": "memorisation"}
        yield _score(share, 0.02, measure="near_share", **columns)
        for attack in ("auc_distance", "auc_density_ratio"):
            yield _score(auc, 0.05, measure=attack, **columns)
        for planted in (10, 30) if name in methods else ():
            yield _score(share + planted / 100, 0.02, measure=f"near_share_planted_{planted}", **columns)


def _four(value: float, *, n: int, spread: float = 0.06, **columns: Any) -> Iterator[Score]:
    for i, measure in enumerate(MEASURES):
        yield _score(value - 0.0123 * i, spread, measure=measure, n=n, **columns)


def _score(value: float, spread: float, **columns: Any) -> Score:
    return Score(value=value, low=value - spread, high=value + 0.9 * spread, **columns)


def _recognition(classifier: str, step: float, methods: tuple[str, ...]) -> Iterator[Score]:
    yield from _four(TRTR - step, n=240, method="real", protocol="trtr", classifier=classifier)
    for method in methods:
        columns: dict[str, Any] = {"method": method, "classifier": classifier}
        yield from _four(TSTR + SHIFT[method] - step, n=240, protocol="tstr", **columns)
        yield from _four(0.77 + SHIFT[method] - step, n=300, protocol="trts", **columns)


def _added(classifier: str, step: float, methods: tuple[str, ...]) -> Iterator[Score]:
    """Augmented copies add 4 points, mixtures 3, a method 3 more than its shift and 1 more beside copies."""
    gains = {"augmented": 0.04, "mixtures": 0.03} | {method: 0.03 + SHIFT[method] for method in methods}
    for name, gain in gains.items():
        columns: dict[str, Any] = {"method": name, "classifier": classifier}
        yield from _four(TRTR - step + gain, n=240, protocol="added", **columns)
        yield _test(gain, abs(gain) > 0.07, protocol="paired_added", against="real", **columns)
        if name != "augmented":
            further = gain - gains["augmented"]
            yield _test(further, abs(further) > 0.07, protocol="paired_added", against="augmented", **columns)
        if name in methods:
            yield from _four(TRTR - step + 0.05, n=240, protocol="added_augmented", **columns)
            yield _test(0.01, False, protocol="paired_added_augmented", against="augmented", **columns)


def _paired(classifier: str, methods: tuple[str, ...]) -> Iterator[Score]:
    accuracy = {"real": TRTR} | {method: TSTR + SHIFT[method] for method in methods}
    for a, b in itertools.combinations(accuracy, 2):
        difference = accuracy[b] - accuracy[a]
        yield _test(
            difference, abs(difference) > 0.1, method=b, protocol="paired_tstr", against=a, classifier=classifier
        )


def _test(difference: float, significant: bool, **columns: Any) -> Score:
    # Eight subjects allow no p below 2 / 2**8.
    p = 0.0078125 if significant else 0.31
    return _score(difference, 0.06, measure="accuracy", n=8, p=p, **columns)


def _published(classifier: str, step: float, methods: tuple[str, ...]) -> Iterator[Score]:
    columns: dict[str, Any] = {"classifier": classifier, "spread": 0.02}
    yield from _four(0.9123 - step, n=60, method="real", protocol="published_real", **columns)
    for method in methods:
        yield from _four(0.9123 - step, n=60, method=method, protocol="published_synthetic", **columns)
        yield from _four(0.9123 - step, n=120, method=method, protocol="published_synthetic_real", **columns)


def _distances(method: str, shift: float | None, emotions: tuple[str, ...]) -> Iterator[Score]:
    for measure, (value, spread, reference, sign) in DISTANCES.items():
        mean = reference if shift is None else value + sign * shift
        width = 0.0031 if measure == "kid" and shift is None else spread
        for space, against in itertools.product(SPACES, ("train", "test")):
            columns: dict[str, Any] = {"method": method, "measure": measure, "space": space, "against": against}
            yield _score(mean, width, protocol="distance", n=240, **columns)
            for i, emotion in enumerate(emotions if measure in ("kid", "coverage") else ()):
                yield _score(mean - 0.02 * i, width, protocol="distance", n=80, emotion=emotion, **columns)
    if shift is not None and method not in ("copies", "gaussian"):
        yield _score(1.37 + shift, 0.06, method=method, protocol="distance", measure="residual_ratio",
                     space="relief", n=300)  # fmt: skip


def _qualities(method: str, shift: float | None) -> Iterator[Score]:
    """Scores of one set by itself or beside the training faces; `shift` is None for the held-out faces."""
    n = 240 if shift is None else 300
    s = shift or 0.0

    def score(protocol: str, measure: str, space: str, of: float, real: float, spread: float) -> Score:
        value = real if shift is None else of
        return _score(value, spread, method=method, protocol=protocol, measure=measure, space=space, n=n)

    yield score("nearest", "ssim", "pixels", 0.71234 + s, 0.69, 0.012)
    yield score("nearest", "psnr", "pixels", 21.357 + s, 20.9, 0.4)
    yield score("diversity", "ms_ssim", "pixels", 0.66 - s, 0.58, 0.02)
    for space in SPACES:
        yield score("diversity", "vendi", space, 14.2 + 20 * s, 21.3, 1.1)
    yield score("emotion", "agreement", "depthnet", 0.83 + s, 0.9, 0.04)
    yield score("emotion", "score", "depthnet", 2.31 + s, 2.52, 0.08)
    if shift is not None:
        published = {"frechet": -21.4 - 10 * s, "score": 3.01 + s, "ssim": 0.61 + s, "psnr": 19.4 + 10 * s}
        for measure, value in published.items():
            space = "pixels" if measure in ("ssim", "psnr") else "depthnet"
            yield Score(method, "as_published", measure=measure, space=space, value=value, n=n)
