"""Made-up numbers in the shape of evaluation.json: no one measured them, and the same come every time."""

import itertools
import zlib

import numpy as np

EMOTIONS = ("neutral", "happiness", "fear")
CLASSIFIERS = ("random_forest", "decision_tree", "xgboost")
SCORES = ("accuracy", "precision", "recall", "f1")
METHODS = ("gan", "vae", "gmm", "kde", "cdcgan_kd", "cdcgan_kd_ga")
SPACES = ("relief", "fused", "depthnet")
SHARES = {"0.1": 3, "0.25": 8, "0.5": 16, "1": 32}
# What each method's accuracy differs by from that of cdcgan_kd; the rest of its numbers follow.
SHIFT = {"gan": -0.08, "vae": -0.11, "gmm": -0.14, "kde": 0.03, "cdcgan_kd": 0.0, "cdcgan_kd_ga": 0.021}
TSTR, TRTR, STEP = 0.6123, 0.8371, 0.05  # of the random forest; STEP lower for each next classifier


def _value(value: float, spread: float = 0.06) -> dict:
    return {"value": value, "interval": [value - spread, value + spread * 0.9]}


def _scores(accuracy: float, *names: str, **extra: object) -> dict:
    """S, with the accuracy of each seed where `names` (what the numbers are of) are given."""
    scores = {s: _value(accuracy - 0.0123 * i) for i, s in enumerate(SCORES)}
    sizes = {"n_train": 300, "n_test": 240, "subjects_test": 8, "seeds": 3}
    runs = {"runs": _runs(accuracy, *names)} if names else {}
    return scores | sizes | runs | extra


def _runs(accuracy: float, *names: str, seeds: int = 3) -> dict[str, list[float]]:
    noise = np.random.default_rng(zlib.crc32(" ".join(names).encode())).normal(0, 0.012, seeds)
    values = [round(float(accuracy + x), 4) for x in noise - noise.mean()]
    return dict.fromkeys(("accuracy", "precision", "recall", "f1"), values)


def _floors(names: tuple[str, ...]) -> dict:
    """`floor`: as the real people stand to other real people."""
    sizes = {"n_real": 240, "n_other": 240, "dimensions": 32}
    kid = {"relief": _value(-0.0012, 0.0031), "fused": _value(0.0456, 0.02), "depthnet": _value(0.0021, 0.004)}
    floors = {"kid": kid, "frechet": {s: _value(3.21, 0.5) for s in SPACES}}
    for kind, value in {"precision": 0.81, "recall": 0.78, "density": 0.93, "coverage": 0.84}.items():
        floors[kind] = {s: _value(value, 0.05) for s in SPACES}
    return {k: {s: floors[k][s] | sizes for s in SPACES} for k in names}


DISTANCES = {"kid": (0.12345, 0.021), "frechet": (12.3456, 2.1)}
NEIGHBOURS = {"precision": (0.64, 0.07), "recall": (0.41, 0.07), "density": (0.7, 0.09), "coverage": (0.52, 0.06)}


def _distances(shift: float, kinds: dict[str, tuple[float, float]]) -> dict:
    floors = _floors(tuple(kinds))
    sizes = {"n_real": 240, "n_other": 300, "dimensions": 32}
    return {
        kind: {
            space: _value(value + shift, spread)
            | sizes
            | {"floor": {k: floors[kind][space][k] for k in ("value", "interval")}}
            for space in SPACES
        }
        for kind, (value, spread) in kinds.items()
    }


def _nearness(value: float, spread: float, real: float) -> dict:
    """N: a number of the generated faces beside that of real ones."""
    return _value(value, spread) | {"n": 300, "real": _value(real, spread) | {"n": 240}}


def _with_identical(psnr: dict) -> dict:
    return psnr | {"identical": 0, "real": psnr["real"] | {"identical": 0}}


def _published(method: str) -> dict:
    return {
        mix: {
            c: _scores(0.9123 - 0.07 * i, *(mix, c, "" if mix == "real" else method), interval_kind="seeds")
            | {"n_train": 480 if mix == "synthetic_real" else 240, "n_test": 120 if mix == "synthetic_real" else 60}
            for i, c in enumerate(CLASSIFIERS)
        }
        for mix in ("real", "synthetic", "synthetic_real")
    }


def _scarcity(shift: float | None, classifier: int) -> dict:
    """S for each share of the people; of a method, with what it adds to the real faces alone (paired by person)."""
    shares: dict[str, dict] = {}
    for i, share in enumerate(SHARES):
        real = 0.55 + 0.08 * i - STEP * classifier
        gain = 0.0 if shift is None else (0.12 + shift) * (1 - 0.3 * i)
        shares[share] = _scores(real + gain, n_train=96 * (i + 1))
        if shift is not None:
            p = 0.0078125 if gain > 0.07 else 0.31  # eight people allow no less
            interval = [gain - 0.06, gain + 0.054]
            shares[share]["paired"] = {"difference": gain, "interval": interval, "p": p, "people": 8}
    return shares


