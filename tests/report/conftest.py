"""A fabricated work folder: ellipsoids with a nose for faces, and numbers that no one measured."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from depthjax import files
from depthjax.config import Config, Data, to_dict

EMOTIONS = ("neutral", "happiness", "fear")
CLASSIFIERS = ("random_forest", "decision_tree", "xgboost")
SCORES = ("accuracy", "precision", "recall", "f1")


def fake_faces(count: int, size: int, rng: np.random.Generator, *, noise: float = 0.02) -> np.ndarray:
    """An ellipsoid with brow, nose, eyes and mouth of varying shape: (count, size, size) in [-1, 1]."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    faces = np.empty((count, size, size), np.float32)
    for i in range(count):
        width, height, smile = rng.uniform(0.62, 0.76), rng.uniform(0.82, 0.94), rng.uniform(-0.2, 0.4)
        dome = 1 - (x / width) ** 2 - (y / height) ** 2
        relief = 70 * (1 - np.sqrt(np.clip(dome, 0, 1))) + 16
        relief -= 20 * np.exp(
            -((x / 0.11) ** 2) - np.clip(y - 0.12, 0, 1) ** 2 / 0.008 - np.clip(0.12 - y, 0, 1) ** 2 / 0.09
        )
        for side in (-1, 1):
            relief += 6 * np.exp(-(((x - side * 0.27) / 0.13) ** 2) - ((y + 0.2) / 0.09) ** 2)
        lips = y - 0.48 + smile * x**2 * 2
        relief += -4 * np.exp(-((lips / 0.09) ** 2) - (x / 0.28) ** 2) + 6 * np.exp(
            -((lips / 0.02) ** 2) - (x / 0.25) ** 2
        )
        relief = np.where(dome > 0, relief + 90 * noise * rng.standard_normal(relief.shape), 80)
        faces[i] = np.clip((relief + 10) / 90 * 2 - 1, -1, 1)
    return faces


def _value(value: float, spread: float = 0.06) -> dict:
    return {"value": value, "interval": [value - spread, value + spread * 0.9]}


def _scores(accuracy: float, **extra: object) -> dict:
    return {s: _value(accuracy - 0.0123 * i) for i, s in enumerate(SCORES)} | {
        "n_train": 300, "n_test": 240, "subjects_test": 8, "seeds": 3, **extra}  # fmt: skip


def _method(shift: float, classifiers: tuple[str, ...] = CLASSIFIERS) -> dict:
    floor = {"relief": _value(0.0012, 0.0031), "fused": _value(0.0456, 0.02)}
    distance = {
        space: _value(0.12345 + shift, 0.021) | {"n_real": 240, "n_other": 300, "dimensions": 32, "floor": floor[space]}
        for space in ("relief", "fused")
    }
    frechet = {
        space: _value(12.3456 + shift, 2.1)
        | {"n_real": 240, "n_other": 300, "dimensions": 32, "floor": _value(3.21, 0.5)}
        for space in ("relief", "fused")
    }
    return {
        "n": 300,
        "n_per_emotion": 100,
        "trtr": {c: _scores(0.8371 - 0.05 * i) for i, c in enumerate(classifiers)},
        "tstr": {c: _scores(0.6123 + shift - 0.05 * i) for i, c in enumerate(classifiers)},
        "published": {
            mix: {c: _scores(0.9123 - 0.07 * i, interval_kind="seeds") for i, c in enumerate(classifiers)}
            for mix in ("real", "synthetic", "synthetic_real")
        },
        "kid": distance,
        "frechet": frechet,
        "relief_residual": {"ratio": 1.37 + shift, "interval": [1.31, 1.46], "n": 300},
        "ssim": _value(0.71234, 0.012) | {"n": 300, "real": 0.69},
        "psnr": _value(21.357, 0.4) | {"n": 300, "real": 20.9},
    }


def fake_evaluation(emotions: tuple[str, ...] = EMOTIONS) -> dict:
    floor = {"n_real": 240, "n_other": 240, "dimensions": 32}
    return {
        "schema": 1,
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
            "kid_subset_size": 120,
        },
        "floor": {
            "kid": {"relief": _value(-0.0012, 0.0031) | floor, "fused": _value(0.0456, 0.02) | floor},
            "frechet": {"relief": _value(3.21, 0.5) | floor, "fused": _value(3.21, 0.5) | floor},
        },
        "methods": {"cdcgan_kd": _method(0.0), "cdcgan_kd_ga": _method(0.021)},
    }


