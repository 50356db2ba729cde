"""A fabricated work folder: ellipsoids with a nose for faces, and numbers that no one measured."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_fake import EMOTIONS, METHODS, fake_evaluation, fake_runs

from depthjax import artifact, files
from depthjax.config import Baselines, Config, Data, Sample, to_dict
from depthjax.report.stored import StoredEvaluation
from depthjax.scores import read_scores


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


def fabricate(workdir: Path, *, emotions: tuple[str, ...] = EMOTIONS, size: int = 32, people: int = 10) -> Path:
    """Every file that the report reads."""
    rng = np.random.default_rng(0)
    settings = Config(
        name="quick",
        data=Data(resolution=size, near_mm=-10.0, far_mm=80.0),
        baselines=Baselines(methods=METHODS[:4]),
        sample=Sample(methods=METHODS, count=9),
    )
    config = to_dict(settings)
    config["data"]["emotions"] = list(emotions)
    files.write_json(workdir / "config.json", config)
    environment = {
        "python": "3.11.9",
        "processor": "Imagined CPU",
        "packages": {"jax": "0.10.2"},
        "platform": "Linux",
        "devices": ["cpu"],
        "cpu_count": 2,
        "git_revision": "0123abcd",
        "date": "2026-11-23",
        "seeds": {"train": 0},
    }
    files.write_json(workdir / "environment.json", environment)
    for stage, seconds in {"prepare": 9.0, "train": 312.0, "evolve": 24.0, "sample": 3.0, "evaluate": 96.0}.items():
        artifact.finish(workdir / "stages" / f"{stage}.json", workdir, [], {}, {"seconds": seconds})
    count = len(emotions)
    train = _real(workdir / "faces" / "train", range(people), count, size, rng)
    test = _real(workdir / "faces" / "test", range(people, people + 4), count, size, rng)
    noises = dict(zip(METHODS, (0.06, 0.01, 0.09, 0.07, 0.05, 0.03), strict=True))
    for method, noise in noises.items():
        emotion = np.repeat(np.arange(count, dtype=np.int32), 9)
        files.write_arrays(
            workdir / "samples" / method / "samples.npz",
            images=fake_faces(len(emotion), size, rng, noise=noise),
            emotion=emotion,
            latents=np.zeros((len(emotion), 4), np.float32),
        )
    steps = np.stack([_turning(size, rng) for _ in emotions])
    files.write_arrays(workdir / "samples" / "cdcgan_kd" / "interpolation.npz", images=steps)
    sets = {"train": train, "test": test} | dict.fromkeys(METHODS, emotion)
    files.write_arrays(workdir / "evaluation" / "embedding.npz", **_embedding(sets))
    files.write_arrays(workdir / "evaluation" / "nearest.npz", **_nearest(sets))
    files.write_text(workdir / "metrics.jsonl", "".join(json.dumps(_row(e, rng)) + "\n" for e in range(1, 46)))
    climb = 5 + 3 * (1 - np.exp(-np.arange(101) / 20)) + 0.2 * rng.standard_normal((count, 5, 101)).cumsum(-1) / 10
    history = {"best": climb, "mean": climb - 1, "std": 0 * climb, "variety": climb}
    files.write_arrays(workdir / "evolve" / "history.npz", **{k: v.astype(np.float32) for k, v in history.items()})
    files.write_json(workdir / "evaluation.json", fake_evaluation(emotions))
    files.write_arrays(workdir / "evaluation" / "runs.npz", **fake_runs())
    return workdir


def _real(folder: Path, people: range, emotions: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Two frames of each person in each emotion, as `write_inputs` stores them; returns their emotions."""
    emotion = np.repeat(np.arange(emotions, dtype=np.int32), len(people) * 2)
    subject = np.tile(np.repeat(np.array(people, np.int32), 2), emotions)
    frame = np.tile(np.arange(2, dtype=np.int32), len(people) * emotions)
    with files.replacing(folder / "images.npy") as file:
        np.save(file, fake_faces(len(emotion), size, rng))
    stored = np.arange(len(emotion), dtype=np.int32)
    files.write_arrays(folder / "labels.npz", emotion=emotion, subject=subject, frame=frame, stored=stored)
    return emotion


def _turning(size: int, rng: np.random.Generator, steps: int = 9) -> np.ndarray:
    """(steps, size, size): one face becoming another."""
    first, last = fake_faces(2, size, rng, noise=0.01)
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None]
    return (1 - share) * first + share * last


def _embedding(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Emotions as clouds beside each other, the generated ones a little away from the real ones."""
    rng = np.random.default_rng(2)
    arrays = {}
    for place, (name, emotion) in enumerate(sets.items()):
        arrays[f"emotion/{name}"] = emotion
        arrays[f"lda/{name}"] = 2.0 * emotion + 0.2 * place + rng.normal(0, 0.7, len(emotion))
        angle = emotion * 2.1
        centre = 12 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.8 * place
        arrays[f"tsne/{name}"] = centre + rng.normal(0, 3, centre.shape)
        arrays[f"correlation/{name}"] = _correlations(rng)
    arrays |= {f"correlation/both/{name}": _correlations(rng) for name in METHODS}
    return {name: a.astype(np.int32 if name.startswith("emotion/") else np.float32) for name, a in arrays.items()}


def _correlations(rng: np.random.Generator) -> np.ndarray:
    return np.corrcoef(rng.standard_normal((4, 12)) + rng.standard_normal(12))


def _nearest(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The training face nearest to each generated one: some face of the same emotion."""
    rng = np.random.default_rng(3)
    held_out = rng.gamma(9, 0.2, len(sets["test"])).astype(np.float32)
    arrays: dict[str, np.ndarray] = {"held_out": held_out, "reference": np.float32(np.median(held_out))}
    for name in METHODS:
        rows = [rng.choice(np.flatnonzero(sets["train"] == e)) for e in sets[name]]
        arrays[f"index/{name}"] = np.array(rows, np.int32)
        arrays[f"distance/{name}"] = rng.gamma(8, 0.2, len(rows)).astype(np.float32)
    return arrays


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
def evaluation() -> StoredEvaluation:
    """An evaluation of all methods."""
    stored = fake_evaluation()
    scores = read_scores(stored["scores"], "evaluation.json")
    return StoredEvaluation(stored["data"], stored["settings"], scores, fake_runs())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run's work folder, with its report written."""
    from depthjax.report.page import write_report

    workdir = fabricate(tmp_path_factory.mktemp("finished"))
    write_report(workdir)
    return workdir