def _method(name: str) -> dict:
    shift = SHIFT[name]
    return {
        "n": 300,
        "n_per_emotion": 100,
        "trtr": {c: _scores(TRTR - STEP * i, "trtr", c) for i, c in enumerate(CLASSIFIERS)},
        "tstr": {c: _scores(TSTR + shift - STEP * i, name, c) for i, c in enumerate(CLASSIFIERS)},
        "trts": {c: _scores(0.77 + shift - STEP * i, n_train=960, n_test=300) for i, c in enumerate(CLASSIFIERS)},
        "published": _published(name),
        **_distances(-shift, DISTANCES),
        **_distances(shift, NEIGHBOURS),
        "relief_residual": {"ratio": 1.37 + shift, "interval": [1.31 + shift, 1.46 + shift], "n": 300},
        "ssim": _nearness(0.71234, 0.012, 0.69),
        "psnr": _with_identical(_nearness(21.357, 0.4, 20.9)),
        "vendi": {s: _nearness(14.2 + 20 * shift, 1.1, 21.3) for s in SPACES},
        "ms_ssim": _nearness(0.66 - shift, 0.02, 0.58),
        "auth_pct": {s: _nearness(0.71 + shift, 0.05, 0.83) for s in SPACES},
        "nearest_ratio": {s: _value(0.97 + shift, 0.04) | {"n": 300} for s in SPACES},
        "emotion_agreement": _nearness(0.83 + shift, 0.04, 0.9),
        "emotion_score": _nearness(2.31 + shift, 0.08, 2.52),
        "inception_score": {"reason": "no Inception weights were given"},
        "scarcity": {c: _scarcity(shift, i) for i, c in enumerate(CLASSIFIERS)},
        "as_published": {
            "frechet": {"value": -21.4 - 10 * shift, "features": "depthnet"},
            "score": {"value": 3.01 + shift, "features": "depthnet"},
            "ssim": {"value": 0.61 + shift},
            "psnr": {"value": 19.4 + 10 * shift},
        },
    }


def _paired(classifier: int) -> list[dict]:
    accuracy = {"real": TRTR} | {m: TSTR + SHIFT[m] for m in METHODS}
    rows = []
    for a, b in itertools.combinations(accuracy, 2):
        difference = accuracy[b] - accuracy[a]
        p = 0.0078125 if abs(difference) > 0.1 else 0.4  # eight people allow no less
        rows.append({"a": a, "b": b, "difference": difference, "people": 8, "p": p,
                     "interval": [difference - 0.06, difference + 0.06]})  # fmt: skip
    return rows


def fake_evaluation(emotions: tuple[str, ...] = EMOTIONS, methods: tuple[str, ...] = METHODS) -> dict:
    """What evaluation.json may hold (schema 2)."""
    return {
        "schema": 2,
        "data": {
            "source": "depth_heads",
            "emotions": list(emotions),
            "resolution": 64,
            "train": {"images": 960, "subjects": 32},
            "test": {"images": 240, "subjects": 8},
            "window_mm": [-10.0, 80.0],
        },
        "settings": {
            "feature_size": 128,
            "seeds": [0, 1, 2],
            "bootstrap": 1000,
            "kid_subsets": 100,
            "bins": 64,
            "kid_subset_size": 120,
        },
        "spaces": list(SPACES),
        "inception": {"reason": "no Inception weights were given"},
        "floor": _floors((*DISTANCES, *NEIGHBOURS)),
        "scarcity": {
            "fractions": [float(share) for share in SHARES],
            "people": dict(SHARES),
            "draws": 3,
            "real": {c: _scarcity(None, i) for i, c in enumerate(CLASSIFIERS)},
        },
        "paired": {c: _paired(i) for i, c in enumerate(CLASSIFIERS)},
        "methods": {name: _method(name) for name in methods},
    }


def fake_evaluation_1(emotions: tuple[str, ...] = EMOTIONS) -> dict:
    """The same as an earlier version wrote it (schema 1): two methods, two spaces, the real people's value alone."""
    evaluation = fake_evaluation(emotions, ("cdcgan_kd", "cdcgan_kd_ga"))
    old = {k: evaluation[k] for k in ("data", "settings", "floor", "methods")} | {"schema": 1}
    old["floor"] = {kind: _two_spaces(old["floor"][kind]) for kind in DISTANCES}
    kept = ("n", "n_per_emotion", "trtr", "tstr", "published", *DISTANCES, "relief_residual", "ssim", "psnr")
    for name, method in old["methods"].items():
        old["methods"][name] = {k: _two_spaces(method[k]) if k in DISTANCES else method[k] for k in kept}
        for kind in ("ssim", "psnr"):
            old["methods"][name][kind]["real"] = method[kind]["real"]["value"]
    return old


def _two_spaces(spaces: dict) -> dict:
    return {name: spaces[name] for name in ("relief", "fused")}
