"""What each stage did last: a stamp that lets an unchanged stage be skipped."""

from __future__ import annotations

from pathlib import Path

from depthjax import __version__
from depthjax.config import Config, to_dict
from depthjax.files import digest, read_json, write_json

# Stage: the config sections it reads, and the stages whose files it reads.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prepare": (("data",), ()),
    "train": (("data", "model", "train"), ("prepare",)),
    "evolve": (("evolve",), ("train",)),
    "sample": (("sample",), ("train", "evolve")),
    "evaluate": (("evaluate",), ("prepare", "sample")),
    "report": ((), ("prepare", "train", "evolve", "sample", "evaluate")),
}


def fingerprint(stage: str, config: Config) -> str:
    """A sha256 of all that the stage's files depend on: its settings, those of the stages before it, the version."""
    sections, before = STAGES[stage]
    settings = to_dict(config)
    return digest(__version__, stage, {s: settings[s] for s in sections}, [fingerprint(b, config) for b in before])


def is_done(stage: str, config: Config, workdir: Path) -> bool:
    """Whether the stage finished with these settings and all its files are still there."""
    path = _stamp(workdir, stage)
    if not path.exists():
        return False
    stamp = read_json(path)
    return stamp.get("fingerprint") == fingerprint(stage, config) and all(
        (workdir / name).exists() for name in stamp["outputs"]
    )


def mark_done(stage: str, config: Config, workdir: Path, *, outputs: list[Path], seconds: float) -> None:
    """Stamp a stage that has finished; `outputs` are files or folders inside `workdir`."""
    names = [str(path.relative_to(workdir)) for path in outputs]
    stamp = {"fingerprint": fingerprint(stage, config), "seconds": round(seconds, 2), "outputs": names}
    write_json(_stamp(workdir, stage), stamp)


def clear(stage: str, workdir: Path) -> None:
    """Forget that a stage was done: its files are about to change."""
    _stamp(workdir, stage).unlink(missing_ok=True)


def _stamp(workdir: Path, stage: str) -> Path:
    return workdir / "stages" / f"{stage}.json"
