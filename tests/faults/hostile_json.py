"""Every JSON file that is read, fuzzed, each with its reader."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hypothesis import strategies as st

from depthjax import artifact, pipeline, stages
from depthjax.baselines import fits
from depthjax.baselines.densities import GMM
from depthjax.config import Config, to_dict
from depthjax.config_values import override
from depthjax.files import digest
from depthjax.report.stored import read_run
from depthjax.scores import Score, Scores
from depthjax.train import checkpoint
from depthjax.train.metrics_log import truncate_metrics
from tests.faults.fuzz import Readers, bytes_like

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn, good: list[Any]) -> bytes:
    """Of a good value: one thing within it replaced, or its text changed; or another value; or much nesting."""
    value = json.loads(json.dumps(draw(st.sampled_from(good))))
    how = draw(st.sampled_from(("within", "within", "within", "text", "other", "nested")))
    if how == "nested":
        return draw(st.sampled_from((b"[", b'{"a":', b'{"step":['))) * 100_000
    if how == "text":
        return draw(bytes_like([json.dumps(value).encode()]))
    if how == "other":
        return json.dumps(draw(JSON)).encode("utf-8", "surrogatepass")
    node, path = value, []
    while isinstance(node, dict | list) and len(node):
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        path.append((node, key))
        node = node[key]
        if draw(st.booleans()):
            break
    if path and draw(st.integers(0, 3)) == 0:
        del path[-1][0][path[-1][1]]
    elif path:
        path[-1][0][path[-1][1]] = draw(JSON)
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def records(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """A record of finished work with something replaced, half of the time under a seal that fits."""
    text = draw(documents([good]))
    if draw(st.booleans()):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            if isinstance(value, dict):
                value.pop(artifact.SEAL, None)
                text = json.dumps(value | {artifact.SEAL: digest(value)}).encode()
    return text


def _record(settings: dict[str, Any], **facts: Any) -> dict[str, Any]:
    files = ("fit.npz", "generator/_METADATA", "training/_METADATA")
    held = facts | {"settings": settings, "sha256": dict.fromkeys(files, "0" * 64)}
    return held | {artifact.SEAL: digest(held)}


def _write(data: bytes, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def json_readers(folder: Path) -> Readers:
    """Every JSON file that is read, each with its reader."""
    del folder
    config, key = Config(), jax.random.key(0)  # which makes the folder of jax's cache
    stage = _record({"fingerprint": pipeline.PREPARE.fingerprint(config), "faces": ""}, outputs=["data"], seconds=1.0)
    fit = _record(GMM.settings(config) | {"the faces (their fingerprint)": "0" * 16}, chosen={"pca": 8})
    manifest = _record({"fingerprint": "0" * 64, "config": to_dict(config)}, step=3)
    names = "epoch g_loss g_adv g_kd d_loss d_adv_real d_adv_fake d_kd d_acc_real d_acc_fake seconds"
    metric = dict.fromkeys(names.split(), 0.5) | {"step": 30}
    sizes = {"images": 12, "subjects": 3}
    evaluation = {
        "data": {"source": "depth_heads", "emotions": ["fear"], "train": sizes, "test": sizes, "generated": {"kde": 4}},
        "settings": {"spaces": ["relief"]},
        "scores": Scores([Score("kde", "distance", measure="kid", space="relief", value=0.5, n=4)]).to_records(),
    }

    def read_stage(data: bytes, at: Path) -> None:
        _write(data, stages.record_path("prepare", at))
        pipeline.PREPARE.is_done(config, at)
        stages.faces_state("train", override(config, {"data.source": "folder", "data.path": "x"}), at)
        stages.damaged("prepare", at)

    def read_fit(data: bytes, at: Path) -> None:
        _write(data, at / fits.RECORD)
        fits.sample_fit(GMM, key, config, at, np.zeros(1, np.int32))

    def read_rows(data: bytes, at: Path) -> None:
        row = json.dumps(metric).encode()
        log = _write(row + b"\n" + data + b"\n" + row, at / "metrics.jsonl")
        truncate_metrics(log, 100)

    def read_manifest(data: bytes, at: Path) -> None:
        _write(data, at / "checkpoints" / "3" / checkpoint.MANIFEST)
        checkpoint.check_same_settings(at / "checkpoints", config)
        checkpoint.restore_generator(at / "checkpoints", config)

    def read_all(drawn: tuple[str, bytes], at: Path) -> None:
        _write(json.dumps(to_dict(config)).encode(), at / "config.json")
        for name in ("environment.json", "evaluation.json", "metrics.jsonl", "stages/prepare.json"):
            (at / name).unlink(missing_ok=True)
        _write(drawn[1], at / drawn[0])
        read_run(at)

    parts = {
        "config.json": to_dict(config),
        "environment.json": {"depthjax": "1"},
        "evaluation.json": evaluation,
        "metrics.jsonl": metric,
        "stages/prepare.json": stage,
    }
    any_part = st.one_of(*(st.tuples(st.just(name), documents([good])) for name, good in parts.items()))
    return {
        "records of stages": (records(stage), read_stage),
        "records of fits": (records(fit), read_fit),
        "metrics.jsonl": (documents([metric]), read_rows),
        "manifests of checkpoints": (records(manifest), read_manifest),
        "what the report reads": (any_part, read_all),
    }