def fabricate(workdir: Path, *, emotions: tuple[str, ...] = EMOTIONS, size: int = 32, people: int = 10) -> Path:
    """Every file that the report reads."""
    rng = np.random.default_rng(0)
    config = to_dict(Config(name="quick", data=Data(resolution=size, near_mm=-10.0, far_mm=80.0)))
    config["data"]["emotions"] = list(emotions)
    files.write_json(workdir / "config.json", config)
    environment = {"python": "3.11.9", "packages": {"jax": "0.10.2"}, "platform": "Linux", "devices": ["cpu"],
                   "cpu_count": 2, "git_revision": "0123abcd", "date": "2026-11-23", "seeds": {"train": 0}}  # fmt: skip
    files.write_json(workdir / "environment.json", environment)
    for stage, seconds in {"prepare": 9.0, "train": 312.0, "evolve": 24.0, "sample": 3.0, "evaluate": 96.0}.items():
        files.write_json(workdir / "stages" / f"{stage}.json", {"seconds": seconds})
    count = len(emotions)
    labels = np.repeat(np.arange(count, dtype=np.int32), people * 2)
    subject = np.tile(np.repeat(np.arange(people, dtype=np.int32), 2), count)
    frame = np.tile(np.arange(2, dtype=np.int32), people * count)
    real = {"images": fake_faces(len(labels), size, rng), "emotion": labels, "subject": subject, "frame": frame}
    with files.replacing(workdir / "real" / "train" / "images.npy") as file:
        np.save(file, real.pop("images"))
    files.write_arrays(workdir / "real" / "train" / "labels.npz", **real, stored=np.arange(len(labels), dtype=np.int32))
    for method, noise in (("cdcgan_kd", 0.05), ("cdcgan_kd_ga", 0.03)):
        images = fake_faces(count * 9, size, rng, noise=noise)
        emotion = np.repeat(np.arange(count, dtype=np.int32), 9)
        files.write_arrays(workdir / "samples" / method / "samples.npz", images=images, emotion=emotion,
                           latents=np.zeros((count * 9, 4), np.float32))  # fmt: skip
    files.write_text(workdir / "metrics.jsonl", "".join(json.dumps(_row(e, rng)) + "\n" for e in range(1, 46)))
    climb = 5 + 3 * (1 - np.exp(-np.arange(101) / 20)) + 0.2 * rng.standard_normal((count, 5, 101)).cumsum(-1) / 10
    history = {"best": climb, "mean": climb - 1, "std": 0 * climb}
    files.write_arrays(workdir / "evolve" / "history.npz", **{k: v.astype(np.float32) for k, v in history.items()})
    files.write_json(workdir / "evaluation.json", fake_evaluation(emotions))
    return workdir


def _row(epoch: int, rng: np.random.Generator) -> dict:
    level = np.exp(-epoch / 15)
    noise = rng.normal(0, 0.03, 9)
    return {
        "step": epoch * 30, "epoch": epoch, "g_loss": 1.4 + noise[0], "g_adv": 0.8 + 0.8 * (1 - level) + noise[1],
        "g_kd": 0.3 * level + 0.05 + noise[2] / 5, "d_loss": 0.6 + noise[3], "d_adv_real": 0.6 * level + 0.3 + noise[4],
        "d_adv_fake": 0.6 * level + 0.25 + noise[5], "d_kd": 0.05 + abs(noise[6]) / 5, "d_acc_real": 0.85 - 0.3 * level,
        "d_acc_fake": 0.88 - 0.35 * level, "steps_per_second": 5.0, "images_per_second": 160.0, "seconds": epoch * 6.0,
    }  # fmt: skip


@pytest.fixture(scope="session", name="fabricate")
def _fabricate() -> Callable[..., Path]:
    return fabricate


@pytest.fixture
def evaluation() -> dict:
    """What evaluation.json may hold."""
    return fake_evaluation()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run's work folder, with its report written."""
    from depthjax.report.page import write_report

    workdir = fabricate(tmp_path_factory.mktemp("finished"))
    write_report(workdir)
    return workdir
